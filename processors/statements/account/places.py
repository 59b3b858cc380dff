"""Where the values of a statement are printed, as page and box. Pure.

While a document is read, boxes are in the unit of its words; `to_fractions` makes them fractions of the page.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from processors.statements.account.periods import Dates, Period
from processors.statements.notation.amounts import parse_amount
from processors.statements.notation.currencies import detect_currency
from processors.statements.notation.dates import DateOrder, find_periods
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.words import Box, PageFrame, PageWord, TextLine, line_height, unite
from processors.statements.records import Place, Places, Statement, StatementDocument
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.raw import RawDocument, RawFigure, RawRow

_IGNORED = re.compile(r"[\s.]")  # in account numbers
_TOTALS = ("debits", "credits", "total")
_ORDERS: tuple[DateOrder, ...] = ("dmy", "mdy")


def to_fractions(document: StatementDocument, frames: Mapping[int, PageFrame]) -> None:
    """Turn all boxes into fractions of their pages; those of a page without a frame become None."""

    def convert(page: int, box: Box | None) -> Box | None:
        return frames[page].to_fractions(box) if box and page in frames else None

    for statement in document.statements:
        places = [place for place in vars(statement.places).values() if place]
        for each in (*statement.rows, *statement.anchors, *places):
            each.box = convert(each.page, each.box)
    for unread in document.unread:
        unread.box = convert(unread.page, unread.box)


def find_places(
    statement: Statement, items: Sequence[RawRow | RawFigure], reading: RawDocument, mark: DecimalMark, dates: Dates
) -> Places:
    """Where the values of a header are printed. `items`: of its account."""
    account = items[0].account if items else statement.account
    outside = [line for name, line in reading.outside if name == account]
    own = [*outside, *(line for name, line in (*reading.not_rows, *reading.figure_lines) if name == account)]
    figures = [item for item in items if isinstance(item, RawFigure)]
    opening = _find_figure(statement.opening, ("opening", "carried"), figures, mark)
    closing = _find_figure(statement.closing, ("closing",), figures[::-1], mark) or _find_row(statement)
    return Places(
        account=_find_text(statement.account, [*own, *reading.lines]),
        holder=_find_text(statement.holder, outside),
        currency=_find_currency(statement.currency, own),
        period=_find_period(dates, [*outside, *(line for _, line in reading.outside)]),
        opening=opening or _find_amount(statement.opening, own, mark),
        closing=closing or _find_amount(statement.closing, own, mark),
        printed_debits=_find_figure(statement.printed_debits, _TOTALS, figures, mark),
        printed_credits=_find_figure(statement.printed_credits, _TOTALS, figures, mark),
    )


def _find_figure(
    value: Decimal | None, names: Sequence[str], figures: Sequence[RawFigure], mark: DecimalMark
) -> Place | None:
    """The first balance or total of this name and value."""
    if value is None:
        return None
    for name in names:
        for each in figures:
            amounts = [parse_amount(text, mark) for text in each.money.values()] if each.name == name else []
            if any(amount and amount.value == abs(value) for amount in amounts):
                return Place(each.page, each.box)
    return None


def _find_row(statement: Statement) -> Place | None:
    """The last row with a balance, if that is the closing balance."""
    last = next((row for row in reversed(statement.rows) if row.balance is not None), None)
    return Place(last.page, last.box) if last and last.balance == statement.closing else None


def _find_amount(value: Decimal | None, lines: Sequence[TextLine], mark: DecimalMark) -> Place | None:
    if value is None:
        return None
    height = line_height(lines)
    for line in lines:
        for cell in find_amounts(line.words, height):
            amount = parse_amount(cell.text, mark)
            if amount and amount.value == abs(value):
                return Place(line.page, cell.box)
    return None


def _find_text(text: str, lines: Sequence[TextLine]) -> Place | None:
    """The first words of a line that are this text, however grouped; if there are none, words that contain it."""
    wanted, inexact = _compact(text), None
    for line in lines if wanted else ():
        for words, is_exact in _find_runs(line, wanted):
            place = Place(line.page, unite(word.box for word in words))
            if is_exact:
                return place
            inexact = inexact or place
    return inexact


def _find_runs(line: TextLine, wanted: str) -> Iterator[tuple[Sequence[PageWord], bool]]:
    """The words that contain the text together, and whether no other letters or digits are in them."""
    texts = [_compact(word.text) for word in line.words]
    starts = list(itertools.accumulate(map(len, texts), initial=0))
    joined = "".join(texts)
    at = joined.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        numbers = [number for number in range(len(texts)) if starts[number] < end and at < starts[number + 1]]
        before, after = joined[starts[numbers[0]] : at], joined[end : starts[numbers[-1] + 1]]
        yield [line.words[number] for number in numbers], not any(char.isalnum() for char in before + after)
        at = joined.find(wanted, at + 1)


def _compact(text: str) -> str:
    return _IGNORED.sub("", text).upper()


def _find_currency(code: str, lines: Sequence[TextLine]) -> Place | None:
    """The first line that names a currency, by code or sign; only the word that names it, if it is a single word."""
    for line in lines if code else ():
        if detect_currency([line.text]) == code:
            words = [word for word in line.words if detect_currency([word.text]) == code]
            return Place(line.page, words[0].box if words else line.box)
    return None


def _find_period(dates: Dates, lines: Sequence[TextLine]) -> Place | None:
    """The words of the line that prints both ends of the period."""
    period = dates.period
    if period is None or not dates.is_printed:
        return None
    for line in lines:
        if _has_period(line.words, period):
            words = list(line.words)
            while _has_period(words[1:], period):
                del words[0]
            while _has_period(words[:-1], period):
                del words[-1]
            return Place(line.page, unite(word.box for word in words))
    return None


def _has_period(words: Sequence[PageWord], period: Period) -> bool:
    text = " ".join(word.text for word in words)
    return any(period in find_periods([text], order) for order in _ORDERS)
