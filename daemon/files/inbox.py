"""The inbox and the files taken from it: <inbox>/a/x -> <inbox>/.taken/<uuid>/a/x.

Examines and moves files; `intake` decides which and when. Nothing here follows a symbolic link, not even one that
replaces a folder between two steps: names are looked up in open folders, not by their paths. Only this user may enter
the folder of taken files.
"""

import contextlib
import errno
import functools
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from daemon.core import durable, names, parallel
from daemon.core.job import Entry, Original
from daemon.files import beneath
from daemon.files.incoming import Incoming

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
_MAX_DEPTH = 100  # nested folders; the standard library walks them by recursion
_MAX_PATH_BYTES = 2000  # of a folder relative to the inbox: PATH_MAX is 4,096, and paths of results are longer
_SOURCE_ATTRIBUTE = "user.inboxd.source"  # see xattr(7)
_DRAFT = ".draft"  # after the name of a folder in .taken, while a submitted file is moved into it
_NO_FILES = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


class OriginalGone(Exception):
    """A taken file is no longer in its folder; only a person can have removed it."""


class Found(NamedTuple):
    """An entry of an inbox folder. Without `entry` and not `is_folder`, it is never taken: see `Inbox.refusal`."""

    path: Path
    entry: Entry | None = None  # of a regular file
    is_folder: bool = False  # a subfolder to be scanned


