"""Open folders and files below a trusted folder without following links, even while other users rename them.

In a folder that several users may write to, a name can refer to something else between two system calls. So each part
of a path is opened relative to the descriptor of its parent (`opened`), and the daemon's own folders are held open
where other users could rename them (`HeldFolder`).

openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS would guarantee the same in one call; opening part by part also
works on kernels and in sandboxes that lack it.
"""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.core import durable

log = logging.getLogger(__name__)

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DESCRIPTORS = Path("/proc/self/fd")
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


@contextlib.contextmanager
def opened(root: Path, folder: Path, *, make: bool = False) -> Iterator[int]:
    """Open `folder`, which is `root` or below it. `root` itself is trusted: it may be a link.

    make: create missing folders, each with the mode of its parent, and make them durable.

    Raises:
        FileNotFoundError: it does not exist, or a part of the path is no longer a folder (but a symbolic link, say).
        NotADirectoryError: the same, with `make`: choose another name.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in names_below(root, folder):
            if part == "..":
                raise FileNotFoundError(errno.ENOENT, "a path that leaves its folder", str(folder))
            try:
                below = _open_below(part, descriptor, make=make)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                code = errno.ENOTDIR if make else errno.ENOENT
                raise OSError(code, os.strerror(code), str(folder)) from error  # a subclass, by the number
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def is_below(root: Path, path: Path) -> bool:
    """True if `path` is `root` or leads below it, as their names say."""
    return path == root or str(path).startswith(f"{root}/")


def names_below(root: Path, path: Path) -> Sequence[str]:
    """The names on the way from `root` to `path`: the parts of `Path.relative_to`, in a fifth of its time.

    Raises:
        ValueError: `path` is not below `root`.
    """
    above, below = f"{root}/", str(path)
    if below.startswith(above):
        return below[len(above) :].split("/")
    return () if path == root else path.relative_to(root).parts


def _open_below(name: str, folder: int, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    _create_below(name, folder)
    durable.fsync_folder(folder)
    return os.open(name, _FOLDER_FLAGS, dir_fd=folder)


def _create_below(name: str, folder: int) -> None:
    """Create a folder with the permissions of its parent, which determine who may write: in an inbox, its users.

    The set-group-ID bit is inherited. The permissions that the umask removes are added by chmod(2), or, in a sandbox
    that forbids chmod(2) with that bit, by creating the folder with an empty umask.
    """
    mode = stat.S_IMODE(os.fstat(folder).st_mode) & ~(stat.S_ISUID | stat.S_ISGID)
    os.mkdir(name, mode, dir_fd=folder)
    descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    try:
        made = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if made & ~stat.S_ISGID != mode:
            os.fchmod(descriptor, mode | made & stat.S_ISGID)
    except PermissionError:  # RestrictSUIDSGID= of systemd.exec(5)
        os.rmdir(name, dir_fd=folder)
        mask = os.umask(0)
        try:
            os.mkdir(name, mode, dir_fd=folder)
        finally:
            os.umask(mask)
    finally:
        os.close(descriptor)


def is_safe(folder: Path) -> bool:
    """Check that only root and this user can rename or replace `folder` and its entries.

    That holds if it and all its parents belong to root or this user and are either not writable by others or sticky.
    """
    real, named = folder.resolve(), folder.absolute()  # links on the path could be replaced as well
    for each in {real, *real.parents, named, *named.parents}:
        facts = each.stat()
        is_open = facts.st_mode & _WRITABLE_BY_OTHERS and not facts.st_mode & stat.S_ISVTX
        if is_open or facts.st_uid not in (0, os.geteuid()):
            return False
    return True


class HeldFolder:
    """A folder that only the daemon may enter.

    `place` is its location. `path` is the path to use: `place`, or, where other users may rename entries of its
    parent, a path through an open descriptor, so that a folder or link put in its place is never entered. A child
    process inherits `descriptor` and can use the same `path`.
    """

    def __init__(self, place: Path):
        self.place = place
        self.path = place
        self.descriptor: int | None = None

    def hold(self) -> None:
        """Hold it open from now on, but only if necessary: a file system with an open folder cannot be unmounted.

        Raises:
            OSError: it does not exist or is not a folder of this user.
        """
        if is_safe(self.place.parent):
            return
        descriptor = self._open()
        self.descriptor = descriptor
        if _DESCRIPTORS.is_dir():
            self.path = _DESCRIPTORS / str(descriptor)
        else:
            log.warning("cannot protect %s against renaming by other users: /proc is not mounted", self.place)

    def release(self) -> None:
        """Close the descriptor."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor, self.path = None, self.place

    def _open(self) -> int:
        descriptor = os.open(self.place, _FOLDER_FLAGS)
        try:
            return self._checked(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def _checked(self, descriptor: int) -> int:
        facts = os.fstat(descriptor)
        if facts.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user", str(self.place))
        restrict(descriptor, facts, ~0o077)
        return descriptor

    def refresh(self) -> None:
        """Rename the folder back if it was renamed, and reopen it if its file system was mounted again: a rename from
        the old mount into the new one would fail (EXDEV)."""
        if self.descriptor is None or self._return_to_place() or not self._is_in_place():
            return
        with contextlib.suppress(OSError):
            descriptor = self._open()
            os.dup2(descriptor, self.descriptor, inheritable=False)  # same descriptor number, so `path` stays valid
            os.close(descriptor)

    def _return_to_place(self) -> bool:
        """Rename it back to `place`, after renaming whatever is there; False: not necessary or not possible."""
        if self._is_in_place():
            return False
        try:
            now = Path(os.readlink(_DESCRIPTORS / str(self.descriptor)))
            for number in range(1, 100):
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    durable.rename_noreplace(self.place, self.place.with_name(f"{self.place.name}.foreign-{number}"))
                if not os.path.lexists(self.place):
                    break
            durable.rename_noreplace(now, self.place)
            durable.fsync_folder(self.place.parent)
        except OSError as error:
            log.debug("%s cannot be renamed back: %s", self.place, error)
            return False
        if self._is_in_place():
            log.warning("another user had renamed %s to %s; inboxd renamed it back", self.place, now)
            return True
        return False

    def _is_in_place(self) -> bool:
        assert self.descriptor is not None
        try:
            return os.path.samestat(self.place.lstat(), os.fstat(self.descriptor))
        except OSError:
            return False


def make_private(folder: Path) -> None:
    """Create a durable folder that only this user may enter; restrict the permissions of an existing one.

    Raises:
        OSError: it cannot be created, belongs to another user, or is not a folder.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        descriptor = os.open(folder, _FOLDER_FLAGS)
        try:
            restrict(descriptor, os.fstat(descriptor), ~0o077)
        finally:
            os.close(descriptor)
    else:
        durable.fsync_folder(folder.parent)


def close_to_writers(folder: Path) -> None:
    """Remove write permission for group and others from a folder of this user; other users' folders are unchanged."""
    descriptor = os.open(folder, _FOLDER_FLAGS)
    try:
        facts = os.fstat(descriptor)
        if facts.st_uid == os.geteuid():
            restrict(descriptor, facts, ~_WRITABLE_BY_OTHERS)
    finally:
        os.close(descriptor)


def protect_names(folder: Path) -> bool:
    """Set the sticky bit of a folder that others may write to, so that users can rename or delete only their own files.
    False: the folder belongs to another user, or a sandbox forbids chmod(2) with special bits.
    """
    facts = folder.stat()
    if not facts.st_mode & _WRITABLE_BY_OTHERS or facts.st_mode & stat.S_ISVTX:
        return True
    if facts.st_uid != os.geteuid():
        return False  # with the bit, this user could not take other users' files
    try:
        folder.chmod(stat.S_IMODE(facts.st_mode) | stat.S_ISVTX)
    except PermissionError:
        return False
    log.info("%s: set the sticky bit because other users may write to it", folder)
    return True


def restrict(descriptor: int, facts: os.stat_result, mask: int) -> None:
    """Remove the permissions that are not in `mask`; the set-group-ID bit is preserved if the sandbox permits it.

    Raises:
        PermissionError: it belongs to another user.
    """
    mode = stat.S_IMODE(facts.st_mode)
    wanted = mode & (mask | _SPECIAL_BITS)
    if wanted == mode:
        return
    try:
        os.fchmod(descriptor, wanted)
    except PermissionError:  # RestrictSUIDSGID= of systemd.exec(5)
        os.fchmod(descriptor, wanted & ~(stat.S_ISUID | stat.S_ISGID))
