"""Opens, reads and hashes regular files that other processes may replace or still write.

Nothing here follows a symbolic link, or waits for the writer of a pipe.
"""

import errno
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

HASH_INLINE_BYTES = 16 * 2**20  # larger files are hashed and synced by a thread instead of the main loop
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_regular(path: Path | str, folder: int | None = None) -> int:
    """Open a regular file for reading. `folder`: descriptor of its folder; `path` is then a name.

    Raises:
        OSError: EINVAL if it is anything else (a link, a pipe, a device, a folder); as open(2).
    """
    try:
        descriptor = os.open(path, _FILE_FLAGS, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.EINVAL, "a symbolic link, not a regular file", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def writer_has(path: Path, folder: int | None = None) -> bool | None:
    """True if a process has the file open for writing; None: this file system or this user cannot determine it.

    folder: a descriptor of its folder, if the path cannot be trusted.

    The kernel refuses a read lease while a writer has the file open (fcntl(2), F_SETLEASE); it is released immediately.
    The holder of a lease gets SIGIO when a writer opens the file: `service` ignores that signal.
    """
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path if folder is None else path.name, flags, dir_fd=folder)
    except OSError:
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(descriptor)


def sha256_of(path: Path, *, at_most: int | None = None) -> str:
    """Return the SHA-256 of a regular file's content, as hexadecimal digits. `at_most`: maximum size in bytes, for the
    main thread, which must not read indefinitely.

    Raises:
        OSError: it is not a regular file, is larger (EFBIG), or cannot be read.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        if at_most is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(read_at_most(file, at_most, path)).hexdigest()


def read_at_most(file: BinaryIO, most_bytes: int, path: Path) -> bytes:
    """Read all of a file that may be growing.

    Raises:
        OSError: EFBIG, if that is more than `most_bytes`.
    """
    content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content
