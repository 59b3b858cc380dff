"""The printed figures of a statement: its balances and totals. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from processors.statements.notation.amounts import Amount, parse_amount
from processors.statements.notation.debit_credit import RowAmounts
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.words import line_height
from processors.statements.records import PrintedBalance, Statement
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.raw import RawDocument, RawFigure, RawRow


def printed_amounts(reading: RawDocument) -> list[str]:
    """The amounts of all rows and figures, as they are printed."""
    rows = [cell.text for item in reading.items if isinstance(item, RawRow) for cell in item.money.values()]
    return rows + [text for item in reading.items if isinstance(item, RawFigure) for text in item.money.values()]


def printed_values(reading: RawDocument, account: str, mark: DecimalMark) -> list[Decimal]:
    """The amounts outside the rows of an account, in the order in which they are printed."""
    lines = [line for name, line in reading.not_rows if name == account]
    texts = [cell.text for line in lines for cell in find_amounts(line.words, line_height(lines))]
    return [amount.signed for text in texts if (amount := parse_amount(text, mark))]


def drop_summary(items: Sequence[RawRow | RawFigure]) -> list[RawRow | RawFigure]:
    """The items without the balances above the tables of several accounts, which may be those of any of them, if the
    account's own table prints both."""
    figures = [item for item in items if isinstance(item, RawFigure)]
    names = {item.name for item in figures if "" not in item.money}
    outside = [item for item in figures if "" in item.money and item.name in ("opening", "closing")]
    dropped = {id(item) for item in outside} if {"opening", "closing"} <= names else set()
    return [item for item in items if id(item) not in dropped]


def swap_ends(items: Sequence[RawRow | RawFigure]) -> list[RawRow | RawFigure]:
    """The items, oldest first, with their balances renamed: the names were those of the printed order, newest first.

    The balance of a table below all rows is the closing one, and a balance above them is the opening one. A balance
    outside the table is the closing one if it is that of the newest row.
    """
    rows = [at for at, item in enumerate(items) if isinstance(item, RawRow)]
    found = list(items)
    newest = _balance_digits(items[rows[-1]]) if rows else ""
    for at, item in enumerate(items if rows else ()):
        if isinstance(item, RawRow):
            continue
        if "" in item.money:
            if item.name == "opening" and newest and _digits(item.money[""]) == newest:
                found[at] = replace(item, name="closing")
            continue
        if at > rows[-1] and item.name == "opening":
            found[at] = replace(item, name="closing")
        elif at < rows[-1] and item.name == "closing":
            found[at] = replace(item, name="opening" if at < rows[0] else "carried")
    return found


def _balance_digits(item: RawRow | RawFigure) -> str:
    return _digits(item.money["balance"].text) if isinstance(item, RawRow) and "balance" in item.money else ""


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def change(statement: Statement) -> Decimal | None:
    """The change from the opening to the closing balance, as credits less debits."""
    if statement.opening is None or statement.closing is None:
        return None
    return (statement.closing - statement.opening) * (-1 if statement.is_liability else 1)


def negate_balances(statement: Statement, amounts: Sequence[RowAmounts]) -> None:
    """Make what is owed positive, as on other cards."""
    statement.opening = None if statement.opening is None else -statement.opening
    statement.closing = None if statement.closing is None else -statement.closing
    for anchor in statement.anchors:
        anchor.balance = -anchor.balance
    for each in amounts:
        each.balance = None if each.balance is None else -each.balance


def add_figures(
    statement: Statement, items: Sequence[RawRow | RawFigure], mark: DecimalMark
) -> dict[str, list[Decimal]]:
    """Add the printed balances, and return the printed totals of debits and of credits."""
    totals: dict[str, list[Decimal]] = {"debits": [], "credits": []}
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
            _add_balance(statement, PrintedBalance(at, item.name, balance, item.page, item.box), in_table=in_table)
        else:
            for name, value in _find_totals(item.name, read).items():
                totals[name].append(value)
    if statement.anchors and statement.anchors[-1].name == "carried" and statement.anchors[-1].at == at:
        statement.anchors[-1].name = "closing"  # the last balance carried forward is the closing balance
    _take_opening_below(statement, at)
    closings = [anchor.balance for anchor in statement.anchors if anchor.name == "closing"]
    statement.closing = closings[-1] if closings else None
    return totals


def _take_opening_below(statement: Statement, rows: int) -> None:
    """Take the opening balance from a summary below all rows."""
    below = [anchor for anchor in statement.anchors if anchor.name == "opening" and anchor.at == rows > 0]
    if below and statement.opening is None:
        statement.opening = below[0].balance
        statement.anchors = [anchor for anchor in statement.anchors if anchor is not below[0]]


def _add_balance(statement: Statement, anchor: PrintedBalance, *, in_table: bool) -> None:
    """Set the first opening balance as the statement's; a later one must follow from the rows before it.

    A summary above a table describes the complete statement, and may be repeated on each page.
    """
    if not in_table and anchor.name == "opening" and anchor.balance == statement.opening:
        return
    is_first = all(each.name == "closing" for each in statement.anchors)
    if in_table and anchor.name == "opening" and anchor.at == 0 and is_first:
        statement.opening = anchor.balance  # a summary above may list the balances at the end
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
        statement.anchors.append(replace(anchor, at=len(statement.rows)))
    else:
        statement.anchors.append(anchor)


def _find_totals(name: str, read: Mapping[str, Amount]) -> dict[str, Decimal]:
    """The totals of debits and credits on one line, by its columns or its name."""
    found = {f"{column}s": amount.value for column, amount in read.items() if column in ("debit", "credit")}
    if name in ("debits", "credits"):
        found |= dict.fromkeys([name], next(iter(read.values())).value) if not found else {}
    return found
