"""Opens jobs.db for reading, and runs queries; read-only, so that readers cannot interfere with the daemon."""

import os
import sqlite3
from pathlib import Path
from typing import Any, Self

from daemon.core.errors import InboxdError, NoJobLog, StoreError, UsageError
from daemon.queue import sqlite_errors

_BUSY_SECONDS = 1.0  # waiting for a lock that excludes even readers


class ReadOnlyLog:
    """The open file."""

    def __init__(self, path: Path):
        """Open it.

        Raises:
            NoJobLog: there is none yet.
            UsageError: this user may not read it.
            StorageError: it cannot be read now, for example because it is locked. Every method may raise this.
            StoreError: it is damaged. Every method may raise this.
        """
        if not _may_be_read(path):
            raise _none_yet(path)
        self._path = path
        try:
            self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        except sqlite3.Error as error:
            raise self._translated(error) from error
        self._connection.row_factory = sqlite3.Row
        try:
            is_there = not self._first_start_was_cut_short()
        except InboxdError:
            self._connection.close()
            raise
        if not is_there:
            self._connection.close()
            raise _none_yet(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def version(self) -> int:
        """The version of the tables: see `migrations`."""
        return int(self._value("PRAGMA user_version"))

    def integrity(self) -> str:
        """ "ok", or the damage that SQLite found."""
        return str(self._value("PRAGMA quick_check"))

    def _first_start_was_cut_short(self) -> bool:
        try:
            return self.version() == 0
        except InboxdError as error:  # a rollback journal exists only until the WAL mode is set
            if getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_ROLLBACK:
                return True
            raise

    def _all(self, query: str, *values: object) -> list[Any]:
        """The rows as dicts: the caller knows their columns."""
        try:
            return [dict(row) for row in self._connection.execute(query, values)]
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _value(self, query: str, *values: object) -> Any:
        """The first column of the first row."""
        return next(iter(self._all(query, *values)[0].values()))

    def _translated(self, error: sqlite3.Error) -> InboxdError:
        """Translate an SQLite error."""
        if trouble := sqlite_errors.explain(error, self._path):
            return trouble
        if sqlite_errors.is_damage(error):
            return StoreError(
                f"The job log {self._path} is damaged: {error}.",
                "Restart the daemon: it sets the damaged file aside and rebuilds the job log from the folders.",
            )
        return StoreError(
            f"Cannot read the job log {self._path}: {error}.",
            "The command and the daemon may be of different versions: compare `inboxd --version` with `inboxd status`.",
        )


def _may_be_read(path: Path) -> bool:
    """Check that there is a job log. `Path.exists` cannot distinguish an inaccessible file from a missing one.

    Raises:
        UsageError: it may not be read.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except PermissionError:
        raise _not_ours(path) from None
    if not os.access(path, os.R_OK, effective_ids=True):
        raise _not_ours(path)
    return True


def _not_ours(path: Path) -> UsageError:
    return UsageError(
        f"You may not read the job log {path}.", "Run the command as root, or as the user that inboxd runs as."
    )


def _none_yet(path: Path) -> NoJobLog:
    return NoJobLog(
        f"inboxd has not run here yet: there is no job log {path}.",
        "Start the daemon: `inboxd run`. If it runs with another config.toml, name that file with --config.",
    )
