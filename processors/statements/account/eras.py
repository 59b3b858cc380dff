"""Years of the Japanese era Reiwa, printed as two digits: "07-01-14" for 14 January 2025. Pure."""

import re
import statistics
from collections.abc import Sequence
from dataclasses import replace

from processors.statements.notation.dates import FIRST_OF_REIWA, PrintedDate, detect_date_order
from processors.statements.table.raw import RawDocument, RawFigure, RawRow

_KANA = re.compile(r"[\u3041-\u30ff]")  # hiragana and katakana: Japanese, not Chinese
_LAST = 15  # from 16 on, two digits are more likely those of 2016 than of an era
_NOTE = "years of two digits are read as those of the Reiwa era"


def take_years_of_reiwa(items: Sequence[RawRow | RawFigure], reading: RawDocument) -> tuple[str, ...]:
    """Set the years of the rows of a Japanese document, if years of two digits would otherwise be too old; return a
    note."""
    rows = [(item, item.date) for item in items if isinstance(item, RawRow) and item.date]
    if detect_date_order(printed for _, printed in rows) != "ymd":
        return ()
    years = [printed.pair[0] for _, printed in rows if printed.pair]
    is_japanese = any(_KANA.search(line.text) for line in reading.lines)
    if not years or not is_japanese or statistics.median_low(years) > _LAST or _names_year(years, reading):
        return ()
    for row, printed in rows:
        row.date = _of_reiwa(printed)
        row.value_date = row.value_date and _of_reiwa(row.value_date)
    return (_NOTE,)


def _names_year(years: Sequence[int], reading: RawDocument) -> bool:
    """True if one of the years is printed with four digits."""
    return any(f"20{year:02d}" in line.text for year in set(years) for line in reading.lines)


def _of_reiwa(printed: PrintedDate) -> PrintedDate:
    if not printed.pair or not printed.year:
        return printed
    year, month = printed.pair
    return replace(printed, year=FIRST_OF_REIWA + year - 1, month=month, day=printed.year % 100, pair=None)
