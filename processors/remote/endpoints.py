"""Several servers with the same model: which one takes the next request."""

import contextlib
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass

import httpx2

_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 5.0, 60.0
_LOOK_AGAIN_SECONDS = 1.0  # while all slots are taken


@dataclass(eq=False)
class Endpoint:
    """One server. One that failed rests: it gets requests only if no other one can take them."""

    url: str
    client: httpx2.Client
    slots: int | None  # maximum number of simultaneous requests; None: no limit
    running: int = 0
    failures: int = 0  # in a row
    rests_until: float = 0.0  # on the clock of its `Endpoints`

    @property
    def has_room(self) -> bool:
        return self.slots is None or self.running < self.slots


class Endpoints:
    """The servers, of which the least busy one takes the next request. For several threads."""

    def __init__(self, endpoints: Sequence[Endpoint], clock: Callable[[], float] = time.monotonic):
        self.all = tuple(endpoints)
        self._clock = clock
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def next(self, without: Container[Endpoint] = ()) -> Iterator[Endpoint | None]:
        """Hold a slot of the least busy server that is not in `without`, once one is free; None: there is no other."""
        endpoint = self._acquire(without)
        try:
            yield endpoint
        finally:
            if endpoint is not None:
                with self._changed:
                    endpoint.running -= 1
                    self._changed.notify_all()

    def _acquire(self, without: Container[Endpoint]) -> Endpoint | None:
        candidates = [endpoint for endpoint in self.all if endpoint not in without]
        with self._changed:
            while candidates:
                if endpoint := self._choose(candidates):
                    endpoint.running += 1
                    return endpoint
                self._changed.wait(_LOOK_AGAIN_SECONDS)
        return None

    def _choose(self, candidates: Sequence[Endpoint]) -> Endpoint | None:
        """The least busy one with a free slot among those that do not rest, or, if all rest, the one that is ready
        first."""
        now = self._clock()
        awake = [endpoint for endpoint in candidates if endpoint.rests_until <= now]
        free = [endpoint for endpoint in awake or candidates if endpoint.has_room]
        if awake:
            return min(free, key=lambda endpoint: endpoint.running, default=None)
        return min(free, key=lambda endpoint: endpoint.rests_until, default=None)

    def failed(self, endpoint: Endpoint, rest_seconds: float | None = None) -> None:
        """Let a server rest for as long as it asked for, or longer after each failure in a row."""
        with self._changed:
            rest = rest_seconds or _FIRST_REST_SECONDS * 2**endpoint.failures
            endpoint.failures = min(endpoint.failures + 1, 10)
            endpoint.rests_until = self._clock() + min(rest, _LONGEST_REST_SECONDS)
            self._changed.notify_all()

    def answered(self, endpoint: Endpoint) -> None:
        with self._changed:
            endpoint.failures, endpoint.rests_until = 0, 0.0
