"""The end of a file, read without decoding: does it end within an element whose declared size is larger?

This detects files that are cut off in formats that declare no duration.
"""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from processors.whisper.audio import frame_chain

_MAX_ELEMENTS = 200_000  # of one file; a larger one is not examined to its end
_OGG_PAGE, _OGG_LAST, _LONGEST_OGG_PAGE = b"OggS", 4, 65_307  # mark, flag of a stream's last page, bytes (RFC 3533)
_TS_SYNC, _TS_PACKETS = 0x47, ((188, 0), (192, 4), (204, 0))  # bytes of a packet, and before its mark
_TS_TAIL_PACKETS = 2000
_FLV_TAG_BYTES = 11
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the name of the object with the size
_ASF_HEAD_BYTES, _ASF_IS_LIVE = 1 << 16, 1
_W64_GUID_BYTES = 16
_RM_HEAD_BYTES = 10  # of a chunk; any packet of sound is longer
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675

_MOV_START, _AIFF_START = b"ftyp", b"FORM"

Walk = Callable[[BinaryIO, int], bool]


def lacks_end(form: str, path: Path) -> bool:
    """True if the file seems cut off, or was never completed. form: FFmpeg's first name of the format."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        try:
            if form in frame_chain.SIZES:
                return frame_chain.is_cut_off(file, form)
            return _WALKS[form](file, size) if form in _WALKS else False
        except (struct.error, IndexError):  # no such structure
            return False


def is_followed_by_another(form: str, path: Path) -> bool:
    """True if another file of the same kind, which FFmpeg does not read, is joined to the end. form: as above."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        at = 0
        for _ in range(_MAX_ELEMENTS):
            file.seek(at)
            head = file.read(16)
            length = _CHUNK_BYTES[form](head) if form in _CHUNK_BYTES and len(head) == 16 else None
            if length is None or at >= size:
                break
            if at and (head[4:8] == _MOV_START if form == "mov" else head[:4] == _AIFF_START):
                return True
            at += length
    return False


def _amr(file: BinaryIO, size: int) -> bool:
    return frame_chain.is_amr_cut_off(file)


def _ogg(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - _LONGEST_OGG_PAGE))
    end = file.read()
    page = end.rfind(_OGG_PAGE)
    return page < 0 or page + 5 >= len(end) or not end[page + 5] & _OGG_LAST


def _avi(file: BinaryIO, size: int) -> bool:
    """RIFF lists; a recorder that was killed leaves their size at 0."""

    def length(head: bytes) -> int | None:
        declared: int = struct.unpack_from("<I", head, 4)[0]
        return 8 + declared if head[:4] == b"RIFF" else None

    file.seek(4)
    return file.read(4) == bytes(4) or _ends_within(file, size, 0, 8, length, even=True)


def _w64(file: BinaryIO, size: int) -> bool:
    declared: int = struct.unpack_from("<Q", file.read(_W64_GUID_BYTES + 8), _W64_GUID_BYTES)[0]
    return declared > size


def _caf(file: BinaryIO, size: int) -> bool:
    def length(head: bytes) -> int | None:
        declared: int = struct.unpack_from(">q", head, 4)[0]
        return 12 + declared if declared >= 0 else None  # -1: to the end of the file

    return _ends_within(file, size, 8, 12, length)


def _voc(file: BinaryIO, size: int) -> bool:
    """Blocks; the last one is a single byte 0, which some programs leave out."""
    start = struct.unpack_from("<H", file.read(22), 20)[0]

    def length(head: bytes) -> int | None:
        return 4 + int.from_bytes(head[1:4], "little") if head[0] else None

    return _ends_within(file, size, start, 4, length)


def _mov(file: BinaryIO, size: int) -> bool:
    return _ends_within(file, size, 0, 16, _box_bytes)


def _box_bytes(head: bytes) -> int | None:
    declared: int = struct.unpack_from(">I", head)[0]
    if declared == 1:
        declared = struct.unpack_from(">Q", head, 8)[0]
    return declared if declared >= 8 else None  # 0: to the end of the file


def _form_bytes(head: bytes) -> int | None:
    declared: int = struct.unpack_from(">I", head, 4)[0]
    return 8 + declared + declared % 2 if head[:4] == _AIFF_START else None


def _realmedia(file: BinaryIO, size: int) -> bool:
    """Chunks; a live stream declares no size of its data. FFmpeg declares ten bytes too many."""

    def length(head: bytes) -> int | None:
        declared: int = struct.unpack_from(">I", head, 4)[0]
        return declared if head[:4].isascii() and declared >= _RM_HEAD_BYTES else None

    return _ends_within(file, size, 0, 8, length, spare=_RM_HEAD_BYTES)


