"""The result files of a statement, and its summary."""

from collections.abc import Callable, Sequence
from pathlib import Path

from processors.statements.records import StatementDocument
from processors.statements.writing.csv_style import DEFAULT_STYLE, CsvStyle
from processors.statements.writing.ledgers import write_beancount, write_qif
from processors.statements.writing.ofx import write_ofx
from processors.statements.writing.workbook import write_xlsx
from processors.statements.writing.writers import (
    write_csv,
    write_json,
    write_markdown,
)

_OF_DOCUMENT: dict[str, Callable[[StatementDocument, Path], None]] = {"xlsx": write_xlsx, "json": write_json}
_OF_TRANSACTIONS: dict[str, Callable[[StatementDocument, Path], list[str]]] = {  # return what they omit
    "ofx": write_ofx,
    "qif": write_qif,
    "beancount": write_beancount,
}


def write_document(
    document: StatementDocument,
    outputs: Path,
    stem: str,
    formats: Sequence[str],
    *,
    title: str,
    csv_style: CsvStyle = DEFAULT_STYLE,
) -> tuple[list[str], list[str]]:
    """Write one file per format; return their names, and whatever a format cannot express, as reasons for a review."""
    files, reasons = [], []
    for name in formats:
        path = outputs / f"{stem}.{name}"
        if name in _OF_TRANSACTIONS:
            if not document.rows:
                continue
            reasons += _OF_TRANSACTIONS[name](document, path)
        elif name == "md":
            write_markdown(document, path, title)
        elif name == "csv":
            write_csv(document, path, csv_style)
        else:
            _OF_DOCUMENT[name](document, path)
        files.append(path.name)
    return files, reasons


def summarize_document(document: StatementDocument) -> tuple[str, dict[str, object]]:
    """A summary in one line, and facts for result.json."""
    rows, accounts = document.rows, [statement.account for statement in document.statements]
    return _summary_line(len(rows), [name for name in accounts if name]), {
        "rows": len(rows),
        "flagged_rows": sum(bool(row.flags) for row in rows),
        "accounts": accounts,
        "not_understood": len(document.unread),
    }


def _summary_line(rows: int, accounts: Sequence[str]) -> str:
    if not rows:
        return "no rows found"
    many = "1 row" if rows == 1 else f"{rows} rows"
    if not accounts:
        return f"{many}, no account number"
    return f"{many}, account{'s' if len(accounts) > 1 else ''} {', '.join(accounts)}"
