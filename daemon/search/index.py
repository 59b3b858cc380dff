"""state/search.db: the passages of all results, and FTS5's index of their words.

Several processes may use it at once; one at a time writes. It holds nothing that cannot be read again from the outbox,
so a damaged index, or one of another version, is removed and built again.
"""

import contextlib
import json
import logging
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from daemon.core.errors import SetupError, StorageError
from daemon.search import NAME as NAME
from daemon.search.folding import tokens
from daemon.search.passages import Passage, Place

log = logging.getLogger(__name__)

_VERSION = 1  # of the tables, the folding and the passages: another one is built again
_BUSY_SECONDS = 5.0
_SECOND_BITS = 31  # of the id of a passage: its lower bits number the passages of one second
_TABLES = (
    "CREATE TABLE state (value TEXT NOT NULL) STRICT",  # JSON, one row: see `update`
    "CREATE TABLE documents (job TEXT PRIMARY KEY, stamp TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE passages (
        id     INTEGER PRIMARY KEY,  -- in the order in which the jobs were received
        job    TEXT NOT NULL,
        page   INTEGER,
        text   TEXT NOT NULL,
        places TEXT NOT NULL         -- JSON: [[offset, anchor, seconds], …]
    ) STRICT
    """,
    "CREATE INDEX passages_job ON passages (job)",
    # ascii: parts words at the spaces that `folding` leaves, and changes no letter
    "CREATE VIRTUAL TABLE words USING fts5 (folded, content = '', tokenize = 'ascii')",
)


@dataclass(frozen=True, kw_only=True)
class FoundPassage:
    """A passage that matches a query."""

    id: int
    job: str
    passage: Passage


class Index:
    """One connection. Reading methods may raise sqlite3.Error: the index is damaged, or is being replaced."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    # ---------------------------------------------------------------------------------------- reading

    def find(self, match: str, *, before: int | None, limit: int) -> list[FoundPassage]:
        """Passages that match a query of FTS5, those of the newest jobs first. before: the id of the last one."""
        rows = self._connection.execute(
            "SELECT passages.* FROM (SELECT rowid FROM words WHERE words MATCH ? AND rowid < ? "
            "ORDER BY rowid DESC LIMIT ?) AS found JOIN passages ON passages.id = found.rowid ORDER BY id DESC",
            (match, before if before is not None else 2**63 - 1, limit),
        )
        return [
            FoundPassage(
                id=number, job=job, passage=Passage(text, page, [Place(*place) for place in json.loads(places)])
            )
            for number, job, page, text, places in rows
        ]

    def state(self) -> object:
        """What `set_state` stored; None: nothing yet."""
        row = self._connection.execute("SELECT value FROM state").fetchone()
        return json.loads(row[0]) if row else None

    def size(self) -> int:
        """How many results are indexed."""
        return int(self._connection.execute("SELECT count(*) FROM documents").fetchone()[0])

    def stamp(self, job: str) -> str | None:
        """The version of a result that is indexed; None: none is."""
        row = self._connection.execute("SELECT stamp FROM documents WHERE job = ?", (job,)).fetchone()
        return row and str(row[0])

    def jobs_after(self, job: str, limit: int) -> list[str]:
        """The first indexed jobs after one, by id."""
        rows = self._connection.execute("SELECT job FROM documents WHERE job > ? ORDER BY job LIMIT ?", (job, limit))
        return [row[0] for row in rows]

    # ---------------------------------------------------------------------------------------- writing

    def set_up(self) -> None:
        """Prepare a connection that writes."""
        self._connection.execute("PRAGMA synchronous = NORMAL")  # after a power cut, the last results may be missing
        self._connection.execute("PRAGMA secure_delete = ON")

    def create_tables(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        with self.transaction():
            for table in _TABLES:
                self._connection.execute(table)
            self._connection.execute(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything or nothing; other writers wait.

        Raises:
            StorageError: it cannot be written now.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise StorageError(f"The search index cannot be written: {error}.") from error

    def set_state(self, value: object) -> None:
        self._connection.execute("DELETE FROM state")
        self._connection.execute("INSERT INTO state VALUES (?)", (json.dumps(value),))

    def add(self, job: str, stamp: str, received_us: int, passages: Iterable[Passage]) -> None:
        """Index a result, instead of what was indexed of its job before."""
        self.remove(job)
        self._connection.execute("INSERT INTO documents VALUES (?, ?)", (job, stamp))
        for number, passage in enumerate(passages, self._free_id(received_us)):
            places = json.dumps([astuple(place) for place in passage.places])
            self._connection.execute(
                "INSERT INTO passages VALUES (?, ?, ?, ?, ?)", (number, job, passage.page, passage.text, places)
            )
            self._connection.execute("INSERT INTO words (rowid, folded) VALUES (?, ?)", (number, _folded(passage.text)))

    def remove(self, job: str) -> None:
        rows = self._connection.execute("SELECT id, text FROM passages WHERE job = ?", (job,)).fetchall()
        # FTS5 stores no text here: it needs the words again to remove them
        self._connection.executemany(
            "INSERT INTO words (words, rowid, folded) VALUES ('delete', ?, ?)",
            [(number, _folded(text)) for number, text in rows],
        )
        self._connection.execute("DELETE FROM passages WHERE job = ?", (job,))
        self._connection.execute("DELETE FROM documents WHERE job = ?", (job,))

    def purge(self) -> None:
        """Overwrite what removed passages have left: FTS5 only marks removed words, until it merges its segments."""
        self._connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _free_id(self, received_us: int) -> int:
        first = max(0, received_us // 1_000_000) << _SECOND_BITS
        range_ = first, first + (1 << _SECOND_BITS)
        row = self._connection.execute("SELECT max(id) FROM passages WHERE id >= ? AND id < ?", range_).fetchone()
        return first if row[0] is None else int(row[0]) + 1


def _folded(text: str) -> str:
    return " ".join(token.folded for token in tokens(text))


def open_to_read(path: Path) -> Index | None:
    """Open the index; None: there is none, or none of this version."""
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
    except sqlite3.Error:
        return None
    return _if_current(connection)


def open_to_write(path: Path) -> Index:
    """Open the index; create it if there is none, and again if it is damaged or of another version.

    Raises:
        SetupError: this user may not write it.
        StorageError: it cannot be written now.
    """
    try:
        if os.path.lexists(path):
            if not path.is_symlink() and (found := _if_current(_connect(path))) is not None:
                return _set_up(found)
            remove(path)
        return _create(path)
    except PermissionError as error:
        fix = "Search as root, or as the user inboxd runs as."
        raise SetupError(f"This user may not write {path}.", fix) from error
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"The search index {path} cannot be opened: {error}.") from error


def remove(path: Path) -> None:
    """Remove the index; the next update builds it again."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _create(path: Path) -> Index:
    """Create the index under another name first, so that no reader finds one without tables."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    scratch.unlink(missing_ok=True)
    try:
        os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        with _set_up(Index(_connect(scratch))) as new:
            new.create_tables()
        owner = path.parent.stat()
        if os.geteuid() == 0:  # root searches: the index belongs to the service nevertheless
            os.chown(scratch, owner.st_uid, owner.st_gid, follow_symlinks=False)
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    return _set_up(Index(_connect(path)))


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)


def _set_up(opened: Index) -> Index:
    opened.set_up()
    return opened


def _if_current(connection: sqlite3.Connection) -> Index | None:
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
            return Index(connection)
    except sqlite3.DatabaseError as error:
        log.warning("The search index is damaged, and is built again: %s", error)
    connection.close()
    return None
