"""Statements and receipts as files: CSV, JSON, and a Markdown summary to open first.

XLSX is in `workbook`, OFX in `ofx`, QIF and beancount in `ledgers`.
"""

from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from processors import wellformed
from processors.statements.csv_style import DEFAULT_STYLE, CsvStyle
from processors.statements.csv_tables import escape_markdown, to_json, write_table
from processors.statements.receipts import Receipt
from processors.statements.records import Row, Statement, StatementDocument
from processors.statements.verify import reasons

HEADINGS = ("account", "page", "date", "value_date", "description", "reference", "debit", "credit", "balance")
HEADINGS += ("currency", "flags")
_MOST_LISTED = 50  # flagged rows in the summary
_NOT_WRITTEN = {"doubts", "conventions"}  # to JSON: doubts are in the review, conventions are for later documents


def write_csv(document: StatementDocument, path: Path, style: CsvStyle = DEFAULT_STYLE) -> None:
    """One line per row; dates in ISO 8601; no text is a formula."""
    rows = (row_values(statement, row) for statement in document.statements for row in statement.rows)
    write_table(path, HEADINGS, rows, style)


def write_json(document: StatementDocument, path: Path) -> None:
    """The complete structure; amounts as strings, so that no program rounds them."""
    written = {name: value for name, value in asdict(document).items() if name not in _NOT_WRITTEN}
    whole = {**written, "review": reasons(document)}
    path.write_text(wellformed.dumps(whole, indent=1, default=to_json) + "\n", encoding="utf-8")


def write_markdown(document: StatementDocument, path: Path, title: str) -> None:
    """The file that a person opens first: accounts, balances, checks, flagged rows."""
    lines = [f"# {title}", ""]
    found = reasons(document)
    lines += ["**To review:**", "", *[f"- {one}" for one in found], ""] if found else ["Nothing is flagged.", ""]
    for statement in document.statements:
        lines += _describe(statement)
    if document.unread:
        lines += ["## Not understood", ""]
        for each in document.unread:
            text = each.text and f": `{escape_markdown(each.text)}`"
            lines.append(f"- page {each.page}: {each.why}{text}")
        lines.append("")
    if document.notes:
        lines += ["## Notes", "", *[f"- {note}" for note in document.notes], ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_receipt_csv(receipt: Receipt, path: Path, style: CsvStyle = DEFAULT_STYLE) -> None:
    """One line per item."""
    rows = ([receipt.date, receipt.shop, each.description, each.price, receipt.currency] for each in receipt.items)
    write_table(path, ("date", "shop", "description", "price", "currency"), rows, style)


def write_receipt_json(receipt: Receipt, path: Path) -> None:
    path.write_text(wellformed.dumps(asdict(receipt), indent=1, default=to_json) + "\n", encoding="utf-8")


def write_receipt_markdown(receipt: Receipt, path: Path) -> None:
    lines = [f"# {escape_markdown(receipt.shop) or 'Receipt'}", ""]
    lines += [f"{receipt.date or 'date not found'}, total {receipt.total or 'not found'} {receipt.currency}", ""]
    if receipt.reasons:
        lines += ["**To review:**", "", *[f"- {reason}" for reason in receipt.reasons], ""]
    lines += ["| Item | Price |", "|---|---|"]
    lines += [f"| {escape_markdown(item.description)} | {item.price} |" for item in receipt.items]
    lines += [f"| **{name}** | {value} |" for name, value in _sums(receipt) if value is not None]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _describe(statement: Statement) -> list[str]:
    lines = [f"## Account {escape_markdown(statement.account) or '(number not found)'}", "", "| | |", "|---|---|"]
    facts = {
        "Holder": escape_markdown(statement.holder) or "not found",
        "Period": f"{statement.start} to {statement.end}" if statement.start else "not found",
        "Currency": statement.currency or "not found",
        "Opening balance": _or_missing(statement.opening),
        "Closing balance": _or_missing(statement.closing),
        "Rows": str(len(statement.rows)),
        "Money out": str(statement.money_out),
        "Money in": str(statement.money_in),
    }
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    marks = {True: "agrees", False: "**does not agree**", None: "not verified"}
    lines += ["", *[f"- {one.name}: {marks[one.passed]}: {one.text}" for one in statement.checks], ""]
    if statement.flagged:
        lines += ["| Page | Date | Description | Debit | Credit | Balance | Why |", "|---|---|---|---|---|---|---|"]
        for row in statement.flagged[:_MOST_LISTED]:
            values = (row.page, row.date, row.description, row.debit, row.credit, row.balance, "; ".join(row.flags))
            lines.append(
                "| " + " | ".join("" if each is None else escape_markdown(str(each)) for each in values) + " |"
            )
        if len(statement.flagged) > _MOST_LISTED:
            lines.append(f"\n… and {len(statement.flagged) - _MOST_LISTED} more: see the column `flags` of the table.")
        lines.append("")
    return lines


def _or_missing(amount: Decimal | None) -> str:
    return "not found" if amount is None else str(amount)


def row_values(statement: Statement, row: Row) -> list[object]:
    """The values of a row, by `HEADINGS`."""
    values = [statement.account, row.page, row.date, row.value_date, row.description, row.reference]
    return [*values, row.debit, row.credit, row.balance, statement.currency, "; ".join(row.flags)]


def _sums(receipt: Receipt) -> list[tuple[str, Decimal | None]]:
    rates = [(f"Tax {line.rate} %", line.tax) for line in receipt.taxes if line.rate is not None]
    return [
        ("Subtotal", receipt.subtotal),
        *(rates if len(rates) > 1 else []),
        ("Tax", receipt.tax),
        ("Tip", receipt.tip),
        ("Rounding", receipt.rounding),
        ("Total", receipt.total),
        ("Paid in cash", receipt.paid),
        ("Change", receipt.change),
    ]
