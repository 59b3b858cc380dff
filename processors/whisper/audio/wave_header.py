"""The `data` chunk of a WAV file: its declared size, and sound after it that the header does not count.

After Microsoft's RIFF specification and EBU Tech 3306 (RF64). A recorder that was killed leaves the size it wrote at
the start. Some programs omit the byte that pads a chunk of odd size: FFmpeg then does not find the data.
"""

import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAX_CHUNKS = 1000
_UNKNOWN_SIZE = 0x7FFF_0000  # a streaming recorder writes (almost) the largest number, or 0
_IN_DS64 = 0xFFFF_FFFF
_SMALLEST_REST_BYTES = 256  # after the data chunk: less is padding
# Chunks whose names are searched for where padding may be missing.
_KNOWN = frozenset(
    (b"fmt ", b"data", b"fact", b"LIST", b"bext", b"iXML", b"axml", b"cue ", b"smpl", b"inst", b"JUNK", b"junk")
    + (b"PAD ", b"FLLR", b"id3 ", b"ID3 ", b"PEAK", b"cart", b"chna", b"levl", b"umid", b"_PMX", b"acid", b"strc")
    + (b"DISP", b"ds64", b"plst", b"afsp", b"minf", b"elm1", b"regn")
)
_KEPT = (b"fmt ", b"ds64", b"fact")  # what FFmpeg needs besides the data
_MAX_KEPT_BYTES = 1 << 16
_SAMPLES = (1, 3, 6, 7, 0xFFFE)  # codecs: linear, floating point, A-law, µ-law, "extensible", which names one of these


@dataclass(frozen=True, kw_only=True)
class DataChunk:
    start: int  # of its samples, in bytes of the file
    size: int | None  # in bytes; None: the header does not declare it
    goes_on: bool  # more bytes follow, which are not chunks of WAV
    seconds: float | None  # of the declared data; None: the header does not declare it
    padded_head: bytes  # a valid header in place of the bytes before `start`, if these lack padding; else empty


def data_chunk(path: Path) -> DataChunk | None:
    """Find the data chunk; None: the file is not a WAV file, or has no such chunk."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:12] != b"WAVE":
            return None
        found = _find(file)
        if found is None:
            return None
        start, size, kept, lacks_padding = found
        padded_head = head + kept + _bytes_at(file, start - 8, 8) if lacks_padding else b""
        if not 0 < size < _UNKNOWN_SIZE and head[:4] == b"RIFF":
            return DataChunk(start=start, size=None, goes_on=False, seconds=None, padded_head=padded_head)
        goes_on, seconds = _goes_on(file, start, size), _seconds(kept, size)
        return DataChunk(start=start, size=size, goes_on=goes_on, seconds=seconds, padded_head=padded_head)


def _find(file: BinaryIO) -> tuple[int, int, bytes, bool] | None:
    """Start and size of the data, the chunks to keep of those before it, and whether one of them lacks padding."""
    at, large_size, kept, lacks_padding = 12, None, b"", False
    for _ in range(_MAX_CHUNKS):
        head = _bytes_at(file, at, 8)
        if len(head) < 8:
            return None
        size = struct.unpack_from("<I", head, 4)[0]
        if head[:4] == b"ds64" and len(sizes := file.read(16)) == 16:
            large_size = struct.unpack_from("<Q", sizes, 8)[0]
        if head[:4] == b"data":
            counted = large_size if size == _IN_DS64 and large_size is not None else size
            return at + 8, counted, kept, lacks_padding
        if head[:4] in _KEPT and size <= _MAX_KEPT_BYTES:
            kept += _bytes_at(file, at, 8 + size) + bytes(size % 2)
        end = _end(file, at + 8, size)
        lacks_padding |= end == at + 8 + size and size % 2 == 1
        at = end
    return None


def _seconds(kept: bytes, size: int) -> float | None:
    """The duration of this many bytes of data. kept: the chunks before it.

    Only the blocks of linear, A-law and µ-law samples have a fixed duration. For other codecs, programs
    write wrong byte rates, so the chunk `fact` counts the samples.
    """
    chunks: dict[bytes, bytes] = {}
    at = 0
    while at + 8 <= len(kept):
        length = struct.unpack_from("<I", kept, at + 4)[0]
        chunks[kept[at : at + 4]] = kept[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    form, fact = chunks.get(b"fmt ", b""), chunks.get(b"fact", b"")
    if len(form) < 16:
        return None
    codec, channels, rate_hz, _, block_bytes, bits = struct.unpack_from("<HHIIHH", form)
    if not rate_hz:
        return None
    if codec in _SAMPLES and block_bytes and block_bytes == channels * ((bits + 7) // 8):
        return float(size / block_bytes / rate_hz)
    samples = struct.unpack_from("<I", fact)[0] if len(fact) >= 4 else 0
    return samples / rate_hz if 0 < samples < _UNKNOWN_SIZE else None


def _end(file: BinaryIO, start: int, size: int) -> int:
    """The end of a chunk, including its padding if there is any."""
    end = start + size
    if size % 2 == 0:
        return end
    following = _bytes_at(file, end, 5)
    return end if following[:4] in _KNOWN and following[1:] not in _KNOWN else end + 1


def _bytes_at(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _goes_on(file: BinaryIO, start: int, size: int) -> bool:
    """True if sound follows after the data: the bytes up to the end of the file are not a sequence of chunks."""
    file_end = file.seek(0, os.SEEK_END)
    if file_end - start - size < _SMALLEST_REST_BYTES:
        return False
    at = _end(file, start, size)
    while at < file_end:
        head = _bytes_at(file, at, 8)
        if not any(head):
            return True
        length = struct.unpack_from("<I", head, 4)[0] if len(head) == 8 else 0
        is_chunk = len(head) == 8 and head[:4].isascii() and head[:4].decode("ascii").isprintable()
        if not is_chunk or head[:4] == b"RIFF" or at + 8 + length > file_end + 1:
            return True
        at = _end(file, at + 8, length)
    return False


class WithHead(io.RawIOBase):
    """A file with other bytes in place of those before `start`."""

    def __init__(self, file: BinaryIO, head: bytes, start: int):
        self._file, self._head, self._start, self._at = file, head, start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        if self._at < len(self._head):
            found = self._head[self._at :] if count < 0 else self._head[self._at : self._at + count]
        else:
            self._file.seek(self._at - len(self._head) + self._start)
            found = self._file.read(count)
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            offset += len(self._head) - self._start + self._file.seek(0, os.SEEK_END)
        self._at = max(0, offset + self._at if whence == os.SEEK_CUR else offset)
        return self._at

    def tell(self) -> int:
        return self._at
