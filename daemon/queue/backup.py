"""Copies of jobs.db: nightly to state/backups, in a thread with its own connection; with `inboxd backup`, anywhere.

A copy is written under a temporary name, made durable, and then renamed, so an incomplete copy is never visible. It
replaces only a copy of the same name in state/backups, or an existing file if the user passes --force.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.core import durable
from daemon.core.errors import InboxdError
from daemon.core.messages import BackedUp
from daemon.queue import sqlite_errors
from daemon.queue.backup_target import Target, already_exists, default_name

log = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
_BUSY_SECONDS = 2.0  # waiting for a lock that excludes even readers
_NAME = re.compile(r"jobs-\d{4}-\d{2}-\d{2}\.db")
_SCRATCH = re.compile(r"\.inboxd-backup-[0-9a-f]{16}\.part")
_HEADER = b"SQLite format 3\0"


class Backup:
    """Checks and copies one database; the outcome is posted as `BackedUp`."""

    def __init__(self, database: Path, folder: Path, post: Callable[[object], None]):
        self._database = database
        self._folder = folder
        self._post = post
        self._thread: threading.Thread | None = None

    def start(self, *, keep: int) -> None:
        """Start, unless the last run has not ended. `keep`: the number of copies to keep; 0: only check."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, args=(keep,), name="backup", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Wait for a running copy, for a limited time."""
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _run(self, keep: int) -> None:
        try:
            damage = check(self._database)
            path = None if damage or not keep else copy(self._database, self._folder)
            if path is not None:
                remove_older(self._folder, keep)
            self._post(BackedUp(path=path, damage=damage))
        except (OSError, InboxdError, sqlite3.Error) as error:
            self._post(BackedUp(path=None, damage="", error=str(error)))


def check(database: Path) -> str:
    """Return the damage that PRAGMA integrity_check reports, "" if there is none.

    Raises:
        StorageError, sqlite3.Error: the database cannot be read now.
    """
    try:
        with _opened(database) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.DatabaseError as error:
        if not sqlite_errors.is_damage(error):
            raise
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)


def copy(database: Path, folder: Path, name: str | None = None) -> Path:
    """Write a complete, durable copy of the committed state to `folder`, which is created if it is missing. A copy of
    the same name is replaced. `name`: the name of today's copy by default.

    Raises:
        OSError, StorageError, sqlite3.Error: it cannot be written; existing copies are unchanged.
    """
    durable.make_folder(folder)
    return write(database, Target(path=folder / (name or default_name()), may_replace=True))


def newest(folder: Path) -> Path | None:
    """The latest copy."""
    return max(_copies(folder), default=None)


def remove_older(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` copies."""
    for path in sorted(_copies(folder))[:-keep]:
        path.unlink()


def _copies(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []


@contextlib.contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection.

    Raises:
        StorageError: the database cannot be read now.
    """
    try:
        uri = f"{database.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
            yield connection
    except sqlite3.Error as error:
        if trouble := sqlite_errors.explain(error, database):
            raise trouble from error
        raise


def write(database: Path, target: Target) -> Path:
    """Write a complete, durable copy of the committed state to `target`; return its path.

    The copy is private (mode 0600): it contains excerpts of users' documents.

    Raises:
        UsageError: a file of that name has appeared in the meantime.
        OSError, StorageError, sqlite3.Error: it cannot be written; an existing file is unchanged.
    """
    folder = target.path.parent
    _sweep(folder)
    scratch, held = _make_scratch(folder)
    try:
        _vacuum_into(database, scratch)
        os.fsync(held)
        if target.may_replace:
            scratch.replace(target.path)
        else:
            durable.rename_noreplace(scratch, target.path)
    except FileExistsError as error:
        scratch.unlink(missing_ok=True)
        raise already_exists(target.path) from error
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    finally:
        os.close(held)
    durable.fsync_folder(folder)
    return target.path


def _make_scratch(folder: Path) -> tuple[Path, int]:
    """Create an empty temporary file; return it and the descriptor that holds its lock."""
    while True:
        path = folder / f".inboxd-backup-{secrets.token_hex(8)}.part"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        if (held := lock(path)) is not None:
            return path, held  # otherwise, a concurrent run has removed it


def _vacuum_into(database: Path, scratch: Path) -> None:
    """Copy with VACUUM INTO: a single read transaction, so the copy is a snapshot."""
    folder = os.open(scratch.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # through a descriptor: SQLite takes paths only as text, but the name of a folder may not be valid UTF-8
        with _opened(database) as connection:
            connection.execute("VACUUM INTO ?", [f"/proc/self/fd/{folder}/{scratch.name}"])
    except InboxdError as error:
        if getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
            raise
        # the disk of the copy is full, not that of the job log
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(scratch.parent)) from error
    finally:
        os.close(folder)


def _sweep(folder: Path) -> None:
    """Remove temporary files of killed runs: this user's unlocked files that have our naming scheme and contents."""
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
    """Lock a temporary file; None: another process is using it, or has removed it.

    Raises:
        OSError: it cannot be opened or is not a file.
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
