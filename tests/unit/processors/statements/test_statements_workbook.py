"""The XLSX workbook of statements, read back by openpyxl."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from processors import statements
from processors.statements import Row, Statement, StatementDocument, Unread
from processors.statements.writing.workbook import amount_format
from processors.statements.writing.writers import HEADINGS


def _document(*, currency: str = "GBP", flags: tuple[str, ...] = ()) -> StatementDocument:
    rows = [
        Row(1, date(2024, 5, 1), "Rent", debit=Decimal("1020.00"), balance=Decimal("-1010.00")),
        Row(2, date(2024, 5, 2), "Salary", credit=Decimal("2030.50"), balance=Decimal("1020.50"), flags=[*flags]),
    ]
    statement = Statement(account="00012345", holder="Ms E Marsh", currency=currency, rows=rows)
    statement.start, statement.end = date(2024, 5, 1), date(2024, 5, 31)
    statement.opening, statement.closing = Decimal("10.00"), Decimal("1020.50")
    return StatementDocument([statement], pages=2)


def _write(document: StatementDocument, folder: Path) -> Workbook:
    statements.verify(document)
    statements.write_xlsx(document, folder / "s.xlsx")
    return openpyxl.load_workbook(folder / "s.xlsx")


def _lines(sheet: Worksheet) -> list[tuple[object, ...]]:
    return [tuple(value for value in line if value is not None) for line in sheet.iter_rows(values_only=True)]


def test_rows_have_a_bold_frozen_heading_with_filters(tmp_path: Path):
    book = _write(_document(), tmp_path)
    sheet = book["Rows"]
    assert book.sheetnames == ["Rows", "Summary"] and book.active is sheet  # programs read the first sheet
    assert tuple(cell.value for cell in sheet[1]) == HEADINGS and all(cell.font.bold for cell in sheet[1])
    assert not sheet["A2"].font.bold
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:K3")


def test_columns_are_as_wide_as_their_values_within_limits(tmp_path: Path):
    document = _document()
    document.rows[0].description = "long " * 50
    widths = {key: each.width for key, each in _write(document, tmp_path)["Rows"].column_dimensions.items()}
    assert widths["A"] >= len("00012345") and widths["H"] >= len("2,030.50") and widths["E"] == 60


def test_summary_has_balances_sums_and_checks(tmp_path: Path):
    sheet = _write(_document(), tmp_path)["Summary"]
    account = dict(zip([cell.value for cell in sheet[1]], [cell.value for cell in sheet[2]], strict=True))
    assert (account["account"], account["holder"], account["currency"]) == ("00012345", "Ms E Marsh", "GBP")
    assert (account["opening"], account["closing"]) == (10, 1020.5)
    assert (account["money_out"], account["money_in"]) == (1020, 2030.5)
    assert (account["rows"], account["flagged_rows"]) == (2, 0)
    assert sheet["C2"].is_date and sheet["F2"].number_format == "#,##0.00"
    lines = _lines(sheet)
    assert ("00012345", "balances", "agrees", "all 2 printed balances follow from the amounts") in lines
    assert ("Nothing is flagged.",) in lines


def test_summary_lists_what_is_flagged_and_not_understood(tmp_path: Path):
    document = _document(flags=("low confidence (0.40)",))
    document.unread, document.notes = [Unread(2, "03 May 1O.00", "an amount without a date")], ["a note"]
    lines = _lines(_write(document, tmp_path)["Summary"])
    assert any("low confidence (0.40)" in line and "Salary" in line for line in lines)
    assert ("1 row is flagged, on page 2",) in lines and ("a note",) in lines
    assert (2, "03 May 1O.00", "an amount without a date") in lines


def test_each_account_has_a_line_in_the_summary(tmp_path: Path):
    document = _document()
    document.statements.append(Statement(account="999", currency="JPY", rows=[]))
    sheet = _write(document, tmp_path)["Summary"]
    assert [sheet["A2"].value, sheet["A3"].value, sheet["A4"].value] == ["00012345", "999", None]


@pytest.mark.parametrize(
    ("currency", "amount", "wanted"),
    [
        ("GBP", "20", "#,##0.00"),
        ("JPY", "1200", "#,##0"),
        ("JPY", "1200.50", "#,##0.00"),  # no printed digit is hidden
        ("KWD", "1.250", "#,##0.000"),
        ("", "20", "#,##0"),
        ("", "20.00", "#,##0.00"),
    ],
)
def test_amounts_are_shown_with_the_decimals_of_their_currency(currency: str, amount: str, wanted: str):
    row = Row(1, date(2024, 5, 1), "x", debit=Decimal(amount))
    assert amount_format(Statement(currency=currency, rows=[row])) == wanted


def test_no_text_of_the_workbook_is_a_formula_or_forbidden_in_xml(tmp_path: Path):
    evil = "=1+1\x00\ufffe\x0b"
    document = _document(flags=(evil,))
    row, statement = document.rows[1], document.statements[0]
    statement.account = statement.holder = statement.currency = row.description = row.reference = evil
    document.unread, document.notes = [Unread(1, evil, evil)], [evil]
    book = _write(document, tmp_path)
    cells = [cell for sheet in book for line in sheet.iter_rows() for cell in line if cell.value is not None]
    assert sum("=1+1" in str(cell.value) for cell in cells) > 10
    assert {cell.data_type for cell in cells} <= {"s", "n", "d"}
    assert all(cell.quotePrefix for cell in cells if str(cell.value).startswith("="))


def test_date_before_those_of_spreadsheets_is_text(tmp_path: Path):
    document = _document()
    document.rows[0].date = date(1066, 10, 14)
    assert _write(document, tmp_path)["Rows"]["C2"].value == "1066-10-14"


def test_document_without_rows_is_written(tmp_path: Path):
    book = _write(StatementDocument(pages=1), tmp_path)
    assert book["Rows"].max_row == 1 and book["Summary"].max_row > 1
