"""Weights that are a file mapped into memory: the kernel reads a page when it is used, and drops it when told to."""

import ctypes
import mmap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_MAPPINGS = Path("/proc/self/maps")  # proc_pid_maps(5)


def release(tensors: Iterable["Tensor"]) -> None:
    """Drop the pages of those tensors that are mapped from a file from the memory of this process; reading them brings
    them back. Nobody may have written to them. Does nothing where that is not possible."""
    addresses = [tensor.data_ptr() for tensor in tensors]
    with suppress(OSError, AttributeError, ValueError):
        libc = ctypes.CDLL(None)
        for start, end in _mapped_files():
            if any(start <= address < end for address in addresses):
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def _mapped_files() -> Iterator[tuple[int, int]]:
    """The first address of each private mapping of a file, and the one after its last."""
    for line in _MAPPINGS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        addresses, permissions, _, _, inode, *_ = line.split(maxsplit=5)
        if inode != "0" and permissions.endswith("p"):
            start, end = (int(number, 16) for number in addresses.split("-"))
            yield start, end
