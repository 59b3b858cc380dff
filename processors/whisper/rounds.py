"""Whose windows are decoded next: a fair share of each batch for everyone who waits, however much each asks for.

A long recording asks for many windows at once, a short one for its only one. The one that has waited longest decides
what kind of batch it is; then all who ask for that kind put in a window each, and another, until the batch is full. Who
got windows goes to the end of the line. Knows nothing of decoding.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any

Place = tuple[int, int]  # a question, and which of its windows
_MISSING: Any = object()


class Rounds:
    """The windows of one run that wait to be decoded."""

    def __init__(self, decode: Callable[[list], list], kind: Callable[[Any], Hashable], most: int):
        """`decode` decodes up to `most` windows of one kind."""
        self._decode, self._kind, self._most = decode, kind, most
        self._results: dict[int, list[Any]] = {}  # by question, who has waited longest first

    def answer(self, questions: Mapping[int, Sequence[Any]]) -> dict[int, list[Any]]:
        """Decode one batch. Returns the results, one a window, of the questions all of whose windows are decoded."""
        for number, windows in questions.items():
            self._results.setdefault(number, [_MISSING] * len(windows))
        batch = self._next(questions)
        found = self._decode([questions[number][place] for number, place in batch])
        for (number, place), result in zip(batch, found, strict=True):
            self._results[number][place] = result
        for number in dict.fromkeys(number for number, _ in batch):
            self._results[number] = self._results.pop(number)  # to the end of the line
        answered = [number for number, results in self._results.items() if _MISSING not in results]
        return {number: self._results.pop(number) for number in answered}

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
