"""Run long tasks, such as copying or hashing gigabytes, off the main thread.

A thread runs the tasks one after the other and posts each outcome as a message; the main thread, which alone changes
state, then calls the continuation.
"""

import errno
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from daemon.core.messages import BackgroundDone

log = logging.getLogger(__name__)

T = TypeVar("T")

_STOP_SECONDS = 1.0


class Background:
    """Called by the main thread only. `post` puts a message into the mailbox."""

    def __init__(self, post: Callable[[BackgroundDone], None]):
        self._post = post
        self._numbers = itertools.count(1)
        self._tasks: queue.SimpleQueue[tuple[int, Callable[[], object]] | None] = queue.SimpleQueue()
        self._continuations: dict[int, Callable[[Any], None]] = {}
        self._thread: threading.Thread | None = None  # started on first use

    def run(self, work: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Queue `work` for the thread; `then` gets its return value or its exception.

        Raises:
            OSError: no thread can be started now; nothing was queued.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._serve, name="background", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise OSError(errno.EAGAIN, str(error)) from error
            self._thread = thread
        number = next(self._numbers)
        self._continuations[number] = then
        self._tasks.put((number, work))

    def finish(self, done: BackgroundDone) -> None:
        """Call the continuation for an outcome received through the mailbox."""
        if then := self._continuations.pop(done.number, None):
            then(done.outcome)

    @property
    def pending(self) -> int:
        """The number of tasks whose outcome has not been applied yet."""
        return len(self._continuations)

    def stop(self) -> bool:
        """Stop the thread after its current task; False: it is still running."""
        if self._thread is None:
            return True
        self._tasks.put(None)
        self._thread.join(_STOP_SECONDS)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        for number, work in iter(self._tasks.get, None):
            try:
                outcome: object = work()
            except Exception as error:  # the main thread handles it
                outcome = error
            self._post(BackgroundDone(number=number, outcome=outcome))
