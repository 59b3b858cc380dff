"""jobs.db as a file: opened, checked, migrated, set aside when it is damaged. See `store` for what is in it.

`StorageError`: it cannot be read or written now, nothing was changed, and the same call may be made again. `StartOver`:
it is damaged, or is not at its path any more.
"""

import contextlib
import logging
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from daemon.core import durable
from daemon.core.errors import InboxdError, LogLocked, StartOver, StorageError, StoreError
from daemon.queue import backup, sqlite_errors
from daemon.queue.migrations import MIGRATIONS

log = logging.getLogger(__name__)

# How long a statement waits for another program's lock: briefly on the main loop, as `storage` retries what fails;
# longer at the start.
_BUSY_MS, _BUSY_AT_START_MS = 100, 5000


class Database:
    """The open file. `is_new`: there was none, or it was damaged and set aside; the folders tell what was in it."""

    def __init__(self, path: Path):
        """Open it, or make it.

        Raises:
            StorageError: it cannot be read or written now.
            StoreError: it was written by a newer inboxd.
        """
        self.path = path
        self.is_new = False
        self.is_damaged = False
        try:
            self._open()
        except StartOver:
            self.set_aside()
            self.is_damaged = False
            self._open()

    def _open(self) -> None:
        self._engine = sa.create_engine(
            "sqlite://",
            creator=self._connect,
            poolclass=sa.pool.StaticPool,
            isolation_level="AUTOCOMMIT",  # transactions are begun below, as BEGIN IMMEDIATE
        )
        self._connection: sa.Connection | None = None
        sa.event.listen(
            self._engine, "handle_error", lambda context: self._translated(context.original_exception), retval=True
        )
        self._connection = self._engine.connect()
        self._migrate()
        self._connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_MS}")

    def close(self) -> None:
        """Let go of the file. Raises nothing: all that was to be kept is committed."""
        with contextlib.suppress(InboxdError, sqlite3.Error, sa.exc.SQLAlchemyError):
            if self._connection is not None:
                self.tidy()
                self._connection.close()
        self._engine.dispose()

    def tidy(self) -> None:
        """Refresh what the query planner knows of the tables."""
        self._connection.exec_driver_sql("PRAGMA optimize")

    def look(self) -> None:
        """Raise `StartOver` if the file is not ours any more: what is committed now would go to a file without a name.
        Writes nothing, so that the disk of a daemon at rest may sleep."""
        if _identity(self.path) != self._identity:
            raise StartOver(f"The job log {self.path} was removed or replaced while the daemon ran.")

    def check(self) -> None:
        """Raise what any method would raise, if the file cannot be written now or is not ours any more."""
        try:
            with self._transaction():
                version = self._connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                self._connection.exec_driver_sql(f"PRAGMA user_version = {version}")  # a page of the log, as any commit
        except LogLocked:
            raise
        except StorageError:
            with contextlib.suppress(StorageError):  # where no room is left, the log itself may give some back
                self._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            raise

    def set_aside(self) -> Path:
        """Move a damaged file away, beside its place; its new path."""
        self.close()
        kept = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        for suffix in ("-wal", "-shm", ""):  # the file itself last: its absence is what starts the next one
            source = self.path.with_name(self.path.name + suffix)
            if source.exists():
                durable.rename_noreplace(source, kept.with_name(kept.name + suffix))
        durable.fsync_folder(self.path.parent)
        log.error("The job log %s is damaged. It is kept as %s, and made anew from the folders.", self.path, kept)
        return kept

    def _connect(self) -> sqlite3.Connection:
        try:
            # isolation_level=None: sqlite3 itself begins nothing, so that the PRAGMAs take effect
            connection = sqlite3.connect(
                self.path.resolve().as_uri(),
                uri=True,
                isolation_level=None,
                timeout=_BUSY_AT_START_MS / 1000,
                check_same_thread=False,
            )
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise self._translated(error) or error from error
        self._identity = _identity(self.path)
        return connection

    def _translated(self, error: BaseException) -> InboxdError | None:
        """Translate an SQLite error; None: it is a bug in this program."""
        if sqlite_errors.is_damage(error) or "no such table" in str(error):
            self.is_damaged = True
            return StartOver(f"The job log {self.path} is damaged: {error}.")
        return sqlite_errors.explain(error, self.path)

    def _migrate(self) -> None:
        version = self._connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if version > len(MIGRATIONS):
            raise StoreError(
                f"The job log {self.path} was written by a newer inboxd (version {version}, known {len(MIGRATIONS)}).",
                "Install that version again, or put back the copy of the job log that was made at the upgrade: "
                'see "Back to an older version" in docs/operating.md.',
            )
        self.is_new = version == 0
        if 0 < version < len(MIGRATIONS):
            kept = self._copy_before_migration(version)
            log.warning("The job log is brought from version %d to %d; as it was: %s", version, len(MIGRATIONS), kept)
        for number in range(version, len(MIGRATIONS)):
            with self._transaction():
                for statement in MIGRATIONS[number]:
                    self._connection.exec_driver_sql(statement)
                self._connection.exec_driver_sql(f"PRAGMA user_version = {number + 1}")

    def _copy_before_migration(self, version: int) -> Path:
        try:
            return backup.copy(self.path, self.path.parent / "backups", f"jobs-version-{version}.db")
        except sqlite3.Error as error:
            raise self._translated(error) or error from error

    def _transaction(self) -> "_Transaction":
        self.look()
        return _Transaction(self._connection)


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT: a deferred one that reads first and writes later may fail with SQLITE_BUSY_SNAPSHOT."""

    def __init__(self, connection: sa.Connection):
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.exec_driver_sql("BEGIN IMMEDIATE")

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        try:
            if error is None:
                self._connection.exec_driver_sql("COMMIT")
        finally:  # SQLite ends a transaction itself after some errors, and leaves it open after others
            if self._connection.connection.in_transaction:
                self._connection.exec_driver_sql("ROLLBACK")


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file; None: it is gone."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino
