"""Log lines of a process: to the journal under systemd, otherwise to stderr. Without rich, which takes memory."""

import logging
import sys

from daemon.core import journald
from daemon.core.names import printable_lines


def set_up(*, verbose: bool, handler: logging.Handler | None = None) -> None:
    """Log to journald under systemd, otherwise to stderr with the time of day; `handler`: to this one instead."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    if handler is None and journald.is_connected():
        root.handlers = [journald.JournalHandler()]
        return
    handler = handler or logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    root.handlers = [handler]


class _Formatter(logging.Formatter):
    """Formats each event so that only its first line begins at the left margin."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))
