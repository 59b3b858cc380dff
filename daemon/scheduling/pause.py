"""May work be started now? Not while the daemon is paused, nor outside the active hours.

What runs may finish; drops are taken all the same. A pause is a file in the state folder: it outlives the daemon.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from daemon.config.settings import Settings
from daemon.core import durable

log = logging.getLogger(__name__)


class Gate:
    """Open or closed. `always_open`: whatever the pause and the hours, for a person who asks for all to be done now."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = datetime.now, always_open: bool = False):
        self._now = now
        self._always_open = always_open
        self._file = settings.state / "paused"
        self._reason = _read(self._file)
        self.use(settings)

    def use(self, settings: Settings) -> None:
        self._hours = settings.schedule.hours

    @property
    def why_closed(self) -> str | None:
        """In words, with what opens it; None: it is open."""
        if self._always_open:
            return None
        if self._reason is not None:
            because = f" ({self._reason})" if self._reason else ""
            return f"Paused{because}: drops are taken and wait. Go on: inboxd resume"
        if not self._hours.include(moment := self._now()):
            return f"Outside the active hours ({self._hours}): work goes on at {self._hours.next_start(moment):%H:%M}."
        return None

    def pause(self, reason: str) -> None:
        """Start nothing until `resume`, also after a restart.

        Raises:
            OSError: the state folder cannot be written.
        """
        self._file.unlink(missing_ok=True)
        durable.write_file(self._file, reason.encode())
        durable.fsync_folder(self._file.parent)
        self._reason = reason
        log.info("paused%s: running jobs may finish", f" ({reason})" if reason else "")

    def resume(self) -> None:
        """Work again, if the hours allow it.

        Raises:
            OSError: the state folder cannot be written.
        """
        self._file.unlink(missing_ok=True)
        durable.fsync_folder(self._file.parent)
        if self._reason is not None:
            log.info("resumed")
        self._reason = None


def _read(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
