"""What rows show that the headings of a table do not: its first line, further dates, the width of the text. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from processors.statements.notation.words import TextLine, split_cells
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.columns import ALIKE, DATES_ALIGNED, LEAST_DATES, TEXT_GAP, cluster, find_dates
from processors.statements.table.headings import MONEY, Heading

_ABOVE = 2.5  # line heights between a balance above the first row and that row
_MOST_DAY_WORDS = 2  # before the date of a day


def find_first_row(lines: Sequence[TextLine], headings: Sequence[Heading], height: float) -> int | None:
    """The first line of a table without a heading row: the first line with an amount, and with a date in its column; or
    the line with only a day above the rows of that day; or lines with balances right above one of these. None: there is
    no such line."""
    left = next(heading.left for heading in headings if heading.column == "date")
    dated = [_has_date_at(line, left, height) for line in lines]
    for at, line in enumerate(lines):
        if not dated[at]:
            continue
        starts_day = at + 1 < len(lines) and not dated[at + 1] and _are_near(line, lines[at + 1], headings, height)
        is_below = at > 0 and _is_balance_above(lines[at - 1], line, headings, height)
        if is_below or starts_day or find_amounts(line.words, height):
            while at and _is_balance_above(lines[at - 1], lines[at], headings, height):
                at -= 1
            return at
    return None


def add_first_dates(headings: tuple[Heading, ...], lines: Sequence[TextLine], height: float) -> tuple[Heading, ...]:
    """The headings with a column of dates left of the one that is named, if nearly all rows begin with one.

    Whatever its heading, the first date is that of the row, and the other one is the value date.
    """
    named = next((heading for heading in headings if heading.column == "date"), None)
    if named is None or any(heading.column == "value_date" for heading in headings):
        return headings
    firsts, rows = [], 0
    for line in lines:
        dates = find_dates(line, height)
        rows += any(abs(cell.left - named.left) <= DATES_ALIGNED * height for cell in dates)
        if dates and dates[0].words[0] is line.words[0] and named.left - dates[0].right > TEXT_GAP * height:
            following = line.words[len(dates[0].words) :]
            firsts += [dates[0]] if following and following[0].left - dates[0].right > TEXT_GAP * height else []
    aligned = max(cluster([(cell.left, cell) for cell in firsts], DATES_ALIGNED * height), key=len, default=[])
    if len(aligned) < max(LEAST_DATES, ALIKE * rows):
        return headings
    left, right = min(cell.left for cell in aligned), max(cell.right for cell in aligned)
    others = [Heading("value_date", h.left, h.right) if h is named else h for h in headings]
    return (Heading("date", left, right), *others)


def add_second_dates(headings: tuple[Heading, ...], lines: Sequence[TextLine], height: float) -> tuple[Heading, ...]:
    """The headings with a column of dates right of the only one that is named, if nearly all rows have one there."""
    named = next((heading for heading in headings if heading.column == "date"), None)
    if named is None or any(heading.column == "value_date" for heading in headings):
        return headings
    seconds, rows = [], 0
    for line in lines:
        dates = [cell for cell in find_dates(line, height) if cell.left >= named.left - DATES_ALIGNED * height]
        if not dates or dates[0].left - named.left > DATES_ALIGNED * height:
            continue
        rows += 1
        cells = [cell[0] for cell in split_cells(line.words, TEXT_GAP * height)]
        ends = [cell[-1] for cell in split_cells(line.words, TEXT_GAP * height)]
        seconds += [cell for cell in dates[1:2] if cell.words[0] in cells and cell.words[-1] in ends]
    aligned = max(cluster([(cell.left, cell) for cell in seconds], DATES_ALIGNED * height), key=len, default=[])
    if len(aligned) < max(LEAST_DATES, ALIKE * rows):
        return headings
    left, right = min(cell.left for cell in aligned), max(cell.right for cell in aligned)
    return tuple(sorted((*headings, Heading("value_date", left, right)), key=lambda heading: heading.left))


def widen_text(headings: tuple[Heading, ...], lines: Sequence[TextLine], height: float) -> tuple[Heading, ...]:
    """The headings with that of the text as far left as the text itself, if it is centered above its column."""
    text = next((heading for heading in headings if heading.column == "description"), None)
    lefts = [left for line in lines if text and (left := _left_of_cell_below(line, text, height)) is not None]
    if text is None or len(lefts) < LEAST_DATES:
        return headings
    left = statistics.median(lefts)
    is_between = any(left - height < heading.left < text.left for heading in headings if heading is not text)
    if left > text.left - 2 * height or is_between:
        return headings
    return tuple(replace(heading, left=left) if heading is text else heading for heading in headings)


def _left_of_cell_below(line: TextLine, heading: Heading, height: float) -> float | None:
    """The left edge of the text of a row that is below a heading."""
    dates = {id(word) for cell in find_dates(line, height) for word in cell.words}
    words = [word for word in line.words if id(word) not in dates]
    if not dates or not find_amounts(words, height):
        return None
    cells = split_cells(words, TEXT_GAP * height)
    below = (cell for cell in cells if cell[0].left < heading.right and heading.left < cell[-1].right)
    return next((cell[0].left for cell in below if any(char.isalpha() for word in cell for char in word.text)), None)


def _has_date_at(line: TextLine, left: float, height: float) -> bool:
    return any(abs(cell.left - left) <= DATES_ALIGNED * height for cell in find_dates(line, height))


def _are_near(line: TextLine, below: TextLine, headings: Sequence[Heading], height: float) -> bool:
    """True if the line right below a line with only a day has an amount in a column."""
    dates = find_dates(line, height)
    is_day = len(dates) == 1 and len(line.words) - len(dates[0].words) <= _MOST_DAY_WORDS
    is_close = below.top - line.bottom < _ABOVE * height
    return is_day and is_close and not find_amounts(line.words, height) and _has_amount(below, headings, height)


def _is_balance_above(line: TextLine, below: TextLine, headings: Sequence[Heading], height: float) -> bool:
    return below.top - line.bottom < _ABOVE * height and _has_amount(line, headings, height)


def _has_amount(line: TextLine, headings: Sequence[Heading], height: float) -> bool:
    rights = [heading.right for heading in headings if heading.column in MONEY]
    cells = find_amounts(line.words, height)
    return any(abs(cell.right - right) < DATES_ALIGNED * height for cell in cells for right in rights)
