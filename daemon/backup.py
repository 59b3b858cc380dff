"""Copies of jobs.db: each night into state/backups, in a thread, on a connection of its own; by command to any place.

A copy is written under a name of its own, made durable, and then renamed: there is never half a copy. It replaces
nothing but a copy of the same name in state/backups, or what a person names with --force.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import secrets
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from daemon import diagnosis, durable
from daemon.errors import InboxdError, UsageError
from daemon.model import BackedUp

log = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
_BUSY_SECONDS = 2.0  # for the lock of a program that lets not even readers in
_NAME = re.compile(r"jobs-\d{4}-\d{2}-\d{2}\.db")
_SCRATCH = re.compile(r"\.inboxd-backup-[0-9a-f]{16}\.part")
_HEADER = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite puts beside a database


class Backup:
    """Checks and copies one database; the outcome is posted as `BackedUp`."""

    def __init__(self, database: Path, folder: Path, post: Callable[[Any], None]):
        self._database = database
        self._folder = folder
        self._post = post
        self._thread: threading.Thread | None = None

    def start(self, *, keep: int) -> None:
        """Begin, unless the last one is still at it. `keep`: the newest so many copies stay; 0: only check."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, args=(keep,), name="backup", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let a copy in the making come to its end, for a while."""
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _run(self, keep: int) -> None:
        try:
            damage = check(self._database)
            path = None if damage or not keep else copy(self._database, self._folder)
            if path is not None:
                forget_older(self._folder, keep)
            self._post(BackedUp(path=path, damage=damage))
        except (OSError, InboxdError, sqlite3.Error) as error:
            self._post(BackedUp(path=None, damage="", error=str(error)))


def check(database: Path) -> str:
    """What SQLite finds damaged (PRAGMA integrity_check), "" if it is complete.

    Raises:
        StorageError, sqlite3.Error: it cannot be read now.
    """
    try:
        with _opened(database) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.DatabaseError as error:
        if not diagnosis.is_damage(error):
            raise
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)


def copy(database: Path, folder: Path, name: str | None = None) -> Path:
    """A complete, durable copy of what is committed at this moment in a folder for copies, which is made if it is
    missing; one of the same name is replaced. `name`: by default that of the day.

    Raises:
        OSError, StorageError, sqlite3.Error: it cannot be made; what copies there were are as before.
    """
    durable.make_folder(folder)
    return write(database, Target(path=folder / (name or usual_name()), may_replace=True))


def usual_name() -> str:
    """The name of today's copy."""
    return f"jobs-{time.strftime('%Y-%m-%d')}.db"


def newest(folder: Path) -> Path | None:
    """The latest copy."""
    return max(_copies(folder), default=None)


