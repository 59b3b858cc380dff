"""Numbers, dates and times of day before the texts of all rows: separate columns, not part of the description.
Pure."""

from collections import Counter
from collections.abc import Sequence

from processors.statements.notation.dates import parse_date
from processors.statements.table.line_dates import TIME
from processors.statements.table.raw import RawRow

_LEAST_ROWS = 4  # fewer show no rule
_NEARLY_ALL = 0.9  # of the rows; OCR may misread some
_MOST_DIGITS = 5


def drop_columns_of_text(rows: Sequence[RawRow]) -> None:
    """Remove the running number of each row from the start of its text, then further dates and the time of day."""
    if len(rows) < _LEAST_ROWS:
        return
    firsts = [_first_word(row) for row in rows]
    numbers = [int(word) if word.isdecimal() and len(word) <= _MOST_DIGITS else None for word in firsts]
    if _are_running(numbers) or _are_running(numbers[::-1]):
        _drop([row for row, number in zip(rows, numbers, strict=True) if number is not None])
    while len(dated := [row for row in rows if _is_date(_first_word(row))]) >= _NEARLY_ALL * len(rows):
        _drop(dated)  # a further column, such as that of value dates
    timed = [row for row in rows if TIME.fullmatch(_first_word(row))]
    if len(timed) >= _NEARLY_ALL * len(rows):
        _drop(timed)


def _first_word(row: RawRow) -> str:
    return next(iter(" ".join(row.text[:1]).split()), "")


def _is_date(word: str) -> bool:
    printed = parse_date(word)
    return printed is not None and printed.year is not None and printed.length == len(word)


def _are_running(numbers: Sequence[int | None]) -> bool:
    """True if nearly all numbers are one more than the previous number."""
    starts = Counter(number - at for at, number in enumerate(numbers) if number is not None)
    return bool(starts) and max(starts.values()) >= _NEARLY_ALL * len(numbers)


def _drop(rows: Sequence[RawRow]) -> None:
    for row in rows:
        rest = row.text[0].partition(" ")[2]
        row.text[:1] = [rest] if rest else []
