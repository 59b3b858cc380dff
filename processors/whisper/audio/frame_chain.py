"""Checks whether the last frame is complete in a file without a container, which is a sequence of frames.

Headers after ISO/IEC 13818-7 (ADTS), ATSC A/52 (AC-3), ISO/IEC 11172-3 (MPEG audio), RFC 4867 (AMR) and ISO/IEC 13818-1
(program streams).
"""

import os
from collections.abc import Callable
from typing import BinaryIO

_TAIL_BYTES = 128 * 1024
_FEWEST_FRAMES = 3  # in a row; fewer may be a coincidence
_MAX_WALKED_BYTES = 64 * 1024 * 1024
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_MPEG_RATES = (44_100, 48_000, 32_000)
_MPEG_KBPS = {  # by (is version 1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_AMR = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6),
}  # bytes of a frame, by its type
_HEADER_BYTES = 14

Size = Callable[[bytes], int]  # of the frame that begins with these bytes; 0: no frame does


def is_cut_off(file: BinaryIO, form: str) -> bool:
    """True if the file ends within a frame. form: a key of `SIZES`."""
    size = SIZES[form]
    end = _end_of_frames(file)
    start = max(0, end - _TAIL_BYTES)
    file.seek(start)
    tail = file.read(end - start)
    at = 0
    while at < len(tail):
        last, frames = _follow(tail, at, size)
        if frames >= _FEWEST_FRAMES:
            rest = len(tail) - last
            if rest <= 0 or rest < _HEADER_BYTES and not any(tail[last:]):
                return rest < 0
            at = last
        at += 1
    return False


def is_amr_cut_off(file: BinaryIO) -> bool:
    """True if an AMR file ends within a frame; a large one is not examined."""
    content = file.read(_MAX_WALKED_BYTES + 1)
    sizes = next((sizes for mark, sizes in _AMR.items() if content.startswith(mark)), None)
    if sizes is None or len(content) > _MAX_WALKED_BYTES:
        return False
    at = content.index(b"\n") + 1
    while at < len(content):
        kind = content[at] >> 3 & 0xF
        at += sizes[kind] if kind < len(sizes) else 1
    return at > len(content)


def _follow(data: bytes, at: int, size: Size) -> tuple[int, int]:
    """The end of the frames that follow each other from `at`, and their number. The end may be beyond the data."""
    frames = 0
    while at < len(data) and (length := size(data[at : at + _HEADER_BYTES])):
        at, frames = at + length, frames + 1
    return at, frames


def _end_of_frames(file: BinaryIO) -> int:
    """The end of the file without tags (ID3v1, APEv2)."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 128))
    if file.read(3) == b"TAG":
        end -= 128
    file.seek(max(0, end - 32))
    footer = file.read(32)
    if footer[:8] == b"APETAGEX":
        has_header = int.from_bytes(footer[20:24], "little") >> 31
        end -= int.from_bytes(footer[12:16], "little") + 32 * has_header
    return max(0, end)


def _adts(head: bytes) -> int:
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= 7 else 0


def _ac3(head: bytes) -> int:
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return 0
    if head[5] >> 3 > 10:  # E-AC-3
        return 2 * (((head[2] & 7) << 8 | head[3]) + 1)
    rate, code = head[4] >> 6, head[4] & 0x3F
    if rate == 3 or code >> 1 >= len(_AC3_KBPS):
        return 0
    kbps = _AC3_KBPS[code >> 1]
    return 2 * (2 * kbps, 320 * kbps // 147 + (code & 1), 3 * kbps)[rate]


def _mpeg_audio(head: bytes) -> int:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    kbps, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or kbps in (0, 15) or rate == 3:
        return 0
    is_first = version == 3
    bits = 1000 * _MPEG_KBPS[is_first, layer][kbps]
    hertz = _MPEG_RATES[rate] // (1 if is_first else 2 if version == 2 else 4)
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (144 if is_first or layer == 2 else 72) * bits // hertz + padding


def _dts(head: bytes) -> int:
    """A core frame, or an extension after it (ETSI TS 102 114, 5.3 and 7.4)."""
    bits = int.from_bytes(head.ljust(_HEADER_BYTES, b"\0"))
    match head[:4]:
        case b"\x7f\xfe\x80\x01":
            return _bits(bits, 46, 14) + 1
        case b"\x64\x58\x20\x25":
            return (_bits(bits, 55, 20) if _bits(bits, 42, 1) else _bits(bits, 51, 16)) + 1
    return 0


def _bits(number: int, start: int, count: int) -> int:
    """Some bits of a header, counted from its start."""
    return number >> (8 * _HEADER_BYTES - start - count) & (1 << count) - 1


def _loas(head: bytes) -> int:
    """AAC in LATM, in a stream with syncwords (ISO/IEC 14496-3, 1.7.2)."""
    if len(head) < 3 or head[0] != 0x56 or head[1] & 0xE0 != 0xE0:
        return 0
    return 3 + ((head[1] & 0x1F) << 8 | head[2])


def _pes(head: bytes) -> int:
    if len(head) < 6 or head[:3] != b"\0\0\1":
        return 0
    match head[3]:
        case 0xB9:  # the end of a program
            return 4
        case 0xBA if head[4] >> 6 == 1:
            return 14 + (head[13] & 7 if len(head) > 13 else 0)
        case 0xBA:
            return 12
        case code if code >= 0xBB:
            return 6 + int.from_bytes(head[4:6])
    return 0


SIZES: dict[str, Size] = {
    "aac": _adts,
    "ac3": _ac3,
    "dts": _dts,
    "eac3": _ac3,
    "loas": _loas,
    "mp3": _mpeg_audio,
    "mpeg": _pes,
}
