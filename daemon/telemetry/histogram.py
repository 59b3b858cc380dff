"""A histogram of values. Pure."""

import bisect
from collections.abc import Sequence
from typing import TypedDict


class Counts(TypedDict):
    """A histogram as plain values."""

    bounds: list[float]  # upper ones
    counts: list[int]  # of the values in each range, not cumulative; the last one: above all bounds
    sum: float


class Histogram:
    """Counts values by upper bound, as Prometheus does."""

    def __init__(self, *, bounds: Sequence[float]):
        self._bounds = sorted(bounds)
        self._counts = [0] * (len(bounds) + 1)  # the last one: above all bounds
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def as_dict(self) -> Counts:
        """The bounds, the number of values in each range (not cumulative), and the sum of all values."""
        return {"bounds": list(self._bounds), "counts": list(self._counts), "sum": self._sum}
