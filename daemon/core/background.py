"""Run long tasks, such as copying or hashing gigabytes, off the main thread.

Threads run the tasks and post each outcome as a message; the main thread, which alone changes state, then calls the
continuation. Files of similar size share a thread and wait for one another, so that however many giants are copied, and
however slowly, they delay only giants.
"""

import errno
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from daemon.core.messages import BackgroundDone

log = logging.getLogger(__name__)

T = TypeVar("T")

_LANE_BYTES = (2**27, 2**31, 2**35, 2**39)  # maximum file size of each thread but the last: 128 MiB, 2, 32, 512 GiB
_STOP_SECONDS = 1.0  # for all threads together


class Background:
    """Called by the main thread only. `post` puts a message into the mailbox."""

    def __init__(self, post: Callable[[BackgroundDone], None]):
        self._post = post
        self._numbers = itertools.count(1)
        self._continuations: dict[int, Callable[[Any], None]] = {}
        self._lanes: dict[int, _Lane] = {}  # started on first use

    def run(self, work: Callable[[], T], then: Callable[[T | Exception], None], *, size_bytes: int) -> None:
        """Queue `work`, on a file of `size_bytes`, for a thread; `then` gets its return value or its exception.

        Raises:
            OSError: no thread can be started now; nothing was queued.
        """
        lane = self._lane(sum(size_bytes > limit for limit in _LANE_BYTES))
        number = next(self._numbers)
        self._continuations[number] = then
        lane.tasks.put((number, work))

    def _lane(self, number: int) -> "_Lane":
        if number not in self._lanes:
            lane = _Lane(self._post)
            try:
                lane.start()
            except RuntimeError as error:
                raise OSError(errno.EAGAIN, str(error)) from error
            self._lanes[number] = lane
        return self._lanes[number]

    def finish(self, done: BackgroundDone) -> None:
        """Call the continuation for an outcome received through the mailbox."""
        if then := self._continuations.pop(done.number, None):
            then(done.outcome)

    @property
    def pending(self) -> int:
        """The number of tasks whose outcome has not been applied yet."""
        return len(self._continuations)

    def stop(self) -> bool:
        """Stop the threads after their current tasks; False: one is still running."""
        until = time.monotonic() + _STOP_SECONDS
        for lane in self._lanes.values():
            lane.tasks.put(None)
        for lane in self._lanes.values():
            lane.join(max(0.0, until - time.monotonic()))
        return not any(lane.is_alive() for lane in self._lanes.values())


class _Lane(threading.Thread):
    """A thread that runs its tasks one after the other, up to None."""

    def __init__(self, post: Callable[[BackgroundDone], None]):
        super().__init__(name="background", daemon=True)
        self.tasks: queue.SimpleQueue[tuple[int, Callable[[], object]] | None] = queue.SimpleQueue()
        self._post = post

    def run(self) -> None:
        for number, work in iter(self.tasks.get, None):
            try:
                outcome: object = work()
            except Exception as error:  # the main thread handles it
                outcome = error
            self._post(BackgroundDone(number=number, outcome=outcome))
