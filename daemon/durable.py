"""Renames, links, copies and writes that survive a power cut: the only module that calls rename, link and fsync.

The order everywhere: contents are fsynced, then the name is made, then the folder that holds the name is fsynced.
A failed fsync is never retried on the same file: the error goes up, and the caller starts over with a new file
(https://wiki.postgresql.org/wiki/Fsync_Errors).
"""

import ctypes
import errno
import hashlib
import os
import shutil
from pathlib import Path

_RENAME_NOREPLACE = 1  # renameat2(2)
_AT_FDCWD = -100
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES}
_libc = ctypes.CDLL(None, use_errno=True)


class CopyDiffers(OSError):
    """A copy does not have the checksum of its source."""


def fsync_folder(folder: Path | int) -> None:
    """Make the names in `folder`, a path or a descriptor, durable."""
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

    source_folder, target_folder: descriptors of the folders that hold the two, if their paths are not to be trusted.

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
    if code in _NOT_SUPPORTED:  # some network file systems know no flags: the best there is
        if _is_taken(new, target_folder):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        os.rename(old, new, src_dir_fd=source_folder, dst_dir_fd=target_folder)
        return
    raise OSError(code, os.strerror(code), str(source), None, str(target))


def renames_safely(source: Path, target: Path) -> bool:
    """Rename `source`; False: this file system has no rename that spares what is at `target`, and `source` stays.

    Raises:
        OSError: as `rename_noreplace`.
    """
    result = _libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    if result != 0 and ctypes.get_errno() not in _NOT_SUPPORTED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(source), None, str(target))
    return result == 0


def _is_taken(name: Path | str, folder: int | None) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Make `folder` and its missing parents, each durable.

    Raises:
        NotADirectoryError: something else has such a name; no FileExistsError, which a free name would mend.
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
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class Syncer:
    """Makes files durable that others wrote. Remembers which of them could not be.

    After a failed fsync the kernel may have dropped the pages it could not write, and the next fsync of the same file
    would succeed without them. So what can still be read is copied into a new file, which takes the old one's place.
    `scratch`: the path of that new file; it must be on the same file system.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._untrusted: set[tuple[int, int]] = set()

    def sync(self, path: Path) -> None:
        """Make the content of `path` durable. The caller fsyncs the folder.

        Raises:
            OSError: it cannot be now; `path` is as it was.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            facts = os.fstat(descriptor)
            identity = (facts.st_dev, facts.st_ino)
            if identity not in self._untrusted:
                try:
                    os.fsync(descriptor)
                    return
                except OSError:
                    self._untrusted.add(identity)
        finally:
            os.close(descriptor)
        _replace_by_copy(path, self._scratch)
        self._untrusted.discard(identity)


def _replace_by_copy(path: Path, copy: Path) -> None:
    """Put a durable copy of `path`, made at `copy`, into its place."""
    copy.unlink(missing_ok=True)
    try:
        with path.open("rb") as reader, copy.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        shutil.copystat(path, copy)
        copy.replace(path)
    except OSError:
        copy.unlink(missing_ok=True)
        raise


def link_or_copy(source: Path, target: Path, sha256: str) -> None:
    """Make `target` a second name of `source`, or where that cannot be, a verified copy. The caller fsyncs the folder.

    Raises:
        CopyDiffers: the copy's checksum is not `sha256`; the copy is removed.
    """
    try:
        os.link(source, target, follow_symlinks=False)
        return
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
    copy(source, target, sha256)


def copy(source: Path, target: Path, sha256: str) -> None:
    """A durable, verified copy. The caller fsyncs the folder.

    Raises:
        CopyDiffers: the copy's checksum is not `sha256`; the copy is removed.
    """
    if shutil.disk_usage(target.parent).free < source.stat().st_size:  # known before gigabytes are copied
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target.parent))
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
    shutil.copystat(source, target)
    if sha256_of(target) != sha256:
        target.unlink()
        raise CopyDiffers(errno.EIO, f"the copy of {source.name!r} differs from the original", str(target))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours and all that is in it, if it is there."""
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
