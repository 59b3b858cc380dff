"""Cleans up the text boxes of the detection: duplicates, overlaps, and boxes that contain several texts. Pure."""

from collections.abc import Sequence

import numpy as np

from processors.ocr import ink
from processors.ocr.text_lines import Point

Quad = Sequence[Point]  # clockwise from the upper left corner of the text

_SAME_PLACE = 0.7  # share of the smaller box that lies in the other
_AS_HIGH = 1.5  # times the other's height: two readings of one line; a higher box covers two lines
_SAME_LINE = 0.6  # share of the lower box's height
_LONG = 4.0  # times as long as high: a box that shows the slope of the page
_REACH, _CLOSE, _END = 0.6, 0.3, 0.18  # box heights: beyond an end, between two glyphs, and the margin
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
    slope = _slope(quads)
    single = _without_overlaps(_without_doubles(quads, slope), slope, found)
    parts = [part for quad in single for part in _split(quad, found)]
    return [part for part in parts if width_of(part) >= 1 and height_of(part) >= 1]


def _slope(quads: Sequence[Quad]) -> float:
    """The angle of the page's lines in radians: the median over long boxes."""
    angles = [
        float(np.arctan2(quad[1][1] - quad[0][1], quad[1][0] - quad[0][0]))
        for quad in quads
        if width_of(quad) > _LONG * height_of(quad)
    ]
    return float(np.median(angles)) if angles else 0.0


def _level_bounds(quads: Sequence[Quad], slope: float) -> np.ndarray:
    """Left, top, right, bottom of the boxes if the page were turned so that its lines are level: shape (n, 4)."""
    x, y = np.array([list(quad) for quad in quads], float).reshape(-1, 4, 2).transpose(2, 0, 1)
    cosine, sine = np.cos(-slope), np.sin(-slope)
    x, y = x * cosine - y * sine, x * sine + y * cosine
    return np.stack([x.min(axis=1), y.min(axis=1), x.max(axis=1), y.max(axis=1)], axis=1)


def _without_doubles(quads: Sequence[Quad], slope: float) -> list[Quad]:
    """The boxes without those that another one contains."""
    bounds = _level_bounds(quads, slope)
    largest_first = np.argsort(-_areas(bounds), kind="stable")
    ordered, bounds = [quads[number] for number in largest_first], bounds[largest_first]
    heights = bounds[:, 3] - bounds[:, 1]
    is_kept = np.zeros(len(ordered), bool)
    for number in range(len(ordered)):
        around = np.flatnonzero(is_kept[:number] & _are_around(bounds[number], bounds[:number]))
        if not len(around):
            is_kept[number] = True
        elif np.all(heights[around] > _AS_HIGH * heights[number]):
            is_kept[around], is_kept[number] = False, True
    return [quad for quad, kept in zip(ordered, is_kept, strict=True) if kept]


def _areas(bounds: np.ndarray) -> np.ndarray:
    areas: np.ndarray = (bounds[:, 2] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 1])
    return areas


def _are_around(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """True for each of the other boxes, shape (n, 4), that contains the box."""
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    are_around: np.ndarray = (width > 0) & (height > 0) & (width * height > _SAME_PLACE * area)
    return are_around


def _without_overlaps(quads: Sequence[Quad], slope: float, found: ink.Ink) -> list[Quad]:
    """The boxes; if two boxes of one line overlap, they are cut so that no letter is in both."""
    ordered: list[Quad] = sorted((list(quad) for quad in quads), key=lambda quad: quad[0][0])
    rights = np.array([quad[1][0] for quad in ordered])
    for number, after in enumerate(ordered):
        reaching = (after[0][0] < rights[:number]) & (rights[:number] < after[1][0])
        for other in np.flatnonzero(reaching):
            before = ordered[other]
            if _are_beside(before, after, slope):
                ordered[other], ordered[number] = _cut(before, ordered[number], found)
                rights[other], rights[number] = ordered[other][1][0], ordered[number][1][0]
    return ordered


def _are_beside(a: Quad, b: Quad, slope: float) -> bool:
    (_, top, _, bottom), (_, other_top, _, other_bottom) = _level_bounds([a, b], slope)
    shared = min(bottom, other_bottom) - max(top, other_top)
    return bool(shared > _SAME_LINE * min(bottom - top, other_bottom - other_top))


def _cut(before: Quad, after: Quad, found: ink.Ink) -> tuple[Quad, Quad]:
    """Assign the letters that are in both boxes to the box whose other letters are nearer to them."""
    start, end = after[0][0], before[1][0]
    earlier, later = _glyphs_in(before, found), _glyphs_in(after, found)
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
    glyphs = _glyphs_in(quad, found)
    cuts = [(a[1] + b[0]) / 2 for a, b in zip(glyphs, glyphs[1:], strict=False) if b[0] - a[1] > _GAP * height]
    left, right = quad[0][0], quad[1][0]
    edges = [left, *(cut for cut in cuts if left < cut < right), right]
    return [_between(quad, start, end) for start, end in zip(edges, edges[1:], strict=False)]


def extended(quad: Quad, found: ink.Ink) -> Quad:
    """A level box, extended by a margin and all letters and points close to its ends, which a small model cuts off."""
    height = height_of(quad)
    left, right = quad[0][0], quad[1][0]
    if right - left < height:
        return quad
    glyphs = _glyphs_in(_between(quad, left - _REACH * height, right + _REACH * height), found)
    inside = glyphs[(glyphs[:, 1] > left) & (glyphs[:, 0] < right)]
    if not len(inside):
        return quad
    start, end = float(inside[:, 0].min()), float(inside[:, 1].max())
    for glyph in glyphs[glyphs[:, 0] >= right]:
        end = float(glyph[1]) if glyph[0] - end < _CLOSE * height else end
    for glyph in glyphs[glyphs[:, 1] <= left][::-1]:
        start = float(glyph[0]) if start - glyph[1] < _CLOSE * height else start
    margin = _END * height
    return _between(quad, min(left, start - margin), max(right, end + margin))


def tightened(quad: Quad, found: ink.Ink) -> Quad:
    """A level box without the white at its ends, which is wider the coarser the image for detection is."""
    if quad[1][0] - quad[0][0] < height_of(quad):
        return quad
    glyphs = _glyphs_in(quad, found)
    if not len(glyphs):
        return quad
    start, end = max(quad[0][0], float(glyphs[0, 0])), min(quad[1][0], float(glyphs[:, 1].max()))
    return _between(quad, start, end) if start < end else quad


def _glyphs_in(quad: Quad, found: ink.Ink) -> np.ndarray:
    """Left and right sides of the glyphs in a box: float, shape (n, 2)."""
    light = ink.find_light_glyphs(found, bounds_of(quad))
    return ink.glyphs_in(found.marks, bounds_of(quad)) if light is None else light


def _between(quad: Quad, start: float, end: float) -> Quad:
    upper_left, upper_right, lower_right, lower_left = quad

    def at(x: float, a: Point, b: Point) -> Point:
        share = (x - upper_left[0]) / (upper_right[0] - upper_left[0])
        return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])

    ends = [at(start, upper_left, upper_right), at(end, upper_left, upper_right)]
    return [*ends, at(end, lower_left, lower_right), at(start, lower_left, lower_right)]


def padded(line: ink.Bounds, size: tuple[int, int]) -> Quad:
    """The box of a line with a margin, within an image of this size."""
    margin = 0.25 * (line[3] - line[1])
    left, top = max(0.0, line[0] - margin), max(0.0, line[1] - margin)
    right, bottom = min(float(size[0]), line[2] + margin), min(float(size[1]), line[3] + margin)
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
