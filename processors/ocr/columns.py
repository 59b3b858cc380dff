"""Distinguishes columns of text from the rows of a table in a region of a page. Pure.

A river is a vertical strip of white with text on both sides. It parts columns of prose: lines that fill their column
and continue on the next line, or lines that stand at other heights than those beside them. Cells of a table, labels of
a form and amounts stand at the height of their neighbors; no river parts them.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_RIVER = 0.8  # line heights: the least width of a river
_RIVER_OF_FEW = 1.5  # the same if a side has fewer than `_FEW_LINES` lines
_FEW_LINES = 4
_LEAST_LINES = 2  # of a column
_SPACE = 0.6  # line heights between words of a piece, at most
_SAME_SIZE = 1.6  # times the height of the other
_CHAIN = 1.2  # line heights; words of one line that are nearer belong together
_SAME_LINE = 0.35  # line heights between the middles of words of one line
_FILLED = 0.6  # of the column's width, by a line of prose
_LEAST_WORDS = 3  # in a line of prose
_CONTINUED = 0.25  # share of a column's lines that begin in lower case, if they continue the line before
_NUMERIC = 0.4  # share of a column's lines that are numbers; more is a column of a table
_ALIGNED = 0.5  # share of lines that stand beside a line of the other side; more are rows
_BESIDE = 0.2  # line heights between the middles of lines that stand beside each other
_APART = 2.2  # line heights from one line to the next; lines of one text are nearer
_SEPARATE = 1.6  # line heights of white above or below: a running title, or a page number
_IDEOGRAPHS_PER_WORD = 3


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Text on the deskewed page: a word, or as much of a line as stands together."""

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
class _Line:
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
class _Band:
    """A part of a region that a river divides."""

    above: list[Piece]
    left: list[Piece]
    right: list[Piece]
    below: list[Piece]

    @property
    def weight(self) -> float:
        return min(_extent(self.left), _extent(self.right))


def split_regions(words: Sequence[Piece], *, right_to_left: bool = False) -> list[list[int]]:
    """The indexes of words in parts of a page in reading order; each part is read line by line across its width."""
    regions: list[tuple[list[Piece], bool]] = []
    for part, is_column in _split(_join(words), right_to_left):
        if regions and not is_column and not regions[-1][1]:
            regions[-1][0].extend(part)
        elif part:
            regions.append((part, is_column))
    return [[index for piece in part for index in piece.indexes] for part, _ in regions]


def _join(words: Sequence[Piece]) -> list[Piece]:
    """Join words that stand together on a line."""
    if not words:
        return []
    height = statistics.median(word.height for word in words)
    rows: dict[int, list[list[Piece]]] = {}
    for word in sorted(words, key=lambda word: word.left):
        row = round(word.middle / height)
        for run in (run for near in (row, row - 1, row + 1) for run in rows.get(near, ())):
            if _is_next(run[-1], word):
                run.append(word)
                break
        else:
            rows.setdefault(row, []).append([word])
    return [_unite(run) for runs in rows.values() for run in runs]


def _is_next(a: Piece, b: Piece) -> bool:
    height = min(a.height, b.height)
    is_beside = abs(a.middle - b.middle) < _SAME_LINE * height and max(a.height, b.height) < _SAME_SIZE * height
    return is_beside and -height < b.left - a.right < _SPACE * height


def _unite(run: Sequence[Piece]) -> Piece:
    return Piece(
        indexes=tuple(index for piece in run for index in piece.indexes),
        text=" ".join(piece.text for piece in run),
        left=min(piece.left for piece in run),
        top=min(piece.top for piece in run),
        right=max(piece.right for piece in run),
        bottom=max(piece.bottom for piece in run),
    )


def _split(pieces: list[Piece], right_to_left: bool) -> list[tuple[list[Piece], bool]]:
    band = _widest_band(pieces)
    if band is None:
        return [(pieces, False)]
    columns = (band.right, band.left) if right_to_left else (band.left, band.right)
    found = _split(band.above, right_to_left) if band.above else []
    for column in columns:
        found += [(part, True) for part, _ in _split(column, right_to_left)]
    return found + (_split(band.below, right_to_left) if band.below else [])


