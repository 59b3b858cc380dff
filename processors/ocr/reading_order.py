"""Text boxes of a page in reading order: columns, tables, sidebars, rotated lines, scripts. Pure.

A page without columns is read line by line, in the order of `text_lines.group_lines`.
"""

import math
import re
import statistics
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, replace

from processors import bidi
from processors.ocr import text_lines
from processors.ocr.column_heads import find_heads
from processors.ocr.columns import split_regions
from processors.ocr.initials import lower_initials
from processors.ocr.rivers import Piece
from processors.ocr.sheets import are_pages, find_gutters
from processors.ocr.text_lines import Placed, Point, TextBox

_SMALL = 0.8  # of its neighbor's height: a superscript or subscript
_LONGEST_SCRIPT = 3  # characters
_NEAR = 0.35  # of its neighbor's height between the two
_TALL = 1.5  # times as high as wide: text of more than one character that runs vertically
_RAISED = str.maketrans("0123456789+-−n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ⁿ")
_TILTED, _SAME_TILT = 12.0, 10.0  # degrees from the lines of the page, and between words of one stamp
_ENOUGH_LONG = 3  # boxes long enough to show a slope
_SAME_SKEW = 1.5  # degrees between the lines of one page; pages on one sheet may be skewed apart
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True)
class Line:
    """One line, in reading order. The sides are those of the page as it is read, upright and deskewed."""

    placed: tuple[Placed, ...]

    @property
    def boxes(self) -> tuple[TextBox, ...]:
        return tuple(box for each in self.placed for box in each.boxes)

    @property
    def text(self) -> str:
        return text_lines.format_placed([self.placed]).strip()

    @property
    def left(self) -> float:
        return min(each.left for each in self.placed)

    @property
    def right(self) -> float:
        return max(each.right for each in self.placed)

    @property
    def middle(self) -> float:
        return statistics.fmean(each.middle for each in self.placed)

    @property
    def height(self) -> float:
        return statistics.median(each.height for each in self.placed)


@dataclass(frozen=True)
class Block:
    """A part of a page that is read line by line."""

    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return text_lines.format_placed([line.placed for line in self.lines])


def order(boxes: Sequence[TextBox]) -> tuple[Block, ...]:
    """All boxes, each once, as parts of the page in reading order; the second page of a sheet follows the first."""
    if halves := _split_sheet(boxes):
        is_right_to_left = bidi.is_right_to_left(box.text for box in boxes)
        pages = [order(half) for half in halves]
        return tuple(block for page in (reversed(pages) if is_right_to_left else pages) for block in page)
    slope = text_lines.find_slope(boxes)
    turned: dict[int, list[TextBox]] = {}
    tilted: list[list[TextBox]] = []
    for box in boxes:
        if _is_tilted(box, slope):
            group = next((each for each in tilted if _is_parallel(each[0], box)), None)
            tilted.append([box]) if group is None else group.append(box)
            continue
        turned.setdefault(_direction(box, slope), []).append(box)
    main = max(turned, key=lambda turn: sum(len(box.text) for box in turned[turn]), default=0)
    before: list[Block] = []
    after: list[Block] = []
    body = turned.pop(main, [])
    heads = [] if main else [head for turn in (90, 270) for head in _take_heads(turned, turn, body, slope)]
    for turn, group in sorted(turned.items()):
        is_before = _center(group)[0] < min((_center([box])[0] for box in body), default=0.0)
        (before if is_before else after).extend(_blocks(group, slope, turn))
    stamps = (block for group in tilted for block in _blocks(group, math.radians(_angle(group[0])), 0))
    return (*before, *_blocks(body, slope, main, heads), *after, *stamps)


def _split_sheet(boxes: Sequence[TextBox]) -> tuple[Sequence[TextBox], Sequence[TextBox]] | None:
    """The boxes of the left and of the right page, if two lie on one sheet."""
    height = statistics.median(box.height for box in boxes) if boxes else 0.0
    for gutter in find_gutters(_sides(boxes), height):
        left_half = [box for box in boxes if _center([box])[0] < gutter]
        halves = left_half, [box for box in boxes if _center([box])[0] >= gutter]
        left, right = (_pieces(half) for half in halves)
        if are_pages(left, right, is_skewed_alike=_is_skewed_alike(*halves)):
            return halves
    return None


def _sides(boxes: Sequence[TextBox]) -> list[tuple[float, float]]:
    """Left and right of each box on the deskewed page."""
    slope = text_lines.find_slope(boxes)
    if not slope:
        return [(min(xs), max(xs)) for xs in ([x for x, _ in box.corners] for box in boxes)]
    return [(each.left, each.right) for each in (text_lines.place(box, slope) for box in boxes)]


def _pieces(boxes: Sequence[TextBox]) -> list[Piece]:
    slope = text_lines.find_slope(boxes)
    return [_piece(number, text_lines.place(box, slope)) for number, box in enumerate(boxes)]


def _is_skewed_alike(left: Sequence[TextBox], right: Sequence[TextBox]) -> bool:
    if min(text_lines.count_long(left), text_lines.count_long(right)) < _ENOUGH_LONG:
        return True  # there is no evidence of the opposite
    difference = text_lines.find_slope(left) - text_lines.find_slope(right)
    return abs(math.degrees(difference)) <= _SAME_SKEW


