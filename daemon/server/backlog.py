"""The messages that the main loop has taken out of the mailbox and not applied yet, in the order to apply them."""

import collections
import queue
import time
from collections.abc import Callable

from daemon.core.messages import Due, Hint, Request, Signalled
from daemon.server.mailbox import Mailbox

_COLLECT_SECONDS, _COLLECT_MESSAGES = 0.02, 2000  # limits of one `collect`


class Backlog:
    """The queues of messages. Called by the main thread only.

    Signals come first; then requests and other messages alternate. A person waits for the answer to a request, so
    requests do not wait for all outcomes of a batch; nor may many requests delay the outcomes. `collect` passes hints
    to `on_hint` immediately, and queues each due task only once.
    """

    def __init__(self, mailbox: Mailbox):
        self._mailbox = mailbox
        self._due_tasks: set[str] = set()  # in `_others`
        self.on_hint: Callable[[Hint], None] = lambda hint: None
        self.signals: collections.deque[Signalled] = collections.deque()
        self._requests: collections.deque[object] = collections.deque()
        self._others: collections.deque[object] = collections.deque()
        self._is_turn_of_requests = True

    def collect(self, *, wait: float) -> None:
        """Take messages out of the mailbox; if there is none, wait up to `wait` seconds for one.

        Stops after a limited time and number of messages: a user who causes many events must not block the loop.
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
        """The next message that is neither a signal nor a hint; None: there is none."""
        return self._next_queue[0] if self.has_messages else None

    @property
    def _next_queue(self) -> collections.deque[object]:
        """The messages whose turn it is."""
        if self._requests and (self._is_turn_of_requests or not self._others):
            return self._requests
        return self._others

    def next_message(self) -> object:
        """Remove and return the message that `first` returns."""
        message = self._next_queue.popleft()
        self._is_turn_of_requests = not isinstance(message, Request)
        if isinstance(message, Due):
            self._due_tasks.discard(message.task)
        return message

    def _sort(self, message: object) -> None:
        match message:
            case Hint():
                self.on_hint(message)
            case Signalled():
                self.signals.append(message)
            case Due() if message.task in self._due_tasks:
                pass  # a task reads the current state when it runs, so running it once is enough
            case Due():
                self._due_tasks.add(message.task)
                self._others.append(message)
            case Request():
                self._requests.append(message)
            case _:
                self._others.append(message)
