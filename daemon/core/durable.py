"""Renames, links, copies and writes files so that they survive a power cut: the only module that calls rename, link and
fsync.

The order is always the same: fsync the content, create the name, fsync the folder that contains the name. A failed
fsync is never retried on the same file: the error is raised, and the caller starts over with a new file
(https://wiki.postgresql.org/wiki/Fsync_Errors).
"""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

HASH_INLINE_BYTES = 16 * 2**20  # larger files are hashed and synced by a thread instead of the main loop
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2  # renameat2(2)
_AT_FDCWD = -100
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES}
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK_BYTES = 1 << 20
_FICLONE = 0x40049409  # ioctl_ficlone(2): both files share their blocks until one is changed
_libc = ctypes.CDLL(None, use_errno=True)


class CopyDiffers(OSError):
    """A copy does not have the checksum of its source."""


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


def fsync_folder(folder: Path | int) -> None:
    """Make the names in a folder (a path or a descriptor) durable."""
    if isinstance(folder, int):
        os.fsync(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_noreplace(
    source: Path, target: Path, *, source_folder: int | None = None, target_folder: int | None = None
) -> None:
    """Rename, unless `target` exists; atomic also for folders. The caller fsyncs the folders.

    source_folder, target_folder: descriptors of the two folders, if their paths cannot be trusted.

    Raises:
        FileExistsError: `target` exists.
        OSError: as rename(2); EXDEV if the two are on different file systems.
    """
    old = source if source_folder is None else source.name
    new = target if target_folder is None else target.name
    result = _libc.renameat2(
        *(_AT_FDCWD if source_folder is None else source_folder, os.fsencode(old)),
        *(_AT_FDCWD if target_folder is None else target_folder, os.fsencode(new)),
        _RENAME_NOREPLACE,
    )
    if result == 0:
        return
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:  # some network file systems support no flags: the best alternative
        if _is_taken(new, target_folder):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        os.rename(old, new, src_dir_fd=source_folder, dst_dir_fd=target_folder)
        return
    raise OSError(code, os.strerror(code), str(source), None, str(target))


def put_in_place(source: Path, target: Path, *, target_folder: int) -> bool:
    """Rename a folder to `target`; what has that name gets the name `source`: atomic, so that `target` never lacks a
    folder. The caller fsyncs the folders. Return True if there was such a folder.

    target_folder: descriptor of the folder of `target`.

    Raises:
        OSError: as rename(2).
    """
    if not _is_taken(target.name, target_folder):
        rename_noreplace(source, target, target_folder=target_folder)
        return False
    if _libc.renameat2(_AT_FDCWD, os.fsencode(source), target_folder, os.fsencode(target.name), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code not in _NOT_SUPPORTED:
        raise OSError(code, os.strerror(code), str(source), None, str(target))
    aside = source.with_name(f"{source.name}.old")  # some network file systems support no exchange
    os.rename(target.name, aside, src_dir_fd=target_folder)
    os.rename(source, target.name, dst_dir_fd=target_folder)
    os.rename(aside, source)
    return True


def renames_safely(source: Path, target: Path) -> bool:
    """Rename `source`; False: this file system cannot rename without replacing `target`; nothing was renamed.

    Raises:
        OSError: as `rename_noreplace`.
    """
    result = _libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    if result != 0 and ctypes.get_errno() not in _NOT_SUPPORTED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(source), None, str(target))
    return bool(result == 0)


def _is_taken(name: Path | str, folder: int | None) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Create `folder` and its missing parents, each durably.

    Raises:
        NotADirectoryError: something else has such a name. Not FileExistsError, for which callers choose another name.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        try:
            path.mkdir(mode=mode, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error
        fsync_folder(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write a new file and make its content durable. The caller fsyncs the folder.

    Raises:
        FileExistsError: there is such a file.
    """
    fsync_and_close(write_unsynced(path, content))


def write_unsynced(path: Path, content: bytes) -> int:
    """Write a new file and return its open descriptor; the caller fsyncs and closes that. (An error of the disk may be
    reported to no descriptor that is opened later.)

    Raises:
        FileExistsError: there is such a file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def fsync_and_close(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


class Syncer:
    """Makes files durable that others wrote. Remembers for which of them that failed.

    After a failed fsync the kernel may have dropped the pages that it could not write, and the next fsync of the same
    file would succeed without them. Therefore the readable content is copied to a new file, which replaces the old one.
    `scratch`: the path of that new file, on the same file system.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._untrusted: set[tuple[int, int]] = set()

    def sync(self, path: Path) -> None:
        """Make the content of `path` durable. The caller fsyncs the folder.

        Raises:
            OSError: not possible now; `path` is unchanged.
        """
        identity = _identity(path)
        if not self.sync_in_place(path):
            _replace_by_copy(path, self._scratch)
            self._untrusted.discard(identity)

    def sync_in_place(self, path: Path) -> bool:
        """The same without a copy; any thread may call it. False: an fsync of the file has failed, now or before.

        Raises:
            OSError: it cannot be opened.
        """
        descriptor = open_regular(path)
        try:
            facts = os.fstat(descriptor)
            identity = (facts.st_dev, facts.st_ino)
            if identity in self._untrusted:
                return False
            try:
                os.fsync(descriptor)
            except OSError:
                self._untrusted.add(identity)
                return False
            return True
        finally:
            os.close(descriptor)


def _identity(path: Path) -> tuple[int, int]:
    facts = path.lstat()
    return facts.st_dev, facts.st_ino


def _replace_by_copy(path: Path, copy: Path) -> None:
    """Replace `path` by a durable copy of itself, created at `copy`."""
    copy.unlink(missing_ok=True)
    try:
        with os.fdopen(open_regular(path), "rb") as reader, copy.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        shutil.copystat(path, copy)
        copy.replace(path)
    except OSError:
        copy.unlink(missing_ok=True)
        raise


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
    return facts.st_uid == os.geteuid() and facts.st_nlink == 1 and writer_has(source) is not True


def _close_to_writers(path: Path) -> None:
    """Remove write permission for group and others from a file of this user."""
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & 0o022:
        path.chmod(mode & ~0o022)


def copy(source: Path, target: Path, sha256: str | None, *, at_most: int | None = None) -> str:
    """Write a durable, verified copy and return its checksum. The caller fsyncs the folder. The umask determines who
    can read it; it has the times of its source.

    sha256: the expected checksum; None: that of the current content of `source`.
    at_most: maximum size in bytes, for the main thread, which must not read indefinitely.

    Raises:
        CopyDiffers: the checksum is different; the copy is removed.
        OSError: `source` is not a regular file, or larger (EFBIG), the disk is full …; there is no copy.
    """
    with os.fdopen(open_regular(source), "rb") as reader:
        facts = os.fstat(reader.fileno())
        if shutil.disk_usage(target.parent).free < facts.st_size:  # fail before copying gigabytes
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target.parent))
        try:
            with target.open("xb") as writer:
                if facts.st_uid == os.geteuid():  # keep this user's private files private
                    os.fchmod(writer.fileno(), stat.S_IMODE(facts.st_mode) & 0o755)
                if at_most is not None:
                    writer.write(_read_at_most(reader, at_most, source))
                elif not _clone(reader.fileno(), writer.fileno()):
                    _copy_data(reader.fileno(), writer.fileno())
                writer.flush()
                os.fsync(writer.fileno())
            os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            actual = sha256_of(target)
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


def sha256_of(path: Path, *, at_most: int | None = None) -> str:
    """Return the SHA-256 of a regular file's content, as hexadecimal digits. `at_most`: maximum size in bytes, for the
    main thread, which must not read indefinitely.

    Raises:
        OSError: it is not a regular file, is larger (EFBIG), or cannot be read.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        if at_most is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(_read_at_most(file, at_most, path)).hexdigest()


def _read_at_most(file: BinaryIO, most_bytes: int, path: Path) -> bytes:
    """Read all of a file that may be growing.

    Raises:
        OSError: EFBIG, if that is more than `most_bytes`.
    """
    content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def remove_tree(folder: Path) -> None:
    """Remove one of the daemon's folders with its contents, if it exists."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    fsync_folder(folder.parent)


def remove_empty_folders(folder: Path, *, up_to: Path) -> None:
    """Remove `folder` and its parents below `up_to`, as long as they are empty."""
    while folder != up_to and folder.is_relative_to(up_to):
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise
            return
        folder = folder.parent