def _angle(box: TextBox) -> float:
    """Degrees clockwise by which the text is rotated."""
    (x1, y1), (x2, y2) = box.corners[:2]
    return math.degrees(math.atan2(y2 - y1, x2 - x1))


def _is_parallel(a: TextBox, b: TextBox) -> bool:
    return abs((_angle(a) - _angle(b) + 180) % 360 - 180) <= _SAME_TILT


def _is_tilted(box: TextBox, slope: float) -> bool:
    """True if it runs across the lines of the page, as a stamp does."""
    angle = _angle(box) - math.degrees(slope)
    return box.width > 0 and abs(angle - round(angle / 90) * 90) > _TILTED


def _direction(box: TextBox, slope: float) -> int:
    """Degrees clockwise by which the text is rotated, as a multiple of 90; also 90 for vertical ideographs."""
    (x1, y1), (x2, y2) = box.corners[:2]
    turn = round(math.degrees(math.atan2(y2 - y1, x2 - x1) - slope) / 90) * 90 % 360 if box.width else 0
    if turn == 0 and len(box.text) > 1 and box.height > _TALL * box.width and _IDEOGRAPH.search(box.text):
        return 90
    return turn


def _center(boxes: Sequence[TextBox]) -> Point:
    corners = [corner for box in boxes for corner in box.corners]
    return statistics.fmean(x for x, _ in corners), statistics.fmean(y for _, y in corners)


def _take_heads(turned: dict[int, list[TextBox]], turn: int, body: Sequence[TextBox], slope: float) -> Sequence[Placed]:
    """The headings of columns among the text with this turn, which are then removed from it."""
    lines = text_lines.group_placed([_place(box, slope, turn) for box in turned.get(turn, ())])
    heads = find_heads([[box for each in line for box in each.boxes] for line in lines], body)
    if heads:
        del turned[turn]
    return heads


def _blocks(boxes: Sequence[TextBox], slope: float, turn: int, heads: Sequence[Placed] = ()) -> list[Block]:
    """heads: of columns, as if they were level."""
    if not boxes:
        return []
    placed = [*join_scripts(lower_initials([_place(box, slope, turn) for box in boxes])), *heads]
    is_right_to_left = bidi.is_right_to_left(each.text for each in placed)
    pieces = [_piece(number, each) for number, each in enumerate(placed)]
    blocks = []
    for region in split_regions(pieces, right_to_left=is_right_to_left):
        lines = text_lines.group_placed([placed[index] for index in region])
        blocks.append(Block(tuple(Line(_in_order(line)) for line in lines)))
    return blocks


def _place(box: TextBox, slope: float, turn: int) -> Placed:
    """The box as if the page were rotated so that its text is level."""
    if not turn:
        return text_lines.place(box, slope)
    first, second, third, fourth = (_turned_back(corner, turn) for corner in box.corners)
    level = replace(box, corners=(first, second, third, fourth))
    placed = text_lines.place(level, slope)
    height = min(placed.height, box.width) if turn == 90 and box.height > _TALL * box.width else placed.height
    return replace(placed, boxes=(box,), height=height)


def _turned_back(point: Point, turn: int) -> Point:
    x, y = point
    return {0: (x, y), 90: (y, -x), 180: (-x, -y), 270: (-y, x)}[turn]


def _piece(number: int, each: Placed) -> Piece:
    half = each.height / 2
    return Piece(
        indexes=(number,),
        text=each.text.strip(),
        left=each.left,
        top=each.middle - half,
        right=each.right,
        bottom=each.middle + half,
    )


def _in_order(line: Sequence[Placed]) -> tuple[Placed, ...]:
    """The words of a line in reading order; the input is from left to right. A line that is read from the right has its
    margin there."""
    if not bidi.is_right_to_left(each.text for each in line):
        return tuple(line)
    mirrored = [replace(each, left=-each.right, right=-each.left) for each in line]
    return tuple(bidi.logical_order([(each.text, each) for each in mirrored]))


def join_scripts(placed: Sequence[Placed]) -> list[Placed]:
    """Attach small raised and lowered text to the word before it: "85 m²", "CO2", "10⁶"."""
    joined: list[Placed] = []
    by_height: list[tuple[float, int]] = []  # height, number in `joined`; a base is higher than its script
    for each in sorted(placed, key=lambda each: each.left):
        least = (each.height / _SMALL,)
        higher = by_height[bisect_left(by_height, least) :] if len(each.text) <= _LONGEST_SCRIPT else []
        base = max((number for _, number in higher if _is_script(each, joined[number])), default=None)
        if base is None:
            insort(by_height, (each.height, len(joined)))
            joined.append(each)
        else:
            joined[base] = _with_script(joined[base], each)
    return joined


def _is_script(small: Placed, base: Placed) -> bool:
    gap, offset = small.left - base.right, abs(small.middle - base.middle)
    is_near = -_NEAR * base.height < gap < _NEAR * base.height
    return (
        small.height < _SMALL * base.height
        and is_near
        and 0.1 * base.height < offset < 0.8 * base.height
        and len(small.text) <= _LONGEST_SCRIPT
        and base.text[-1:].isalnum()
    )


def _with_script(base: Placed, small: Placed) -> Placed:
    text = small.text.strip()
    is_raised = small.middle < base.middle
    if is_raised and all(ord(char) in _RAISED for char in text):
        text = text.translate(_RAISED)
    return replace(base, boxes=base.boxes + small.boxes, text=base.text.rstrip() + text, right=small.right)
