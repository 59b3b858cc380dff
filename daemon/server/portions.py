"""Divides long commands into portions: each request gets a limited time, and the client asks for the next portion."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_SECONDS = 1.0  # of work for one request, during which other requests, the inbox and the watchdog wait


class Superseded(Exception):
    """Another request has started the same work from the beginning."""


class Portions(Generic[T]):
    """The items of one kind of command. Called by the main thread only."""

    def __init__(self) -> None:
        self._items: Iterator[T] = iter(())
        self._number = time.time_ns()  # identifies the work in progress; differs after a restart
        self.rest: int | None = None  # the token with which to request the next portion; None: nothing is left

    def take(self, rest: int | None, begin: Callable[[], Iterable[T]]) -> Iterator[T]:
        """Yield items until the time is over, and set `self.rest`.

        rest: `self.rest` after the previous portion; None: start again, with the items that `begin` returns.

        Raises:
            Superseded: `rest` is not that of the previous portion.
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
