"""The lock files of the daemon's folders, each with the number of the process that holds it."""

import errno
import fcntl
import os
import time
from pathlib import Path

LOCK_FILE = ".lock"  # in each folder that belongs to one daemon alone
_LOCK_SECONDS = 1.0  # only a running daemon holds a lock for longer


def lock_file(path: Path) -> int:
    """Create the file if necessary, and lock it; its descriptor.

    It is read-only, so that an administrator can remount the file system read-only while the daemon runs. NFS maps
    flock(2) to a lock of fcntl(2), which needs a descriptor for writing.

    Raises:
        BlockingIOError: another process has the lock and keeps it.
    """
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | flags, 0o600))
    for access in (os.O_RDONLY, os.O_RDWR):
        descriptor = os.open(path, access | flags)
        try:
            _flock(descriptor)
            return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno != errno.EBADF or access == os.O_RDWR:
                raise
    raise AssertionError("unreachable")


def write_owner(path: Path) -> None:
    """Write this process's id into a lock file that it holds."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_TRUNC)
    try:
        os.write(descriptor, f"{os.getpid()}\n".encode())
    finally:
        os.close(descriptor)


def _flock(descriptor: int) -> None:
    """Lock it, waiting a moment: a child of a killed daemon holds the lock until its exec.

    Raises:
        BlockingIOError: another process holds the lock.
    """
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.01)
