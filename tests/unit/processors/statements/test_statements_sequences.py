"""Alignment of two readings, and values out of order."""

import pytest

from processors.statements.checks.sequences import align, find_out_of_order


@pytest.mark.parametrize(
    ("first", "second", "pairs"),
    [
        ("abc", "abc", ["aa", "bb", "cc"]),
        ("abc", "ac", ["aa", "b-", "cc"]),
        ("ac", "abc", ["aa", "-b", "cc"]),
        ("aBc", "abc", ["aa", "Bb", "cc"]),  # by the second key
        ("axc", "ayc", ["aa", "xy", "cc"]),  # by position
        ("", "a", ["-a"]),
    ],
)
def test_sequences_are_aligned_by_one_key_after_the_other(first: str, second: str, pairs: list[str]):
    found = align(first, second, (lambda char: char, str.casefold))
    assert [f"{one or '-'}{other or '-'}" for one, other in found] == pairs


@pytest.mark.parametrize(
    ("values", "fewest", "places"),
    [
        ([], 0, []),
        ([1, 1, 2], 0, []),
        ([1, 9, 2, 3], 1, [1]),
        ([1, 3, 2, 4], 1, [1, 2]),  # either may be wrong
        ([3, 2, 1], 2, [0, 1, 2]),
    ],
)
def test_values_that_break_the_order_are_found(values: list[int], fewest: int, places: list[int]):
    assert find_out_of_order(values) == (fewest, places)
