"""Nightly: is jobs.db whole, and a copy of it in state/backups. In a thread, on a connection of its own."""

import contextlib
import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon import durable
from daemon.model import BackedUp

log = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
_NAME = re.compile(r"jobs-\d{4}-\d{2}-\d{2}\.db")


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
        except (OSError, sqlite3.Error) as error:
            self._post(BackedUp(path=None, damage="", error=str(error)))


def check(database: Path) -> str:
    """What SQLite finds damaged (PRAGMA integrity_check), "" if it is whole.

    Raises:
        sqlite3.Error: it cannot be read now.
    """
    try:
        with contextlib.closing(_open(database)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)


def copy(database: Path, folder: Path, name: str | None = None) -> Path:
    """A whole, durable copy of what is committed at this moment; today's, if there is one already, is replaced.

    Raises:
        OSError, sqlite3.Error: it cannot be made; what copies there were are as before.
    """
    durable.make_folder(folder)
    path = folder / (name or f"jobs-{time.strftime('%Y-%m-%d')}.db")
    scratch = path.with_suffix(".part")
    scratch.unlink(missing_ok=True)
    with contextlib.closing(_open(database)) as connection:
        connection.execute("VACUUM INTO ?", [str(scratch)])  # one read transaction: a snapshot
    with scratch.open("rb") as file:
        os.fsync(file.fileno())
    scratch.replace(path)
    durable.fsync_folder(folder)
    return path


def newest(folder: Path) -> Path | None:
    """The latest copy."""
    return max(_copies(folder), default=None)


def forget_older(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` copies."""
    for path in sorted(_copies(folder))[:-keep]:
        path.unlink()


def _copies(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