def _asf(file: BinaryIO, size: int) -> bool:
    """The header contains the size of the file, unless it is a live stream (Microsoft's ASF specification, 3.2)."""
    head = file.read(_ASF_HEAD_BYTES)
    at = head.find(_ASF_PROPERTIES)
    if at < 0:
        return False
    declared: int = struct.unpack_from("<Q", head, at + 40)[0]
    flags: int = struct.unpack_from("<I", head, at + 88)[0]
    return declared > size and not flags & _ASF_IS_LIVE


def _flv(file: BinaryIO, size: int) -> bool:
    """After each tag its size is repeated."""
    file.seek(max(0, size - 4))
    tag = int.from_bytes(file.read(4))
    start = size - 4 - tag
    if tag < _FLV_TAG_BYTES or start < 0:
        return True
    file.seek(start + 1)
    return int.from_bytes(file.read(3)) + _FLV_TAG_BYTES != tag


def _mpegts(file: BinaryIO, size: int) -> bool:
    head = file.read(1024)
    for length, before in _TS_PACKETS:
        marks = head[before::length]
        if len(marks) >= 4 and set(marks) == {_TS_SYNC}:
            file.seek(max(0, size - size % length - _TS_TAIL_PACKETS * length))
            return size % length != 0 or _ends_within_pes(file.read(), length, before)
    return False


def _ends_within_pes(tail: bytes, length: int, before: int) -> bool:
    """True if the last packet of a sound track (PES) is shorter than it declares. tail: complete transport packets."""
    missing: dict[int, int] = {}  # bytes, by the number of the track
    for at in range(before, len(tail) - length + 1, length):
        packet = tail[at : at + 188]
        track, has_start = (packet[1] & 0x1F) << 8 | packet[2], bool(packet[1] & 0x40)
        payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        payload = payload if packet[3] & 0x10 else b""
        if has_start and payload[:3] == b"\0\0\1" and (0xC0 <= payload[3] <= 0xDF or payload[3] == 0xBD):
            declared = int.from_bytes(payload[4:6])
            missing[track] = 6 + declared if declared else 0  # 0: up to the next one
        if track in missing:
            missing[track] -= len(payload)
    return any(rest > 0 for rest in missing.values())


def _matroska(file: BinaryIO, size: int) -> bool:
    at = 0
    for _ in range(_MAX_ELEMENTS):
        if at >= size:
            break
        file.seek(at)
        head = file.read(12)
        identity, length = _number(head, keeps_mark=True)
        declared, more = _number(head[length:], keeps_mark=False)
        start = at + length + more
        is_unknown = declared == (1 << 7 * more) - 1
        if identity in (_SEGMENT, _CLUSTER) and (is_unknown or identity == _SEGMENT):
            if not is_unknown and start + declared > size:
                return True
            at = start  # their children follow
        elif is_unknown:
            return False
        else:
            at = start + declared
    return at > size


def _number(data: bytes, *, keeps_mark: bool) -> tuple[int, int]:
    """An EBML number and its length in bytes (RFC 8794, 4 and 5)."""
    length = 9 - data[0].bit_length()
    value = int.from_bytes(data[:length])
    if length > len(data):
        raise IndexError("the file ends within a number")
    return value if keeps_mark else value & (1 << 7 * length) - 1, length


def _ends_within(
    file: BinaryIO,
    size: int,
    at: int,
    head_bytes: int,
    length: Callable[[bytes], int | None],
    *,
    even: bool = False,
    spare: int = 0,
) -> bool:
    """True if the last of the chunks from `at` on goes beyond the file, by more than `spare` bytes. length: of a chunk
    with its header; None: no chunks follow."""
    for _ in range(_MAX_ELEMENTS):
        if at >= size:
            break
        file.seek(at)
        found = length(file.read(head_bytes))
        if found is None:
            return False
        at += found + (found % 2 if even else 0)
    return at > size + max(even, spare)


_WALKS: dict[str, Walk] = {
    "amr": _amr,
    "asf": _asf,
    "avi": _avi,
    "caf": _caf,
    "flv": _flv,
    "matroska": _matroska,
    "mov": _mov,
    "mpegts": _mpegts,
    "ogg": _ogg,
    "rm": _realmedia,
    "voc": _voc,
    "w64": _w64,
}
_CHUNK_BYTES = {"mov": _box_bytes, "aiff": _form_bytes}
