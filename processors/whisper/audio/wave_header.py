"""The `data` chunk of a WAV file: its declared size, and sound after it that the header does not count.

After Microsoft's RIFF specification and EBU Tech 3306 (RF64). A recorder that was killed leaves the size it wrote at
the start.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAX_CHUNKS = 1000
_UNKNOWN_SIZE = 0x7FFF_0000  # a streaming recorder writes (almost) the largest number, or 0
_IN_DS64 = 0xFFFF_FFFF
_SMALLEST_REST_BYTES = 256  # after the data chunk: less is padding


@dataclass(frozen=True, kw_only=True)
class DataChunk:
    start: int  # of its samples, in bytes of the file
    size: int | None  # in bytes; None: the header does not say
    goes_on: bool  # more bytes follow, which are no chunks of WAV


def data_chunk(path: Path) -> DataChunk | None:
    """Find the data chunk; None: the file is not a WAV file, or has no such chunk."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:12] != b"WAVE":
            return None
        found = _find(file)
        if found is None:
            return None
        start, size = found
        if not 0 < size < _UNKNOWN_SIZE and head[:4] == b"RIFF":
            return DataChunk(start=start, size=None, goes_on=False)
        return DataChunk(start=start, size=size, goes_on=_goes_on(file, start + size))


def _find(file: BinaryIO) -> tuple[int, int] | None:
    """Start and size of the data chunk."""
    at, large_size = 12, None
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return None
        size = struct.unpack_from("<I", head, 4)[0]
        if head[:4] == b"ds64" and len(sizes := file.read(16)) == 16:
            large_size = struct.unpack_from("<Q", sizes, 8)[0]
        if head[:4] == b"data":
            return at + 8, large_size if size == _IN_DS64 and large_size is not None else size
        at += 8 + size + size % 2
    return None


def _goes_on(file: BinaryIO, end: int) -> bool:
    """True if sound follows after `end`: the bytes up to the end of the file are not a sequence of chunks."""
    file_end = file.seek(0, os.SEEK_END)
    if file_end - end < _SMALLEST_REST_BYTES:
        return False
    at = end + end % 2
    while at < file_end:
        file.seek(at)
        head = file.read(8)
        if not any(head):
            return True
        size = struct.unpack_from("<I", head, 4)[0] if len(head) == 8 else 0
        is_chunk = len(head) == 8 and head[:4].isascii() and head[:4].decode("ascii").isprintable()
        if not is_chunk or head[:4] == b"RIFF" or at + 8 + size > file_end + 1:
            return True
        at += 8 + size + size % 2
    return False
