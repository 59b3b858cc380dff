"""Algorithms on sequences that verification needs: alignment of two readings, and values out of order. Pure."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TypeVar

T = TypeVar("T")


def align(
    first: Sequence[T], second: Sequence[T], keys: Sequence[Callable[[T], object]]
) -> Iterator[tuple[T | None, T | None]]:
    """Pairs in order; None: the other sequence has no counterpart.

    Items with an equal first key are paired; the items between them are paired by the next key, and so on. When no key
    is left, runs of equal length are paired by position.
    """
    if not keys:
        if len(first) == len(second):
            yield from zip(first, second, strict=True)
        else:
            yield from ((item, None) for item in first)
            yield from ((None, item) for item in second)
        return
    key, *further = keys
    matcher = SequenceMatcher(None, [key(item) for item in first], [key(item) for item in second], autojunk=False)
    for tag, start, end, second_start, second_end in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(first[start:end], second[second_start:second_end], strict=True)
        else:
            yield from align(first[start:end], second[second_start:second_end], further)


def find_out_of_order(values: Sequence[int]) -> tuple[int, list[int]]:
    """The fewest values that break a non-decreasing order, and the positions of all that may be among them.

    A value is in order if every longest non-decreasing subsequence contains it: of two values that contradict each
    other, neither is.
    """
    up_to = _longest_ending_at(values)
    down_from = _longest_ending_at([-value for value in reversed(values)])[::-1]
    longest = max(up_to, default=0)
    in_one = [at for at in range(len(values)) if up_to[at] + down_from[at] - 1 == longest]
    rivals = Counter(up_to[at] for at in in_one)
    certain = {at for at in in_one if rivals[up_to[at]] == 1}
    return len(values) - longest, [at for at in range(len(values)) if at not in certain]


def _longest_ending_at(values: Sequence[int]) -> list[int]:
    """For each position, the length of the longest non-decreasing subsequence that ends there (patience sorting)."""
    tails: list[int] = []
    lengths = []
    for value in values:
        at = bisect_right(tails, value)
        tails[at:] = [value, *tails[at + 1 :]]
        lengths.append(at + 1)
    return lengths
