"""Doubts about the dates of a verified statement's rows: each adds flags and changes no value. Pure.

A date is doubtful if it is out of order, outside the period, in the future, far from all others, or not as far from its
value date as the others are. No check detects a misread digit that causes none of these.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from processors.statements.checks.sequences import find_out_of_order
from processors.statements.notation.installments import is_installment
from processors.statements.records import Row, Statement

_MOST_OUT_OF_ORDER = 0.2  # if more rows are out of order, the statement does not list its rows by date
_AHEAD = timedelta(days=31)  # after today; bookings are announced
_LEAST_ROWS = 8  # fewer show no rule
_LEAST_DAYS = 4  # the two nearest and the two furthest
_RESTART = timedelta(days=3)  # after the first row of a list, another list begins at most
_USUAL_SPAN = 35  # days of the other rows, of a monthly statement
_FAR = 62  # days from all of them
_YEARS = 400  # days; on no statement is a row further from the next one
_VALUE_SLACK = 1  # days by which a value date may be further from its booking date than all others


def check_dates(statement: Statement, today: date | None = None) -> None:
    """Flag the rows with doubtful dates. `today`: None if unknown."""
    end = statement.end or date.max
    dated = [row for row in statement.rows if row.date]
    purchases = [row for row in dated if row.date and is_installment(row.description, row.date, end)]
    for section in sorted({row.section for row in dated}):
        for run in _split_at_restarts([row for row in dated if row.section == section]):
            _check_order(run)
    dated = [row for row in dated if not any(row is each for each in purchases)]
    for row, day in _days(dated):
        if statement.start and statement.end and not statement.start <= day <= statement.end:
            row.flags.append(f"its date {day} is outside the period {statement.start} to {statement.end}")
        if today and day > today + _AHEAD:
            row.flags.append(f"its date {day} is in the future")
    _check_distance(dated)
    _check_value_dates(dated)


def _days(rows: Sequence[Row]) -> Iterator[tuple[Row, date]]:
    return ((row, row.date) for row in rows if row.date)


def _split_at_restarts(dated: Sequence[Row]) -> list[list[Row]]:
    """The rows up to each page whose first row is about as old as the first of all: another list begins there."""
    runs: list[list[tuple[Row, date]]] = []
    for row, day in _days(dated):
        if not runs or _restarts(runs[-1], row.page, day):
            runs.append([])
        runs[-1].append((row, day))
    return [[row for row, _ in run] for run in runs]


def _restarts(run: Sequence[tuple[Row, date]], page: int, day: date) -> bool:
    (_, first), (last_row, last) = run[0], run[-1]
    return last_row.page != page and len(run) >= _LEAST_DAYS and day <= first + _RESTART < last


def _check_order(dated: Sequence[Row]) -> None:
    if _is_by_value_date(dated):
        return
    fewest_wrong, doubtful = find_out_of_order([day.toordinal() for _, day in _days(dated)])
    if fewest_wrong <= _MOST_OUT_OF_ORDER * len(dated):
        for at in doubtful:
            dated[at].flags.append(f"its date {dated[at].date} is out of order")


def _is_by_value_date(dated: Sequence[Row]) -> bool:
    """True if the second date of each row, such as that of its posting, is in order: rows are listed by that date."""
    days = [row.value_date for row in dated if row.value_date]
    return len(days) == len(dated) >= _LEAST_DAYS and days == sorted(days)


def _check_distance(dated: Sequence[Row]) -> None:
    """Flag the first or the last day if it is far from all others, which are close together."""
    ordered = sorted(_days(dated), key=lambda each: each[1])
    if len(ordered) < _LEAST_DAYS:
        return
    first, second, *_, next_to_last, last = ordered
    for (row, day), (_, nearest), (_, furthest) in ((first, second, last), (last, next_to_last, first)):
        gap, span = abs((day - nearest).days), abs((nearest - furthest).days)
        is_alone = len(ordered) >= _LEAST_ROWS and span <= _USUAL_SPAN and gap > _FAR
        if gap > _YEARS or is_alone:
            row.flags.append(f"its date {day} is {gap} days from the next")


def _check_value_dates(dated: Sequence[Row]) -> None:
    """Flag a row whose value date is further from its booking date than that of any other row, both in days and in
    working days: a sale on Thursday may be paid on Monday."""
    both = [(row, row.value_date, day) for row, day in _days(dated) if row.value_date]
    if len(both) < _LEAST_ROWS:
        return
    days = _find_furthest([(value - day).days for _, value, day in both])
    working = _find_furthest([_working_day(value) - _working_day(day) for _, value, day in both])
    for at in days & working:
        row, value, day = both[at]
        row.flags.append(f"its date {day} is {abs((value - day).days)} days away from its value date {value}")


def _find_furthest(distances: Sequence[int]) -> set[int]:
    """The positions of the distances that exceed all others."""
    found = set()
    for at, distance in enumerate(distances):
        others = [*distances[:at], *distances[at + 1 :]]
        if not min(others) - _VALUE_SLACK <= distance <= max(others) + _VALUE_SLACK:
            found.add(at)
    return found


def _working_day(day: date) -> int:
    """The number of a day, not counting Saturdays and Sundays."""
    weeks, rest = divmod(day.toordinal() - 1, 7)  # day 1 was a Monday
    return 5 * weeks + min(rest, 5)
