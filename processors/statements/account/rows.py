"""Rows of a statement from the raw rows of its pages, each with the doubts about it. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from processors.statements.account.periods import Dates
from processors.statements.notation.amounts import parse_amount, parse_amount_with_any_mark
from processors.statements.notation.dates import PrintedDate, resolve_date
from processors.statements.notation.debit_credit import RowAmounts
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.installments import is_installment
from processors.statements.records import Row
from processors.statements.table.raw import RawFigure, RawRow

_MOST_YEARS = 3  # from a purchase to its last installment
_UNNAMED = "in an amount column without a heading"
_NEARLY_ALL_DATED = 0.9  # of the rows
_LEAST_LISTED = 3  # rows that begin another list; a single one may have a misread date
_NEARLY_ALL = 0.8  # of the rows: such a column may be that of the balances


def row_of(raw: RawRow, dates: Dates) -> Row:
    when, value_date = (
        resolve_date(each, dates.order, dates.period) if each else None for each in (raw.date, raw.value_date)
    )
    when = when or _day_of_purchase(raw, dates)
    row = Row(raw.page, when, " ".join(raw.text), " ".join(raw.reference), value_date=value_date)
    row.section, row.confidence, row.box = raw.section_number, raw.confidence, raw.box
    if row.date is None:
        row.flags.append(_why_no_date(raw.date, raw.date_like))
    row.flags += raw.doubts
    if dates.doubt and raw.date and raw.date.year is None:
        row.flags.append(dates.doubt)
    if raw.unreadable:
        row.flags.append(f"in an amount column, but not an amount: {' '.join(raw.unreadable)}")
    if raw.unnamed:
        row.flags.append(f"{_UNNAMED}: {' '.join(raw.unnamed)}")
    return row


def _day_of_purchase(raw: RawRow, dates: Dates) -> date | None:
    """The day of a purchase of which an installment is paid, if its year is not printed."""
    if not raw.date or raw.date.year or not dates.period:
        return None
    end = dates.period[1]
    years = [replace(raw.date, year=year) for year in range(end.year - _MOST_YEARS, end.year + 1)]
    days = [day for each in years if (day := resolve_date(each, dates.order, None))]
    return next((day for day in days if is_installment(" ".join(raw.text), day, end)), None)


def doubt_lost_dates(rows: Sequence[Row], raw: Sequence[RawRow]) -> None:
    """Flag the rows of scans that have the date of the row above, if nearly all others print one: OCR may have lost or
    misread it ("214" for "2/4")."""
    inherited = [row for row, each in zip(rows, raw, strict=True) if each.date_is_inherited and each.confidence < 1]
    if len(inherited) <= (1 - _NEARLY_ALL_DATED) * len(rows):
        for row in inherited:
            row.flags.append(
                "has no date of its own, although nearly all other rows have one: that of another row is used"
            )


def separate_lists(rows: Sequence[Row], items: Sequence[RawRow | RawFigure]) -> None:
    """Begin another section at each row below a total if this row and the next ones are older than the last row above.
    They are a list of their own, such as that of another card."""
    at = 0
    for above, item in zip([None, *items], items, strict=False):
        if not isinstance(item, RawRow):
            continue
        is_below = isinstance(above, RawFigure) and above.name in ("total", "debits", "credits")
        days = [row.date for row in rows[at : at + _LEAST_LISTED] if row.date]
        last = rows[at - 1].date if at else None
        if is_below and last and len(days) == _LEAST_LISTED and max(days) < last:
            for row in rows[at:]:
                row.section += 1
        at += 1


def drop_unnamed(rows: Sequence[Row]) -> None:
    """Drop the flags of amounts in a column without a heading that few rows have: balances prove the other amounts."""
    found = [row for row in rows if any(flag.startswith(_UNNAMED) for flag in row.flags)]
    for row in found if len(found) < _NEARLY_ALL * len(rows) else ():
        row.flags = [flag for flag in row.flags if not flag.startswith(_UNNAMED)]


def _why_no_date(printed: PrintedDate | None, date_like: str) -> str:
    """The reason why a row has no date: what is printed lacks a year, or is not a calendar date."""
    if date_like:
        return f"the date is missing: {date_like!r} is no day of the calendar"
    if printed is None:
        return "the date is missing"
    numbers = printed.pair or (printed.day, printed.month)
    return f"the date is missing, or its year is unknown: {numbers[0]}/{numbers[1]} is printed"


def amounts_of(raw: RawRow, mark: DecimalMark) -> RowAmounts:
    amounts = {column: parse_amount_with_any_mark(cell.text, mark) for column, cell in raw.money.items()}
    balance = amounts.get("balance")
    return RowAmounts(
        debit=amounts.get("debit"),
        credit=amounts.get("credit"),
        amount=amounts.get("amount"),
        section=raw.section,
        balance=balance.signed if balance else None,
    )


def set_money(row: Row, amounts: RowAmounts, raw: RawRow, mark: DecimalMark) -> None:
    row.balance = amounts.balance
    for cell in raw.money.values():
        if parse_amount(cell.text, mark) is None:
            row.flags.append(f"the format of the amount {cell.text!r} differs from that of the others")
    if amounts.debit and amounts.credit and amounts.debit.value and amounts.credit.value:
        row.debit, row.credit = amounts.debit.value, amounts.credit.value
        row.flags.append("has both a debit and a credit")
        return
    if amounts.direction > 0:
        row.credit = amounts.value
    elif amounts.direction < 0 or amounts.value:
        row.debit = amounts.value
    if amounts.direction == 0:
        row.flags.append("may be a debit or a credit" if amounts.value else "has no amount")


def is_newest_first(rows: Sequence[Row]) -> bool | None:
    """None: the dates do not show it."""
    known = [row.date for row in rows if row.date]
    falls = sum(b < a for a, b in zip(known, known[1:], strict=False))
    rises = sum(b > a for a, b in zip(known, known[1:], strict=False))
    return None if falls == rises else falls > rises
