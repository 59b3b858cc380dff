"""What a worker's process frees: how much of it is kept, and for how long (glibc only; elsewhere nothing happens)."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8  # mallopt(3), <malloc.h>
_SHARED_BYTES = 1 << 30  # freed, at most
_LARGE_BYTES = 32 << 20  # blocks from here on have pages of their own: whole parts of sound
_KEPT_BYTES = 2**31 - 1  # freed, at most: detection alone takes a gigabyte


def share() -> None:
    """Let all threads of this process allocate from one heap, which keeps what is freed.

    Each thread would keep what it has freed in a heap of its own: a quarter of a gigabyte for eight transcriptions. And
    large tensors would go back to the kernel, and come from it again page by page: up to a tenth of all time.
    """
    _tune((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGE_BYTES), (_M_TRIM_THRESHOLD, _SHARED_BYTES))


def keep() -> None:
    """From now on, what is freed stays, until it is given back.

    The layers of detection take hundreds of megabytes, one after the other. Each would come from the kernel page by
    page: a sixth of all time in a virtual machine.
    """
    _tune((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _KEPT_BYTES))  # no blocks with pages of their own


def give_back() -> None:
    """What is kept goes back: a worker that waits for work holds its models only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _tune(*settings: tuple[int, int]) -> None:
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for name, value in settings:
            libc.mallopt(name, value)
