"""Which of two dates of each row is that of its booking: by the headings above them, else by their order. Pure.

The other one, that of a purchase, of a document or of the interest, is kept as the value date. A card's list prints the
date of the purchase first or last, and an account's list that of the interest, so that their places show nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from processors.statements.notation.date_names import DateName, find_date_name
from processors.statements.notation.keywords import Column, normalize
from processors.statements.notation.words import TextLine
from processors.statements.records import Row
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.headings import Heading
from processors.statements.table.raw import RawRow
from processors.statements.table.table import without_box

DOUBT = "each row prints two dates, and neither headings nor their order show which one is that of its booking"

_RANKS: dict[DateName, int] = {"booking": 3, "day": 2, "purchase": 1, "value": 0}  # the highest one is the booking's
_ABOVE = 4  # lines above the first row that may be headings, where no heading row is known
_NEAR = 2.0  # line heights between such lines
_WIDTH = 3.0  # line heights; the width of a date at least
_LEAST_GROUPED = 2  # rows with the date of the row above, and another one of their own
_LEAST_FALLS = 2  # dates out of order; a single one may be misread
_MANY_MORE = 4  # times as often, the order of purchases is broken


def is_second_booked(headings: Sequence[Heading], lines: Sequence[TextLine], height: float) -> bool | None:
    """True if the words above the two columns of dates name "value_date" as that of bookings, False if they name
    "date", None if they name neither.

    lines: the heading row, or what is above the rows; a line with amounts is none of them.
    """
    lines = [line for each in lines if not find_amounts((line := without_box(each, height)).words, height)]
    first, second = (_heading_of(headings, column) for column in ("date", "value_date"))
    if first is None or second is None:
        return False
    names = [find_date_name(_words_above(heading, lines, height)) for heading in (first, second)]
    ranks = [_RANKS[name] if name else None for name in names]
    if ranks[0] == ranks[1] or (None in ranks and not {0, 3} & {*ranks}):
        return None
    known = [2 if rank is None else rank for rank in ranks]
    return known[0] < known[1]


def exchange_dates(headings: Sequence[Heading]) -> tuple[Heading, ...]:
    names: dict[Column, Column] = {"date": "value_date", "value_date": "date"}
    return tuple(replace(each, column=names.get(each.column, each.column)) for each in headings)


def find_headings_around(lines: Sequence[TextLine], top: int, start: int, height: float) -> list[TextLine]:
    """The heading row of a table, with the lines close above and below that may be parts of it.

    top, start: the first line of the headings and the first line below them; the same one if there is no heading row.
    """
    found = list(lines[top : start + (top < start)])
    for line in reversed(lines[max(0, top - (_ABOVE if top == start else 1)) : top]):
        below = found[0] if found else lines[start]
        if below.top - line.bottom > _NEAR * height:
            break
        found.insert(0, line)
    return found


def take_booking_dates(rows: Sequence[Row], raw: Sequence[RawRow], *, is_card: bool) -> bool:
    """Interchange the two dates of each row if only the second one can be that of its booking; return True if the dates
    show which one it is, or if it makes no difference.

    Bookings are in order, unlike other dates; one date is printed for all bookings of a day; and a card's purchases are
    booked later.
    """
    both = [(row, row.date, row.value_date) for row in rows if row.date and row.value_date]
    grouped = sum(each.date_is_inherited and each.value_date is not None for each in raw)
    if grouped >= _LEAST_GROUPED or all(day == other for _, day, other in both):
        return True
    lists = [[each for each in both if each[0].section == number] for number in {row.section for row, *_ in both}]
    falls = sum(_count_falls([each[1] for each in one]) for one in lists)
    others = sum(_count_falls([each[2] for each in one]) for one in lists)
    is_second = falls >= _LEAST_FALLS and others * _MANY_MORE <= falls
    is_first = others >= _LEAST_FALLS and falls * _MANY_MORE <= others
    if is_card and not is_first and not is_second:
        is_first, is_second = all(a >= b for _, a, b in both), all(a <= b for _, a, b in both)
    if is_second:
        for row, day, other in both:
            row.date, row.value_date = other, day
    return is_first or is_second


def _count_falls(days: Sequence[date]) -> int:
    """How often the order of the days is broken, whether the oldest or the newest is first."""
    steps = list(zip(days, days[1:], strict=False))
    return min(sum(b < a for a, b in steps), sum(b > a for a, b in steps))


def _heading_of(headings: Sequence[Heading], column: Column) -> Heading | None:
    return next((heading for heading in headings if heading.column == column), None)


def _words_above(heading: Heading, lines: Sequence[TextLine], height: float) -> str:
    right = max(heading.right, heading.left + _WIDTH * height)
    words = [word for line in lines for word in line.words if word.left < right and heading.left < word.right]
    return normalize(" ".join(word.text for word in words))
