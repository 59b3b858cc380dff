"""The result files of statements, read back by the libraries of other programs."""

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from ofxtools.Parser import OFXTree

from processors import statements
from processors.statements import Row, Statement, StatementDocument

EVIL = '=HYPERLINK("x")'


@pytest.fixture
def document():
    rows = [
        Row(1, date(2024, 5, 1), EVIL, debit=Decimal("20.00"), balance=Decimal("-10.00")),
        Row(1, date(2024, 5, 2), "Café & Söhne <GmbH> with a name longer than thirty-two", credit=Decimal("30.00")),
        Row(2, None, "No date", debit=Decimal("1.00"), flags=["the date is missing"]),
    ]
    statement = Statement(account="00012345", currency="GBP", opening=Decimal("10.00"), closing=Decimal("20.00"))
    statement.rows = rows
    return StatementDocument([statement], pages=2)


def test_csv_is_exact_and_contains_no_formula(document, tmp_path):
    statements.write_csv(document, tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["description"] == f"'{EVIL}"
    assert (rows[0]["debit"], rows[0]["balance"], rows[1]["credit"]) == ("20.00", "-10.00", "30.00")
    assert rows[2]["flags"] == "the date is missing"


@pytest.mark.parametrize("start", ["=1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_no_text_is_a_formula_in_a_spreadsheet(document, tmp_path, start):
    document.rows[0].description = start
    statements.write_xlsx(document, tmp_path / "s.xlsx")
    statements.write_csv(document, tmp_path / "s.csv")
    cell = openpyxl.load_workbook(tmp_path / "s.xlsx").active["E2"]
    assert cell.data_type == "s"
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        written = next(csv.DictReader(file))["description"]
    assert written.startswith("'") and written.replace("'", "") == start


def test_xlsx_cells_are_typed(document, tmp_path):
    statements.write_xlsx(document, tmp_path / "s.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "s.xlsx").active
    assert sheet["C2"].is_date
    assert sheet["G2"].value == 20
    assert sheet["A2"].value == "00012345"


def test_json_keeps_amounts_as_text(document, tmp_path):
    statements.write_json(document, tmp_path / "s.json")
    whole = json.loads((tmp_path / "s.json").read_text())
    assert whole["statements"][0]["rows"][0]["debit"] == "20.00"
    assert whole["review"]


def test_ofx_is_read_back_by_another_library(document, tmp_path):
    left_out = statements.write_ofx(document, tmp_path / "s.ofx")
    tree = OFXTree()
    with (tmp_path / "s.ofx").open("rb") as file:
        tree.parse(file)
    (statement,) = tree.convert().statements
    assert [t.trnamt for t in statement.transactions] == [Decimal("-20.00"), Decimal("30.00")]
    assert [t.dtposted.date() for t in statement.transactions] == [date(2024, 5, 1), date(2024, 5, 2)]
    assert statement.transactions[1].memo == document.rows[1].description
    assert (statement.account.acctid, statement.curdef, statement.balance.balamt) == ("00012345", "GBP", 20)
    assert left_out == ["account 00012345: 1 row without a date or an amount is not in the OFX file"]


def test_ofx_of_a_credit_card_without_a_currency_is_read_back(document, tmp_path):
    document.statements[0].is_liability, document.statements[0].currency = True, ""
    statements.write_ofx(document, tmp_path / "s.ofx")
    tree = OFXTree()
    with (tmp_path / "s.ofx").open("rb") as file:
        tree.parse(file)
    (statement,) = tree.convert().statements
    assert statement.balance.balamt == -20


def test_summary_names_what_is_flagged(document, tmp_path):
    statements.verify(document)
    statements.write_markdown(document, tmp_path / "s.md", "May")
    text = (tmp_path / "s.md").read_text()
    assert "| Opening balance | 10.00 |" in text
    assert "the date is missing" in text


def _ofx(document: StatementDocument, path: Path):
    statements.write_ofx(document, path)
    tree = OFXTree()
    with path.open("rb") as file:
        tree.parse(file)
    return tree.convert()


def test_credit_card_is_written_as_one_beside_a_current_account(document, tmp_path):
    card = Statement(account="4000123412341234", currency="GBP", is_liability=True, opening=Decimal("0.00"))
    card.rows = [Row(3, date(2024, 5, 4), "Books", debit=Decimal("12.00"), balance=Decimal("12.00"))]
    document.statements.append(card)
    read = _ofx(document, tmp_path / "s.ofx")
    assert [type(each).__name__ for each in read.statements] == ["STMTRS", "CCSTMTRS"]
    assert read.statements[1].account.acctid == "4000123412341234"
    assert (read.statements[1].transactions[0].trnamt, read.statements[1].balance.balamt) == (-12, -12)
    assert "<CREDITCARDMSGSRSV1>" in (tmp_path / "s.ofx").read_text()


def test_transaction_ids_are_unique_and_the_same_in_every_statement_that_lists_it(document, tmp_path):
    again = [Row(1, date(2024, 5, 3), "Tram", debit=Decimal("2.10")) for _ in range(3)]
    document.statements[0].rows = [*document.rows[:2], *again]
    first = [each.fitid for each in _ofx(document, tmp_path / "s.ofx").statements[0].transactions]
    document.statements[0].rows = [*again, Row(1, date(2024, 5, 9), "Rent", debit=Decimal("9.00"))]
    second = [each.fitid for each in _ofx(document, tmp_path / "s.ofx").statements[0].transactions]
    assert len(set(first)) == 5 and second[:3] == first[2:] and second[3] not in first


@pytest.mark.parametrize(("is_card", "wanted"), [(False, Decimal("19.00")), (True, Decimal("-1.00"))])
def test_ofx_balance_includes_the_rows_after_the_last_printed_balance(document, tmp_path, is_card, wanted):
    statement = document.statements[0]
    statement.closing, statement.is_liability = None, is_card
    statement.rows[0].balance = None
    statement.opening = Decimal("10.00")
    statement.rows[2].date = date(2024, 5, 3)
    assert _ofx(document, tmp_path / "s.ofx").statements[0].balance.balamt == wanted
