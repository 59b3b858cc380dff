"""Distinguishes columns of text from the rows of a table in a region of a page. Pure.

A river (see `rivers`) separates columns of prose: lines that fill their column and continue on the next line, or lines
at other heights than those beside them. Cells of a table, labels of a form and amounts are at the height of their
neighbors, so no river separates them.
"""

import statistics
from collections.abc import Sequence

from processors.ocr.rivers import LEAST_LINES, RIVER, SAME_LINE, Band, Line, Piece, find_bands, group_lines

_RIVER_OF_FEW = 1.5  # line heights: minimum width of a river if a side has fewer than `_FEW_LINES` lines
_FEW_LINES = 4
_SPACE = 0.6  # line heights between words of a piece, at most
_SAME_SIZE = 1.6  # times the height of the other
_FILLED = 0.6  # of the column's width, by a line of prose
_LEAST_WORDS = 3  # in a line of prose
_CONTINUED = 0.25  # share of a column's lines that begin in lower case, if they continue the line before
_NUMERIC = 0.4  # share of a column's lines that are numbers; a column with more belongs to a table
_ALIGNED = 0.5  # share of lines beside a line of the other side; if more are, the region has rows
_BESIDE = 0.2  # line heights between the middles of lines that are beside each other
_APART = 2.2  # line heights from one line to the next; lines of one text are nearer
_IDEOGRAPHS_PER_WORD = 3


def split_regions(words: Sequence[Piece], *, right_to_left: bool = False) -> list[list[int]]:
    """The indexes of words in parts of a page in reading order; each part is read line by line across its width."""
    regions: list[tuple[list[Piece], bool]] = []
    for part, is_column in _split(join_words(words), right_to_left):
        if regions and not is_column and not regions[-1][1]:
            regions[-1][0].extend(part)
        elif part:
            regions.append((part, is_column))
    return [[index for piece in part for index in piece.indexes] for part, _ in regions]


def join_words(words: Sequence[Piece]) -> list[Piece]:
    """Join words that are close together on a line."""
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
    is_beside = abs(a.middle - b.middle) < SAME_LINE * height and max(a.height, b.height) < _SAME_SIZE * height
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


def _widest_band(pieces: list[Piece]) -> Band | None:
    """The topmost part of the region that a river divides into columns of text."""
    if len(pieces) < 2 * LEAST_LINES:
        return None
    height = statistics.median(piece.height for piece in pieces)
    for band in find_bands(pieces, height):
        if _are_columns(band.left, band.right, height):
            return band
    return None


def _are_columns(left: list[Piece], right: list[Piece], height: float) -> bool:
    """True if a person reads all of `left`, then all of `right`."""
    near = _neighbor(left, height, of_left=True), _neighbor(right, height, of_left=False)
    lines = group_lines(near[0], height), group_lines(near[1], height)
    least = min(len(each) for each in lines)
    if least < LEAST_LINES or any(_numeric(each) > _NUMERIC for each in lines):
        return False
    river = min(piece.left for piece in right) - max(piece.right for piece in left)
    if least < _FEW_LINES and river < _RIVER_OF_FEW * height:
        return False
    are_prose = [_is_prose(each) for each in lines]
    if all(are_prose) and _is_continued(*lines):
        return True
    is_single = len(near[0]) == len(left) and len(near[1]) == len(right)
    is_text = any(are_prose) and all(are_together(each, height) for each in lines)
    return is_single and is_text and least >= _FEW_LINES and not are_aligned(*lines)


def _neighbor(side: list[Piece], height: float, *, of_left: bool) -> list[Piece]:
    """The column of this side that is next to the river."""
    ordered = sorted(side, key=lambda piece: piece.right if of_left else piece.left, reverse=of_left)
    column = [ordered[0]]
    edge = ordered[0].left if of_left else ordered[0].right
    for piece in ordered[1:]:
        gap = edge - piece.right if of_left else piece.left - edge
        if gap >= RIVER * height:
            break
        column.append(piece)
        edge = min(edge, piece.left) if of_left else max(edge, piece.right)
    return column


def _numeric(lines: Sequence[Line]) -> float:
    """The share of lines that are a number, an amount or a date."""
    return sum(is_number(line.text) for line in lines) / len(lines)


def is_number(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    return digits > 0 and digits >= sum(char.isalpha() for char in text)


def _is_prose(lines: Sequence[Line]) -> bool:
    width = max(line.right for line in lines) - min(line.left for line in lines)
    filled = sum(line.right - line.left >= _FILLED * width for line in lines)
    return filled >= len(lines) / 2 and statistics.median(_count_words(line.text) for line in lines) >= _LEAST_WORDS


def _count_words(text: str) -> float:
    ideographs = sum("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af" for char in text)
    return len(text.split()) + ideographs / _IDEOGRAPHS_PER_WORD


def _is_continued(left: Sequence[Line], right: Sequence[Line]) -> bool:
    """True if lines continue those above them, as in prose, and unlike the cells of a table."""
    letters = [line.text.lstrip("\"'“‘«(")[:1] for lines in (left, right) for line in lines]
    if not any(letter.isupper() or letter.islower() for letter in letters):  # a script without case
        return True
    shares = [_continued(left), _continued(right)]
    return max(shares) >= _CONTINUED and min(shares) >= _CONTINUED / 2


def _continued(lines: Sequence[Line]) -> float:
    following = [line.text[:1] for line in lines[1:]]
    return sum(letter.islower() for letter in following) / max(1, len(following))


def are_aligned(left: Sequence[Line], right: Sequence[Line]) -> bool:
    """True if most lines of the shorter side are beside a line of the other side."""
    few, many = sorted((left, right), key=len)
    return sum(any(_is_beside(line, other) for other in many) for line in few) > _ALIGNED * len(few)


def _is_beside(a: Line, b: Line) -> bool:
    return abs(a.middle - b.middle) < _BESIDE * max(a.height, b.height)


def are_together(lines: Sequence[Line], height: float) -> bool:
    """True if the lines are as close to each other as those of one text."""
    steps = [after.middle - before.middle for before, after in zip(lines, lines[1:], strict=False)]
    return sum(step <= _APART * height for step in steps) >= len(steps) / 2
