"""Shared by all formats of transactions: OFX, QIF and beancount contain dated amounts, and little about doubts."""

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal

from processors.statements.records import Row, Statement


def transactions(statement: Statement) -> list[Row]:
    """The rows that have a date and an amount."""
    return [row for row in statement.rows if row.date and row.change]


def report_left_out(statement: Statement, name: str, file: str) -> list[str]:
    """The rows that are not transactions, as a reason for a review; `file`: "OFX file" …"""
    count = len(statement.rows) - len(transactions(statement))
    if not count:
        return []
    rows, verb = ("row", "is") if count == 1 else ("rows", "are")
    return [f"{name}: {count} {rows} without a date or an amount {verb} not in the {file}"]


def identify(statement: Statement, rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Each row with an identifier, which is the same in every statement of the account that lists the row.

    The same purchase twice on a day has two identifiers.
    """
    seen: dict[str, int] = {}
    for row in rows:
        key = f"{statement.account}|{row.date}|{row.change}|{row.description}"
        seen[key] = seen.get(key, 0) + 1
        yield row, hashlib.sha256(f"{key}|{seen[key]}".encode()).hexdigest()[:32]


def final_balance(statement: Statement) -> Decimal | None:
    """The closing balance, or the last one that is printed and the rows after it; None if none is printed."""
    if statement.closing is not None:
        return statement.closing
    factor, after = -1 if statement.is_liability else 1, Decimal(0)
    for row in reversed(statement.rows):
        if row.balance is not None:
            return row.balance + factor * after
        after += row.change
    return None if statement.opening is None else statement.opening + factor * after


def one_line(text: str) -> str:
    """Text without line ends and other characters that are not printed."""
    return "".join(char if char.isprintable() else " " for char in text)


def warning(row: Row) -> str:
    """Why a person should check the row before it counts; "" if nothing is wrong."""
    return f"CHECK: {'; '.join(row.flags)}" if row.flags else ""
