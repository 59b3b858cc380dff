"""What this process frees: kept while a file is read, given back to the kernel behind it (glibc only)."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # mallopt(3), <malloc.h>
_KEPT_BYTES = 2**31 - 1  # freed, at most: detection alone takes a gigabyte


def keep() -> None:
    """From now on, what is freed stays.

    The layers of detection take hundreds of megabytes, one after the other. Each would come from the kernel page by
    page: a sixth of all time in a virtual machine.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)  # blocks with pages of their own
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """What is kept goes back: a worker that waits for work holds its models only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
