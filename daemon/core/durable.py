"""Renames and writes files, and creates and removes folders, so that they survive a power cut.

The files of jobs are renamed, linked and synced here, in `copies` (links and copies) and in `syncer` (files that others
wrote), and nowhere else. The order is always the same: fsync the content, create the name, fsync the folder that
contains the name. A failed fsync is never retried on the same file: the error is raised, and the caller starts over
with a new file (https://wiki.postgresql.org/wiki/Fsync_Errors).
"""

import ctypes
import errno
import os
import shutil
from pathlib import Path

_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2  # renameat2(2)
_AT_FDCWD = -100
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_libc = ctypes.CDLL(None, use_errno=True)


def fsync_folder(folder: Path | str | int) -> None:
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