class Inbox:
    """The inbox folder, and the hidden folder the daemon owns in it."""

    def __init__(self, path: Path):
        self.path = path
        self.own = beneath.HeldFolder(path / ".taken")
        self.incoming = Incoming(path / ".incoming")
        self._syncer = durable.Syncer(self.taken / ".copy")
        self._held: dict[Path, int] | None = None  # descriptors of open folders; see `holding`

    def hold(self) -> None:
        """Hold the hidden folder open from now on; see `HeldFolder`.

        Raises:
            OSError: it does not exist or is not a folder of this user.
        """
        self.own.hold()
        self._syncer = durable.Syncer(self.taken / ".copy")

    @property
    def taken(self) -> Path:
        """The path to use for the hidden folder; see `HeldFolder`."""
        return self.own.path

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """While this lasts, opened folders stay open, so that many looks at one file cost one walk to its folder. A
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
        if held is not None and folder in held:
            yield held[folder]
            return
        root = self.taken if folder.is_relative_to(self.taken) else self.path
        with beneath.opened(root, folder, make=make) as descriptor:
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
            descriptor = durable.open_regular(path.name, folder)
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
                yield Found(path, _entry(path, facts) if stat.S_ISREG(facts.st_mode) else None)

    def look(self, path: Path) -> Entry | None:
        """Examine one path, in the inbox or taken, as `scan` does; None: it does not exist or is not a regular file.

        Raises:
            OSError: it cannot be examined now.
        """
        facts = self._facts(path)
        return _entry(path, facts) if facts and stat.S_ISREG(facts.st_mode) else None

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
                        found.append(_entry(path.with_name(name), facts))
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
        if kind == stat.S_IFREG and path.suffix in names.SIDECAR_SUFFIXES and self.look(main) is None:
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

    def take(self, job_id: str, path: Path, sidecars: Iterable[Path]) -> Entry:
        """Move a file to .taken/<uuid>/, its sidecars first: with the rename of the file itself it is taken.

        The caller calls `fsync_taken` before it commits the rows, or `put_back` after an error.

        Raises:
            FileNotFoundError: it is gone: its owner has removed it.
            OSError: it cannot be moved.
        """
        home = _make_all(self.taken, Path(job_id, path.parent.relative_to(self.path)))
        with self.opened(path.parent) as folder:
            for each in (*sidecars, path):
                durable.rename_noreplace(each, home / each.name, source_folder=folder)
                facts = (home / each.name).lstat()
                if not stat.S_ISREG(facts.st_mode):  # swapped between the scan and the rename
                    _rename_to_free_name(home / each.name, path.parent, folder)  # a folder with its contents, at once
                    raise OSError(errno.EINVAL, "not a regular file", str(each))
        return _entry(home / path.name, facts)

    def receive(self, job_id: str, upload: str, path: Path, sidecars: Mapping[str, bytes], *, source: str) -> Entry:
        """Move the file `upload` from .incoming to .taken/<uuid>/, as if it had been taken from `path` in the inbox.

        sidecars: their contents by suffix. They are made first, in a folder that gets its name once the file is in it:
        a recovery neither finds the file without its options nor returns options to the inbox that nobody put there.
        source: see `source_of`.

        The caller continues as after `take`, with .incoming as the source, or calls `give_back` after an error.

        Raises:
            FileNotFoundError: there is no such upload.
            OSError: it cannot be moved.
        """
        draft = job_id + _DRAFT
        home = _make_all(self.taken, Path(draft, path.parent.relative_to(self.path)))
        for suffix, content in sidecars.items():
            durable.write_file(home / f"{path.name}{suffix}", content)
        durable.fsync_folder(home)
        with self.incoming.opened() as folder:
            _note_source(upload, folder, source)
            durable.rename_noreplace(Path(upload), home / path.name, source_folder=folder)
        durable.rename_noreplace(self.taken / draft, self.taken / job_id)
        taken = self.taken / job_id / path.relative_to(self.path)
        return _entry(taken, taken.lstat())

    def source_of(self, taken: Path) -> str | None:
        """The program that submitted a taken file, for a file without a row; None: it was dropped, or the file system
        has no extended attributes.

        Raises:
            OSError: it cannot be opened.
        """
        with self.open_file(taken) as file, contextlib.suppress(OSError):
            return names.source_name(os.getxattr(file.fileno(), _SOURCE_ATTRIBUTE).decode("ascii", "replace"))
        return None

    def finish_receive(self, job_id: str) -> None:
        """Complete a `receive` that a crash has interrupted, or undo it if the file was not moved yet. Safe to repeat.

        Raises:
            OSError: not possible now.
        """
        draft = self.taken / f"{job_id}{_DRAFT}"
        files = {Path(name).name for _, _, names_ in _walk_up(draft) for name in names_}
        if any(not name.endswith(names.SIDECAR_SUFFIXES) for name in files):
            durable.rename_noreplace(draft, self.taken / job_id)
        elif draft.is_dir():
            durable.remove_tree(draft)

    def has_draft(self, job_id: str) -> bool:
        """True if a `receive` was interrupted, and was neither completed nor undone."""
        return (self.taken / f"{job_id}{_DRAFT}").is_dir()

    def give_back(self, job_id: str, upload: str, path: Path) -> None:
        """Undo `receive`, also if it has failed: return the file to .incoming, and remove what was written beside it.

        Raises:
            OSError: it cannot be moved now; it remains taken.
        """
        self.finish_receive(job_id)
        taken = self.taken / job_id / path.relative_to(self.path)
        if os.path.lexists(taken):
            with self.incoming.opened() as folder:
                durable.rename_noreplace(taken, Path(upload), target_folder=folder)
        self.release(job_id)

    def home_for(self, job_id: str, folder: str) -> Path:
        """Create a folder for the original of a job that came from `folder`; the caller fsyncs it."""
        assert names.is_safe_relative(folder)
        return _make_all(self.taken, Path(job_id, folder))

    def fsync_taken(self, job_ids: Iterable[str], sources: Iterable[Path]) -> None:
        """Make several takes durable: the files' contents (except of large files: see `Hasher`), their new names, and
        then the absence of their old names. Safe to repeat.

        Raises:
            OSError: not everything is durable.
        """
        job_ids = list(job_ids)
        errors = parallel.run_all([functools.partial(self._sync_in_place, job_id) for job_id in job_ids])
        for job_id, error in zip(job_ids, errors, strict=True):
            if error is not None:
                self._sync(job_id, self._syncer.sync)
        durable.fsync_folder(self.taken)
        for source in sources:
            # the folder was removed, and the old name with it
            with contextlib.suppress(FileNotFoundError), self.opened(source) as descriptor:
                durable.fsync_folder(descriptor)

    def _sync_in_place(self, job_id: str) -> None:
        """Make one take durable without copying any file. Any thread may call this.

        Raises:
            OSError: not everything is durable.
        """

        def sync(path: Path) -> None:
            if not self._syncer.sync_in_place(path):
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

        self._sync(job_id, sync)

    def _sync(self, job_id: str, sync: Callable[[Path], None]) -> None:
        for folder, _, files in _walk_up(self.taken / job_id):
            for name in files:  # its owner need not have synced it: cp(1) does not
                path = Path(folder) / name
                if path.lstat().st_size <= durable.HASH_INLINE_BYTES:
                    sync(path)
            durable.fsync_folder(Path(folder))

    def fsync_home(self, job_id: str) -> None:
        """Make the names of a job's files durable; their contents already are."""
        for folder, _, _ in _walk_up(self.taken / job_id):
            durable.fsync_folder(Path(folder))
        durable.fsync_folder(self.taken)

    def finish_take(self, job_id: str) -> None:
        """Remove names in the inbox of files that were taken before a power cut.

        On btrfs a power cut may leave a renamed file with both its old and its new name: it would be taken twice. Safe
        to repeat.
        """
        home = self.taken / job_id
        for path in self._files_taken(job_id):
            source = self.path / path.relative_to(home)
            with contextlib.suppress(FileNotFoundError), self.opened(source.parent) as folder:
                with contextlib.suppress(FileNotFoundError):
                    facts = os.stat(source.name, dir_fd=folder, follow_symlinks=False)
                    if os.path.samestat(facts, path.lstat()):
                        os.unlink(source.name, dir_fd=folder)
                durable.fsync_folder(folder)

    def put_back(self, job_id: str) -> None:
        """Undo an unfinished take: return everything below .taken/<uuid>/ to the inbox, under free names. Safe to
        repeat."""
        home = self.taken / job_id
        folders = [home]
        for folder in folders:  # grows while it is read; a user's tree may be too deep for recursion
            target = self.path / folder.relative_to(home)
            for item in _entries(folder):
                if item.is_dir(follow_symlinks=False) and item.stat(follow_symlinks=False).st_uid == os.geteuid():
                    folders.append(Path(item.path))
                else:  # also another user's folder that replaced a file: moved as one, whatever it contains
                    self._return(Path(item.path), target)
        for folder in reversed(folders):
            durable.remove_empty_folders(folder, up_to=self.taken)

    def _return(self, path: Path, folder: Path) -> None:
        """Move a taken file to a folder of the inbox, or to the inbox itself if something else has that folder's
        name."""
        try:
            with self.opened(folder, make=True) as descriptor:
                _rename_to_free_name(path, folder, descriptor)
        except (FileNotFoundError, NotADirectoryError):
            if folder == self.path:
                raise
            self._return(path, self.path)

    def original(self, job_id: str) -> Original:
        """Find a job's original and its sidecars.

        Raises:
            OriginalGone: it is not in .taken.
        """
        files = {path.name: path for path in self._files_taken(job_id)}
        sidecars = {}
        main = [name for name in files if not names.is_sidecar(name, files)]
        if len(main) != 1 or main[0].endswith(names.SIDECAR_SUFFIXES) and len(files) == 1:
            raise OriginalGone(f"there are {len(files)} files in {self.own.place / job_id}")
        for name, path in files.items():
            if name not in (main[0], main[0] + names.DONE_SUFFIX):  # the mark has served its purpose
                sidecars[name.removeprefix(main[0]).lstrip(".")] = path
        return Original(path=files[main[0]], sidecars=sidecars)

    def taken_ids(self) -> Iterator[str]:
        """The names of the folders in .taken, which are job ids; also of one that is still a draft."""
        for item in os.scandir(self.taken):
            if item.is_dir(follow_symlinks=False):
                yield item.name.removesuffix(_DRAFT)

    def folder_of(self, original: Path, job_id: str) -> str:
        """The inbox folder a taken file came from, relative to the inbox; "" is the top."""
        folder = str(original.parent.relative_to(self.taken / job_id))
        return "" if folder == "." else folder

    def release(self, *job_ids: str) -> None:
        """Remove the taken files of jobs whose results are published."""
        homes = [home for home in (self.taken / job_id for job_id in job_ids) if home.is_dir()]
        for home in homes:
            _remove(home)
        if homes:
            durable.fsync_folder(self.taken)

    def _files_taken(self, job_id: str) -> Iterator[Path]:
        for folder, _, files in _walk_up(self.taken / job_id):
            yield from (Path(folder) / name for name in files)


