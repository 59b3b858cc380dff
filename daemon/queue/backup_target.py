"""The file that a copy of jobs.db is written to: chosen by the user, and checked before anything is written."""

import errno
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemon.core import durable
from daemon.core.errors import UsageError

_BESIDE = ("-wal", "-shm", "-journal")  # files that SQLite keeps next to a database


@dataclass(frozen=True, kw_only=True)
class Target:
    """The file to write a copy to."""

    path: Path  # in an existing folder
    may_replace: bool  # an existing regular file


class DaemonPaths(Protocol):
    """The paths of the settings that belong to the daemon."""

    @property
    def inbox(self) -> Path: ...

    @property
    def outbox(self) -> Path: ...

    @property
    def state(self) -> Path: ...

    @property
    def database(self) -> Path: ...

    @property
    def source(self) -> Path | None: ...


def find_target(to: str | None, paths: DaemonPaths, *, force: bool) -> Target:
    """Choose where to write the copy that the user requested; None: today's copy in state/backups.

    Raises:
        UsageError: the copy would replace a file or be in one of the daemon's folders.
        OSError: the location cannot be examined.
    """
    if to is None:
        durable.make_folder(paths.state / "backups")
        target = Target(path=paths.state / "backups" / default_name(), may_replace=True)
        _refuse_what_is_there(target, paths)
        return target
    try:
        target = Target(path=_named(to), may_replace=force)
        _refuse_folders_of_the_daemon(target.path.parent, paths)
        _refuse_what_is_there(target, paths)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UsageError("The file name is too long.", "Choose a shorter one.") from error
    return target


def _named(to: str) -> Path:
    """Return the path of the copy, with symbolic links in its folder resolved."""
    if to in ("", "-"):
        raise UsageError("Name a file or folder for the backup.", "Without one, it is written to state/backups.")
    path = Path(to).absolute()
    is_folder = to.endswith("/") or path.is_dir()
    folder = path if is_folder else path.parent
    try:
        folder = folder.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        raise _no_folder(folder) from None
    if not folder.is_dir():
        raise _no_folder(path if is_folder else path.parent)
    return folder / (default_name() if is_folder else path.name)


def _no_folder(folder: Path) -> UsageError:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        return UsageError(f"{existing} is not a folder.", "Name an existing folder, or a file in one.")
    return UsageError(
        f"The folder {folder} does not exist.",
        "Create it, or mount its disk: `inboxd backup` does not create folders.",
    )


def _refuse_folders_of_the_daemon(folder: Path, paths: DaemonPaths) -> None:
    """Compare identities, because several paths may lead to a folder."""
    backups, theirs = paths.state / "backups", (paths.inbox, paths.outbox, paths.state)
    for above in (folder, *folder.parents):
        if _are_the_same(above, backups):
            return
        for place in theirs:
            if _are_the_same(above, place):
                raise UsageError(
                    f"Cannot write a backup below {place}: that folder belongs to inboxd.",
                    f"Choose a location outside inbox, outbox and state, or {backups}.",
                )


def _refuse_what_is_there(target: Target, paths: DaemonPaths) -> None:
    path = target.path
    beside = [path.with_name(path.name + suffix) for suffix in _BESIDE]
    if in_use := next((each for each in beside if os.path.lexists(each)), None):
        raise UsageError(f"{path} appears to be a database in use: {in_use.name} exists.", "Choose another name.")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} exists and is not a regular file.", "Choose another name.")
    logs = (paths.database, *(Path(f"{paths.database}{suffix}") for suffix in _BESIDE))
    if any(_are_the_same(path, own) for own in (*logs, paths.source) if own is not None):
        raise UsageError(f"{path} is used by inboxd.", "Choose another name.")
    if not target.may_replace:
        raise already_exists(path)


def already_exists(path: Path) -> UsageError:
    return UsageError(f"{path} already exists.", "Choose another name, or replace the file with --force.")


def _are_the_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def default_name() -> str:
    """The name of today's copy."""
    return f"jobs-{time.strftime('%Y-%m-%d')}.db"
