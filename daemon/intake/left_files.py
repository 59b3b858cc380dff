"""The reasons why files and folders stay in the inbox: logged when new, shown by `inboxd status`."""

import logging
from pathlib import Path

from daemon.core.names import printable, printable_path

log = logging.getLogger(__name__)


class LeftFiles:
    """The reasons why files and folders are left in the inbox, by path."""

    def __init__(self, inbox: Path):
        self._inbox = inbox
        self.reasons: dict[Path, str] = {}

    def __len__(self) -> int:
        return len(self.reasons)

    def report(self, path: Path, why: str, error: Exception | None = None) -> None:
        """Report why something stays in the inbox. `error`: an unexpected exception, for the log."""
        why = printable(why)
        if self.reasons.get(path) == why:
            return
        self.reasons[path] = why
        level = logging.ERROR if error else logging.WARNING
        shown = printable_path(path.relative_to(self._inbox))
        log.log(level, "%s stays in the inbox: %s", shown, why, exc_info=error)

    def clear(self, path: Path) -> None:
        self.reasons.pop(path, None)
