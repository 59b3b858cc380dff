"""Fragmented MP4 files whose last fragment is cut off. FFmpeg cannot open such a file if the cut is within the list of
samples, so it gets the file without that fragment. After ISO/IEC 14496-12, 4.2 and 8.8.
"""

import io
import os
import struct
from typing import BinaryIO

_MAX_BOXES = 1_000_000  # a day of fragments of 0.1 s
_FRAGMENT, _MEDIA = b"moof", b"mdat"


def complete_bytes(file: BinaryIO) -> int | None:
    """The length of the file up to its last box, if it has fragments and is cut off within that box; else None."""
    size, at, has_fragments = file.seek(0, os.SEEK_END), 0, False
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        length = _box_bytes(head)
        if length is None:
            return at if has_fragments and at < size else None
        if at + length > size:
            return at if has_fragments and head[4:8] != _MEDIA else None  # FFmpeg reads sound that is cut off
        has_fragments |= head[4:8] == _FRAGMENT
        at += length
    return None


def _box_bytes(head: bytes) -> int | None:
    """The length of a box by its first bytes; None: they do not begin a box."""
    if len(head) < 8:
        return None
    length: int = struct.unpack_from(">I", head)[0]
    if length == 1 and len(head) == 16:
        length = struct.unpack_from(">Q", head, 8)[0]
    return length if length >= 8 else None


class FirstBytes(io.RawIOBase):
    """A file that appears to end earlier."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size = file, size
        file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._size - self._file.tell())
        return self._file.read(left if count < 0 else min(count, left))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            offset, whence = self._size + offset, os.SEEK_SET
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
