"""Chooses the windows of the next batch: each waiting request gets a fair share, however many windows it has.

A long recording requests many windows at once, a short one its only one. The request that has waited longest decides
the kind of the batch; then each request with windows of that kind adds one, and another, until the batch is full. All
that got a window go to the end of the queue. Independent of decoding.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Generic, TypeVar

from processors import device_errors

WindowT = TypeVar("WindowT")
Slot = tuple[int, int]  # a request, and the number of one of its windows
_MISSING: object = object()

log = logging.getLogger(__name__)


class FairBatches(Generic[WindowT]):
    """The windows of one run that wait to be decoded."""

    def __init__(
        self, decode: Callable[[Sequence[WindowT]], Sequence[object]], kind: Callable[[WindowT], Hashable], limit: int
    ):
        """decode: decodes up to `limit` windows of one kind."""
        self._decode, self._kind, self._limit = decode, kind, limit
        self._results: dict[int, list[object]] = {}  # by request, the one that has waited longest first

    def answer(self, requests: Mapping[int, Sequence[WindowT]]) -> dict[int, list[object] | Exception]:
        """Decode one batch. Return the results, one for each window, of the requests that are complete.

        The answer to a request whose windows cannot be decoded is the exception.

        Raises:
            Exception: the memory or the device failed, which concerns all requests.
        """
        for number, windows in requests.items():
            self._results.setdefault(number, [_MISSING] * len(windows))
        batch = self._next(requests)
        failed = self._take(requests, batch)
        for number in dict.fromkeys(number for number, _ in batch if number not in failed):
            self._results[number] = self._results.pop(number)  # to the end of the queue
        complete = [number for number, results in self._results.items() if _MISSING not in results]
        return failed | {number: self._results.pop(number) for number in complete}

    def _take(
        self, requests: Mapping[int, Sequence[WindowT]], batch: list[Slot]
    ) -> dict[int, list[object] | Exception]:
        """Decode a batch; if that fails, decode the windows of each request separately. Return each request's error."""
        try:
            self._decode_places(requests, batch)
            return {}
        except Exception as error:
            numbers = list(dict.fromkeys(number for number, _ in batch))
            if _concerns_all(error):
                raise
            if len(numbers) <= 1:
                return dict.fromkeys(self._forget(numbers), error)
            log.exception("a batch of windows failed; decoding those of each file separately")
        failed: dict[int, list[object] | Exception] = {}
        for one in numbers:
            failed |= self._take(requests, [(number, place) for number, place in batch if number == one])
        return failed

    def _decode_places(self, requests: Mapping[int, Sequence[WindowT]], batch: list[Slot]) -> None:
        found = self._decode([requests[number][place] for number, place in batch])
        for (number, place), result in zip(batch, found, strict=True):
            self._results[number][place] = result

    def _forget(self, numbers: list[int]) -> list[int]:
        for number in numbers:
            del self._results[number]
        return numbers

    def _next(self, requests: Mapping[int, Sequence[WindowT]]) -> list[Slot]:
        waiting: dict[Hashable, list[list[Slot]]] = defaultdict(list)
        for number, results in self._results.items():
            own: dict[Hashable, list[Slot]] = defaultdict(list)
            for place, result in enumerate(results):
                if result is _MISSING:
                    own[self._kind(requests[number][place])].append((number, place))
            for kind, places in own.items():
                waiting[kind].append(places)
        of_one_kind = next(iter(waiting.values()), [])
        in_turn = (place for turn in zip_longest(*of_one_kind) for place in turn if place is not None)
        return list(islice(in_turn, self._limit))


def _concerns_all(error: Exception) -> bool:
    """True if the windows did not cause the error: memory ran out, or the GPU failed."""
    return device_errors.is_out_of_memory(error) or device_errors.is_device_lost(error)
