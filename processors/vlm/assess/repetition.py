"""Has an answer been caught in a loop? A model that decodes greedily may say the same over and over until its limit.

Only exact repetition counts: the rows of a statement or of an empty form are alike, but not the same. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LONGEST_UNIT = 400  # characters: a paragraph said over and over
_FEWEST_REPEATS = 8  # nobody writes the same line so often in a row; blank cells and dots leading to a number are so
_SHORTEST_LOOP = 160  # characters in all
_SHORTEST_RULE = 800  # the same for loops without a letter or digit: dot leaders, rules, empty cells of a table
_LONGEST_TOKEN_UNIT = 128
_ENDLESS_REPEATS = 24  # strict, as it ends the answer: only what would go on to the limit
_ENDLESS_TOKENS = 256


@dataclass(frozen=True, kw_only=True)
class Loop:
    unit: str  # what is said over and over
    times: int


def find(text: str) -> Loop | None:
    """The first loop in `text`, by the shortest unit that repeats; None if there is none."""
    letters = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    for size in range(1, min(_LONGEST_UNIT, len(text) // 2) + 1):
        for start, end in _periodic_runs(letters, size):
            unit, length = text[start : start + size], end - start
            shortest = _SHORTEST_LOOP if any(map(str.isalnum, unit)) else _SHORTEST_RULE
            if length >= max(shortest, _FEWEST_REPEATS * size) and unit.strip():
                return Loop(unit=unit, times=length // size)
    return None


def is_endless(tokens: Sequence[int]) -> bool:
    """Does the end of `tokens` say the same so long that it will not stop?"""
    tail = np.asarray(tokens[-_ENDLESS_REPEATS * _LONGEST_TOKEN_UNIT :])
    for size in range(1, _LONGEST_TOKEN_UNIT + 1):
        needed = max(_ENDLESS_TOKENS, _ENDLESS_REPEATS * size)
        if needed > len(tail):
            return False
        end = tail[-needed:]
        if np.array_equal(end[size:], end[:-size]):
            return True
    return False


def _periodic_runs(letters: np.ndarray, size: int) -> list[tuple[int, int]]:
    """Where `letters` repeats with the period `size`: (start, end) of each run of at least two units."""
    same = np.concatenate(([False], letters[size:] == letters[:-size], [False]))
    edges = np.flatnonzero(same[1:] != same[:-1])
    return [
        (int(start), int(end) + size) for start, end in zip(edges[::2], edges[1::2], strict=True) if end - start >= size
    ]
