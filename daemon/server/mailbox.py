"""The mailbox of the main loop, bounded however many events other users cause.

Any thread may put messages into it, one takes them out. Signals and requests come first. A hint that is already waiting
is not added again, so that a flood of events on one name is one message; too many hints become a scan of their folder,
or of the whole inbox.
"""

import collections
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from daemon.core.messages import LookAt, LookEverywhere, Request, Signalled

MAX_HINTS = 4096  # waiting; further ones become scans of their folders
_MAX_SCANS = 4096  # in addition; further ones become a scan of the whole inbox


@dataclass(frozen=True)
class _Key:
    """Stands in the queue for a waiting hint. `folder` is None for the whole inbox, `name` for a whole folder."""

    folder: Path | None
    name: str | None = None


class Mailbox:
    """A queue of messages; see the module."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._urgent: collections.deque[Signalled | Request] = collections.deque()
        self._lock = threading.Lock()
        self._hints: dict[_Key, LookAt | LookEverywhere] = {}  # that wait in the queue

    def put(self, message: object) -> None:
        """Add a message; a waiting hint about the same name is updated instead."""
        match message:
            case Signalled() | Request():  # without the lock: a signal handler may interrupt `get` while it holds that
                self._urgent.append(message)
                self._queue.put(None)
            case LookAt() | LookEverywhere():
                with self._lock:
                    self._put_hint(message)
            case _:
                self._queue.put(message)

    def get(self, *, timeout: float = 0.0) -> object:
        """Remove and return the next message; wait up to `timeout` seconds for one.

        Raises:
            queue.Empty: none came.
        """
        until = time.monotonic() + timeout
        while True:
            if self._urgent:
                return self._urgent.popleft()
            message = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            if isinstance(message, _Key):
                with self._lock:
                    return self._hints.pop(message)
            if message is not None:  # None: an urgent message, which may have been returned already
                return message

    def _put_hint(self, hint: LookAt | LookEverywhere) -> None:
        key, hint = self._bounded(hint)
        waiting = self._hints.get(key)
        if waiting is None:
            self._queue.put(key)
        elif isinstance(waiting, LookAt) and isinstance(hint, LookAt) and hint.name is None and waiting.complete:
            return  # a folder that was renamed in; of a file, the last event counts
        self._hints[key] = hint

    def _bounded(self, hint: LookAt | LookEverywhere) -> tuple[_Key, LookAt | LookEverywhere]:
        """The hint, or a more general one if too many are waiting."""
        if isinstance(hint, LookEverywhere):
            return _Key(None), hint
        key = _Key(hint.folder, hint.name)
        if key in self._hints or len(self._hints) < MAX_HINTS:
            return key, hint
        key = _Key(hint.folder)
        if key in self._hints or len(self._hints) < MAX_HINTS + _MAX_SCANS:
            return key, LookAt(folder=hint.folder, complete=hint.name is None and hint.complete)
        return _Key(None), LookEverywhere(why="more files and folders changed at once than are examined one by one")
