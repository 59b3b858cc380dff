"""The folders of a file's way: inbox -> .taken/<uuid> -> outbox/.staging/<uuid>.<attempt> -> outbox.

Owns where things lie and how they move; the rows that go with each step are `store`'s. Every step leaves a state that
`recovery` understands: see the table in README.md. Nothing here follows a symbolic link.
"""

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon import durable
from daemon.errors import AlreadyRunning, LayoutError
from daemon.model import Job

log = logging.getLogger(__name__)

FAILED = "failed"  # the folder of the outbox for what could not be done
ORIGINAL = "original"  # the folder of a result for an original whose name another file there has
SIDECAR_SUFFIXES = (".prompt",)  # NAME.prompt is taken with NAME
_NAME_BYTES = 200  # room in NAME_MAX (255) for " (1234)" and a suffix


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A regular file seen in the inbox."""

    path: Path
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, kw_only=True)
class Original:
    """A taken drop: the file in .taken, and its sidecars by kind ("prompt")."""

    path: Path
    sidecars: Mapping[str, Path]


class OriginalGone(Exception):
    """A taken file is not where it was put; only a person can have removed it."""


class Folders:
    """The inbox, the outbox, and the two hidden folders the daemon owns in them."""

    def __init__(self, *, inbox: Path, outbox: Path, state: Path):
        self.inbox = inbox
        self.outbox = outbox
        self.state = state
        self.taken = inbox / ".taken"
        self.staging = outbox / ".staging"
        self.archive = state / "archive"
        self._lock: int | None = None

    # ---------------------------------------------------------------------------------------- the layout

    def prepare(self) -> None:
        """Make the folders that are missing and check that the promises can be kept in them.

        Raises:
            LayoutError: they cannot; says how to change config.toml or the permissions.
        """
        self._refuse_overlap()
        for folder in (self.inbox, self.outbox, self.state, self.taken, self.staging, self.outbox / FAILED):
            try:
                durable.make_folder(folder)
            except OSError as error:
                raise LayoutError(
                    f"The folder {folder} cannot be made: {error.strerror}.",
                    "Make it yourself, give this user write permission there, or change [paths] in config.toml.",
                ) from error
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise LayoutError(
                    f"The folder {folder} cannot be read and written by this user (uid {os.geteuid()}).",
                    f"Give it permission, for example: chown {os.geteuid()} {folder}",
                )
        if self.inbox.stat().st_dev != self.taken.stat().st_dev:
            raise LayoutError(
                f"{self.taken} is on another file system than {self.inbox}, so files cannot be taken by one rename.",
                f"Unmount {self.taken} and remove it; inboxd makes it again.",
            )

    def _refuse_overlap(self) -> None:
        inbox, outbox, state = (path.resolve() for path in (self.inbox, self.outbox, self.state))
        for name, path in (("outbox", outbox), ("state", state)):
            if path.is_relative_to(inbox) or inbox.is_relative_to(path):
                raise LayoutError(
                    f"The inbox {inbox} and the {name} folder {path} lie in one another: results would become drops.",
                    "Put them side by side: change [paths] in config.toml.",
                )

    def lock(self) -> None:
        """Be the only daemon of these folders, until the process ends.

        Raises:
            AlreadyRunning: another daemon is.
        """
        path = self.taken / ".lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "?"
            os.close(self._lock)
            raise AlreadyRunning(
                f"inboxd is already running on {self.inbox} (process {owner}).",
                "See it with `inboxd status`; stop it with `systemctl stop inboxd`, or Ctrl-C in its terminal.",
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # ---------------------------------------------------------------------------------------- the inbox

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
        home = self.taken / job_id / path.parent.relative_to(self.inbox)
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
        for folder, _, names in os.walk(home, topdown=False):
            target = self.inbox / Path(folder).relative_to(home)
            for name in names:
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
        main = [name for name in files if not _is_sidecar_of(name, files)]
        if len(main) != 1 or main[0].endswith(SIDECAR_SUFFIXES) and len(files) == 1:
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

    def inbox_folder(self, original: Path, job_id: str) -> str:
        """The inbox folder a taken file came from, relative to the inbox; "" is the top."""
        folder = str(original.parent.relative_to(self.taken / job_id))
        return "" if folder == "." else folder

    def release(self, job_id: str) -> None:
        """Remove what .taken still holds of a job whose result is published."""
        if (self.taken / job_id).is_dir():
            durable.remove_tree(self.taken / job_id)

    def _files_taken(self, job_id: str) -> Iterator[Path]:
        for folder, _, names in os.walk(self.taken / job_id):
            yield from (Path(folder) / name for name in names)

    # ---------------------------------------------------------------------------------------- the outbox

    def prepare_attempt(self, job: Job) -> Path:
        """An empty staging folder for this attempt; what earlier attempts left is removed."""
        self.discard_attempts(job.id)
        folder = self.staging / job.staging_name()
        folder.mkdir()
        return folder

    def discard_attempts(self, job_id: str) -> None:
        for item in os.scandir(self.staging):
            if item.name.split(".")[0] == job_id:
                durable.remove_tree(Path(item.path))

    def stage(self, job: Job, original: Original | None, place: str, documents: Mapping[str, bytes]) -> None:
        """Complete an attempt's folder: the original and its sidecars at `place` (see `original_place`), `documents`
        beside the outputs, all of it durable.

        Raises:
            OSError: disk full, read-only …; nothing was published, and staging again is safe.
        """
        folder = self.staging / job.staging_name()
        folder.mkdir(exist_ok=True)
        if original is not None:
            home = folder / place
            home.mkdir(exist_ok=True)
            self._lay_all(job, original, home)
        for name, content in documents.items():
            (folder / name).unlink(missing_ok=True)
            durable.write_file(folder / name, content)
        durable.fsync_folder(folder)
        durable.fsync_folder(self.staging)

    def archive_original(self, job: Job, original: Original) -> Path:
        """Keep the original apart from its result: state/archive/<folder>/<uuid>/NAME, durable. Safe to repeat."""
        home = self.archive / job.folder / job.id
        durable.make_folder(home)
        self._lay_all(job, original, home)
        return home / original.path.name

    def _lay_all(self, job: Job, original: Original, home: Path) -> None:
        _lay(original.path, home, job.sha256 or durable.sha256_of(original.path))
        for sidecar in original.sidecars.values():
            _lay(sidecar, home, durable.sha256_of(sidecar))
        durable.fsync_folder(home)

    def free_result_path(self, job: Job, *, failed: bool) -> str:
        """A name for the result that is not taken, relative to the outbox: "bank/2024-01", "failed/bank/x (2)"."""
        parts = [_printable(part) for part in Path(job.folder).parts]
        if parts and parts[0] == FAILED and not failed:
            parts[0] = f"{FAILED} (folder)"  # outbox/failed is for what could not be done
        parent = Path(FAILED, *parts) if failed else Path(*parts)
        stem = result_stem(job.name)
        number = 1
        while True:
            name = stem if number == 1 else f"{stem} ({number})"
            # a folder of the inbox keeps its name in the outbox for its own results
            if not os.path.lexists(self.outbox / parent / name) and not (self.inbox / job.folder / name).is_dir():
                return str(parent / name)
            number += 1

    def is_staged(self, job: Job) -> bool:
        return (self.staging / job.staging_name()).is_dir()

    def publish(self, job: Job) -> None:
        """Rename the staged folder to `job.result_path`: the moment the result exists.

        Raises:
            FileExistsError: the name was taken meanwhile.
        """
        assert job.result_path is not None
        target = self.outbox / job.result_path
        durable.make_folder(target.parent)
        durable.rename_noreplace(self.staging / job.staging_name(), target)
        durable.fsync_folder(target.parent)
        durable.fsync_folder(self.staging)

    def fetch_back(self, job: Job) -> None:
        """For a retry: give the original of a failed job, in outbox/failed, a second name in .taken; durable.

        Raises:
            OriginalGone: it is not there any more, or its content has changed.
        """
        assert job.result_path is not None
        assert job.sha256 is not None
        result = self.outbox / job.result_path
        found = [path for path in _originals_of(result) if path.is_file() and not path.is_symlink()]
        main = [path for path in found if not _is_sidecar_of(path.name, {other.name: other for other in found})]
        if len(main) != 1 or durable.sha256_of(main[0]) != job.sha256:
            raise OriginalGone(f"the original is not in {result} any more")
        self.release(job.id)
        home = self.taken / job.id / job.folder
        home.mkdir(parents=True)
        for path in found:
            durable.link_or_copy(path, home / path.name, durable.sha256_of(path))
        self.fsync_taken([job.id], [])

    def withdraw(self, result_path: str) -> None:
        """Remove a failed job's folder, of which only what the daemon wrote: the original was fetched back before."""
        folder = self.outbox / result_path
        if not folder.is_dir():
            return
        for path in [*_originals_of(folder), folder / "error.txt", folder / "error.json"]:
            path.unlink(missing_ok=True)
        durable.remove_empty_folders(folder / ORIGINAL, up_to=folder)
        durable.remove_empty_folders(folder, up_to=self.outbox / FAILED)