def _remove(home: Path) -> None:
    """Remove the folder of a taken file. Most hold one file, below a chain of folders: quicker than by rmtree."""
    chain = [str(home)]
    while len(found := list(os.scandir(chain[-1]))) == 1 and found[0].is_dir(follow_symlinks=False):
        chain.append(found[0].path)
    if any(each.is_dir(follow_symlinks=False) for each in found):
        shutil.rmtree(home)
        return
    for each in found:
        os.unlink(each.path)
    for folder in reversed(chain):
        os.rmdir(folder)


def _walk_up(home: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk from the leaves to `home`, but a folder that cannot be read is an error, not an empty one."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    return os.walk(home, topdown=False, onerror=fail)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _make_all(root: Path, below: Path) -> Path:
    """Create the folders of `below`, private to this user; those of another file of the same job may exist."""
    folder = root
    for part in below.parts:
        folder = folder / part
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


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


def _note_source(upload: str, folder: int, source: str) -> None:
    """Attach to a file who submits it, in case of a crash before that is recorded."""
    descriptor = durable.open_regular(upload, folder)
    try:
        with contextlib.suppress(OSError):  # a file system without them
            os.setxattr(descriptor, _SOURCE_ATTRIBUTE, source.encode())
    finally:
        os.close(descriptor)


def _entry(path: Path, facts: os.stat_result) -> Entry:
    return Entry(
        path=path,
        inode=as_recorded(facts.st_ino),
        size_bytes=facts.st_size,
        mtime_ns=as_recorded(facts.st_mtime_ns),
        ctime_ns=facts.st_ctime_ns,
    )


def _rename_to_free_name(source: Path, folder: Path, descriptor: int) -> None:
    path, number = folder / source.name, 1
    while True:
        try:
            durable.rename_noreplace(source, path, target_folder=descriptor)
            durable.fsync_folder(descriptor)
            return
        except FileExistsError:
            number += 1
            path = folder / names.numbered(source.name, number)
