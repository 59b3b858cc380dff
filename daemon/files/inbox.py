"""Examines the files in the inbox, and those taken from it.

Moves nothing: see `taken`. Nothing here follows a symbolic link, not even one that replaces a folder between two steps:
names are looked up in open folders, not by their paths.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from daemon.core import names, regular_files
from daemon.core.job import Entry
from daemon.files import safe_folders

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
_MAX_DEPTH = 100  # nested folders; the standard library walks them by recursion
_MAX_PATH_BYTES = 2000  # of a folder relative to the inbox: PATH_MAX is 4,096, and paths of results are longer
_NO_FILES = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


class Found(NamedTuple):
    """An entry of an inbox folder. Without `entry` and not `is_folder`, it is never taken: see `Inbox.refusal`."""

    path: Path
    entry: Entry | None = None  # of a regular file
    is_folder: bool = False  # a subfolder to be scanned


class Inbox:
    """The inbox folder, and the hidden folder the daemon owns in it."""

    def __init__(self, path: Path):
        self.path = path
        self.own = safe_folders.HeldFolder(path / ".taken")
        self._held: dict[Path, int] | None = None  # descriptors of open folders; see `holding`

    @property
    def taken(self) -> Path:
        """The path to use for the hidden folder; see `HeldFolder`."""
        return self.own.path

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """While this lasts, opened folders stay open, so that many checks of one file cost one walk to its folder. A
        folder that is moved away meanwhile is still the one that is used: keep it short."""
        self._held = {}
        try:
            yield
        finally:
            held, self._held = self._held, None
            for descriptor in held.values():
                os.close(descriptor)

    @contextlib.contextmanager
    def opened(self, folder: Path, *, make: bool = False) -> Iterator[int]:
        """Open a folder of the inbox or of a taken file; `make`: create it and its parents if they are missing.

        Raises:
            FileNotFoundError: it is gone, or it or a parent is no longer a folder (but a symbolic link, say).
            NotADirectoryError: the same, with `make`.
        """
        held = None if make else self._held
        if held is not None and (known := held.get(folder)) is not None:
            yield known
            return
        root = self.taken if safe_folders.is_below(self.taken, folder) else self.path
        with safe_folders.opened(root, folder, make=make) as descriptor:
            if held is not None:
                held[folder] = os.dup(descriptor)
            yield descriptor

    @contextlib.contextmanager
    def open_file(self, path: Path) -> Iterator[BinaryIO]:
        """Open a regular file of the inbox, or a taken one, for reading; never blocks.

        Raises:
            FileNotFoundError: it does not exist, or one of its parents is no longer a folder.
            OSError: it is not a regular file (but a link, say), or cannot be read now.
        """
        with self.opened(path.parent) as folder:
            descriptor = regular_files.open_regular(path.name, folder)
        with os.fdopen(descriptor, "rb") as file:
            yield file

    def scan(self, folder: Path) -> Iterator[Found]:
        """Yield what is in one inbox folder, without hidden names. The folder is open until the last one.

        Raises:
            OSError: the folder cannot be read, or is gone.
        """
        with self.opened(folder) as descriptor, os.scandir(descriptor) as found:
            for item in found:
                if item.name.startswith("."):
                    continue
                path = folder / item.name
                try:
                    if item.is_dir(follow_symlinks=False):
                        yield Found(path, is_folder=not self.is_too_deep(path))
                        continue
                    facts = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield Found(path, entry_of(path, facts) if stat.S_ISREG(facts.st_mode) else None)

    def entry(self, path: Path) -> Entry | None:
        """Examine one path, in the inbox or taken, as `scan` does; None: it does not exist or is not a regular file.

        Raises:
            OSError: it cannot be examined now.
        """
        facts = self._facts(path)
        return entry_of(path, facts) if facts and stat.S_ISREG(facts.st_mode) else None

    def sidecars(self, path: Path) -> list[Entry]:
        """The sidecars of a file, in the inbox or taken.

        Raises:
            OSError: they cannot be examined now.
        """
        found = []
        try:
            with self.opened(path.parent) as folder:
                for name in (path.name + suffix for suffix in names.SIDECAR_SUFFIXES):
                    if (facts := _facts_in(folder, name)) and stat.S_ISREG(facts.st_mode):
                        found.append(entry_of(path.with_name(name), facts))
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
        return found

    def refusal(self, path: Path) -> str | None:
        """Explain to the owner of `path` why it is never taken; None: it may be taken, or does not exist.

        Raises:
            OSError: it cannot be examined now.
        """
        facts = self._facts(path)
        kind = stat.S_IFMT(facts.st_mode) if facts else 0
        if kind == stat.S_IFLNK:
            return "it is a symbolic link, and inboxd does not follow links. Put the file itself here."
        if kind in _NO_FILES:
            return f"it is {_NO_FILES[kind]}, not a file. Remove it."
        if kind == stat.S_IFDIR and self.is_too_deep(path):
            return f"it is nested too deeply (more than {_MAX_DEPTH} folders, or {_MAX_PATH_BYTES} bytes). Move it up."
        main = path.with_suffix("")
        if kind == stat.S_IFREG and path.suffix in names.SIDECAR_SUFFIXES and self.entry(main) is None:
            return f"it waits for its file: {main.name}."
        return None

    def _facts(self, path: Path) -> os.stat_result | None:
        try:
            with self.opened(path.parent) as folder:
                return _facts_in(folder, path.name)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            return None

    def is_too_deep(self, folder: Path) -> bool:
        """True if no file is taken from this folder of the inbox."""
        relative = folder.relative_to(self.path)
        return len(relative.parts) > _MAX_DEPTH or len(names.printable_path(relative).encode()) > _MAX_PATH_BYTES


def as_recorded(number: int) -> int:
    """Convert a number to a signed 64-bit integer, the widest that SQLite stores. Nanoseconds after the year 2262, and
    inodes that file systems such as mergerfs or overlay make up, need more bits; different numbers stay different.
    """
    return (number + 2**63) % 2**64 - 2**63


def _facts_in(folder: int, name: str) -> os.stat_result | None:
    """Examine a name in an open folder; None: it does not exist."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return None


def entry_of(path: Path, facts: os.stat_result) -> Entry:
    return Entry(
        path=path,
        inode=as_recorded(facts.st_ino),
        size_bytes=facts.st_size,
        mtime_ns=as_recorded(facts.st_mtime_ns),
        ctime_ns=facts.st_ctime_ns,
    )