def result_stem(name: str) -> str:
    """The name of a result's folder: the file's name without its suffix, printable, short enough for a file system."""
    stem = _printable(Path(name).stem)
    encoded = stem.encode()
    return encoded[:_NAME_BYTES].decode(errors="ignore") if len(encoded) > _NAME_BYTES else stem


def original_place(original: Original, others: Iterable[str]) -> str:
    """Where in its result an original lies: beside the `others`, or if one has its name, in a folder of its own."""
    names = {original.path.name, *(path.name for path in original.sidecars.values())}
    taken = {Path(other).parts[0] for other in others} | {ORIGINAL}
    return ORIGINAL if names & taken else "."


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


def printable_path(path: Path | str) -> str:
    """The same for a path: each part printable."""
    return "/".join(_printable(part) for part in Path(path).parts)


def _printable(name: str) -> str:
    r"""The name as valid text without control characters: bytes that are no UTF-8 are written as \xNN."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text) or "_"


def _entry(path: Path, facts: os.stat_result) -> Entry:
    return Entry(
        path=path,
        inode=facts.st_ino,
        size_bytes=facts.st_size,
        mtime_ns=facts.st_mtime_ns,
        ctime_ns=facts.st_ctime_ns,
    )


def _is_sidecar_of(name: str, names: Mapping[str, Path]) -> bool:
    return any(name.endswith(suffix) and name.removesuffix(suffix) in names for suffix in SIDECAR_SUFFIXES)


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


def _lay(source: Path, folder: Path, sha256: str) -> None:
    target = folder / source.name
    if os.path.lexists(target):
        if target.samefile(source):
            return
        target.unlink()
    durable.link_or_copy(source, target, sha256)


def _originals_of(result: Path) -> list[Path]:
    """The files of a failed result that the daemon did not write itself."""
    if (result / ORIGINAL).is_dir():
        return list((result / ORIGINAL).iterdir())
    if not result.is_dir():
        return []
    return [path for path in result.iterdir() if path.name not in ("error.txt", "error.json")]
