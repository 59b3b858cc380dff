"""The messages that were taken out of the mailbox and not applied yet, in the order in which they are to be applied."""

import collections
import queue
import time
from collections.abc import Callable

from daemon.core.messages import Due, LookAt, Request, Signalled
from daemon.server.mailbox import Mailbox

_COLLECT_SECONDS, _COLLECT_MESSAGES = 0.02, 2000  # taken out of the mailbox at once


class Backlog:
    """Signals first, then requests and all others in turn, each due task once. Hints go to `on_hint` at once. Main
    thread only.

    Somebody waits for the answer to a request, so it does not wait for the outcomes of a batch; nor may many requests
    hold up the outcomes.
    """

    def __init__(self, mailbox: Mailbox):
        self._mailbox = mailbox
        self._due_tasks: set[str] = set()  # in `_others`
        self.on_hint: Callable[[LookAt], None] = lambda hint: None
        self.signals: collections.deque[Signalled] = collections.deque()
        self._requests: collections.deque[object] = collections.deque()
        self._others: collections.deque[object] = collections.deque()
        self._is_turn_of_requests = True

    def collect(self, *, wait: float) -> None:
        """Take messages out of the mailbox; if there is none, wait up to `wait` seconds for one.

        Bounded, because a user who causes events as fast as they are read must not stop the loop.
        """
        until = time.monotonic() + wait + _COLLECT_SECONDS
        try:
            for count in range(_COLLECT_MESSAGES):
                self._sort(self._mailbox.get(timeout=0.0 if count else wait))
                if time.monotonic() >= until:
                    return
        except queue.Empty:
            return

    @property
    def has_messages(self) -> bool:
        """True if there are messages other than signals and hints."""
        return bool(self._requests or self._others)

    def first(self) -> object | None:
        """The first message that is no signal; None: there is none."""
        return self._next_queue[0] if self.has_messages else None

    @property
    def _next_queue(self) -> collections.deque[object]:
        """The messages whose turn it is."""
        if self._requests and (self._is_turn_of_requests or not self._others):
            return self._requests
        return self._others

    def next_message(self) -> object:
        """Remove and return the first message that is no signal."""
        message = self._next_queue.popleft()
        self._is_turn_of_requests = not isinstance(message, Request)
        if isinstance(message, Due):
            self._due_tasks.discard(message.task)
        return message

    def _sort(self, message: object) -> None:
        match message:
            case LookAt():
                self.on_hint(message)
            case Signalled():
                self.signals.append(message)
            case Due() if message.task in self._due_tasks:
                pass  # each task looks at the state as it will be then: once is enough
            case Due():
                self._due_tasks.add(message.task)
                self._others.append(message)
            case Request():
                self._requests.append(message)
            case _:
                self._others.append(message)
