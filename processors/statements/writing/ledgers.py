"""Statements as QIF, which older accounting programs import, and as text for beancount. Neither has categories.

QIF follows Quicken's specification, except that dates are ISO 8601, which no program can mistake for another day. The
text for beancount follows its language reference; a row that needs a review has the flag `!`.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

from processors.statements.records import Row, Statement, StatementDocument
from processors.statements.writing.transactions import one_line, report_left_out, transactions, warning

_NO_CURRENCY = "XXX"  # ISO 4217: no currency involved
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")  # of accounts in beancount
_PLUGIN = 'plugin "beancount.plugins.auto_accounts"'  # has no effect where another file includes this one


def write_qif(document: StatementDocument, path: Path) -> list[str]:
    """Write the transactions; return a description of the rows that are omitted."""
    return _write(document, path, "QIF file", _qif_lines)


def write_beancount(document: StatementDocument, path: Path) -> list[str]:
    """Write the transactions and balances; return a description of the rows that are omitted."""
    return _write(document, path, "beancount file", _beancount_lines, _PLUGIN, "")


def _write(
    document: StatementDocument,
    path: Path,
    file: str,
    to_lines: Callable[[Statement, str], Iterator[str]],
    *first: str,
) -> list[str]:
    lines, left_out = list(first), []
    for number, statement in enumerate(document.statements, start=1):
        name = statement.account or str(number)
        left_out += report_left_out(statement, f"account {name}", file)
        if transactions(statement):
            lines += to_lines(statement, name)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return left_out


def _qif_lines(statement: Statement, name: str) -> Iterator[str]:
    kind = "CCard" if statement.is_liability else "Bank"
    yield from ("!Account", f"N{one_line(name)}", f"T{kind}", "^", f"!Type:{kind}")
    for row in transactions(statement):
        yield from (f"D{row.date}", f"T{row.change}", f"P{one_line(row.description)}")
        if row.reference:
            yield f"N{one_line(row.reference)}"
        if row.flags:
            yield f"M{one_line(warning(row))}"
        yield "^"


def _beancount_lines(statement: Statement, name: str) -> Iterator[str]:
    account = f"{'Liabilities:Card' if statement.is_liability else 'Assets:Bank'}:{_account_name(name)}"
    currency, rows = statement.currency or _NO_CURRENCY, transactions(statement)
    dates = [row.date for row in rows if row.date]
    first, last = min([*dates, statement.start or dates[0]]), max([*dates, statement.end or dates[0]])
    if statement.opening is not None:
        yield "; for the first statement of an account, remove the semicolon:"
        yield f"; {_shift(first, -1)} pad {account} Equity:Opening-Balances"
        yield from (f"{first} balance {account} {_owned(statement, statement.opening)} ~ 0 {currency}", "")
    for row in rows:
        yield from _beancount_transaction(row, account, currency)
    if statement.closing is not None:
        yield from (f"{_shift(last, 1)} balance {account} {_owned(statement, statement.closing)} ~ 0 {currency}", "")


def _beancount_transaction(row: Row, account: str, currency: str) -> Iterator[str]:
    yield f"{row.date} {'!' if row.flags else '*'} {_quote(row.description)}"
    if row.reference:
        yield f"  reference: {_quote(row.reference)}"
    if row.value_date:
        yield f"  value-date: {row.value_date}"
    if row.flags:
        yield f"  review: {_quote('; '.join(row.flags))}"
    yield f"  {account}  {row.change} {currency}"
    yield from (f"  {'Income' if row.change > 0 else 'Expenses'}:Uncategorized", "")


def _owned(statement: Statement, balance: Decimal) -> Decimal:
    """A balance in beancount's convention: an amount owed is negative."""
    return -balance if statement.is_liability else balance


def _shift(day: date, days: int) -> date:
    return date.fromordinal(min(max(day.toordinal() + days, date.min.toordinal()), date.max.toordinal()))


def _account_name(name: str) -> str:
    """Letters, digits and hyphens, from a capital letter or a digit on."""
    found = _NOT_IN_NAMES.sub("-", name).strip("-") or "Unknown"
    return found[0].upper() + found[1:]


def _quote(text: str) -> str:
    escaped = one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
