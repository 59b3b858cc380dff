"""The taken files: <inbox>/a/x -> <inbox>/.taken/<uuid>/a/x, until their results are published.

Moves files out of the inbox, makes that durable, and returns them; `intake` decides which and when. As in `inbox`,
nothing here follows a symbolic link.
"""

import contextlib
import errno
import functools
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from daemon.core import durable, names, parallel, regular_files
from daemon.core.job import Entry, Original
from daemon.core.syncer import Syncer
from daemon.files.inbox import Inbox, entry_of

log = logging.getLogger(__name__)

DRAFT = ".draft"  # after the name of a folder in .taken, while a submitted file is moved into it


class OriginalGone(Exception):
    """A taken file is no longer in its folder; only a person can have removed it."""


class TakenFiles:
    """The hidden folder of the inbox that holds the original of each job. Only this user may enter it."""

    def __init__(self, inbox: Inbox):
        self._inbox = inbox
        self._syncer = Syncer(self.path / ".copy")

    def hold(self) -> None:
        """Hold the folder open from now on; see `HeldFolder`.

        Raises:
            OSError: it does not exist or is not a folder of this user.
        """
        self._inbox.own.hold()
        self._syncer = Syncer(self.path / ".copy")

    @property
    def path(self) -> Path:
        """The path to use for the folder; see `HeldFolder`."""
        return self._inbox.taken

    def has(self, job_id: str) -> bool:
        """True if a job has a folder for its original, even an empty one."""
        return (self.path / job_id).is_dir()

    def take(self, job_id: str, path: Path, sidecars: Iterable[Path]) -> Entry:
        """Move a file to .taken/<uuid>/, its sidecars first: with the rename of the file itself it is taken.

        The caller calls `fsync` before it commits the rows, or `put_back` after an error.

        Raises:
            FileNotFoundError: it is gone: its owner has removed it.
            OSError: it cannot be moved.
        """
        home = make_folders(self.path, Path(job_id, path.parent.relative_to(self._inbox.path)))
        with self._inbox.opened(path.parent) as folder:
            for each in (*sidecars, path):
                target = home / each.name
                durable.rename_noreplace(each, target, source_folder=folder)
                facts = target.lstat()
                if not stat.S_ISREG(facts.st_mode):  # swapped between the scan and the rename
                    _rename_to_free_name(target, path.parent, folder)  # a folder with its contents, at once
                    raise OSError(errno.EINVAL, "not a regular file", str(each))
        return entry_of(target, facts)

    def home_for(self, job_id: str, folder: str) -> Path:
        """Create a folder for the original of a job that came from `folder`; the caller fsyncs it."""
        assert names.is_safe_relative(folder)
        return make_folders(self.path, Path(job_id, folder))

    def fsync(self, job_ids: Iterable[str], sources: Iterable[Path]) -> None:
        """Make several takes durable: the files' contents (except of large files: see `Hasher`), their new names, and
        then the absence of their old names. Safe to repeat.

        Raises:
            OSError: not everything is durable.
        """
        job_ids = list(job_ids)
        errors = parallel.run_all([functools.partial(self._sync_in_place, job_id) for job_id in job_ids])
        for job_id, error in zip(job_ids, errors, strict=True):
            if error is not None:
                self._sync(job_id, lambda path: self._syncer.sync(Path(path)))
        durable.fsync_folder(self.path)
        for source in sources:
            # the folder was removed, and the old name with it
            with contextlib.suppress(FileNotFoundError), self._inbox.opened(source) as descriptor:
                durable.fsync_folder(descriptor)

    def _sync_in_place(self, job_id: str) -> None:
        """Make one take durable without copying any file. Any thread may call this.

        Raises:
            OSError: not everything is durable.
        """

        def sync(path: str) -> None:
            if not self._syncer.sync_in_place(path):
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)

        self._sync(job_id, sync)

    def _sync(self, job_id: str, sync: Callable[[str], None]) -> None:
        for folder, _, files in walk_up(self.path / job_id):
            for name in files:  # its owner need not have synced it: cp(1) does not
                path = f"{folder}/{name}"
                if os.lstat(path).st_size <= regular_files.HASH_INLINE_BYTES:
                    sync(path)
            durable.fsync_folder(folder)

    def fsync_names(self, job_id: str) -> None:
        """Make the names of a job's files durable; their contents already are."""
        for folder, _, _ in walk_up(self.path / job_id):
            durable.fsync_folder(Path(folder))
        durable.fsync_folder(self.path)

    def finish_take(self, job_id: str) -> None:
        """Remove names in the inbox of files that were taken before a power cut.

        On btrfs a power cut may leave a renamed file with both its old and its new name: it would be taken twice. Safe
        to repeat.
        """
        home = self.path / job_id
        for path in self._files(job_id):
            source = self._inbox.path / path.relative_to(home)
            with contextlib.suppress(FileNotFoundError), self._inbox.opened(source.parent) as folder:
                with contextlib.suppress(FileNotFoundError):
                    facts = os.stat(source.name, dir_fd=folder, follow_symlinks=False)
                    if os.path.samestat(facts, path.lstat()):
                        os.unlink(source.name, dir_fd=folder)
                durable.fsync_folder(folder)

    def put_back(self, job_id: str) -> None:
        """Undo an unfinished take: return everything below .taken/<uuid>/ to the inbox, under free names. Safe to
        repeat."""
        home = self.path / job_id
        folders = [home]
        for folder in folders:  # grows while it is read; a user's tree may be too deep for recursion
            target = self._inbox.path / folder.relative_to(home)
            for item in _entries(folder):
                if item.is_dir(follow_symlinks=False) and item.stat(follow_symlinks=False).st_uid == os.geteuid():
                    folders.append(Path(item.path))
                else:  # also another user's folder that replaced a file: moved as one, whatever it contains
                    self._return(Path(item.path), target)
        for folder in reversed(folders):
            durable.remove_empty_folders(folder, up_to=self.path)

    def _return(self, path: Path, folder: Path) -> None:
        """Move a taken file to a folder of the inbox, or to the inbox itself if something else has that folder's
        name."""
        try:
            with self._inbox.opened(folder, make=True) as descriptor:
                _rename_to_free_name(path, folder, descriptor)
        except (FileNotFoundError, NotADirectoryError):
            if folder == self._inbox.path:
                raise
            self._return(path, self._inbox.path)

    def original(self, job_id: str) -> Original:
        """Find a job's original and its sidecars.

        Raises:
            OriginalGone: it is not in .taken, or there are other files: see `return_others`.
        """
        found = list(self._files(job_id))
        files = {path.name: path for path in found}
        sidecars = {}
        main = [name for name in files if not names.is_sidecar(name, files)]
        is_sidecar_alone = len(found) == 1 and found[0].name.endswith(names.SIDECAR_SUFFIXES)
        if len(main) != 1 or len(files) < len(found) or is_sidecar_alone:
            raise OriginalGone(f"there are {len(found)} files in {self._inbox.own.place / job_id}")
        for name, path in files.items():
            if name not in (main[0], main[0] + names.DONE_SUFFIX):  # the mark has served its purpose
                sidecars[name.removeprefix(main[0]).lstrip(".")] = path
        return Original(path=files[main[0]], sidecars=sidecars)

    def return_others(self, job_id: str, path: str) -> None:
        """Return to the inbox what a person put beside a job's original and its sidecars. Nothing happens if the
        original is not found. `path`: the recorded path of the original, relative to the inbox.

        Raises:
            OSError: not possible now; safe to repeat.
        """
        home = self.path / job_id
        found = list(self._files(job_id))
        own = [file for file in found if names.printable_path(file.relative_to(home)) == path]
        if len(own) != 1:
            return
        kept = {own[0], *(own[0].with_name(own[0].name + suffix) for suffix in names.SIDECAR_SUFFIXES)}
        for file in found:
            if file not in kept:
                log.warning("%s %s: %s beside it returns to the inbox", job_id[:8], path, names.printable(file.name))
                self._return(file, self._inbox.path / file.parent.relative_to(home))

    def job_ids(self) -> Iterator[str]:
        """The names of the folders in .taken, which are job ids; also of one that is still a draft."""
        for item in os.scandir(self.path):
            if item.is_dir(follow_symlinks=False):
                yield item.name.removesuffix(DRAFT)

    def folder_of(self, original: Path, job_id: str) -> str:
        """The inbox folder a taken file came from, relative to the inbox; "" is the top."""
        folder = str(original.parent.relative_to(self.path / job_id))
        return "" if folder == "." else folder

    def release(self, *job_ids: str) -> None:
        """Remove the taken files of jobs whose results are published. If a person put others beside them, all of them
        return to the inbox instead."""
        homes = [home for home in (self.path / job_id for job_id in job_ids) if home.is_dir()]
        for home in homes:
            if not _remove(home):
                log.warning("%s: there are several files in %s; they return to the inbox", home.name[:8], home)
                self.put_back(home.name)
        if homes:
            durable.fsync_folder(self.path)

    def _files(self, job_id: str) -> Iterator[Path]:
        """The files below .taken/<uuid>/, found in half the time of os.walk: each job asks for them twice."""
        folders = [str(self.path / job_id)]
        for folder in folders:  # grows while it is read
            for each in _entries(folder):
                if each.is_dir(follow_symlinks=False):
                    folders.append(each.path)
                elif not each.is_dir():  # a link to a folder is no file
                    yield Path(each.path)


def _remove(home: Path) -> bool:
    """Remove the folder of a taken file; False: it contains several files that are not sidecars, and was not removed.
    Most hold one file, below a chain of folders: quicker than by rmtree."""
    chain = [str(home)]
    while len(found := list(os.scandir(chain[-1]))) == 1 and found[0].is_dir(follow_symlinks=False):
        chain.append(found[0].path)
    has_folders = any(each.is_dir(follow_symlinks=False) for each in found)
    files = [name for _, _, files in walk_up(home) for name in files] if has_folders else [each.name for each in found]
    if sum(not name.endswith(names.SIDECAR_SUFFIXES) for name in files) > 1:
        return False
    if has_folders:
        shutil.rmtree(home)
        return True
    for each in found:
        os.unlink(each.path)
    for folder in reversed(chain):
        os.rmdir(folder)
    return True


def walk_up(home: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk from the leaves to `home`, but a folder that cannot be read is an error, not an empty one."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    return os.walk(home, topdown=False, onerror=fail)


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def make_folders(root: Path, below: Path) -> Path:
    """Create the folders of `below`, private to this user; those of another file of the same job may exist."""
    folder = root
    for part in below.parts:
        folder = folder / part
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


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
