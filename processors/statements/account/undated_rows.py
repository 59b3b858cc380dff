"""Rows that only balances tell from other lines: interest without a date, payments that were never booked, and tables
below the closing balance. Pure."""

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal

from processors.statements.account.subtotals import Item
from processors.statements.checks.links import Link, find_links
from processors.statements.notation.amounts import parse_amount
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.securities import names_security
from processors.statements.records import Statement, Unread
from processors.statements.table.raw import RawFigure, RawRow, UndatedRow

_MOST = 8  # lines, all combinations of which are tried
_NEARLY_ALL = 0.9  # of the rows


def find_lacking(statement: Statement, undated: Sequence[UndatedRow], mark: DecimalMark) -> list[UndatedRow]:
    """The undated lines that together are what the only balance that does not follow lacks; empty if none are, or if
    other lines would do, too."""
    links, loose = find_links(statement)
    wrong = [link for link in links if link.gap]
    lines = [(each, value) for each in undated if (value := _value(each.row, mark))]
    if len(wrong) != 1 or loose or not lines or len(lines) > _MOST:
        return []
    gap = abs(wrong[0].gap)
    found = [
        run
        for count in range(1, len(lines) + 1)
        for run in itertools.combinations(lines, count)
        if sum(value for _, value in run) == gap
    ]
    return [each for each, _ in found[0]] if len(found) == 1 and _is_at_end(wrong[0], statement) else []


def _is_at_end(link: Link, statement: Statement) -> bool:
    return not statement.rows or (bool(link.rows) and link.rows[-1] is statement.rows[-1])


def _value(row: RawRow, mark: DecimalMark) -> Decimal:
    """The amount of a row that has no other one."""
    amounts = [parse_amount(cell.text, mark) for cell in row.money.values()]
    return amounts[0].value if len(amounts) == 1 and amounts[0] else Decimal(0)


def insert_rows(items: Sequence[Item], lacking: Sequence[UndatedRow]) -> list[Item]:
    """The items, with each of the rows after the item that is above it."""
    found: list[Item] = []
    for item in items:
        found.append(item)
        found += [each.row for each in lacking if each.above is item]
    return found + [each.row for each in lacking if not any(each.row is item for item in found)]


def without_rows(unread: Sequence[Unread], lacking: Sequence[UndatedRow]) -> list[Unread]:
    """What was not read, without the lines that are rows now."""
    boxes = [(each.row.page, each.row.box) for each in lacking]
    return [each for each in unread if (each.page, each.box) not in boxes]


def date_last(statement: Statement) -> str:
    """Date the rows that have no date on the last day of the statement; return a note."""
    days = [row.date for row in statement.rows if row.date]
    last = statement.end or max(days, default=None)
    undated = [row for row in statement.rows if row.date is None]
    for row in undated:
        row.date, row.flags = last, []
    count = "1 row has" if len(undated) == 1 else f"{len(undated)} rows have"
    return f"{count} no date; the last day of the statement, {last}, was used"


def find_apart(items: Sequence[Item]) -> list[RawRow]:
    """The rows of sections in which no row has a balance, while nearly all other rows have one: for example, payments
    that are pending or were reverted."""
    rows = [item for item in items if isinstance(item, RawRow)]
    numbers = {row.section_number for row in rows if "balance" in row.money}
    apart = [row for row in rows if row.section_number not in numbers]
    others = [row for row in rows if row.section_number in numbers]
    are_balanced = sum("balance" in row.money for row in others) >= _NEARLY_ALL * len(others)
    return apart if others and are_balanced and len(apart) < len(others) else []


def find_beyond(items: Sequence[Item]) -> Iterator[list[RawRow]]:
    """The rows below the last closing balance, or below the last total, such as a calculation of interest, or
    installments to come."""
    count = sum(isinstance(item, RawRow) for item in items)
    for names in (("closing",), ("total", "debits", "credits")):
        places = [at for at, item in enumerate(items) if isinstance(item, RawFigure) and item.name in names]
        beyond = [item for item in items[places[-1] :] if isinstance(item, RawRow)] if places else []
        if beyond and 2 * len(beyond) < count:
            yield beyond


def are_repeated(rows: Sequence[RawRow], items: Sequence[Item]) -> bool:
    """True if each row repeats another one but for its number: a list of installments to come."""
    others = [item for item in items if isinstance(item, RawRow) and not any(item is row for row in rows)]
    known = {_without_numbers(row) for row in others}
    return all(_without_numbers(row) in known for row in rows)


def _without_numbers(row: RawRow) -> tuple[str, tuple[str, ...]]:
    text = "".join(char for part in (*row.text, *row.reference) for char in part if char.isalpha())
    return text, tuple(cell.text for cell in row.money.values())


def is_portfolio(rows: Sequence[RawRow]) -> bool:
    """True if no row has a date of its own, and each names a security."""
    return all(row.date_is_inherited and names_security(" ".join([*row.text, *row.reference])) for row in rows)


def has_text(row: RawRow) -> bool:
    return any(char.isalpha() for text in (*row.text, *row.reference) for char in text)
