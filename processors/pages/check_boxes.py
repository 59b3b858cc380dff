"""Finds check boxes that are drawn on a page: squares beside words, empty or with a mark. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from processors.pages.page import PlacedWord

if TYPE_CHECKING:
    from processors.pages.page import Box

_CONTRAST = 24  # of 255: a pixel counts as ink if it is this much darker than its surroundings
_SURROUNDINGS = 2  # sides of the largest square
_SMALLEST, _LARGEST = 5.0, 20.0  # points, of a side
_SQUARE = 1.15  # longest to shortest side
_STRAIGHT = (
    0.8,
    1.3,
    2.1,
)  # in smallest sides: minimum lengths of a stroke that may be a side, in the order to try them
_EDGE = 0.08  # of a side: where its line is, also if the page is skewed
_THICKEST = 0.2  # of a side
_DRAWN = 0.88  # share of a side that its line covers
_RING, _CORE = 0.15, 0.25  # of a side: ink further inside the square belongs to a mark
_BLUR = 1  # pixels inside an outline that may be dark
_EMPTY, _FILLED = 0.02, 0.95  # minimum and maximum share of ink inside a marked box; a fuller square is a bullet
_PAPER, _TINT = 75, 10  # percentile of the gray values around it; of 255
_CLEAR = 90  # percentile of the gray values inside: what the blur around a mark does not darken
_TOUCHING = 0.25  # sides to the next glyph of a word; a check box stands apart
_CROSSING = 1  # pixels beside a square in which a mark that crosses it has ink
_BESIDE = 3.0  # sides between a box and the next word
_SAME_SIZE, _ALIGNED = 1.2, 0.5  # ratio of the sides, and shift in sides, of boxes in one row or column
_MARKS = frozenset("xX×✓✔√✗✘vVyY\\/|+*·.,-–_■▪●•█")  # characters as which text layers and OCR show a mark


@dataclass(frozen=True)
class Square:
    """The outline of a square."""

    box: "Box"
    is_marked: bool
    is_cell: bool = False  # one of several side by side, each for a digit of a date or number

    @property
    def side(self) -> float:
        return self.box[2] - self.box[0]


def find_check_boxes(
    picture: np.ndarray, words: Sequence[PlacedWord], pixels_per_point: float
) -> list[tuple["Box", bool]]:
    """Find the check boxes of a page; return each box in pixels, and whether it is checked.

    picture: the page without `words`: RGB, uint8, shape (height, width, 3). words: in pixels of the picture.
    """
    import cv2

    if not words:
        return []
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    around = int(_SURROUNDINGS * _LARGEST * pixels_per_point) | 1
    ink = cv2.subtract(cv2.blur(gray, (around, around)), gray) >= _CONTRAST
    squares = find_squares(ink, gray, _SMALLEST * pixels_per_point, _LARGEST * pixels_per_point)
    found = []
    for square in choose(squares, [(word.left, word.top, word.right, word.bottom) for word in words]):
        within = [word.text for word in words if _is_within(word, square)]
        if all(is_mark(text) for text in within):
            found.append((square.box, square.is_marked or bool(within)))
    return found


def is_mark(text: str) -> bool:
    """True if the text in a box may be its mark. Other letters and digits are a text with a frame around it."""
    return set(text) <= _MARKS


def find_squares(ink: np.ndarray, gray: np.ndarray, smallest: float, largest: float) -> list[Square]:
    """Find the outlines of squares, even of those that a mark crosses.

    ink: True where something is drawn in `gray`: bool, shape (height, width). gray: uint8, shape (height, width).
    smallest, largest: sides in pixels.
    """
    if not ink.any():
        return []
    drawn = ink.astype(np.uint8)
    lengths = [max(3, round(length * smallest)) for length in _STRAIGHT]
    rows, columns = (_span(drawn, axis, lengths[-1]) for axis in (1, 0))
    found: list[Square] = []
    for length in lengths:
        for left, top, width, height in _components(_strokes(drawn[rows, columns], length)):
            if smallest <= min(width, height) and max(width, height) <= min(largest, _SQUARE * min(width, height)):
                square = _square(drawn, gray, (left + columns.start, top + rows.start, width, height))
                if square and not any(_is_same(square, other) for other in found):
                    found.append(square)
    apart = [each for each in found if not _is_in_word(drawn, each)]
    cells = [each for each in found if _is_cell(each, found)]
    return [*(each for each in apart if each not in cells), *(replace(each, is_cell=True) for each in cells)]


def _strokes(drawn: np.ndarray, length: int) -> np.ndarray:
    """The horizontal and vertical lines of at least `length` pixels: uint8, shape (height, width)."""
    import cv2

    across, down = (
        cv2.morphologyEx(drawn, cv2.MORPH_OPEN, np.ones(each, np.uint8)) for each in ((1, length), (length, 1))
    )
    return cv2.bitwise_or(across, down)


def _span(drawn: np.ndarray, axis: int, margin: int) -> slice:
    """The rows (axis 1) or columns (axis 0) with anything drawn, and a margin in pixels."""
    places = np.flatnonzero(drawn.any(axis=axis))
    return slice(max(0, int(places[0]) - margin), int(places[-1]) + 1 + margin)


def _components(drawn: np.ndarray) -> list[Sequence[int]]:
    """Left, top, width and height of the connected shapes, from top to bottom."""
    import cv2

    if not drawn.any():
        return []
    outlines, parents = cv2.findContours(drawn, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)  # faster than components
    is_outer = parents[0, :, 3] < 0
    places = [cv2.boundingRect(outline) for outline, outer in zip(outlines, is_outer, strict=True) if outer]
    return sorted(places, key=lambda place: (place[1], place[0]))


def _is_same(a: Square, b: Square) -> bool:
    return max(abs(one - other) for one, other in zip(a.box, b.box, strict=True)) <= a.side / 2


def _square(ink: np.ndarray, gray: np.ndarray, place: Sequence[int]) -> Square | None:
    left, top, width, height = place
    inside = ink[top : top + height, left : left + width]
    if float(_inner(inside, _RING).mean()) > _FILLED or not _has_sides(ink, place) or _is_tinted(ink, gray, place):
        return None
    box = float(left), float(top), float(left + width), float(top + height)
    core = inside[_core_of(inside)]
    return Square(box, is_marked=core.size > 0 and float(core.mean()) > _EMPTY)


def _is_tinted(ink: np.ndarray, gray: np.ndarray, place: Sequence[int]) -> bool:
    """True if the square is filled with a color darker than the paper, as in the legend of a diagram."""
    left, top, width, height = place
    across, down = width // 2, height // 2
    rows, columns = slice(max(0, top - down), top + height + down), slice(max(0, left - across), left + width + across)
    inside = ink[top : top + height, left : left + width]
    within, around = _core_of(inside), ~ink[rows, columns].astype(bool)
    core = gray[top : top + height, left : left + width][within]
    clear = core[~inside[within].astype(bool)]
    return bool(
        len(clear) and np.percentile(clear, _CLEAR) < np.percentile(gray[rows, columns][around], _PAPER) - _TINT
    )


def _has_sides(ink: np.ndarray, place: Sequence[int]) -> bool:
    """True if all sides are straight and thin, unlike those of most letters."""
    left, top, width, height = place
    rows, columns = slice(top, top + height), slice(left, left + width)
    above, before = max(0, top - max(2, height // 16)), max(0, left - max(2, width // 16))
    below, after = top + height + max(2, height // 16), left + width + max(2, width // 16)
    sides = ink[above:below, columns], ink[above:below, columns][::-1], ink[rows, before:after].T
    return all(_is_side(each, max(width, height)) for each in (*sides, ink[rows, before:after].T[::-1]))


def _is_side(ink: np.ndarray, side: int) -> bool:
    """True if the upper side is a straight, thin line. ink: the square, and a little of the area above it."""
    first = np.where(ink.any(axis=0), ink.argmax(axis=0), len(ink))
    is_below = np.arange(len(ink))[:, None] >= first
    thickness = (is_below & (ink == 0)).argmax(axis=0) - first
    is_straight = np.abs(first - np.median(first)) <= max(1, round(side * _EDGE))
    return bool(is_straight.mean() >= _DRAWN and np.median(thickness) <= max(3, _THICKEST * side))


def _inner(ink: np.ndarray, inset: float) -> np.ndarray:
    height, width = ink.shape
    down, across = round(height * inset), round(width * inset)
    return ink[down : height - down, across : width - across]


def _core_of(ink: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns inside a square that neither its outline nor the blur around it reaches."""
    (top, bottom), (left, right) = (
        [max(_inner_edge(turned) + _BLUR, round(len(turned) * _CORE)) for turned in (side, side[::-1])]
        for side in (ink, ink.T)
    )
    return slice(top, len(ink) - bottom), slice(left, ink.shape[1] - right)


