"""The hidden folder of the inbox into which programs of the daemon's user write files before they submit them.

The files in it have not been submitted: the daemon promises nothing about them, and removes them after a day. The
folder is on the file system of the inbox, so that one rename takes a submitted file.
"""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from daemon.files import reclaim, safe_folders

log = logging.getLogger(__name__)

STALE_SECONDS = 24 * 3600.0  # since the last change of a file: its upload was abandoned


class Incoming:
    """<inbox>/.incoming, which only this user may enter."""

    def __init__(self, path: Path):
        self.path = path

    def tidy(self, now: float) -> None:
        """Create the folder if it is missing, and remove stale files. `now`: seconds since the epoch.

        Logs a failure instead of raising it: without this folder, only `submit` does not work.
        """
        try:
            reclaim.make_room(self.path)
            safe_folders.make_private(self.path)
            with self.opened() as folder, os.scandir(folder) as found:
                stale = [item.name for item in found if _is_stale(item, now)]
                for name in stale:
                    os.unlink(name, dir_fd=folder)
        except OSError as error:
            log.warning("%s cannot be used, so files cannot be submitted: %s", self.path, error.strerror or error)
            return
        if stale:
            log.info("removed %d files from %s that nobody submitted within a day", len(stale), self.path)

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """Open the folder.

        Raises:
            FileNotFoundError: it does not exist, or is not a folder.
            PermissionError: another user could have put files into it.
        """
        with safe_folders.opened(self.path.parent, self.path) as folder:
            facts = os.fstat(folder)
            if facts.st_uid != os.geteuid() or facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise PermissionError(errno.EPERM, "it is not private to the user of inboxd", str(self.path))
            yield folder


def _is_stale(item: os.DirEntry[str], now: float) -> bool:
    return not item.is_dir(follow_symlinks=False) and item.stat(follow_symlinks=False).st_mtime < now - STALE_SECONDS
