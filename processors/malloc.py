"""glibc malloc tuning for worker processes and the console. Does nothing with another C library."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8  # mallopt(3), <malloc.h>
_SHARED_BYTES = 64 << 20  # of freed memory, at most
_SMALL_BYTES = 256 << 10
# Larger blocks have pages of their own: complete parts of sound, and the keys and values of a batch of windows. Smaller
# ones are the layers of an encoder, allocated and freed for every window.
_LARGE_BYTES = 12 << 20
_KEPT_BYTES = 2**31 - 1  # of freed memory, at most: text detection alone takes a gigabyte


def share() -> None:
    """Let all threads of this process allocate from one heap, which keeps some freed memory.

    By default each thread keeps freed memory in its own heap: the prefetching threads of eight transcriptions alone,
    a quarter of a gigabyte. And the tensors of every layer return to the kernel, and come back page by page: up to a
    tenth of all time.
    """
    _tune((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGE_BYTES), (_M_TRIM_THRESHOLD, _SHARED_BYTES))


def compact() -> None:
    """Let all threads of this process allocate from one heap, and return freed memory to the kernel soon: for a process
    whose threads do many short things.

    By default the threads of a web server keep up to a megabyte each in heaps of their own.
    """
    _tune((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _SMALL_BYTES), (_M_TRIM_THRESHOLD, _SMALL_BYTES))


def keep() -> None:
    """Keep all freed memory until `give_back`.

    The layers of text detection take hundreds of megabytes, one after the other. By default each gets its memory from
    the kernel page by page: a sixth of all time in a virtual machine.
    """
    _tune((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _KEPT_BYTES))  # no blocks with pages of their own


def give_back() -> None:
    """Return freed memory to the kernel, so that an idle worker holds its models only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _tune(*settings: tuple[int, int]) -> None:
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for name, value in settings:
            libc.mallopt(name, value)
