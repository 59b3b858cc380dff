"""The inbox and what was taken from it: <inbox>/a/x -> <inbox>/.taken/<uuid>/a/x.

Owns the looking and the taking; when a file may be taken is `intake`'s. Nothing here follows a symbolic link.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon import durable, names
from daemon.model import Entry, Original


class OriginalGone(Exception):
    """A taken file is not where it was put; only a person can have removed it."""


class Inbox:
    """The inbox folder, and the hidden folder the daemon owns in it."""

    def __init__(self, path: Path):
        self.path = path
        self.taken = path / ".taken"

    def scan(self, folder: Path) -> tuple[list[Entry], list[Path]]:
        """The regular files and the sub folders of one inbox folder; hidden ones and all else left out.

        Raises:
            OSError: the folder cannot be read, or is gone.
        """
        entries, folders = [], []
        with os.scandir(folder) as found:
            for item in found:
                if item.name.startswith("."):
                    continue
                try:
                    if item.is_dir(follow_symlinks=False):
                        folders.append(Path(item.path))
                        continue
                    facts = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(facts.st_mode):
                    entries.append(_entry(Path(item.path), facts))
        return entries, folders

    def look(self, path: Path) -> Entry | None:
        """What `scan` would say of one path; None: it is gone, or no regular file."""
        try:
            facts = path.lstat()
        except OSError:
            return None
        return _entry(path, facts) if stat.S_ISREG(facts.st_mode) else None

    def take(self, job_id: str, path: Path, sidecars: Iterable[Path]) -> Entry:
        """Move a drop to .taken/<uuid>/, its sidecars first: the rename of the drop itself is the moment it is ours.

        The caller calls `fsync_taken` before it commits the rows.

        Raises:
            FileNotFoundError: it is gone: its owner was quicker.
            OSError: it cannot be moved; it is where it was.
        """
        home = self.taken / job_id / path.parent.relative_to(self.path)
        home.mkdir(parents=True)
        try:
            for sidecar in sidecars:
                durable.rename_noreplace(sidecar, home / sidecar.name)
            durable.rename_noreplace(path, home / path.name)
        except OSError:
            self.put_back(job_id)
            raise
        facts = (home / path.name).lstat()
        if not stat.S_ISREG(facts.st_mode):  # swapped between the scan and the rename
            self.put_back(job_id)
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return _entry(home / path.name, facts)

    def fsync_taken(self, job_ids: Iterable[str], sources: Iterable[Path]) -> None:
        """Make a number of takes durable: the new names first, then the old ones' absence."""
        for job_id in job_ids:
            for folder, _, _ in os.walk(self.taken / job_id, topdown=False):
                durable.fsync_folder(Path(folder))
        durable.fsync_folder(self.taken)
        for folder in sources:
            durable.fsync_folder(folder)

    def put_back(self, job_id: str) -> None:
        """Undo an unfinished take: everything below .taken/<uuid>/ returns to the inbox, under a free name."""
        home = self.taken / job_id
        for folder, _, files in os.walk(home, topdown=False):
            target = self.path / Path(folder).relative_to(home)
            for name in files:
                durable.make_folder(target)
                _rename_to_free_name(Path(folder) / name, target, name)
            durable.remove_empty_folders(Path(folder), up_to=self.taken)

    def original(self, job_id: str) -> Original:
        """Where a job's original and sidecars lie.

        Raises:
            OriginalGone: not in .taken.
        """
        files = {path.name: path for path in self._files_taken(job_id)}
        sidecars = {}
        main = [name for name in files if not names.is_sidecar(name, files)]
        if len(main) != 1 or main[0].endswith(names.SIDECAR_SUFFIXES) and len(files) == 1:
            raise OriginalGone(f"there are {len(files)} files in {self.taken / job_id}")
        for name, path in files.items():
            if name != main[0]:
                sidecars[name.removeprefix(main[0]).lstrip(".")] = path
        return Original(path=files[main[0]], sidecars=sidecars)

    def taken_ids(self) -> Iterator[str]:
        """The job ids that have a folder in .taken."""
        for item in os.scandir(self.taken):
            if item.is_dir(follow_symlinks=False):
                yield item.name

    def folder_of(self, original: Path, job_id: str) -> str:
        """The inbox folder a taken file came from, relative to the inbox; "" is the top."""
        folder = str(original.parent.relative_to(self.taken / job_id))
        return "" if folder == "." else folder

    def release(self, job_id: str) -> None:
        """Remove what .taken still holds of a job whose result is published."""
        if (self.taken / job_id).is_dir():
            durable.remove_tree(self.taken / job_id)

    def _files_taken(self, job_id: str) -> Iterator[Path]:
        for folder, _, files in os.walk(self.taken / job_id):
            yield from (Path(folder) / name for name in files)


def writer_has(path: Path) -> bool | None:
    """Does any process have the file open for writing? None if this file system or this user cannot tell.

    A read lease is refused while a writer has the file open (fcntl(2), F_SETLEASE); it is given back at once. Whoever
    holds a lease gets SIGIO when a writer comes: `service` ignores that signal.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
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


def _entry(path: Path, facts: os.stat_result) -> Entry:
    return Entry(
        path=path,
        inode=facts.st_ino,
        size_bytes=facts.st_size,
        mtime_ns=facts.st_mtime_ns,
        ctime_ns=facts.st_ctime_ns,
    )


def _rename_to_free_name(source: Path, folder: Path, name: str) -> None:
    path, number = folder / name, 1
    while True:
        try:
            durable.rename_noreplace(source, path)
            durable.fsync_folder(folder)
            return
        except FileExistsError:
            number += 1
            path = folder / f"{Path(name).stem} ({number}){Path(name).suffix}"
