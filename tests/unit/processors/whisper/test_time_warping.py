"""Time warping finds the path of whisper's own, which numba compiles; that takes too long for every test run."""

import numpy as np
import pytest
import whisper.timing

from processors.whisper.decoder import time_warping


def theirs(distances: np.ndarray) -> np.ndarray:
    """`whisper.timing.dtw_cpu` without numba."""
    rows, columns = distances.shape
    cost = np.full((rows + 1, columns + 1), np.inf, np.float32)
    trace = -np.ones((rows + 1, columns + 1), np.float32)
    cost[0, 0] = 0
    for column in range(1, columns + 1):
        for row in range(1, rows + 1):
            across, up, left = cost[row - 1, column - 1], cost[row - 1, column], cost[row, column - 1]
            if across < up and across < left:
                least, source = across, 0
            elif up < across and up < left:
                least, source = up, 1
            else:
                least, source = left, 2
            cost[row, column] = distances[row - 1, column - 1] + least
            trace[row, column] = source
    return getattr(whisper.timing.backtrace, "py_func", whisper.timing.backtrace)(trace)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 5), (9, 40), (40, 9)], ids=str)
@pytest.mark.parametrize("levels", [None, 3])  # few levels: many ties
def test_path_is_whispers(shape, levels):
    random = np.random.default_rng(sum(shape))
    distances = random.normal(size=shape) if levels is None else random.integers(0, levels, shape).astype(float)
    assert np.array_equal(time_warping.warp(distances), theirs(distances))


def test_path_through_values_that_are_not_numbers_still_ends():
    assert time_warping.warp(np.full((3, 4), np.nan)).shape[0] == 2
