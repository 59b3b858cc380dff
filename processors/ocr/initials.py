"""Moves an initial, a first letter several lines high, to the first line of its paragraph. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from processors.ocr.text_lines import Placed

_HIGH = 1.9  # times as high as the page's text
_LONGEST = 2  # characters: a letter after a quotation mark
_GAP = 1.5  # line heights between the initial and its lines, at most
_FIRST = 0.9  # line heights between the upper edges of the initial and of its first line, at most
_SAME_LINE = 0.5  # line heights


def lower_initials(placed: Sequence[Placed]) -> list[Placed]:
    """The text of a page, with each initial at the height of the first line beside it."""
    if not placed:
        return []
    height = statistics.median(each.height for each in placed)
    return [_on_first_line(each, placed, height) if _is_large_letter(each, height) else each for each in placed]


def _is_large_letter(each: Placed, height: float) -> bool:
    text = each.text.strip()
    return each.height > _HIGH * height and len(text) <= _LONGEST and text[-1:].isupper()


def _on_first_line(initial: Placed, placed: Sequence[Placed], height: float) -> Placed:
    top, bottom = initial.middle - initial.height / 2, initial.middle + initial.height / 2
    beside = [
        each
        for each in placed
        if top - _FIRST * height < each.middle < bottom
        and -height < each.left - initial.right < _GAP * height
        and each.height < initial.height / _HIGH
    ]
    first = min(beside, key=lambda each: each.middle, default=None)
    if first is None or not any(each.middle > first.middle + _SAME_LINE * height for each in beside):
        return initial
    if abs(first.middle - first.height / 2 - top) > _FIRST * height:
        return initial
    return replace(initial, middle=first.middle, height=first.height)