def _widest_band(pieces: list[Piece]) -> _Band | None:
    """The topmost part of the region that a river divides into columns of text."""
    if len(pieces) < 2 * _LEAST_LINES:
        return None
    height = statistics.median(piece.height for piece in pieces)
    bands: dict[frozenset[tuple[int, ...]], _Band] = {}
    for x in _candidates(pieces, height):
        for band in _bands(pieces, x, height):
            bands.setdefault(frozenset(piece.indexes for piece in band.left), band)
    for band in sorted(bands.values(), key=lambda band: band.weight, reverse=True):
        if _are_columns(band.left, band.right, height):
            return band
    return None


def _candidates(pieces: list[Piece], height: float) -> list[float]:
    """Left edges of strips that could be rivers, at most one for each half of a line height."""
    edges: dict[int, float] = {}
    for piece in pieces:
        bucket = round(2 * piece.right / height)
        edges[bucket] = max(piece.right, edges.get(bucket, 0.0))
    last = max(piece.left for piece in pieces)
    return [edge for edge in edges.values() if edge + _RIVER * height <= last + height]


def _bands(pieces: list[Piece], x: float, height: float) -> list[_Band]:
    """The parts of the region, between lines that cross it, in which a strip of white runs down from `x`."""
    end = x + _RIVER * height
    crossing = [piece for piece in pieces if piece.left < end - 1e-6 and piece.right > x + 1e-6]
    if len(crossing) > len(pieces) / 2:
        return []
    spanning = _whole_lines(crossing, pieces, height)
    free = sorted((piece for piece in pieces if piece.indexes not in spanning), key=lambda piece: piece.middle)
    cuts = sorted({piece.middle for piece in crossing})
    found = []
    for top, bottom in zip([float("-inf"), *cuts], [*cuts, float("inf")], strict=True):
        inside = [piece for piece in free if top < piece.middle < bottom]
        inside = _without_margins(inside, x, height)
        left = [piece for piece in inside if piece.right <= x + 1e-6]
        right = [piece for piece in inside if piece.left >= end - 1e-6]
        if len(left) < _LEAST_LINES or len(right) < _LEAST_LINES:
            continue
        taken = {piece.indexes for piece in inside}
        first, last = min(piece.middle for piece in inside), max(piece.middle for piece in inside)
        rest = [piece for piece in pieces if piece.indexes not in taken]
        above = [piece for piece in rest if piece.middle < (first + last) / 2]
        below = [piece for piece in rest if piece.middle >= (first + last) / 2]
        found.append(_Band(above, left, right, below))
    return found


def _whole_lines(crossing: list[Piece], pieces: list[Piece], height: float) -> set[tuple[int, ...]]:
    """The pieces of the lines to which these belong."""
    found = {piece.indexes for piece in crossing}
    for seed in crossing:
        line = [piece for piece in pieces if abs(piece.middle - seed.middle) < _SAME_LINE * max(height, seed.height)]
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


def _without_margins(inside: list[Piece], x: float, height: float) -> list[Piece]:
    """The pieces without a running title above or a page number below, which white space separates from all others."""
    for of_top in (True, False):
        lines = _lines(inside, height)
        if len(lines) <= 2 * _LEAST_LINES:
            return inside
        edge = lines[0] if of_top else lines[-1]
        others = [piece for piece in inside if piece not in edge.pieces]
        if of_top:
            white = min(piece.top for piece in others) - max(piece.bottom for piece in edge.pieces)
        else:
            white = min(piece.top for piece in edge.pieces) - max(piece.bottom for piece in others)
        is_one_sided = all(piece.right <= x for piece in edge.pieces) or all(piece.left > x for piece in edge.pieces)
        if white > (_SEPARATE / 2 if is_one_sided and not of_top else _SEPARATE) * height:
            inside = others
    return inside


