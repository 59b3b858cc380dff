"""Lines among the rows that print sums of them: subtotals, turnovers of a day, totals above or below. Pure.

Each is found by its sum, so that no word has to be known.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from processors.statements.notation.amounts import Amount, parse_amount
from processors.statements.notation.dates import PrintedDate
from processors.statements.notation.debit_credit import RowAmounts
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.keywords import Column, Section, match_special, normalize
from processors.statements.table.raw import RawFigure, RawRow

Item = RawRow | RawFigure

_MANY_ROWS = 8  # the sum of so many rows is no chance, whatever the words beside it
_LEAST_ROWS = 3  # the sum of fewer rows may equal another amount by chance
_LEAST_TURNOVERS = 2  # fewer turnovers may agree by chance
_LEAST_ALIKE = 3  # the sum of this many rows counts as a subtotal even without words of a total
_MOST_LEADING = 3  # different texts of totals above their rows
_TOTALS = (
    "total",
    "summe",
    "gesamt",
    "totaal",
    "totale",
    "suma",
    "razem",
    "summa",
    "sum ",
    "toplam",
    "subtotal",
    "συνολο",
)
_TOTAL = re.compile(r"\b(?:sub ?-?totals?|totals?|zwischensumme|sous-total)\b\W*$")  # "Card 4471 Withdrawals Subtotal"


@dataclass(frozen=True)
class _Leading:
    """A total above its rows."""

    head: Item
    amount: Amount
    rows: Sequence[RawRow]


def take_leading_totals(items: Sequence[Item], mark: DecimalMark) -> list[Item]:
    """The items, in which each total above its rows becomes a total, if all rows are below one; its rows get its
    direction.

    Such a layout prints, for each day, "Total in +500.00" and "Total out -200.00", each above amounts without signs.
    """
    groups = list(_find_leading(items, mark) or ())
    if not _are_leading(groups):
        return list(items)
    heads: dict[int, Item] = {}
    for group in groups:
        heads[id(group.head)] = as_figure(group.head, "total")
        for row in group.rows:
            row.section = _section_of(group) or row.section
            row.is_below_total = False
    return [heads.get(id(item), item) for item in items]


def _find_leading(items: Sequence[Item], mark: DecimalMark) -> list[_Leading] | None:
    """None: a row is neither such a total nor below one."""
    found, at = [], 0
    while at < len(items):
        head = items[at]
        amount = single_amount(head, mark)
        rows = _rows_of(amount.value, items[at + 1 :], mark) if amount else []
        if isinstance(head, RawRow) and not rows:
            return None
        if amount and rows:
            found.append(_Leading(head, amount, rows))
        at += 1 + len(rows)
    return found


def _rows_of(total: Decimal, items: Sequence[Item], mark: DecimalMark) -> list[RawRow]:
    """The rows at the start of `items` that add up to `total`, whatever their signs; empty if there are none."""
    rows: list[RawRow] = []
    for item in items:
        if not isinstance(item, RawRow):
            return []
        amount = single_amount(item, mark)
        if not amount or amount.value > total:
            return []
        rows.append(item)
        total -= amount.value
        if not total:
            return rows
    return []


def _are_leading(groups: Sequence[_Leading]) -> bool:
    """True if a few texts are those of totals only, and sums of more than one row prove them."""
    heads = {_text(group.head) for group in groups}
    below = {_text(row) for group in groups for row in group.rows}
    is_proven = sum(len(group.rows) > 1 for group in groups) >= _LEAST_TURNOVERS
    return is_proven and len(heads) <= min(_MOST_LEADING, len(groups) - 1) and not heads & below


def _text(item: Item) -> str:
    return normalize(" ".join([*item.text, *item.reference])) if isinstance(item, RawRow) else item.name


def _section_of(group: _Leading) -> Section | None:
    if group.amount.sign:
        return "debits" if group.amount.sign == "-" else "credits"
    name = match_special(_text(group.head)) if isinstance(group.head, RawRow) else group.head.name
    return "debits" if name == "debits" else "credits" if name == "credits" else None


def drop_subtotals(items: Sequence[Item], mark: DecimalMark) -> list[Item]:
    """The items, in which each line that prints the sum of the rows before it becomes a total."""
    found: list[Item] = []
    run: list[Decimal] = []  # since the total before
    rows: list[Decimal] = []
    for item, value in zip(items, single_values(items, mark), strict=True):
        if not isinstance(item, RawRow) or value is None:
            found.append(item)
            run = []
        elif item.date_is_inherited and (_is_sum(value, run, item) or _is_sum(value, rows, item)):
            found.append(as_figure(item, "total"))
            run = []
        else:
            run.append(value)
            rows.append(value)
            found.append(item)
    return found


def drop_turnovers(items: Sequence[Item], mark: DecimalMark) -> list[Item]:
    """The items without the lines that print the debits and the credits of a day, if no row has both.

    Each of these lines must be the sum of the rows since the previous one.
    """
    both = [item for item in items if _has_both(item)]
    turnovers: list[Item] = []
    days: list[tuple[RawRow, RawRow]] = []  # a row, and the turnover of its day
    run: list[RawRow] = []
    debits = credits = Decimal(0)
    for item in items:
        if not isinstance(item, RawRow):
            if _is_turnover(item, [debits, credits], mark):
                debits = credits = Decimal(0)
                run = []
            continue
        values = [_value(item, column, mark) for column in ("debit", "credit")]
        if _has_both(item) and values == [debits, credits]:
            turnovers.append(item)
            days += [(row, item) for row in run]
            debits = credits = Decimal(0)
            run = []
        else:
            run.append(item)
            debits, credits = debits + values[0], credits + values[1]
    if len(turnovers) < max(_LEAST_TURNOVERS, len(both)):
        return list(items)
    for row, turnover in days:
        if row.date and turnover.date and _day(row.date) != _day(turnover.date):
            row.doubts.append(f"its date is not that of the turnover of its day, {turnover.date.text}")
    return [item for item in items if not any(item is each for each in turnovers)]


def _is_turnover(figure: RawFigure, sums: Sequence[Decimal], mark: DecimalMark) -> bool:
    """True for totals of both columns that are the sums of the rows since the turnover before."""
    if not figure.money.keys() >= {"debit", "credit"}:
        return False
    amounts = [parse_amount(figure.money[column], mark) for column in ("debit", "credit")]
    return [amount.value if amount else None for amount in amounts] == list(sums)


def _day(printed: PrintedDate) -> tuple[object, ...]:
    return printed.day, printed.month, printed.pair


def _has_both(item: Item) -> bool:
    return isinstance(item, RawRow) and item.money.keys() >= {"debit", "credit"}


def _value(row: RawRow, column: Column, mark: DecimalMark) -> Decimal:
    amount = parse_amount(row.money[column].text, mark) if column in row.money else None
    return amount.value if amount else Decimal(0)


def count_trailing_totals(raw: Sequence[RawRow], amounts: Sequence[RowAmounts]) -> int:
    """How many of the last rows are totals: without a date or balance of their own, each is the sum of the debits or of
    the credits of the rows above, which have both a date and a balance, unless they are many or a word names the
    total."""
    named = _count_last(_names_total(each) for each in reversed(raw))
    is_row = ("balance" in each.money or not each.date_is_inherited for each in reversed(raw))
    count = named or _count_last(not is_one for is_one in is_row)
    rows, last = amounts[: len(raw) - count], amounts[len(raw) - count :]
    is_sure = named or len(rows) >= _MANY_ROWS or all(row.balance is not None for row in rows)
    if not count or len(rows) < _LEAST_ROWS or not is_sure:
        return 0
    sums = {sum((row.value for row in rows if row.direction == side), Decimal(0)) for side in (-1, 1)}
    return count if all(row.value in sums for row in last) else 0


def _count_last(flags: Iterator[bool]) -> int:
    return sum(1 for _ in itertools.takewhile(bool, flags))


def _names_total(row: RawRow) -> bool:
    return row.date_is_inherited and "balance" not in row.money and _text(row).startswith(_TOTALS)


def as_figure(item: Item, name: str) -> RawFigure:
    """A row with one amount, or a figure, under another name."""
    money = {"": next(iter(item.money.values())).text} if isinstance(item, RawRow) else item.money
    return RawFigure(item.page, item.account, name, money, box=item.box)


def single_values(items: Sequence[Item], mark: DecimalMark) -> list[Decimal | None]:
    """The signed amount of each row of one amount and no balance; None for other items.

    If money in has a mark and the other amounts have none, as on a card, money in is negative.
    """
    amounts = [single_amount(item, mark) if isinstance(item, RawRow) else None for item in items]
    marks = {bool(each.sign or each.side) for each in amounts if each}
    are_credits = marks == {True, False} and all(each.sign != "-" and each.side != "debit" for each in amounts if each)
    return [
        None if each is None else -each.signed if are_credits and (each.sign or each.side) else each.signed
        for each in amounts
    ]


def single_amount(item: Item, mark: DecimalMark) -> Amount | None:
    """The amount of a row of one amount and no balance, or of a printed total of one amount."""
    if isinstance(item, RawFigure):
        texts = list(item.money.values()) if item.name in ("debits", "credits", "total") else []
    else:
        texts = [] if "balance" in item.money else [cell.text for cell in item.money.values()]
    return parse_amount(texts[0], mark) if len(texts) == 1 else None


def _is_sum(value: Decimal, run: Sequence[Decimal], row: RawRow) -> bool:
    text = normalize(" ".join(row.text))
    least = 1 if text.startswith(_TOTALS) or _TOTAL.search(text) else _LEAST_ALIKE
    return any(abs(sum(run[-count:])) == abs(value) for count in range(least, len(run) + 1))
