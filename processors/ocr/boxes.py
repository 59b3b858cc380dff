"""Cleans up the text boxes of the detection: duplicates, overlaps, and boxes that contain several texts. Pure."""

from collections.abc import Sequence

import numpy as np

from processors.ocr import ink
from processors.ocr.text_lines import Point

Quad = Sequence[Point]  # clockwise from the upper left corner of the text

_SAME_PLACE = 0.7  # share of the smaller box that lies in the other
_AS_HIGH = 1.5  # times the other's height: two readings of one line; a higher box covers two lines
_SAME_LINE = 0.6  # share of the lower box's height
_GAP = 0.8  # box heights of white space that separate two texts


def bounds_of(quad: Quad) -> ink.Bounds:
    xs, ys = [x for x, _ in quad], [y for _, y in quad]
    return min(xs), min(ys), max(xs), max(ys)


def height_of(quad: Quad) -> float:
    return (float(np.hypot(*np.subtract(quad[3], quad[0]))) + float(np.hypot(*np.subtract(quad[2], quad[1])))) / 2


def width_of(quad: Quad) -> float:
    return float(np.hypot(*np.subtract(quad[1], quad[0])))


def separate(quads: Sequence[Quad], found: ink.Ink) -> list[Quad]:
    """The boxes without duplicates and overlaps, each with one text."""
    parts = [part for quad in _without_overlaps(_without_doubles(quads), found) for part in _split(quad, found)]
    return [part for part in parts if width_of(part) >= 1 and height_of(part) >= 1]


def _without_doubles(quads: Sequence[Quad]) -> list[Quad]:
    """The boxes without those that another one contains."""
    kept: list[Quad] = []
    for quad in sorted(quads, key=_area, reverse=True):
        around = [other for other in kept if _is_inside(quad, other)]
        if not around:
            kept.append(quad)
        elif all(_height(other) > _AS_HIGH * _height(quad) for other in around):
            kept = [other for other in kept if other not in around] + [quad]
    return kept


def _area(quad: Quad) -> float:
    left, top, right, bottom = bounds_of(quad)
    return (right - left) * (bottom - top)


def _height(quad: Quad) -> float:
    _, top, _, bottom = bounds_of(quad)
    return bottom - top


def _is_inside(quad: Quad, other: Quad) -> bool:
    a, b = bounds_of(quad), bounds_of(other)
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width > 0 and height > 0 and width * height > _SAME_PLACE * _area(quad)


def _without_overlaps(quads: Sequence[Quad], found: ink.Ink) -> list[Quad]:
    """The boxes; if two boxes of one line overlap, they are cut so that no letter is in both."""
    ordered: list[Quad] = sorted((list(quad) for quad in quads), key=lambda quad: quad[0][0])
    for number, after in enumerate(ordered):
        for other, before in enumerate(ordered[:number]):
            if after[0][0] < before[1][0] < after[1][0] and _are_beside(before, after):
                ordered[other], ordered[number] = _cut(before, ordered[number], found)
    return ordered


def _are_beside(a: Quad, b: Quad) -> bool:
    (_, top, _, bottom), (_, other_top, _, other_bottom) = bounds_of(a), bounds_of(b)
    shared = min(bottom, other_bottom) - max(top, other_top)
    return shared > _SAME_LINE * min(bottom - top, other_bottom - other_top)


def _cut(before: Quad, after: Quad, found: ink.Ink) -> tuple[Quad, Quad]:
    """Assign the letters that are in both boxes to the box whose other letters are nearer to them."""
    start, end = after[0][0], before[1][0]
    earlier, later = ink.glyphs_in(found.marks, bounds_of(before)), ink.glyphs_in(found.marks, bounds_of(after))
    shared = [glyph for glyph in later if start <= (glyph[0] + glyph[1]) / 2 <= end]
    if not shared:
        middle = (start + end) / 2
        return _between(before, before[0][0], middle), _between(after, middle, after[1][0])
    white_before = min((shared[0][0] - right for _, right in earlier if right <= shared[0][0]), default=np.inf)
    white_after = min((left - shared[-1][1] for left, _ in later if left >= shared[-1][1]), default=np.inf)
    if white_before <= white_after:
        return before, _between(after, end, after[1][0])
    return _between(before, before[0][0], start), after


def _split(quad: Quad, found: ink.Ink) -> list[Quad]:
    """The parts of a level box that wide white space separates, such as amounts in two columns."""
    height = height_of(quad)
    if quad[1][0] - quad[0][0] < 2 * height:
        return [quad]
    glyphs = ink.glyphs_in(found.marks, bounds_of(quad))
    cuts = [(a[1] + b[0]) / 2 for a, b in zip(glyphs, glyphs[1:], strict=False) if b[0] - a[1] > _GAP * height]
    left, right = quad[0][0], quad[1][0]
    edges = [left, *(cut for cut in cuts if left < cut < right), right]
    return [_between(quad, start, end) for start, end in zip(edges, edges[1:], strict=False)]


def _between(quad: Quad, start: float, end: float) -> Quad:
    upper_left, upper_right, lower_right, lower_left = quad

    def at(x: float, a: Point, b: Point) -> Point:
        share = (x - upper_left[0]) / (upper_right[0] - upper_left[0])
        return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])

    ends = [at(start, upper_left, upper_right), at(end, upper_left, upper_right)]
    return [*ends, at(end, lower_left, lower_right), at(start, lower_left, lower_right)]
