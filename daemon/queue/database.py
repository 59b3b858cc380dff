"""jobs.db as a file: opens, checks and migrates it, and sets a damaged one aside. See `store` for its contents.

`StorageError`: it cannot be read or written now; nothing was changed, and the call may be repeated. `StartOver`: it is
damaged, or no longer at its path.
"""

import contextlib
import logging
import sqlite3
import time
from pathlib import Path

import sqlalchemy as sa

from daemon.core import durable
from daemon.core.errors import InboxdError, LogLocked, StartOver, StorageError, StoreError
from daemon.queue import backup, sqlite_errors
from daemon.queue.migrations import MIGRATIONS

log = logging.getLogger(__name__)

# How long a statement waits for another program's lock: briefly on the main loop, because `disk_retry` retries
# what fails; longer at the start.
_BUSY_MS, _BUSY_AT_START_MS = 100, 5000


class Database:
    """The open file. `is_new`: there was no file, or a damaged one was set aside; the folders describe its rows."""

    def __init__(self, path: Path):
        """Open it, or create it.

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
            isolation_level="AUTOCOMMIT",  # transactions start below, with BEGIN IMMEDIATE
        )
        self._open_connection: sa.Connection | None = None
        sa.event.listen(
            self._engine, "handle_error", lambda context: self._translated(context.original_exception), retval=True
        )
        self._open_connection = self._engine.connect()
        self._migrate()
        self._connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_MS}")

    def close(self) -> None:
        """Close the file. Raises nothing: everything has been committed."""
        with contextlib.suppress(InboxdError, sqlite3.Error, sa.exc.SQLAlchemyError):
            if self._open_connection is not None:
                self.tidy()
                self._open_connection.close()
        self._engine.dispose()

    @property
    def _connection(self) -> sa.Connection:
        """The open connection.

        Raises:
            StoreError: there is none, because the file could not be opened.
        """
        if self._open_connection is None:
            raise StoreError(f"The job log {self.path} is not open.", "Restart the daemon.")
        return self._open_connection

    def tidy(self) -> None:
        """Update the query planner's statistics."""
        self._connection.exec_driver_sql("PRAGMA optimize")

    def check_file(self) -> None:
        """Raise `StartOver` if the file was removed or replaced: commits would go to a file without a name. Writes
        nothing, so that the disk of an idle daemon may sleep."""
        if _identity(self.path) != self._identity:
            raise StartOver(f"The job log {self.path} was removed or replaced while the daemon was running.")

    def check(self) -> None:
        """Raise the errors of the other methods if the file cannot be written now, or was removed or replaced."""
        try:
            with self._transaction():
                version = self._connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                # writes a page of the log, as any commit does
                self._connection.exec_driver_sql(f"PRAGMA user_version = {version}")
        except LogLocked:
            raise
        except StorageError:
            with contextlib.suppress(StorageError):  # on a full disk, the write-ahead log itself may free some space
                self._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            raise

    def set_aside(self) -> Path:
        """Rename a damaged file; return its new path."""
        self.close()
        damaged = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        for suffix in ("-wal", "-shm", ""):  # the file itself last: without it, the next start creates a new one
            source = self.path.with_name(self.path.name + suffix)
            if source.exists():
                durable.rename_noreplace(source, damaged.with_name(damaged.name + suffix))
        durable.fsync_folder(self.path.parent)
        log.error("The job log %s is damaged: renamed to %s. Building a new one from the folders.", self.path, damaged)
        return damaged

    def _connect(self) -> sqlite3.Connection:
        try:
            # isolation_level=None: sqlite3 itself starts no transaction, so that the PRAGMAs take effect
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
                "Install that version again, or restore the copy of the job log that the upgrade made: "
                'see "Back to an older version" in docs/operating.md.',
            )
        self.is_new = version == 0
        if 0 < version < len(MIGRATIONS):
            copy = self._copy_before_migration(version)
            log.warning("Upgrading the job log from version %d to %d; a copy is in %s", version, len(MIGRATIONS), copy)
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
        self.check_file()
        return _Transaction(self._connection)


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT: a deferred transaction that reads first and then writes may fail with
    SQLITE_BUSY_SNAPSHOT."""

    def __init__(self, connection: sa.Connection):
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.exec_driver_sql("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
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
