"""Statements as files: CSV, JSON, and a Markdown summary to open first.

XLSX is in `workbook`, OFX in `ofx`, QIF and beancount in `ledgers`.
"""

from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from processors import wellformed
from processors.statements.checks.verify import reasons
from processors.statements.records import Row, Statement, StatementDocument
from processors.statements.writing.csv_style import DEFAULT_STYLE, CsvStyle
from processors.statements.writing.csv_tables import escape_markdown, to_json, write_table

HEADINGS = (
    *("account", "page", "date", "value_date", "description", "reference", "debit", "credit", "balance"),
    *("currency", "flags"),
)
_MOST_LISTED = 50  # flagged rows in the summary
_NOT_WRITTEN = {"doubts", "conventions"}  # to JSON: doubts are in the review, and conventions are for later documents


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
