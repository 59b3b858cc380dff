"""Finds rivers in a region of a page: vertical strips of white with text on both sides. Pure."""

import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

RIVER = 0.8  # line heights: minimum width of a river
LEAST_LINES = 2  # of a column
_CHAIN = 1.2  # line heights; words of one line that are closer belong together
SAME_LINE = 0.35  # line heights between the middles of words of one line
_SEPARATE = 1.6  # line heights of white space above or below a running title or a page number


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Text on the deskewed page: a word, or the words of a line that are close together."""

    indexes: tuple[int, ...]  # of the words, as the caller numbers them
    text: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        return self.bottom - self.top


@dataclass(frozen=True)
class Line:
    pieces: tuple[Piece, ...]  # from left to right

    @property
    def left(self) -> float:
        return self.pieces[0].left

    @property
    def right(self) -> float:
        return max(piece.right for piece in self.pieces)

    @property
    def middle(self) -> float:
        return statistics.fmean(piece.middle for piece in self.pieces)

    @property
    def height(self) -> float:
        return statistics.fmean(piece.height for piece in self.pieces)

    @property
    def text(self) -> str:
        return " ".join(piece.text for piece in self.pieces)


@dataclass(frozen=True)
class Band:
    """A part of a region that a river divides."""

    left: list[Piece]
    right: list[Piece]
    region: list[Piece]  # all its pieces

    @property
    def weight(self) -> float:
        return min(_extent(self.left), _extent(self.right))

    @property
    def above(self) -> list[Piece]:
        return [piece for piece in self._rest if piece.middle < self._middle]

    @property
    def below(self) -> list[Piece]:
        return [piece for piece in self._rest if piece.middle >= self._middle]

    @cached_property
    def _rest(self) -> list[Piece]:
        taken = {piece.indexes for piece in (*self.left, *self.right)}
        return [piece for piece in self.region if piece.indexes not in taken]

    @cached_property
    def _middle(self) -> float:
        middles = [piece.middle for piece in (*self.left, *self.right)]
        return (min(middles) + max(middles)) / 2


@dataclass(frozen=True)
class _Sorted:
    """Pieces by their middles, so that those of one line are found without looking at all: tables have thousands."""

    pieces: list[Piece]
    middles: list[float]

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> "_Sorted":
        ordered = sorted(pieces, key=lambda piece: piece.middle)
        return cls(ordered, [piece.middle for piece in ordered])

    def between(self, top: float, bottom: float) -> list[Piece]:
        """The pieces whose middles are between these heights, exclusive."""
        return self.pieces[bisect_right(self.middles, top) : bisect_left(self.middles, bottom)]


def find_bands(pieces: list[Piece], height: float) -> list[Band]:
    """The parts of a region that rivers divide, the tallest first. height: that of a line."""
    found: dict[frozenset[tuple[int, ...]], Band] = {}
    ordered = _Sorted.of(pieces)
    for x in _candidates(pieces, height):
        for band in _bands(pieces, ordered, x, height):
            found.setdefault(frozenset(piece.indexes for piece in band.left), band)
    return sorted(found.values(), key=lambda band: band.weight, reverse=True)


def _candidates(pieces: list[Piece], height: float) -> list[float]:
    """Left edges of strips that could be rivers, at most one for each half of a line height."""
    edges: dict[int, float] = {}
    for piece in pieces:
        bucket = round(2 * piece.right / height)
        edges[bucket] = max(piece.right, edges.get(bucket, 0.0))
    last = max(piece.left for piece in pieces)
    return [edge for edge in edges.values() if edge + RIVER * height <= last + height]


def _bands(pieces: list[Piece], ordered: _Sorted, x: float, height: float) -> list[Band]:
    """The parts of the region, between crossing lines, in which a strip of white space has its left edge at `x`."""
    end = x + RIVER * height
    crossing = [piece for piece in pieces if piece.left < end - 1e-6 and piece.right > x + 1e-6]
    if len(crossing) > len(pieces) / 2:
        return []
    spanning = _whole_lines(crossing, ordered, height)
    free = _Sorted.of([piece for piece in pieces if piece.indexes not in spanning])
    cuts = sorted({piece.middle for piece in crossing})
    found = []
    for top, bottom in zip([float("-inf"), *cuts], [*cuts, float("inf")], strict=True):
        inside = free.between(top, bottom)
        if len(inside) < 2 * LEAST_LINES:
            continue
        inside = _without_margins(_without_block_above(inside, x, height), x, height)
        left = [piece for piece in inside if piece.right <= x + 1e-6]
        right = [piece for piece in inside if piece.left >= end - 1e-6]
        if len(left) < LEAST_LINES or len(right) < LEAST_LINES:
            continue
        found.append(Band(left, right, pieces))
    return found


def _whole_lines(crossing: list[Piece], ordered: _Sorted, height: float) -> set[tuple[int, ...]]:
    """All pieces of the lines to which these pieces belong."""
    found = {piece.indexes for piece in crossing}
    for seed in crossing:
        reach = SAME_LINE * max(height, seed.height)
        line = ordered.between(seed.middle - reach, seed.middle + reach)
        line.sort(key=lambda piece: piece.left)
        start = next(number for number, piece in enumerate(line) if piece.indexes == seed.indexes)
        for steps in (range(start + 1, len(line)), range(start - 1, -1, -1)):
            near = seed
            for number in steps:
                gap = max(line[number].left, near.left) - min(line[number].right, near.right)
                if gap > _CHAIN * max(height, seed.height):
                    break
                near = line[number]
                found.add(near.indexes)
    return found


def _without_block_above(inside: list[Piece], x: float, height: float) -> list[Piece]:
    """The pieces without the text on the right that is above all others, as the sender is above the address.

    inside: from top to bottom.
    """
    if inside[0].left <= x:
        return inside
    lines = group_lines(inside, height)
    for number, line in enumerate(lines[:-1], start=1):
        if any(piece.left <= x for piece in line.pieces):
            break
        rest = sorted((piece for each in lines[number:] for piece in each.pieces), key=lambda piece: piece.middle)
        if min(piece.top for piece in rest) - max(piece.bottom for piece in line.pieces) > _SEPARATE * height:
            return _without_block_above(rest, x, height)
    return inside


def _without_margins(inside: list[Piece], x: float, height: float) -> list[Piece]:
    """The pieces without a running title above or a page number below, which white space separates from all others."""
    for of_top in (True, False):
        lines = group_lines(inside, height)
        if len(lines) <= 2 * LEAST_LINES:
            return inside
        edge = lines[0] if of_top else lines[-1]
        at_edge = {piece.indexes for piece in edge.pieces}
        others = [piece for piece in inside if piece.indexes not in at_edge]
        if of_top:
            white = min(piece.top for piece in others) - max(piece.bottom for piece in edge.pieces)
        else:
            white = min(piece.top for piece in edge.pieces) - max(piece.bottom for piece in others)
        is_one_sided = all(piece.right <= x for piece in edge.pieces) or all(piece.left > x for piece in edge.pieces)
        if white > (_SEPARATE / 2 if is_one_sided and not of_top else _SEPARATE) * height:
            inside = others
    return inside


def group_lines(pieces: Sequence[Piece], height: float) -> list[Line]:
    lines: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: piece.middle):
        if lines and piece.middle - lines[-1][-1].middle < SAME_LINE * max(height, min(piece.height, 2 * height)):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [Line(tuple(sorted(line, key=lambda piece: piece.left))) for line in lines]


def _extent(pieces: list[Piece]) -> float:
    return max(piece.bottom for piece in pieces) - min(piece.top for piece in pieces)
