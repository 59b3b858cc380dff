"""Long commands in portions: the main loop works on each for a limited time, and the client asks for the next one."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_SECONDS = 1.0  # of work for one request: other requests, the inbox and the watchdog wait for as long


class Superseded(Exception):
    """Another request has started the work again."""


class Portions(Generic[T]):
    """The items of one kind of command. Called by the main thread only."""

    def __init__(self) -> None:
        self._items: Iterator[T] = iter(())
        self._number = time.time_ns()  # of the work under way; differs after a restart
        self.rest: int | None = None  # what to ask for to continue; None: there is nothing left

    def take(self, rest: int | None, begin: Callable[[], Iterable[T]]) -> Iterator[T]:
        """Yield items until the time is over, and set `rest`.

        rest: that of the previous portion; None: begin with the first of the items that `begin` returns.

        Raises:
            Superseded: it is not that of the previous portion.
        """
        if rest is None:
            self._items, self._number = iter(begin()), self._number + 1
        elif rest != self._number:
            raise Superseded
        until = time.monotonic() + _SECONDS
        self.rest = None
        for item in self._items:
            yield item
            if time.monotonic() >= until:
                self.rest = self._number
                return
