"""Dynamic time warping for openai-whisper's word timestamps, without numba.

whisper compiles it with numba, which takes a second and 60 MB when it is imported, and several seconds more before the
first word has its times. Here numpy computes all cells of a diagonal at once, with the same arithmetic: the path is the
same.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_DIAGONAL, _UP, _LEFT = 0, 1, 2  # the cell that a path comes from; whisper's numbers

Function = TypeVar("Function", bound=Callable[..., object])


class _Uncompiled(ModuleType):
    """A substitute for the parts of numba that whisper uses while it is imported."""

    @staticmethod
    def jit(**options: object) -> Callable[[Function], Function]:
        return lambda function: function


def install() -> None:
    """Import whisper so that it uses `warp`, and does not import numba."""
    is_absent = "numba" not in sys.modules
    if is_absent:
        sys.modules["numba"] = _Uncompiled("numba")
    try:
        import whisper.timing
    finally:
        if is_absent:
            del sys.modules["numba"]
    whisper.timing.dtw_cpu = warp  # type: ignore[assignment]  # instead of what numba compiles


def warp(distances: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cheapest path through distances, float64 (rows, columns), from the first cell to the last -> (2, length):
    its rows and its columns."""
    rows, columns = distances.shape
    came_from = np.full((rows + 1, columns + 1), _LEFT, np.int8)
    came_from[:, 0] = _UP
    before, last = np.full((2, rows + 1), np.inf, np.float32)  # costs of two diagonals, by row
    before[0] = 0.0
    for diagonal in range(2, rows + columns + 1):
        cells = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        across, up, left = before[cells - 1], last[cells - 1], last[cells]
        is_across, is_up = (across < up) & (across < left), (up < across) & (up < left)
        came_from[cells, diagonal - cells] = np.where(is_across, _DIAGONAL, np.where(is_up, _UP, _LEFT))
        costs = np.full(rows + 1, np.inf, np.float32)
        least = np.where(is_across, across, np.where(is_up, up, left))
        costs[cells] = distances[cells - 1, diagonal - cells - 1] + least
        before, last = last, costs
    return _path(came_from)


def _path(came_from: NDArray[np.int8]) -> NDArray[np.int64]:
    """came_from: (rows + 1, columns + 1), the cell that the path to each one comes from."""
    row, column = (length - 1 for length in came_from.shape)
    steps = []
    while row > 0 or column > 0:
        steps.append((row - 1, column - 1))
        source = came_from[row, column] if row else _LEFT
        row -= source != _LEFT
        column -= source != _UP
    return np.array(steps)[::-1].T