def _inner_edge(ink: np.ndarray) -> int:
    """The row at which the line along the upper side ends, in pixels from the first row."""
    quarter = ink.shape[1] // 4
    middle = ink[:, quarter : ink.shape[1] - quarter].astype(bool)
    first = np.where(middle.any(axis=0), middle.argmax(axis=0), 0)
    is_below = np.arange(len(middle))[:, None] >= first
    return int(np.median((is_below & ~middle).argmax(axis=0)))


def _is_cell(square: Square, squares: Sequence[Square]) -> bool:
    left, top, right, bottom = square.box
    beside = (
        other
        for other in squares
        if other.is_marked and abs(other.box[1] - top) <= _ALIGNED * square.side and other is not square
    )
    gaps = (max(other.box[0] - right, left - other.box[2]) for other in beside)
    return square.is_marked and any(gap <= _TOUCHING * square.side for gap in gaps)


def _is_in_word(ink: np.ndarray, square: Square) -> bool:
    """True if glyphs are close to the square on both sides, as for a letter in a word. A mark across it is no glyph."""
    left, top, right, bottom = map(int, square.box)
    gap, quarter = max(3, round(_TOUCHING * square.side)), (bottom - top) // 4
    rows = ink[top + quarter : bottom - quarter]
    before, after = rows[:, max(0, left - gap) : left], rows[:, right : right + gap]
    crosses = before[:, -_CROSSING:].any() or after[:, :_CROSSING].any()
    return bool(before.any() and after.any() and not crosses)


