"""From raw pages to statements: decides notation, years and signs by the whole document. Pure."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from processors.statements.amounts import Amount, DecimalMark, detect_decimal_mark, parse_amount
from processors.statements.currencies import detect_currency
from processors.statements.dates import DateOrder, detect_date_order, find_dates, find_period, resolve_date
from processors.statements.debit_credit import RowAmounts, set_directions
from processors.statements.header import find_holder, find_page_number
from processors.statements.keywords import normalize
from processors.statements.reading import RawDocument, RawFigure, RawRow, read_words
from processors.statements.records import PrintedBalance, Row, Statement, StatementDocument
from processors.statements.words import PageWords, group_lines

_CARD = re.compile(
    r"credit card|minimum payment|credit limit|kreditkarte|carte de credit|tarjeta de credito|amount due"
)
_LONGEST = timedelta(days=400)  # from the first to the last balance of a statement
_BACK = timedelta(days=62)  # before a statement's date, if only that is printed


def read_statements(pages: Sequence[PageWords]) -> StatementDocument:
    """The statements on these pages. Nothing is verified yet: see `verify`."""
    ordered, notes = _sort_by_printed_numbers(pages)
    reading = read_words(ordered)
    return assemble(reading, StatementDocument(pages=len(pages), unread=reading.unread, notes=[*notes, *reading.notes]))


def assemble(reading: RawDocument, document: StatementDocument) -> StatementDocument:
    """Add the statements to `document`, one per account."""
    mark = detect_decimal_mark(_amounts(reading))
    accounts = dict.fromkeys(item.account for item in reading.items)
    if len(accounts) > 1 and "" in accounts and not _has_rows(reading, ""):
        _reassign(reading, "", next(name for name in accounts if name))
        del accounts[""]
    for account in accounts:
        items = [item for item in reading.items if item.account == account]
        if any(isinstance(item, RawRow) for item in items) or len(accounts) == 1:
            order, period = _decide_dates(items, reading, document)
            document.statements.append(_assemble(account, items, reading, (mark, order, period)))
    return document


def names_card(text: str) -> bool:
    """True if a line says that its statement is that of a card, whose balance is owed."""
    return _CARD.search(normalize(text)) is not None


def _has_rows(reading: RawDocument, account: str) -> bool:
    return any(isinstance(item, RawRow) and item.account == account for item in reading.items)


def _reassign(reading: RawDocument, account: str, to: str) -> None:
    for item in reading.items:
        if item.account == account:
            item.account = to


def _sort_by_printed_numbers(pages: Sequence[PageWords]) -> tuple[list[PageWords], list[str]]:
    """Sort pages by their printed numbers, if each has one and no two are equal."""
    printed = [find_page_number(group_lines(page)) for page in pages]
    numbers = [each[0] for each in printed if each]
    if len(numbers) != len(pages) or len(set(numbers)) != len(pages) or numbers == sorted(numbers):
        return list(pages), []
    ordered = [page for _, page in sorted(zip(numbers, pages, strict=True), key=lambda pair: pair[0])]
    order = ", ".join(str(page.number) for page in ordered)
    return ordered, [f"the pages are not in the order of their printed numbers; order used: {order}"]


def _amounts(reading: RawDocument) -> list[str]:
    rows = [cell.text for item in reading.items if isinstance(item, RawRow) for cell in item.money.values()]
    return rows + [text for item in reading.items if isinstance(item, RawFigure) for text in item.money.values()]


def _decide_dates(
    items: Sequence[RawRow | RawFigure], reading: RawDocument, document: StatementDocument
) -> tuple[DateOrder, tuple[date, date] | None]:
    """For one account: whether day or month comes first, and the period."""
    printed = [item.date for item in items if isinstance(item, RawRow) and item.date]
    texts = [line.text for account, line in reading.outside if account == items[0].account]
    order = detect_date_order(printed)
    period = find_period(texts, order)
    if period:
        order = detect_date_order(printed, period)
        period = find_period(texts, order) or period
    elif any(each.year is None for each in printed):
        period = _period_by_balances(items, reading, order)
        single = [found for text in texts for each in find_dates(text) if (found := resolve_date(each, order, None))]
        if period is None and single:
            period = max(single) - _BACK, max(single)
            document.notes.append(f"no period is printed; years are inferred from the date {max(single)}")
    if any(each.pair for each in printed):
        note = f"dates are read as {'day' if order == 'dmy' else 'month'} first"
        document.notes += [] if note in document.notes else [note]
    return order, period


def _period_by_balances(
    items: Sequence[RawRow | RawFigure], reading: RawDocument, order: DateOrder
) -> tuple[date, date] | None:
    """The period from the first to the last date of a balance in the table, or some weeks around the only one."""
    texts = [line.text for account, line in reading.figure_lines if account == items[0].account]
    dates = sorted(found for text in texts for each in find_dates(text) if (found := resolve_date(each, order, None)))
    if not dates or dates[-1] - dates[0] > _LONGEST:
        return None
    if dates[0] < dates[-1]:
        return dates[0], dates[-1]
    is_first = isinstance(items[0], RawFigure)
    return (dates[0], dates[0] + _BACK) if is_first else (dates[0] - _BACK, dates[0])


def _assemble(
    account: str,
    items: Sequence[RawRow | RawFigure],
    reading: RawDocument,
    notation: tuple[DecimalMark, DateOrder, tuple[date, date] | None],
) -> Statement:
    mark, order, period = notation
    texts = [line.text for line in reading.lines]
    outside = [line for name, line in reading.outside if name == account]
    statement = Statement(account=account, holder=find_holder(outside), currency=detect_currency(texts) or "")
    raw = [item for item in items if isinstance(item, RawRow)]
    if _is_newest_first([_row(each, order, period) for each in raw]):
        items, raw = items[::-1], raw[::-1]
    statement.rows = [_row(each, order, period) for each in raw]
    _add_figures(statement, items, mark)
    is_card = any(names_card(text) for text in texts)
    amounts = [_row_amounts(each, mark) for each in raw]
    statement.is_liability = set_directions(amounts, statement.opening, is_card=is_card)
    for row, row_amounts, each in zip(statement.rows, amounts, raw, strict=True):
        _set_money(row, row_amounts, each, mark)
    if period:
        statement.start, statement.end = period
    else:
        known = [row.date for row in statement.rows if row.date]
        statement.start, statement.end = min(known, default=None), max(known, default=None)
    return statement


def _row(raw: RawRow, order: DateOrder, period: tuple[date, date] | None) -> Row:
    row = Row(raw.page, raw.date and resolve_date(raw.date, order, period), " ".join(raw.text), " ".join(raw.reference))
    row.value_date = raw.value_date and resolve_date(raw.value_date, order, period)
    row.confidence = raw.confidence
    if row.date is None:
        row.flags.append("the date is missing, or its year is unknown")
    if raw.unreadable:
        row.flags.append(f"in an amount column, but not an amount: {' '.join(raw.unreadable)}")
    return row


def _row_amounts(raw: RawRow, mark: DecimalMark) -> RowAmounts:
    amounts = {column: parse_amount(cell.text, mark) for column, cell in raw.money.items()}
    balance = amounts.pop("balance", None)
    return RowAmounts(**amounts, section=raw.section, balance=balance and balance.signed)


def _set_money(row: Row, amounts: RowAmounts, raw: RawRow, mark: DecimalMark) -> None:
    row.balance = amounts.balance
    for cell in raw.money.values():
        if parse_amount(cell.text, mark) is None:
            row.flags.append(f"the format of the amount {cell.text!r} differs from the others")
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


def _add_figures(statement: Statement, items: Sequence[RawRow | RawFigure], mark: DecimalMark) -> None:
    at = 0
    for item in items:
        if isinstance(item, RawRow):
            at += 1
            continue
        read = {column: amount for column, text in item.money.items() if (amount := parse_amount(text, mark))}
        if not read:
            continue
        if item.name in ("opening", "carried", "closing"):
            column = "balance" if "balance" in read else next(iter(read))
            balance = -read[column].value if column == "debit" else read[column].signed
            in_table = column != ""
            _add_balance(statement, PrintedBalance(at, item.name, balance, item.page), in_table=in_table)
        else:
            _add_totals(statement, item.name, read)
    closings = [anchor.balance for anchor in statement.anchors if anchor.name == "closing"]
    statement.closing = closings[-1] if closings else None


def _add_balance(statement: Statement, anchor: PrintedBalance, *, in_table: bool) -> None:
    """Set the first opening balance as the statement's; a later one must follow from the rows before it.

    A summary above a table is about the complete statement, and may be repeated on each page.
    """
    if not in_table and anchor.name == "opening" and anchor.balance == statement.opening:
        return
    if not in_table and anchor.name == "closing":
        anchor.at = len(statement.rows)
        statement.anchors = [
            each
            for each in statement.anchors
            if (each.at, each.name, each.balance) != (anchor.at, "closing", anchor.balance)
        ]
    if anchor.name == "opening" and statement.opening is None and (anchor.at == 0 or not in_table):
        statement.opening = anchor.balance
    elif anchor.name == "closing" and anchor.at == 0:
        statement.anchors.append(PrintedBalance(len(statement.rows), "closing", anchor.balance, anchor.page))
    else:
        statement.anchors.append(anchor)


def _add_totals(statement: Statement, name: str, read: dict[str, Amount]) -> None:
    wanted: dict[str, Decimal | None] = {"debits": None, "credits": None}
    for column, amount in read.items():
        if column in ("debit", "credit"):
            wanted[f"{column}s"] = amount.value
        elif name in wanted:
            wanted[name] = amount.value
    statement.printed_debits = wanted["debits"] if wanted["debits"] is not None else statement.printed_debits
    statement.printed_credits = wanted["credits"] if wanted["credits"] is not None else statement.printed_credits


def _is_newest_first(rows: Sequence[Row]) -> bool:
    known = [row.date for row in rows if row.date]
    falls = sum(b < a for a, b in zip(known, known[1:], strict=False))
    return falls > sum(b > a for a, b in zip(known, known[1:], strict=False))