def forget_older(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` copies."""
    for path in sorted(_copies(folder))[:-keep]:
        path.unlink()


def _copies(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []


@contextlib.contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads.

    Raises:
        StorageError: the database cannot be read now.
    """
    try:
        uri = f"{database.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
            yield connection
    except sqlite3.Error as error:
        if trouble := diagnosis.explain(error, database):
            raise trouble from error
        raise


# ---------------------------------------------------------------------------------------------- where to


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a copy goes."""

    path: Path  # in a folder that exists
    may_replace: bool  # a regular file of that name


class Places(Protocol):
    """What belongs to the daemon, of the settings."""

    inbox: Path
    outbox: Path
    state: Path
    database: Path
    source: Path | None


def find_target(to: str | None, places: Places, *, force: bool) -> Target:
    """Where to put the copy that a person asks for; None: today's in state/backups.

    Raises:
        UsageError: not there: it would replace something, or lie in a folder of the daemon's.
        OSError: the place cannot be looked at.
    """
    if to is None:
        durable.make_folder(places.state / "backups")
        target = Target(path=places.state / "backups" / usual_name(), may_replace=True)
        _refuse_what_is_there(target, places)
        return target
    try:
        target = Target(path=_named(to), may_replace=force)
        _refuse_folders_of_the_daemon(target.path.parent, places)
        _refuse_what_is_there(target, places)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UsageError("The name of the copy is too long.", "Choose a shorter one.") from error
    return target


def _named(to: str) -> Path:
    """The path of the copy, in a folder without symbolic links in its path."""
    if to in ("", "-"):
        raise UsageError("A copy of the job log needs a place.", "Name a file or a folder for it.")
    path = Path(to).absolute()
    is_folder = to.endswith("/") or path.is_dir()
    folder = path if is_folder else path.parent
    try:
        folder = folder.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        folder = None
    if folder is None or not folder.is_dir():
        missing = path if is_folder else path.parent
        raise UsageError(
            f"The folder {missing} does not exist.",
            "Create it, or mount its disk: `inboxd backup` makes no folders.",
        )
    return folder / (usual_name() if is_folder else path.name)


def _refuse_folders_of_the_daemon(folder: Path, places: Places) -> None:
    """By identity, as there may be other paths to them."""
    backups, theirs = places.state / "backups", (places.inbox, places.outbox, places.state)
    for above in (folder, *folder.parents):
        if _are_the_same(above, backups):
            return
        for place in theirs:
            if _are_the_same(above, place):
                raise UsageError(
                    f"{folder} is in {place}, where only the daemon may write.",
                    f"Name a place outside of inbox, outbox and state, or one in {backups}.",
                )


def _refuse_what_is_there(target: Target, places: Places) -> None:
    path = target.path
    beside = [path.with_name(path.name + suffix) for suffix in _BESIDE]
    if in_use := next((each for each in beside if os.path.lexists(each)), None):
        raise UsageError(f"{path} belongs to a database in use: there is {in_use.name}.", "Choose another name.")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} exists and is not a regular file.", "Choose another name.")
    logs = (places.database, *(Path(f"{places.database}{suffix}") for suffix in _BESIDE))
    if any(_are_the_same(path, own) for own in (*logs, places.source) if own is not None):
        raise UsageError(f"{path} is a file of the daemon's.", "Choose another name.")
    if not target.may_replace:
        raise _exists(path)


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} already exists.", "Choose another name, or replace the file with --force.")


def _are_the_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


# ---------------------------------------------------------------------------------------------- writing


def write(database: Path, target: Target) -> Path:
    """Put a complete, durable copy of what is committed at this moment there; its path.

    Raises:
        UsageError: a file of that name has appeared meanwhile.
        OSError, StorageError, sqlite3.Error: it cannot be made; what was there is as before.
    """
    folder = target.path.parent
    _sweep(folder)
    scratch, held = _make_scratch(folder, mode=database.stat().st_mode & 0o666)
    try:
        _vacuum_into(database, scratch)
        os.fsync(held)
        if target.may_replace:
            scratch.replace(target.path)
        else:
            durable.rename_noreplace(scratch, target.path)
    except FileExistsError as error:
        scratch.unlink(missing_ok=True)
        raise _exists(target.path) from error
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    finally:
        os.close(held)
    durable.fsync_folder(folder)
    return target.path


def _make_scratch(folder: Path, *, mode: int) -> tuple[Path, int]:
    """An empty file of ours, and the descriptor that holds its lock."""
    while True:
        path = folder / f".inboxd-backup-{secrets.token_hex(8)}.part"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode))
        if (held := lock(path)) is not None:
            return path, held  # else another run's sweep was faster, and has removed it


def _vacuum_into(database: Path, scratch: Path) -> None:
    """VACUUM INTO: one read transaction, hence a snapshot."""
    folder = os.open(scratch.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # by the descriptor: SQLite takes a path only as text, and a folder may have a name that is none
        with _opened(database) as connection:
            connection.execute("VACUUM INTO ?", [f"/proc/self/fd/{folder}/{scratch.name}"])
    except InboxdError as error:
        if getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(scratch.parent)) from error  # there, not here
    finally:
        os.close(folder)


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed left behind: files with names and contents of ours that nobody holds."""
    for path in folder.iterdir():
        if not _SCRATCH.fullmatch(path.name):
            continue
        with contextlib.suppress(OSError):
            if (held := lock(path)) is None:
                continue
            try:
                if os.pread(held, len(_HEADER), 0) in (b"", _HEADER) and os.fstat(held).st_uid == os.geteuid():
                    path.unlink()
            finally:
                os.close(held)


def lock(path: Path) -> int | None:
    """A descriptor that holds a temporary file's lock; None: another process works on it, or has removed it.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    held = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held), path.lstat()):
            return held
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(held)
        raise
    os.close(held)
    return None
