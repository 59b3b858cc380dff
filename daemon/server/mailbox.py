"""The mailbox of the main loop, whose size stays bounded even if other users cause any number of file events.

Any thread may put messages into it; only the main thread takes them out. Signals and requests come first. Many events
for one name become one hint. If there are too many hints, they are replaced by a scan of their folder, or of the whole
inbox.
"""

import collections
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from daemon.core.messages import CheckAll, Hint, Request, Signalled

MAX_HINTS = 4096  # waiting; further ones become scans of their folders
_MAX_SCANS = 4096  # waiting, besides these hints; further ones become a scan of the whole inbox


@dataclass(frozen=True)
class _Key:
    """The entry of a hint in the queue. `folder` is None for the whole inbox; `name` is None for a whole folder."""

    folder: Path | None
    name: str | None = None


class Mailbox:
    """A queue of messages; see the module."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._urgent: collections.deque[Signalled | Request] = collections.deque()
        self._lock = threading.Lock()
        self._hints: dict[_Key, Hint | CheckAll] = {}  # that wait in the queue

    def put(self, message: object) -> None:
        """Add a message. If a hint about the same name is already waiting, update that one instead."""
        match message:
            case Signalled() | Request():  # without the lock, which `get` may hold when a signal interrupts it
                self._urgent.append(message)
                self._queue.put(None)
            case Hint() | CheckAll():
                with self._lock:
                    self._put_hint(message)
            case _:
                self._queue.put(message)

    def get(self, *, timeout: float = 0.0) -> object:
        """Remove and return the next message; wait up to `timeout` seconds for one.

        Raises:
            queue.Empty: no message arrived in time.
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

    def _put_hint(self, hint: Hint | CheckAll) -> None:
        key, hint = self._bounded(hint)
        waiting = self._hints.get(key)
        if waiting is None:
            self._queue.put(key)
        elif isinstance(waiting, Hint) and isinstance(hint, Hint) and hint.name is None and waiting.complete:
            return  # a folder that was renamed into place stays complete; for a file, the last event decides
        self._hints[key] = hint

    def _bounded(self, hint: Hint | CheckAll) -> tuple[_Key, Hint | CheckAll]:
        """The hint, or a more general one if too many are waiting."""
        if isinstance(hint, CheckAll):
            return _Key(None), hint
        key = _Key(hint.folder, hint.name)
        if key in self._hints or len(self._hints) < MAX_HINTS:
            return key, hint
        key = _Key(hint.folder)
        if key in self._hints or len(self._hints) < MAX_HINTS + _MAX_SCANS:
            return key, Hint(folder=hint.folder, complete=hint.name is None and hint.complete)
        return _Key(None), CheckAll(why="more files and folders changed at once than are examined one by one")