def choose(squares: Sequence[Square], words: Sequence["Box"]) -> list[Square]:
    """Select the squares beside a word, and those in a row or column with such squares. words: boxes in pixels."""
    if not squares or not words:
        return []
    places = np.array(words)
    boxes = [each for each in squares if not each.is_cell]
    return [each for each in boxes if _is_beside(each, places, _BESIDE) or _is_in_grid(each, boxes, places)]


def _is_beside(square: Square, words: np.ndarray, most: float) -> bool:
    """True if a word is beside the square on its line, at a distance of at most `most` sides."""
    left, top, right, bottom = square.box
    on_line = (words[:, 1] <= (top + bottom) / 2) & ((top + bottom) / 2 <= words[:, 3])
    gaps = np.maximum(words[:, 0] - right, left - words[:, 2])
    return bool((on_line & (gaps <= most * square.side) & (gaps > -square.side / 2)).any())


def _is_in_grid(square: Square, squares: Sequence[Square], words: np.ndarray) -> bool:
    others = [other for other in squares if other is not square and _is_aligned(square, other)]
    return bool(others) and _is_beside(square, words, np.inf)


def _is_aligned(a: Square, b: Square) -> bool:
    shift = min(abs(a.box[0] - b.box[0]), abs(a.box[1] - b.box[1]))
    return max(a.side, b.side) <= _SAME_SIZE * min(a.side, b.side) and shift <= _ALIGNED * a.side


def _is_within(word: PlacedWord, square: Square) -> bool:
    across, down = (word.left + word.right) / 2, (word.top + word.bottom) / 2
    left, top, right, bottom = square.box
    is_small = word.right - word.left <= 1.5 * square.side
    return is_small and left <= across <= right and top <= down <= bottom
