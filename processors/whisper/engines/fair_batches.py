"""Whose windows are decoded next: a fair share of each batch for everyone who waits, however much each asks for.

A long recording asks for many windows at once, a short one for its only one. The one that has waited longest decides
what kind of batch it is; then all who ask for that kind put in a window each, and another, until the batch is full. Who
got windows goes to the end of the line. Knows nothing of decoding.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any

from processors import contract

Place = tuple[int, int]  # a question, and which of its windows
_MISSING: Any = object()

log = logging.getLogger(__name__)


class Rounds:
    """The windows of one run that wait to be decoded."""

    def __init__(self, decode: Callable[[list], list], kind: Callable[[Any], Hashable], most: int):
        """`decode` decodes up to `most` windows of one kind."""
        self._decode, self._kind, self._most = decode, kind, most
        self._results: dict[int, list[Any]] = {}  # by question, who has waited longest first

    def answer(self, questions: Mapping[int, Sequence[Any]]) -> dict[int, list[Any] | Exception]:
        """Decode one batch. Returns the results, one a window, of the questions all of whose windows are decoded.

        A question whose windows cannot be decoded is answered with the exception.

        Raises:
            Exception: the memory or the device failed, which concerns all questions.
        """
        for number, windows in questions.items():
            self._results.setdefault(number, [_MISSING] * len(windows))
        batch = self._next(questions)
        failed = self._take(questions, batch)
        for number in dict.fromkeys(number for number, _ in batch if number not in failed):
            self._results[number] = self._results.pop(number)  # to the end of the line
        answered = [number for number, results in self._results.items() if _MISSING not in results]
        return failed | {number: self._results.pop(number) for number in answered}

    def _take(self, questions: Mapping[int, Sequence[Any]], batch: list[Place]) -> dict[int, list[Any] | Exception]:
        """Decode a batch; if that fails, the windows of each question apart. Returns the failure of each question."""
        try:
            self._decode_places(questions, batch)
            return {}
        except Exception as error:
            numbers = list(dict.fromkeys(number for number, _ in batch))
            if _concerns_all(error):
                raise
            if len(numbers) <= 1:
                return dict.fromkeys(self._forget(numbers), error)
            log.exception("a batch of windows cannot be decoded; going on with those of each file apart")
        failed: dict[int, list[Any] | Exception] = {}
        for one in numbers:
            failed |= self._take(questions, [(number, place) for number, place in batch if number == one])
        return failed

    def _decode_places(self, questions: Mapping[int, Sequence[Any]], batch: list[Place]) -> None:
        found = self._decode([questions[number][place] for number, place in batch])
        for (number, place), result in zip(batch, found, strict=True):
            self._results[number][place] = result

    def _forget(self, numbers: list[int]) -> list[int]:
        for number in numbers:
            del self._results[number]
        return numbers

    def _next(self, questions: Mapping[int, Sequence[Any]]) -> list[Place]:
        waiting: dict[Hashable, list[list[Place]]] = defaultdict(list)
        for number, results in self._results.items():
            own: dict[Hashable, list[Place]] = defaultdict(list)
            for place, result in enumerate(results):
                if result is _MISSING:
                    own[self._kind(questions[number][place])].append((number, place))
            for kind, places in own.items():
                waiting[kind].append(places)
        of_one_kind = next(iter(waiting.values()), [])
        in_turn = (place for turn in zip_longest(*of_one_kind) for place in turn if place is not None)
        return list(islice(in_turn, self._most))


def _concerns_all(error: Exception) -> bool:
    """True if the windows are not the cause: out of memory, or the GPU failed."""
    is_memory = isinstance(error, MemoryError | contract.OutOfMemory) or type(error).__name__ == "OutOfMemoryError"
    return is_memory or contract.is_device_lost(error)
