"""Finds column headings that run up or down: a person reads them as the row above the table. Pure."""

import statistics
from collections.abc import Sequence
from itertools import pairwise

from processors.ocr.boxes import bounds_of
from processors.ocr.ink import Bounds
from processors.ocr.text_lines import Placed, TextBox

_LEAST = 2  # headings side by side
_SIDE_BY_SIDE = 0.5  # share of the shorter one's length
_APART = 1.4  # thicknesses from one heading to the next; lines of one text are nearer
_LEAST_CELLS = 2  # below each heading
_BESIDE = 0.5  # thicknesses beside a heading where its cells may be


def find_heads(lines: Sequence[Sequence[TextBox]], cells: Sequence[TextBox]) -> list[Placed]:
    """The lines as headings, level and in one row directly above their columns; [] if they are not headings.

    lines: of text that runs up or down, each from its beginning to its end. cells: level text.
    """
    sides = [_sides(line) for line in lines]
    if len(lines) < _LEAST or not _are_side_by_side(sides):
        return []
    below = [[cell for cell in map(_sides, [[each] for each in cells]) if _is_below(cell, head)] for head in sides]
    if any(len(each) < _LEAST_CELLS for each in below):
        return []
    height = statistics.median(cell[3] - cell[1] for each in below for cell in each)
    middle = max(head[3] for head in sides) - height / 2
    return [
        Placed(
            boxes=tuple(line),
            text=" ".join(box.text.strip() for box in line),
            left=head[0],
            right=head[2],
            middle=middle,
            height=height,
        )
        for line, head in zip(lines, sides, strict=True)
    ]


def _sides(boxes: Sequence[TextBox]) -> Bounds:
    return bounds_of([corner for box in boxes for corner in box.corners])


def _are_side_by_side(sides: Sequence[Bounds]) -> bool:
    shared = min(bottom for _, _, _, bottom in sides) - max(top for _, top, _, _ in sides)
    shortest = min(bottom - top for _, top, _, bottom in sides)
    middles = sorted((left + right) / 2 for left, _, right, _ in sides)
    steps = [after - before for before, after in pairwise(middles)]
    thickness = statistics.median(right - left for left, _, right, _ in sides)
    return shared >= _SIDE_BY_SIDE * shortest and statistics.median(steps) >= _APART * thickness


def _is_below(cell: Bounds, head: Bounds) -> bool:
    reach = _BESIDE * (head[2] - head[0])
    return cell[1] >= head[3] - reach and cell[0] < head[2] + reach and cell[2] > head[0] - reach
