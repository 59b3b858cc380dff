"""Lines from a pipe, as the daemon and the workers exchange them."""

import os
import select

_CHUNK_BYTES = 64 * 1024


class LineReader:
    """Reads lines from a descriptor, blocking or not."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._buffer = bytearray()  # read, but not returned yet

    def next(self, *, wait: bool) -> bytes | None:
        """Return the next line. None at the end, or if `wait` is false and no complete line has arrived."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if not wait and not select.select([self._descriptor], [], [], 0)[0]:
                return None
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line
