"""Finds the daemon's own folders again that other users renamed while no daemon was running.

In a share that belongs to another user, anyone who may write there can rename `.taken`, or put something else in its
place. They cannot open it or move it to another folder, so it remains beside its place, and only its names are lost.
"""

import contextlib
import fcntl
import itertools
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from daemon.core import durable, names, regular_files
from daemon.files import safe_folders

log = logging.getLogger(__name__)


def make_room(place: Path) -> None:
    """Rename what is in the place of one of the daemon's own folders and is none, if other users can put it there.

    Raises:
        OSError: it cannot be renamed.
    """
    if safe_folders.is_safe(place.parent) or not os.path.lexists(place):
        return
    facts = place.lstat()
    if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid():
        return
    for number in itertools.count(1):
        foreign = place.with_name(f"{place.name}.foreign-{number}")
        with contextlib.suppress(FileExistsError):
            durable.rename_noreplace(place, foreign)
            log.warning("%s is not inboxd's own folder: renamed to %s", place, foreign.name)
            return


def reclaim(own: safe_folders.HeldFolder, lock_file: str) -> None:
    """Move everything that belongs to jobs back into `own`, from folders beside it that once had its place.

    lock_file: the name of the file in each of them that a running daemon locks.

    Raises:
        OSError: not possible now; safe to repeat.
    """
    place = own.place
    if safe_folders.is_safe(place.parent):
        return
    with os.scandir(place.parent) as found:
        candidates = [item.name for item in found if item.name != place.name and item.is_dir(follow_symlinks=False)]
    for name in candidates:
        with _opened(place.parent / name, lock_file) as folder:
            if folder is not None:
                _move_jobs(folder, own.path, place.with_name(name))


@contextlib.contextmanager
def _opened(path: Path, lock_file: str) -> Iterator[int | None]:
    """Open and lock a folder that only the daemon's user could have made and filled; None: it is not one, or another
    daemon uses it."""
    with contextlib.ExitStack() as opened:
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            opened.callback(os.close, folder)
            facts = os.fstat(folder)
            is_private = facts.st_uid == os.geteuid() and not facts.st_mode & 0o077
            lock = regular_files.open_regular(Path(lock_file), folder) if is_private else None
            if lock is not None:
                opened.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            lock = None
        yield folder if lock is not None else None


def _move_jobs(folder: int, own: Path, shown: Path) -> None:
    jobs = [name for name in os.listdir(folder) if names.is_job_id(name.split(".")[0])]
    for name in jobs:
        with contextlib.suppress(FileExistsError):
            durable.rename_noreplace(Path(name), own / name, source_folder=folder)
    durable.fsync_folder(own)
    durable.fsync_folder(folder)
    if jobs:
        log.warning("another user had renamed %s: moved %d jobs back from %s", shown.name, len(jobs), shown)
