"""Files mapped into memory, weights and program code: the kernel reads a page when it is used, and drops it on
request."""

import ctypes
import mmap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_MAPPINGS = Path("/proc/self/maps")  # proc_pid_maps(5)
_CODE = "r-xp"  # permissions of code, which is never written: dropping it loses nothing
_MAX_ROWS = 32  # each brings up to 64 KB, which the kernel maps around a page


def release(tensors: Iterable["Tensor"]) -> None:
    """Drop the pages of those tensors that are mapped from a file from the memory of this process; reading them brings
    them back. They must not have been written to. Does nothing where this is impossible."""
    addresses = [tensor.data_ptr() for tensor in tensors]
    with suppress(OSError, ValueError):
        for start, end in _mapped_files():
            if any(start <= address < end for address in addresses):
                _drop(start, end)


def release_code() -> None:
    """Drop the pages of all program code from the memory of this process: those that run come back at once, but not the
    60 MB that only the imports ran. The kernel keeps them cached. Does nothing where that is not possible."""
    with suppress(OSError, ValueError):
        for start, end in _mapped_files(_CODE):
            _drop(start, end)


class ScatteredReads:
    """Drops the pages of a tensor occasionally while scattered rows of it are read: each read brings some of the
    file into the memory of this process, soon all of it."""

    def __init__(self, tensor: "Tensor"):
        """tensor: as for `release`; if it is not mapped from a file, nothing is ever dropped."""
        self._rows = 0  # read since the last time
        self._pages = (0, 0)
        first, last = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
        with suppress(OSError, ValueError):
            found = next(((start, end) for start, end in _mapped_files() if start <= first and last <= end), None)
            self._pages = found or self._pages

    def count(self, rows: int) -> None:
        self._rows += rows
        if self._rows >= _MAX_ROWS:
            self._rows = 0
            _drop(*self._pages)


def _drop(start: int, end: int) -> None:
    with suppress(OSError, AttributeError):
        if start < end:
            ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def _mapped_files(permissions: str = "") -> Iterator[tuple[int, int]]:
    """The first address of each private mapping of a file, and the one after its last; of those with these permissions,
    if any are given."""
    for line in _MAPPINGS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        addresses, found, _, _, inode, *_ = line.split(maxsplit=5)
        if inode != "0" and found.endswith("p") and permissions in ("", found):
            start, end = (int(number, 16) for number in addresses.split("-"))
            yield start, end
