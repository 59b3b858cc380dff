"""The pause and the active hours: no job starts while the daemon is paused, nor outside the active hours.

Running jobs may finish, and files are still taken. A pause is a file in the state folder, so it outlives the daemon.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from daemon.config.current import CurrentSettings
from daemon.core import durable

log = logging.getLogger(__name__)


class Pause:
    """`ignored`: neither the pause nor the hours apply, because a person has requested that everything be done now."""

    def __init__(self, settings: CurrentSettings, *, now: Callable[[], datetime] = datetime.now, ignored: bool = False):
        self._settings = settings
        self._now = now
        self._ignored = ignored
        self._file = settings.value.state / "paused"
        self._comment = _read(self._file)  # by the person who paused it; None: not paused

    @property
    def reason(self) -> str | None:
        """The reason why no job may start, and until when; None if jobs may start."""
        if self._ignored:
            return None
        if self._comment is not None:
            because = f" ({self._comment})" if self._comment else ""
            return f"Paused{because}: files are taken and wait. To continue: inboxd resume"
        hours = self._settings.value.schedule.hours
        if not hours.include(moment := self._now()):
            return f"Outside the active hours ({hours}): work continues at {hours.next_start(moment):%H:%M}."
        return None

    def pause(self, comment: str) -> None:
        """Start nothing until `resume`, also after a restart.

        Raises:
            OSError: the state folder cannot be written.
        """
        self._file.unlink(missing_ok=True)
        durable.write_file(self._file, comment.encode())
        durable.fsync_folder(self._file.parent)
        self._comment = comment
        log.info("paused%s: running jobs may finish", f" ({comment})" if comment else "")

    def resume(self) -> None:
        """Allow work again, within the active hours.

        Raises:
            OSError: the state folder cannot be written.
        """
        self._file.unlink(missing_ok=True)
        durable.fsync_folder(self._file.parent)
        if self._comment is not None:
            log.info("resumed")
        self._comment = None


def _read(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
