"""The folder of one far half on its node: the files of running jobs, below the system's folder for temporary files.

A far half locks its folder while it runs. The next far half on the node removes all unlocked folders, because a process
that was killed leaves its files behind.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from processors.cluster.transfer import check_path

_PREFIX = "inboxd-node-"
_LOCK = "lock"
_YOUNG_SECONDS = 60.0  # a folder may not be locked yet


class FarFolder:
    """A new folder that only this user may enter."""

    def __init__(self, above: Path | None = None):
        above = above or Path(tempfile.gettempdir())
        _sweep(above)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
        self._lock = (self.path / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @property
    def layouts(self) -> Path:
        return self.path / "layouts"

    def of_job(self, job: str, attempt: int) -> Path:
        return self.path / "jobs" / check_path(f"{job}.{attempt}")

    def remove_job(self, job: str, attempt: int) -> None:
        shutil.rmtree(self.of_job(job, attempt), ignore_errors=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _sweep(above: Path) -> None:
    """Remove the folders of this user that no process has locked."""
    for folder in above.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("r+") as lock:
                if time.time() - os.fstat(lock.fileno()).st_mtime < _YOUNG_SECONDS:
                    continue
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
