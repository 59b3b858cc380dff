"""Root without the privileges that override file permissions, so that tests meet them as a service's user does."""

import contextlib
import ctypes
import os
from collections.abc import Iterator

_VERSION = 0x20080522  # capset(2)
_DAC_OVERRIDE, _DAC_READ_SEARCH, _FOWNER = 1 << 1, 1 << 2, 1 << 3
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """File permissions hold for this thread, also if its user is root."""
    header, before = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, before))
    during = (ctypes.c_uint32 * 6)(*before)
    during[0] &= ~(_DAC_OVERRIDE | _DAC_READ_SEARCH | _FOWNER)
    _check(_libc.capset(header, during))
    try:
        yield
    finally:
        _check(_libc.capset(header, before))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
