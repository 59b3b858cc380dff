"""The style of CSV files: what the options accept, and what a spreadsheet of a locale then reads."""

import csv
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from processors import statements
from processors.ocr import ReadOptions
from processors.statements import CsvStyle, Row, Statement, StatementDocument
from processors.statements.receipts import Item, Receipt
from processors.statements.receipts import outputs as receipt_files
from processors.vlm import AskOptions


@pytest.fixture
def document() -> StatementDocument:
    row = Row(1, date(2024, 5, 1), "Miete; Mai", debit=Decimal("1845.00"), balance=Decimal("-10.50"))
    return StatementDocument([Statement(account="DE12", currency="EUR", rows=[row])], pages=1)


def style(**options: object) -> CsvStyle:
    return ReadOptions(task="bank-statement", **options).csv_style


def test_default_is_a_comma_a_point_and_no_byte_order_mark(document: StatementDocument, tmp_path: Path):
    assert style() == CsvStyle() == AskOptions(task="bank-statement").csv_style
    statements.write_csv(document, tmp_path / "s.csv")
    written = (tmp_path / "s.csv").read_bytes()
    assert written.startswith(b"account,page,date,") and b",1845.00,,-10.50,EUR," in written


def test_decimal_comma_is_written_with_another_separator(document: StatementDocument, tmp_path: Path):
    statements.write_csv(document, tmp_path / "s.csv", style(csv_decimal=",", csv_bom=True))
    content = (tmp_path / "s.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfaccount;page;")
    (row,) = csv.DictReader(content.decode("utf-8-sig").splitlines(), delimiter=";")
    assert (row["debit"], row["balance"], row["date"]) == ("1845,00", "-10,50", "2024-05-01")
    assert row["description"] == "Miete; Mai"


def test_receipts_are_written_in_the_same_style(tmp_path: Path):
    receipt = Receipt(shop="Käserei", items=[Item(1, "Brie", Decimal("3.90"))], currency="EUR")
    receipt_files.write_csv(receipt, tmp_path / "r.csv", style(csv_locale="fr_FR"))
    assert (tmp_path / "r.csv").read_text().splitlines()[1] == ";Käserei;Brie;3,90;EUR"


@pytest.mark.parametrize(
    ("locale", "separator", "decimal"),
    [
        ("en_US", ",", "."),
        ("en-GB", ",", "."),
        ("de_DE", ";", ","),
        ("de", ";", ","),
        ("fr_FR", ";", ","),
        ("pt_BR", ";", ","),
        ("pl_PL", ";", ","),
        ("de_CH", ";", "."),
        ("ja_JP", ",", "."),
        ("hi_IN", ",", "."),
        ("es_MX", ",", "."),
        ("en_ZA", ";", ","),
    ],
)
def test_locale_sets_separator_and_decimal_mark(locale: str, separator: str, decimal: str):
    assert style(csv_locale=locale) == CsvStyle(separator=separator, decimal=decimal)


def test_explicit_marks_take_precedence_over_the_locale():
    assert style(csv_locale="de_DE", csv_separator="\t", csv_decimal=".") == CsvStyle(separator="\t")
    assert style(csv_locale="en_US", csv_decimal=",") == CsvStyle(separator=";", decimal=",")


@pytest.mark.parametrize("options_class", [ReadOptions, AskOptions])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"csv_decimal": ",", "csv_separator": ","}, 'set csv_separator = ";"'),
        ({"csv_locale": "de_DE", "csv_separator": ","}, 'set csv_separator = ";"'),
        ({"csv_locale": "Klingon"}, 'such as "de_DE"'),
        ({"csv_locale": ""}, 'such as "de_DE"'),
        ({"csv_separator": ":"}, "Input should be"),
        ({"csv_decimal": "'"}, "Input should be"),
    ],
)
def test_marks_that_no_program_can_read_are_refused(options_class: type, options: dict[str, str], message: str):
    with pytest.raises(ValueError, match=message):
        options_class(task="bank-statement", **options)


@pytest.mark.parametrize("text", ["a;=1", "a\t@b", "a\n=1", "a\r+1", "＝1", "\n=1", " ;-1"])
def test_no_separator_in_a_text_begins_a_formula(document: StatementDocument, tmp_path: Path, text: str):
    """A spreadsheet of another locale splits at ";" or a tab."""
    document.rows[0].description = text
    statements.write_csv(document, tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["description"].replace("'", "") == text
    assert not any(part.startswith(tuple("=+-@＝")) for part in re.split(r"[;\t\r\n]", row["description"]))
