"""Hard links of files, and verified, durable copies where a link is impossible or unsafe.

The content is durable when a function returns; the caller fsyncs the folder, see `durable`.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from pathlib import Path

from daemon.core import regular_files

_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES}
_NOT_PUBLISHED = stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID
_CHUNK_BYTES = 1 << 20
_FICLONE = 0x40049409  # ioctl_ficlone(2): both files share their blocks until one is changed


class CopyDiffers(OSError):
    """A copy does not have the checksum of its source."""


def link_or_copy(source: Path, target: Path, sha256: str | None, *, at_most: int | None = None) -> str | None:
    """Hard-link `source` to `target`, or write a verified copy if that is impossible or unsafe (see `may_link`); return
    the checksum of a copy. The caller fsyncs the folder. `at_most`: see `copy`.

    Raises:
        CopyDiffers: the copy's checksum is not `sha256`; the copy is removed.
        OSError: `source` is no longer a regular file, or the disk is full, read-only …
    """
    if may_link(source, target.parent):
        try:
            os.link(source, target, follow_symlinks=False)
            _close_to_writers(target)
            return None
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
    return copy(source, target, sha256, at_most=at_most)


def may_link(source: Path, folder: Path) -> bool:
    """Check whether `source` may be hard-linked into `folder`: not if another user could then still change it (it is
    theirs, has another hard link, or is open for writing), and not across file systems.

    Raises:
        OSError: it cannot be determined.
    """
    facts = source.lstat()
    if not stat.S_ISREG(facts.st_mode) or facts.st_dev != folder.stat().st_dev:
        return False
    return facts.st_uid == os.geteuid() and facts.st_nlink == 1 and regular_files.writer_has(source) is not True


def _close_to_writers(path: Path) -> None:
    """Remove write permission for group and others, and the set-ID bits, from a file of this user."""
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & _NOT_PUBLISHED:
        path.chmod(mode & ~_NOT_PUBLISHED)


def copy(source: Path, target: Path, sha256: str | None, *, at_most: int | None = None) -> str:
    """Write a durable, verified copy and return its checksum. The caller fsyncs the folder. The umask determines who
    can read it; it has the times of its source.

    sha256: the expected checksum; None: that of the current content of `source`.
    at_most: maximum size in bytes, for the main thread, which must not read indefinitely.

    Raises:
        CopyDiffers: the checksum is different; the copy is removed.
        OSError: `source` is not a regular file, or larger (EFBIG), the disk is full …; there is no copy.
    """
    with os.fdopen(regular_files.open_regular(source), "rb") as reader:
        facts = os.fstat(reader.fileno())
        if shutil.disk_usage(target.parent).free < facts.st_size:  # fail before copying gigabytes
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target.parent))
        try:
            with target.open("xb") as writer:
                if facts.st_uid == os.geteuid():  # keep this user's private files private
                    os.fchmod(writer.fileno(), stat.S_IMODE(facts.st_mode) & 0o755)
                if at_most is not None:
                    writer.write(regular_files.read_at_most(reader, at_most, source))
                elif not _clone(reader.fileno(), writer.fileno()):
                    _copy_data(reader.fileno(), writer.fileno())
                writer.flush()
                os.fsync(writer.fileno())
            os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            actual = regular_files.sha256_of(target)
            if sha256 is not None and actual != sha256:
                raise CopyDiffers(errno.EIO, f"the copy of {source.name!r} differs from the original", str(target))
        except FileExistsError:
            raise
        except BaseException:
            with contextlib.suppress(OSError):
                target.unlink()
            raise
    return actual


def _copy_data(source: int, target: int) -> None:
    """Copy a file's content except its holes (lseek(2), SEEK_DATA), so that the copy occupies no more space."""
    size, end = os.fstat(source).st_size, 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # only a hole follows
        end = os.lseek(source, start, os.SEEK_HOLE)
        os.lseek(source, start, os.SEEK_SET)
        os.lseek(target, start, os.SEEK_SET)
        while start < end and (chunk := os.read(source, min(_CHUNK_BYTES, end - start))):
            start += len(chunk)
            while chunk:
                chunk = chunk[os.write(target, chunk) :]
    os.ftruncate(target, size)


def _clone(reader: int, writer: int) -> bool:
    """Share the blocks of the first file with the second, on file systems that support it (btrfs, XFS …)."""
    try:
        fcntl.ioctl(writer, _FICLONE, reader)
    except OSError:
        return False
    return True
