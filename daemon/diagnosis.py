"""What an error of SQLite means for the job log, and what to do about it.

By its primary result code: https://sqlite.org/rescode.html
"""

import os
import sqlite3
from pathlib import Path

from daemon.errors import LogLocked, StorageError

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_PERMIT = "Give this user (uid {uid}) read and write permission on it and on {folder}"
_NOT_NOW = {  # what it means, and what helps
    sqlite3.SQLITE_FULL: ("cannot grow, as its disk is full", "Free some space in {folder}."),
    sqlite3.SQLITE_READONLY: ("cannot be written", f"{_PERMIT}, and mount its file system writable."),
    sqlite3.SQLITE_PERM: ("may not be used by this user", f"{_PERMIT}."),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        f"{_PERMIT}; if that is so, raise the limit of open files (LimitNOFILE=).",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "Is {folder} full, or its disk failing? See `df {folder}` and `dmesg`.",
    ),
    sqlite3.SQLITE_NOMEM: ("cannot be used, as memory is short", "End other programs, or add memory."),
}


def is_damage(error: BaseException) -> bool:
    """Is the file damaged, or no database at all?"""
    return _primary_code(error) in _DAMAGED


def explain(error: BaseException, path: Path) -> StorageError | None:
    """The error for the operator where the file cannot be used now but may be later; None: that is not the cause."""
    code = _primary_code(error)
    if code in _LOCKED:
        return LogLocked(
            f"The job log {path} is locked by another program.",
            f"Close it: `fuser -v {path}` shows it. Nothing is lost.",
        )
    if code not in _NOT_NOW:
        return None
    what, fix = _NOT_NOW[code]
    return StorageError(
        f"The job log {path} {what}: {error}.",
        f"{fix.format(folder=path.parent, uid=os.geteuid())} Nothing is lost.",
    )


def _primary_code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
