"""Statements as an XLSX workbook: a sheet of rows, and a summary of accounts, checks and what to review."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from processors.statements.checks.verify import reasons
from processors.statements.records import Statement, StatementDocument
from processors.statements.writing.csv_tables import begins_formula
from processors.statements.writing.writers import HEADINGS, row_values

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell
    from openpyxl.worksheet.worksheet import Worksheet

_ACCOUNT_HEADINGS = (
    *("account", "holder", "start", "end", "currency", "opening", "closing", "money_in", "money_out"),
    *("rows", "flagged_rows"),
)
_CHECK_HEADINGS = ("account", "check", "result", "figures")
_FLAGGED_HEADINGS = ("account", "page", "date", "description", "debit", "credit", "balance", "flags")
_UNREAD_HEADINGS = ("page", "text", "why")
_RESULTS = {True: "agrees", False: "does not agree", None: "not verified"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2: Char
_NARROWEST, _WIDEST = 6, 60  # characters
_MARGIN = 3  # characters, of which a filter's button takes two
_DATE_FORMAT = "yyyy-mm-dd"
_FIRST_YEAR = 1900  # of the dates that a spreadsheet knows


def write_xlsx(document: StatementDocument, path: Path) -> None:
    """Write dates and amounts as typed cells, with the decimals of their currency, and all text as text."""
    import openpyxl

    book = openpyxl.Workbook()
    _fill_rows(book.active, document)
    _fill_summary(book.create_sheet("Summary"), document)
    book.save(path)


def _fill_rows(sheet: "Worksheet", document: StatementDocument) -> None:
    """Fill the first sheet, which programs read: one line per row below one line of headings."""
    sheet.title = "Rows"
    lines = _Lines(sheet)
    lines.add_headings(HEADINGS)
    for statement in document.statements:
        number_format = amount_format(statement)
        for row in statement.rows:
            lines.add(row_values(statement, row), number_format)
    sheet.auto_filter.ref = sheet.dimensions
    lines.finish()


def _fill_summary(sheet: "Worksheet", document: StatementDocument) -> None:
    statements, lines = document.statements, _Lines(sheet)
    lines.add_headings(_ACCOUNT_HEADINGS)
    for each in statements:
        lines.add(_account_values(each), amount_format(each))
    lines.begin_table("Checks", _CHECK_HEADINGS)
    for each in statements:
        for check in each.checks:
            lines.add([each.account, check.name, _RESULTS[check.passed], check.text])
    lines.begin_table("To review")
    for reason in reasons(document) or ["Nothing is flagged."]:
        lines.add([reason])
    _add_flagged(lines, statements)
    if document.unread:
        lines.begin_table("Not understood", _UNREAD_HEADINGS)
        for unread in document.unread:
            lines.add([unread.page, unread.text, unread.why])
    if document.notes:
        lines.begin_table("Notes")
        for note in document.notes:
            lines.add([note])
    lines.finish()


def _add_flagged(lines: "_Lines", statements: Sequence[Statement]) -> None:
    if not any(each.flagged for each in statements):
        return
    lines.begin_table("Flagged rows", _FLAGGED_HEADINGS)
    for each in statements:
        number_format = amount_format(each)
        for row in each.flagged:
            values = [each.account, row.page, row.date, row.description, row.debit, row.credit, row.balance]
            lines.add([*values, "; ".join(row.flags)], number_format)


def _account_values(statement: Statement) -> list[object]:
    about = [statement.account, statement.holder, statement.start, statement.end, statement.currency]
    sums = [statement.opening, statement.closing, statement.money_in, statement.money_out]
    return [*about, *sums, len(statement.rows), len(statement.flagged)]


def amount_format(statement: Statement) -> str:
    """The format of a statement's amounts: the decimals of its currency, or more where more are printed."""
    amounts = [value for row in statement.rows for value in (row.debit, row.credit, row.balance) if value is not None]
    amounts += [value for value in (statement.opening, statement.closing) if value is not None]
    printed = max((_count_decimals(value) for value in amounts), default=0)
    decimals = max(printed, _currency_decimals(statement.currency) if statement.currency else printed)
    return f"#,##0.{'0' * decimals}" if decimals else "#,##0"


def _count_decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _currency_decimals(code: str) -> int:
    """The decimals according to CLDR: 0 for JPY, 3 for KWD; 2 for an unknown code."""
    from babel.numbers import get_currency_precision

    return get_currency_precision(code)


class _Lines:
    """The lines of a sheet, added from top to bottom."""

    def __init__(self, sheet: "Worksheet"):
        self._sheet = sheet
        self._count = 0
        self._widths: dict[int, int] = {}  # by column, of its longest value in characters

    def begin_table(self, title: str, headings: Sequence[str] = ()) -> None:
        """Begin a table below an empty line."""
        self._count += 1
        self.add_headings([title])
        if headings:
            self.add_headings(headings)

    def add_headings(self, headings: Sequence[str]) -> None:
        from openpyxl.styles import Font

        self.add(headings)
        for cell in self._sheet[self._count]:
            cell.font = Font(bold=True)

    def add(self, values: Sequence[object], number_format: str = "General") -> None:
        """Add a line; `number_format`: of its amounts."""
        self._count += 1
        for column, value in enumerate(values, start=1):
            if value is None or value == "":
                continue
            _set_value(self._sheet.cell(self._count, column), value, number_format)
            if len(values) > 1:  # else the text may extend over the cells beside it
                self._widths[column] = max(self._widths.get(column, 0), _width(value))

    def finish(self) -> None:
        """Freeze the first line, and make each column as wide as its longest value, within limits."""
        self._sheet.freeze_panes = "A2"
        for column, width in self._widths.items():
            letter = self._sheet.cell(1, column).column_letter
            self._sheet.column_dimensions[letter].width = min(max(width + _MARGIN, _NARROWEST), _WIDEST)


def _set_value(cell: "Cell", value: object, number_format: str) -> None:
    match value:
        case str():
            cell.value = _NOT_XML.sub(" ", value)
            cell.data_type = "s"  # openpyxl treats text with a leading = as a formula
            cell.quotePrefix = begins_formula(value)
        case date() if value.year < _FIRST_YEAR:
            cell.value = str(value)
        case date():
            cell.value, cell.number_format = value, _DATE_FORMAT
        case Decimal():
            cell.value, cell.number_format = value, number_format
        case _:
            cell.value = value


def _width(value: object) -> int:
    """Characters that a spreadsheet shows."""
    return len(f"{value:,}" if isinstance(value, Decimal) else str(value))