def _lines(pieces: Sequence[Piece], height: float) -> list[_Line]:
    lines: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: piece.middle):
        if lines and piece.middle - lines[-1][-1].middle < _SAME_LINE * max(height, min(piece.height, 2 * height)):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [_Line(tuple(sorted(line, key=lambda piece: piece.left))) for line in lines]


def _extent(pieces: list[Piece]) -> float:
    return max(piece.bottom for piece in pieces) - min(piece.top for piece in pieces)


def _are_columns(left: list[Piece], right: list[Piece], height: float) -> bool:
    """True if a reader reads all of `left`, then all of `right`."""
    near = _neighbor(left, height, of_left=True), _neighbor(right, height, of_left=False)
    lines = _lines(near[0], height), _lines(near[1], height)
    least = min(len(each) for each in lines)
    if least < _LEAST_LINES or any(_numeric(each) > _NUMERIC for each in lines):
        return False
    river = min(piece.left for piece in right) - max(piece.right for piece in left)
    if least < _FEW_LINES and river < _RIVER_OF_FEW * height:
        return False
    are_prose = [_is_prose(each) for each in lines]
    if all(are_prose) and _is_continued(*lines):
        return True
    is_single = len(near[0]) == len(left) and len(near[1]) == len(right)
    is_text = any(are_prose) and all(_is_together(each, height) for each in lines)
    return is_single and is_text and least >= _FEW_LINES and _aligned(*lines) <= _ALIGNED


def _neighbor(side: list[Piece], height: float, *, of_left: bool) -> list[Piece]:
    """The column of this side that is next to the river."""
    ordered = sorted(side, key=lambda piece: piece.right if of_left else piece.left, reverse=of_left)
    column = [ordered[0]]
    edge = ordered[0].left if of_left else ordered[0].right
    for piece in ordered[1:]:
        gap = edge - piece.right if of_left else piece.left - edge
        if gap >= _RIVER * height:
            break
        column.append(piece)
        edge = min(edge, piece.left) if of_left else max(edge, piece.right)
    return column


def _numeric(lines: Sequence[_Line]) -> float:
    """The share of lines that are a number, an amount or a date."""
    return sum(_is_number(line.text) for line in lines) / len(lines)


def _is_number(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    return digits > 0 and digits >= sum(char.isalpha() for char in text)


def _is_prose(lines: Sequence[_Line]) -> bool:
    width = max(line.right for line in lines) - min(line.left for line in lines)
    filled = sum(line.right - line.left >= _FILLED * width for line in lines)
    return filled >= len(lines) / 2 and statistics.median(_count_words(line.text) for line in lines) >= _LEAST_WORDS


def _count_words(text: str) -> float:
    ideographs = sum("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af" for char in text)
    return len(text.split()) + ideographs / _IDEOGRAPHS_PER_WORD


def _is_continued(left: Sequence[_Line], right: Sequence[_Line]) -> bool:
    """True if lines continue those above them, as those of prose do, and cells of a table do not."""
    letters = [line.text.lstrip("\"'“‘«(")[:1] for lines in (left, right) for line in lines]
    if not any(letter.isupper() or letter.islower() for letter in letters):  # a script without case
        return True
    shares = [_continued(left), _continued(right)]
    return max(shares) >= _CONTINUED and min(shares) >= _CONTINUED / 2


def _continued(lines: Sequence[_Line]) -> float:
    following = [line.text[:1] for line in lines[1:]]
    return sum(letter.islower() for letter in following) / max(1, len(following))


def _aligned(left: Sequence[_Line], right: Sequence[_Line]) -> float:
    """The share of lines of the shorter side that stand beside a line of the other."""
    few, many = sorted((left, right), key=len)
    beside = sum(any(_is_beside(line, other) for other in many) for line in few)
    return beside / len(few)


def _is_beside(a: _Line, b: _Line) -> bool:
    return abs(a.middle - b.middle) < _BESIDE * max(a.height, b.height)


def _is_together(lines: Sequence[_Line], height: float) -> bool:
    """True if the lines are as close to each other as those of one text."""
    steps = [after.middle - before.middle for before, after in zip(lines, lines[1:], strict=False)]
    return sum(step <= _APART * height for step in steps) >= len(steps) / 2
