"""Folders and files below a trusted folder, opened without following a link, whatever others rename meanwhile.

In a folder that several users may write, a name can change its meaning between two system calls. So each part of a
path is opened from the descriptor of the part above it (`opened`), and the daemon's own folders are held open
where others could rename them (`HeldFolder`).

openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS would promise the same in one call; opening part by part also
works on kernels and in sandboxes that lack it.
"""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from daemon import durable

log = logging.getLogger(__name__)

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DESCRIPTORS = Path("/proc/self/fd")
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


@contextlib.contextmanager
def opened(root: Path, folder: Path, *, make: bool = False) -> Iterator[int]:
    """A descriptor of `folder`, which is `root` or below it. `root` itself is trusted: it may be a link.

    make: the folder and those above it are made if they are missing, with the mode of the folder above each, and
    durable.

    Raises:
        FileNotFoundError: it is gone, or a part of it is not a folder any more, but a symbolic link, say.
        NotADirectoryError: the same, with `make`: another name has to be found.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folder.relative_to(root).parts:
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


def _open_below(name: str, folder: int, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    mode = stat.S_IMODE(os.fstat(folder).st_mode) & ~_SPECIAL_BITS
    mask = os.umask(0)  # the folder above says who may write: in an inbox, the people who drop files
    try:
        os.mkdir(name, mode, dir_fd=folder)
    finally:
        os.umask(mask)
    durable.fsync_folder(folder)
    return os.open(name, _FOLDER_FLAGS, dir_fd=folder)


def is_safe(folder: Path) -> bool:
    """Can nobody but root and this user give another meaning to the names in `folder`, or to its own name?

    So it is where it and all above it belong to one of the two, and are closed to other writers or sticky.
    """
    real, named = folder.resolve(), folder.absolute()  # links on the way can be replaced, too
    for each in {real, *real.parents, named, *named.parents}:
        facts = each.stat()
        is_open = facts.st_mode & _WRITABLE_BY_OTHERS and not facts.st_mode & stat.S_ISVTX
        if is_open or facts.st_uid not in (0, os.geteuid()):
            return False
    return True


class HeldFolder:
    """A folder that the daemon alone may enter.

    `place` is where it belongs. `path` leads into it: through `place`, or, where others may rename what lies there,
    through a descriptor that is held open, so that a folder or a link in its place is never entered. A child process
    inherits `descriptor` and can use the same `path`.
    """

    def __init__(self, place: Path):
        self.place = place
        self.path = place
        self.descriptor: int | None = None

    def hold(self) -> None:
        """Hold it open from now on, if there is need to: a file system with an open folder cannot be unmounted.

        Raises:
            OSError: it is not there, or not a folder of this user.
        """
        if is_safe(self.place.parent):
            return
        descriptor = self._open()
        self.descriptor = descriptor
        if _DESCRIPTORS.is_dir():
            self.path = _DESCRIPTORS / str(descriptor)
        else:
            log.warning("/proc is not mounted: %s is used by its name, which others may change", self.place)

    def release(self) -> None:
        """Hold it no more."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor, self.path = None, self.place

    def _open(self) -> int:
        descriptor = os.open(self.place, _FOLDER_FLAGS)
        facts = os.fstat(descriptor)
        if facts.st_uid != os.geteuid():
            os.close(descriptor)
            raise PermissionError(errno.EPERM, "it belongs to another user", str(self.place))
        restrict(descriptor, facts, ~0o077)
        return descriptor

    def refresh(self) -> None:
        """Look again: has it been renamed, or its file system unmounted and mounted again? Then a rename from the old
        mount into the new one would fail (EXDEV)."""
        if self.descriptor is None or self._return_to_place() or not self._is_in_place():
            return
        with contextlib.suppress(OSError):
            descriptor = self._open()
            os.dup2(descriptor, self.descriptor, inheritable=False)  # under the same number, so `path` stays
            os.close(descriptor)

    def _return_to_place(self) -> bool:
        """Rename it back to `place`, and what lies there instead aside; False: it cannot be, or need not."""
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
            log.warning("%s had been renamed to %s by somebody; it is back in its place", self.place, now)
            return True
        return False

    def _is_in_place(self) -> bool:
        assert self.descriptor is not None
        try:
            return os.path.samestat(self.place.lstat(), os.fstat(self.descriptor))
        except OSError:
            return False


def make_private(folder: Path) -> None:
    """Make a folder that this user alone may enter, durable; one that is there is closed to others.

    Raises:
        OSError: it cannot be made, or belongs to another user, or is no folder.
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
    """Take from all but its owner the right to write a folder of this user's. Another's stays as it is."""
    descriptor = os.open(folder, _FOLDER_FLAGS)
    try:
        facts = os.fstat(descriptor)
        if facts.st_uid == os.geteuid():
            restrict(descriptor, facts, ~_WRITABLE_BY_OTHERS)
    finally:
        os.close(descriptor)


def protect_names(folder: Path) -> bool:
    """Set the sticky bit of a folder that others may write: then nobody can rename or remove what is not their own.
    False: it is another user's, or it must not be (a sandbox forbids chmod(2) with special bits).
    """
    facts = folder.stat()
    if not facts.st_mode & _WRITABLE_BY_OTHERS or facts.st_mode & stat.S_ISVTX:
        return True
    if facts.st_uid != os.geteuid():
        return False  # with the bit, this user could take nobody's files
    try:
        folder.chmod(stat.S_IMODE(facts.st_mode) | stat.S_ISVTX)
    except PermissionError:
        return False
    log.info("%s: the sticky bit is set, as others may write there", folder)
    return True


def restrict(descriptor: int, facts: os.stat_result, mask: int) -> None:
    """Take away the rights that `mask` lacks; the set-group-ID bit stays where the sandbox allows that.

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
