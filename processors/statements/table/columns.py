"""The columns of a table by geometry alone: dates share a left edge, amounts a right edge. Pure.

Knows no heading words; what the columns mean is decided in `hypotheses`.
"""

import functools
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from processors.statements.notation.dates import parse_date
from processors.statements.notation.words import (
    PageWord,
    PageWords,
    TextLine,
    WordRun,
    group_lines,
    line_height,
    split_cells,
)
from processors.statements.table.amount_cells import AmountCell, find_amounts, is_in_sentence
from processors.statements.table.line_dates import TIME_AFTER

_DATE_WORDS = 4
_DATE_GAP = 1.2  # line heights between the words of one date
_DAY_AND_MONTH = re.compile(r"\d\d?[.,]\d\d")  # looks like an amount, but is left of all text
DATES_ALIGNED = 1.5  # line heights by which the left edges of one column differ
_AMOUNTS_ALIGNED = 1.0  # the same for right edges of amounts
TEXT_GAP = 1.0  # line heights; a wider gap separates two columns of text
LEAST_DATES = 3
ALIKE = 0.9  # of the longest column of dates
_MOST_DATE_COLUMNS = 3
_MOST_AMOUNT_COLUMNS = 5
_LEAST_SHARE = 0.03  # of the rows that have an amount in a column
_LEAST_PAIRED = 0.5  # of the rows that have a second date


@dataclass(frozen=True)
class DateCell(WordRun):
    """A date on a line, of one or more words."""


_CellT = TypeVar("_CellT", DateCell, AmountCell)


@dataclass(frozen=True)
class CellLine:
    """A line with the dates and amounts on it."""

    line: TextLine
    dates: tuple[DateCell, ...]
    amounts: tuple[AmountCell, ...]


@dataclass(frozen=True)
class AmountColumn:
    left: float
    right: float
    size: int


@dataclass(frozen=True)
class Layout:
    """One interpretation of the table: which dates are those of its rows, and what is right and left of them."""

    height: float
    date: tuple[float, float]  # left and right edge
    value_date: tuple[float, float] | None
    text: float  # left edge
    amounts: tuple[AmountColumn, ...]  # from left to right

    def is_row(self, line: CellLine) -> bool:
        """True if the line has a date in the column of dates."""
        return any(abs(cell.left - self.date[0]) <= DATES_ALIGNED * self.height for cell in line.dates)

    def column_of(self, cell: AmountCell) -> int | None:
        """The position in `amounts` of the column that the amount is aligned with."""
        distances = [abs(column.right - cell.right) for column in self.amounts]
        nearest = min(distances)
        return distances.index(nearest) if nearest <= 1.5 * _AMOUNTS_ALIGNED * self.height else None


def find_cells(pages: Iterable[PageWords]) -> list[CellLine]:
    """All lines of a document with their dates and amounts."""
    found = []
    for page in pages:
        lines = group_lines(page)
        height = line_height(lines)
        found += [_find_cells(line, height) for line in lines]
    return found


def find_layouts(lines: Sequence[CellLine]) -> list[Layout]:
    """The possible layouts, the one with the most dates first; if columns of dates are about equally long, the left one
    first."""
    height = line_height([each.line for each in lines])
    dated = [(cell.left, cell) for line in lines for cell in line.dates]
    clusters = cluster(dated, DATES_ALIGNED * height)
    with_amounts = {id(cell) for line in lines if line.amounts for cell in line.dates}
    sizes = {id(cells): sum(id(cell) in with_amounts for cell in cells) for cells in clusters}
    if max(sizes.values(), default=0) < LEAST_DATES:  # the dates are on lines of their own
        sizes = {id(cells): len(cells) for cells in clusters}
    most = ALIKE * max(sizes.values(), default=0)
    columns = sorted(clusters, key=lambda cells: (-min(sizes[id(cells)], most), cells[0].left))[:_MOST_DATE_COLUMNS]
    layouts = [_layout(lines, column, columns, height) for column in columns if len(column) >= LEAST_DATES]
    return [layout for layout in layouts if layout]


def _find_cells(line: TextLine, height: float) -> CellLine:
    dates = find_dates(line, height)
    taken = {id(word) for cell in dates for word in cell.words}
    rest = [word for word in line.words if id(word) not in taken]
    amounts = [cell for cell in find_amounts(rest, height) if not is_in_sentence(cell, rest, height)]
    return CellLine(line, dates, tuple(amounts))


