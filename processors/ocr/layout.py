"""From boxes with text to lines in reading order, with the gaps of a table kept. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]

_SAME_LINE = 0.5  # a piece belongs to a line if their middles are nearer than this share of its height
_LONG = 4.0  # a piece this many times as long as high tells the slope of the page
_COLUMN_GAP = 2.0  # characters; a wider gap is kept as spaces, a narrower one is a space between words


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some text and where it stands."""

    text: str
    confidence: float  # 0 to 1
    box: tuple[Point, Point, Point, Point]  # clockwise from the upper left corner of the text, in pixels

    @property
    def width(self) -> float:
        return math.dist(self.box[0], self.box[1])

    @property
    def height(self) -> float:
        return math.dist(self.box[1], self.box[2])


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A piece on the page turned level."""

    piece: Piece
    left: float
    right: float
    middle: float  # vertical
    height: float


def lines(pieces: Sequence[Piece]) -> tuple[tuple[Piece, ...], ...]:
    """The pieces grouped into lines, from top to bottom, each from left to right; a skewed page is levelled first."""
    slope = _slope(pieces)
    placed = sorted((_place(piece, slope) for piece in pieces), key=lambda each: each.middle)
    grouped: list[list[_Placed]] = []
    for each in placed:
        if grouped and _is_on(each, grouped[-1]):
            grouped[-1].append(each)
        else:
            grouped.append([each])
    return tuple(tuple(each.piece for each in sorted(group, key=lambda each: each.left)) for group in grouped)


def level(pieces: Sequence[Piece]) -> list[tuple[Piece, float, float, float, float]]:
    """Each piece with its left, top, right and bottom on the page turned level."""
    slope = _slope(pieces)
    placed = [_place(piece, slope) for piece in pieces]
    return [(p.piece, p.left, p.middle - p.height / 2, p.right, p.middle + p.height / 2) for p in placed]


def text(grouped: Iterable[Sequence[Piece]]) -> str:
    """Lines as plain text, in which what stands in one column on the page does so here (in a monospaced font)."""
    grouped = list(grouped)
    pieces = [piece for line in grouped for piece in line]
    if not pieces:
        return ""
    slope = _slope(pieces)
    character = statistics.median(piece.width / max(1, len(piece.text)) for piece in pieces) or 1.0
    margin = min(_place(piece, slope).left for piece in pieces)
    return "\n".join(_line(line, slope, margin, character) for line in grouped)


def _line(line: Sequence[Piece], slope: float, margin: float, character: float) -> str:
    written = ""
    end = margin
    for each in (_place(piece, slope) for piece in line):
        column = round((each.left - margin) / character)
        if not written:
            written = " " * column if len(line) > 1 else ""
        elif each.left - end > _COLUMN_GAP * character:
            written = written.ljust(max(column, len(written) + 2))
        else:
            written += " "
        written += each.piece.text.strip()
        end = each.right
    return written.rstrip()


def _slope(pieces: Sequence[Piece]) -> float:
    """The angle of the page's lines in radians: the median of the long pieces'."""
    angles = [
        math.atan2(piece.box[1][1] - piece.box[0][1], piece.box[1][0] - piece.box[0][0])
        for piece in pieces
        if piece.width > _LONG * piece.height
    ]
    return statistics.median(angles) if angles else 0.0


def _place(piece: Piece, slope: float) -> _Placed:
    cosine, sine = math.cos(-slope), math.sin(-slope)
    level = [(x * cosine - y * sine, x * sine + y * cosine) for x, y in piece.box]
    xs, ys = [x for x, _ in level], [y for _, y in level]
    return _Placed(
        piece=piece, left=min(xs), right=max(xs), middle=sum(ys) / len(ys), height=piece.height or max(ys) - min(ys)
    )


def _is_on(each: _Placed, group: list[_Placed]) -> bool:
    """Near the line's own middle, and not above or below a piece of it."""
    middle = sum(other.middle for other in group) / len(group)
    near = abs(each.middle - middle) < _SAME_LINE * min(each.height, statistics.median(o.height for o in group))
    return near and not any(_overlap(each, other) > 0.5 for other in group)


def _overlap(a: _Placed, b: _Placed) -> float:
    """The share of the narrower one's width in which both stand."""
    shared = min(a.right, b.right) - max(a.left, b.left)
    return shared / max(1.0, min(a.right - a.left, b.right - b.left))
