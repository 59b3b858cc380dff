"""Text boxes as lines in reading order, and as plain text that keeps the columns of a table. Pure."""

import math
import statistics
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]

_SAME_LINE = 0.5  # a box is on a line if their middles differ by less than this share of its height
_LONG = 4.0  # a box this many times as long as high shows the slope of the page
_COLUMN_GAP = 2.0  # characters; a wider gap is written as spaces, a narrower one as one space


@dataclass(frozen=True, kw_only=True)
class TextBox:
    """Text and its position."""

    text: str
    confidence: float  # 0 to 1
    corners: tuple[Point, Point, Point, Point]  # clockwise from the upper left corner of the text, in pixels
    is_struck: bool = False  # struck out by a line

    @property
    def width(self) -> float:
        return math.dist(self.corners[0], self.corners[1])

    @property
    def height(self) -> float:
        return math.dist(self.corners[1], self.corners[2])


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Text on the deskewed page: one box, or several that belong together."""

    boxes: tuple[TextBox, ...]
    text: str
    left: float
    right: float
    middle: float  # vertical
    height: float


def group_lines(boxes: Sequence[TextBox]) -> tuple[tuple[TextBox, ...], ...]:
    """The boxes grouped into lines, from top to bottom, each from left to right, whatever the page's skew."""
    slope = find_slope(boxes)
    lines = group_placed([place(box, slope) for box in boxes])
    return tuple(tuple(box for each in line for box in each.boxes) for line in lines)


def group_placed(placed: Sequence[Placed]) -> list[list[Placed]]:
    """Lines from top to bottom, each from left to right."""
    grouped: list[list[Placed]] = []
    total, heights = 0.0, list[float]()  # of the last line: the sum of the middles, and the sorted heights
    for each in sorted(placed, key=lambda each: each.middle):
        if not grouped or not _is_on(each, grouped[-1], total / len(heights), heights):
            grouped.append([])
            total, heights = 0.0, []
        grouped[-1].append(each)
        total += each.middle
        insort(heights, each.height)
    return [sorted(group, key=lambda each: each.left) for group in grouped]


def deskew(boxes: Sequence[TextBox]) -> list[tuple[TextBox, float, float, float, float]]:
    """Each box with its left, top, right and bottom on the deskewed page."""
    slope = find_slope(boxes)
    placed = [place(box, slope) for box in boxes]
    return [(p.boxes[0], p.left, p.middle - p.height / 2, p.right, p.middle + p.height / 2) for p in placed]


def find_slope(boxes: Sequence[TextBox]) -> float:
    """The angle of the page's lines in radians: the median over long boxes."""
    angles = [
        math.atan2(box.corners[1][1] - box.corners[0][1], box.corners[1][0] - box.corners[0][0])
        for box in boxes
        if _is_long(box)
    ]
    return statistics.median(angles) if angles else 0.0


def count_long(boxes: Sequence[TextBox]) -> int:
    """The number of boxes from which `find_slope` finds the slope."""
    return sum(_is_long(box) for box in boxes)


def _is_long(box: TextBox) -> bool:
    return box.width > _LONG * box.height


def format_lines(grouped: Iterable[Sequence[TextBox]]) -> str:
    """Lines as plain text; in a monospaced font, columns of the page are columns of the text."""
    grouped = list(grouped)
    boxes = [box for line in grouped for box in line]
    if not boxes:
        return ""
    slope = find_slope(boxes)
    return format_placed([[place(box, slope) for box in line] for line in grouped])


def format_placed(lines: Sequence[Sequence[Placed]]) -> str:
    """Lines of one part of a page, each from left to right, as plain text with their columns."""
    placed = [each for line in lines for each in line]
    character = statistics.median((each.right - each.left) / max(1, len(each.text)) for each in placed) or 1.0
    margin = min(each.left for each in placed)
    return "\n".join(_line(line, margin, character) for line in lines)


def _line(line: Sequence[Placed], margin: float, character: float) -> str:
    written = ""
    end = margin
    for each in line:
        column = round((each.left - margin) / character)
        if not written:
            written = " " * column if len(line) > 1 else ""
        elif each.left - end > _COLUMN_GAP * character:
            written = written.ljust(max(column, len(written) + 2))
        elif not (_is_ideograph(written[-1]) and _is_ideograph(each.text[0])):
            written += " "
        written += each.text.strip()
        end = each.right
    return written.rstrip()


def _is_ideograph(character: str) -> bool:
    """True for a character of Chinese or Japanese, which are written without spaces."""
    return "\u2e80" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or "\uff00" <= character <= "\uffef"


def place(box: TextBox, slope: float) -> Placed:
    cosine, sine = math.cos(-slope), math.sin(-slope)
    rotated = [(x * cosine - y * sine, x * sine + y * cosine) for x, y in box.corners]
    xs, ys = [x for x, _ in rotated], [y for _, y in rotated]
    return Placed(
        boxes=(box,),
        text=box.text,
        left=min(xs),
        right=max(xs),
        middle=sum(ys) / len(ys),
        height=box.height or max(ys) - min(ys) or 1.0,
    )


def _is_on(each: Placed, group: list[Placed], middle: float, heights: Sequence[float]) -> bool:
    """True if it is near the middle of the line, and not above or below a box of it. heights: sorted."""
    half = len(heights) // 2
    median = (heights[half] + heights[-1 - half]) / 2
    near = abs(each.middle - middle) < _SAME_LINE * min(each.height, median)
    return near and not any(_overlap(each, other) > 0.5 for other in group)


def _overlap(a: Placed, b: Placed) -> float:
    """The overlap as a share of the narrower one's width."""
    shared = min(a.right, b.right) - max(a.left, b.left)
    return shared / max(1.0, min(a.right - a.left, b.right - b.left))