@functools.lru_cache(1 << 12)  # lines; a document is read several times
def find_dates(line: TextLine, height: float) -> tuple[DateCell, ...]:
    found, at, starts_line = [], 0, True
    amounts = {id(word) for cell in find_amounts(line.words, height) for word in cell.words}
    while at < len(line.words):
        run = split_cells(line.words[at : at + _DATE_WORDS], _DATE_GAP * height)[0]
        is_amount = id(run[0]) in amounts and not (starts_line and _DAY_AND_MONTH.fullmatch(run[0].text))
        starts_line = starts_line and not any(char.isalpha() for char in run[0].text)
        length = 0 if is_amount else _date_length(" ".join(word.text for word in run))
        count = _count_words(run, length)
        if count:
            found.append(DateCell(tuple(run[:count])))
        at += max(1, count)
    return tuple(found)


def _date_length(text: str) -> int:
    """Characters of the date that `text` starts with, if it ends there, or before a time of day or one of " /*."."""
    printed = parse_date(text)
    if not printed:
        return 0
    following = text[printed.length :].partition(" ")[0]
    ends = not following or TIME_AFTER.fullmatch(following) or (following[0] in "/.*" and printed.length > 4)
    return printed.length if ends else 0


def _count_words(run: Sequence[PageWord], length: int) -> int:
    count = used = 0
    while count < len(run) and used < length:
        used += len(run[count].text) + 1
        count += 1
    return count


def _layout(
    lines: Sequence[CellLine], dates: Sequence[DateCell], others: Sequence[Sequence[DateCell]], height: float
) -> Layout | None:
    left = statistics.median(cell.left for cell in dates)
    mine = {id(cell) for cell in dates}
    rows = [line for line in lines if any(id(cell) in mine for cell in line.dates)]
    amounts = _amount_columns(rows, lines, height)
    taken = {id(word) for line in rows for cell in (*line.dates, *line.amounts) for word in cell.words}
    text = _text_left(rows, taken, height)
    if not amounts or text is None:
        return None
    pairs = [
        each
        for each in others
        if each is not dates and len(each) >= _LEAST_PAIRED * len(dates) and abs(_edges(each)[0] - left) > 2 * height
    ]
    return Layout(height, _edges(dates), _edges(pairs[0]) if pairs else None, text, tuple(amounts))


def _edges(dates: Sequence[DateCell]) -> tuple[float, float]:
    return statistics.median(cell.left for cell in dates), statistics.median(cell.words[-1].right for cell in dates)


def _amount_columns(rows: Sequence[CellLine], lines: Sequence[CellLine], height: float) -> list[AmountColumn]:
    """The columns of the amounts on lines with a date, or on all lines if amounts are below their dates."""
    own = [(cell.right, cell) for line in rows for cell in line.amounts]
    least = max(1.0, _LEAST_SHARE * len(rows))
    if len(own) < 0.3 * len(rows):
        own = [(cell.right, cell) for line in _lines_above(rows, lines) for cell in line.amounts]
    groups = [group for group in cluster(own, _AMOUNTS_ALIGNED * height) if len(group) >= least]
    kept = sorted(groups, key=len, reverse=True)[:_MOST_AMOUNT_COLUMNS]
    columns = [
        AmountColumn(
            statistics.median(cell.left for cell in group), statistics.median(cell.right for cell in group), len(group)
        )
        for group in kept
    ]
    return sorted(columns, key=lambda column: column.right)


def _lines_above(rows: Sequence[CellLine], lines: Sequence[CellLine]) -> list[CellLine]:
    """The last line with amounts above or below each line with a date, before another one."""
    dated = {id(row) for row in rows}
    found: list[CellLine] = []
    for ordered in (lines, lines[::-1]):
        last: CellLine | None = None
        for line in ordered:
            if id(line) in dated and last:
                found.append(last)
            last = line if line.amounts else None if id(line) in dated else last
    return list({id(line): line for line in found}.values())


def _text_left(rows: Sequence[CellLine], taken: set[int], height: float) -> float | None:
    """The left edge of the widest text of most rows."""
    edges = []
    for row in rows:
        words = [w for w in row.line.words if id(w) not in taken and any(char.isalpha() for char in w.text)]
        cells = split_cells(words, TEXT_GAP * height)
        if cells:
            edges.append(max(cells, key=lambda cell: sum(len(word.text) for word in cell))[0].left)
    return statistics.median_low(edges) if edges else None


def cluster(values: Sequence[tuple[float, _CellT]], gap: float) -> list[list[_CellT]]:
    """Cells whose edges follow each other within `gap`."""
    groups: list[list[tuple[float, _CellT]]] = []
    for value in sorted(values, key=lambda pair: pair[0]):
        if groups and value[0] - groups[-1][-1][0] <= gap:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [[cell for _, cell in group] for group in groups]
