"""Explain SQLite errors of the job log and what to do about them.

Keyed by primary result code: https://sqlite.org/rescode.html
"""

import os
import sqlite3
from pathlib import Path

from daemon.core.errors import LogLocked, StorageError

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_PERMIT = "Give this user (uid {uid}) read and write permission on it and on {folder}"
_NOT_NOW = {  # meaning and remedy
    sqlite3.SQLITE_FULL: ("cannot be written: its disk is full", "Free some space in {folder}."),
    sqlite3.SQLITE_READONLY: ("cannot be written", f"{_PERMIT}, and mount its file system writable."),
    sqlite3.SQLITE_PERM: ("is not accessible to this user", f"{_PERMIT}."),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        f"{_PERMIT}; if they are correct, raise the limit of open files (LimitNOFILE=).",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "Check for a full or failing disk: `df {folder}`, `dmesg`.",
    ),
    sqlite3.SQLITE_NOMEM: ("cannot be used: out of memory", "Close other programs, or add memory."),
}


def is_damage(error: BaseException) -> bool:
    """True if the file is damaged or not a database."""
    return _primary_code(error) in _DAMAGED


def explain(error: BaseException, path: Path) -> StorageError | None:
    """Return an error message for the operator if the failure may be temporary; None otherwise."""
    code = _primary_code(error)
    if code in _LOCKED:
        return LogLocked(
            f"The job log {path} is locked by another program.",
            f"Find it with `fuser -v {path}` and close it. No data is lost.",
        )
    if code not in _NOT_NOW:
        return None
    what, fix = _NOT_NOW[code]
    reason = "" if ":" in what else f": {error}"  # SQLite's own text would only repeat it
    return StorageError(
        f"The job log {path} {what}{reason}.",
        f"{fix.format(folder=path.parent, uid=os.geteuid())} No data is lost.",
    )


def _primary_code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
