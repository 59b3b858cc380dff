"""A person corrects rows of a statement: the checks run again, and the files follow."""

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import load_workbook

from processors.corrections.changes import InvalidChange
from processors.corrections.write import write
from processors.statements.checks.verify import verify
from processors.statements.records import Row, SecondReading, Statement, StatementDocument
from processors.statements.writing.writers import write_json


def row(day: int, debit: str, balance: str, **more: object) -> Row:
    fields = {"page": 1, "date": date(2024, 5, day), "description": f"Card {day}", **more}
    return Row(debit=Decimal(debit), balance=Decimal(balance), **fields)  # type: ignore[arg-type]


def read_wrongly(tmp_path: Path, second: SecondReading | None = None) -> dict[str, object]:
    """NAME.json of a statement whose second row was read as 13.00 instead of 18.00."""
    rows = [row(1, "10.00", "90.00"), row(2, "13.00", "72.00"), row(3, "2.00", "70.00", confidence=0.4)]
    statement = Statement(account="1", opening=Decimal("100.00"), closing=Decimal("70.00"), rows=rows)
    document = StatementDocument(statements=[statement], pages=1, doubts=["page 1 is blurred"])
    verify(document, second)
    path = tmp_path / "as-read.json"
    write_json(document, path)
    return dict(json.loads(path.read_text()))


def order(document: dict[str, object], *changes: dict[str, object], **more: object) -> dict[str, object]:
    formats = ["json", "csv", "xlsx", "md"]
    return {"document": document, "stem": "s", "title": "s.pdf", "formats": formats, "changes": list(changes), **more}


def flags(folder: Path) -> list[list[str]]:
    return [each["flags"] for each in json.loads((folder / "s.json").read_text())["statements"][0]["rows"]]


def test_corrected_amount_makes_the_balances_agree(tmp_path: Path):
    document = read_wrongly(tmp_path)
    assert document["statements"][0]["checks"][0]["passed"] is False  # type: ignore[index]
    made = write(order(document, {"row": 2, "values": {"debit": "18.00"}}), tmp_path)
    assert made["files"] == ["s.md", "s.csv", "s.xlsx", "s.json"]
    assert made["review"] == ["1 row is flagged, on page 1", "page 1 is blurred"]
    corrected = json.loads((tmp_path / "s.json").read_text())["statements"][0]
    assert (corrected["rows"][1]["debit"], corrected["checks"][0]["passed"]) == ("18.00", True)
    assert flags(tmp_path) == [[], [], ["low confidence (0.40)"]]
    with (tmp_path / "s.csv").open() as table:
        assert [each["debit"] for each in csv.DictReader(table)] == ["10.00", "18.00", "2.00"]
    cells = [cell.value for line in load_workbook(tmp_path / "s.xlsx").active.iter_rows() for cell in line]
    assert 18 in cells


def test_confirmed_row_is_no_longer_flagged_for_its_confidence(tmp_path: Path):
    write(order(read_wrongly(tmp_path), {"row": 3, "values": {}}), tmp_path)
    found = flags(tmp_path)
    assert found[2] == []
    assert "balance changes" in found[1][0], "arithmetic is not confirmed by a person"


def test_difference_to_the_second_reading_stays_on_rows_that_nobody_corrected(tmp_path: Path):
    others = [row(1, "10.00", "90.00"), row(2, "13.00", "72.00"), row(3, "2.50", "70.00")]
    document = read_wrongly(tmp_path, SecondReading(readers={1: "OCR"}, rows=others))
    write(order(document, {"row": 2, "values": {"debit": "18.00"}}), tmp_path)
    assert flags(tmp_path)[1] == []
    assert any("second reading (OCR)" in flag for flag in flags(tmp_path)[2])


def test_date_text_and_an_empty_amount_are_corrected(tmp_path: Path):
    change = {"row": 1, "values": {"date": "2024-04-30", "description": "Café", "debit": None, "credit": "5"}}
    write(order(read_wrongly(tmp_path), change), tmp_path)
    first = json.loads((tmp_path / "s.json").read_text())["statements"][0]["rows"][0]
    assert (first["date"], first["description"], first["debit"], first["credit"]) == ("2024-04-30", "Café", None, "5")


def test_later_correction_of_the_same_row_counts(tmp_path: Path):
    changes = [{"row": 2, "values": {"debit": "1"}}, {"row": 2, "values": {"debit": "18.00"}}]
    write(order(read_wrongly(tmp_path), *changes), tmp_path)
    assert flags(tmp_path)[1] == []


def test_csv_is_written_as_the_recipe_writes_it(tmp_path: Path):
    options = {"csv_locale": "de_DE", "prompt": "x", "min_row_confidence": 0.7}
    write(order(read_wrongly(tmp_path), {"row": 2, "values": {"debit": "18.00"}}, options=options), tmp_path)
    assert "18,00" in (tmp_path / "s.csv").read_text(encoding="utf-8-sig").splitlines()[2].split(";")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"row": 4, "values": {"debit": "1"}}, "no row 4"),
        ({"row": 2, "values": {"credit": "1"}}, "money out and money in"),
        ({"page": 1, "line": 1, "text": "x"}, "does not fit"),
    ],
)
def test_change_that_contradicts_the_document_is_refused(change: dict[str, object], words: str, tmp_path: Path):
    with pytest.raises(InvalidChange, match=words):
        write(order(read_wrongly(tmp_path), change), tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"debit": "1,50"},
        {"debit": "NaN"},
        {"debit": "1e400"},
        {"debit": "-5"},
        {"date": "31.05.2024"},
        {"description": None},
        {"flags": "x"},
        {"debit": "9" * 40},
    ],
)
def test_wrong_value_is_refused(values: dict[str, object], tmp_path: Path):
    with pytest.raises(InvalidChange, match="^In change 1: "):
        write(order(read_wrongly(tmp_path), {"row": 2, "values": values}), tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"row": 0, "values": {}}, "In change 1: row: Input should be greater than or equal to 1."),
        ({"row": True, "values": {}}, "In change 1: row: Input should be a valid integer."),
        ({"row": "2", "values": {}}, "In change 1: row: Input should be a valid integer."),
        ({"row": 2.0, "values": {}}, "In change 1: row: Input should be a valid integer."),
        ({"row": 1, "values": {"debit": "1E+2"}}, "In change 1: the debit must be a number, such as 1234.50."),
        ({"row": 1, "values": {"debit": "8_45"}}, "In change 1: the debit must be a number, such as 1234.50."),
        ({"row": 1, "values": {"debit": "\u0668"}}, "In change 1: the debit must be a number, such as 1234.50."),
        ({"row": 1, "values": {"debit": 5}}, "In change 1: values: debit: Input should be a valid string."),
        (
            {"row": 1, "values": {"debi": "5"}},
            "In change 1: there is no value 'debi' to correct: choose one of date, description, reference, debit, "
            "credit, balance.",
        ),
        (
            {"row": 1, "values": {"date": "20240531"}},
            "In change 1: the date must be year-month-day, such as 2024-05-31.",
        ),
        (
            {"row": 1, "values": {"date": "2024-W05-1"}},
            "In change 1: the date must be year-month-day, such as 2024-05-31.",
        ),
        (
            {"row": 1, "values": {"description": "a\0b"}},
            "In change 1: a text must be one line without control characters.",
        ),
        ({}, "In change 1: page: Field required; change 1: line: Field required; change 1: text: Field required."),
    ],
)
def test_wrong_change_is_named_in_words(tmp_path: Path, change: dict[str, object], words: str):
    with pytest.raises(InvalidChange) as refused:
        write(order(read_wrongly(tmp_path), change), tmp_path)
    assert str(refused.value) == words


def test_changes_of_this_time_are_counted_from_one(tmp_path: Path):
    changes = ({"row": 1, "values": {}}, {"row": 0, "values": {}})
    with pytest.raises(InvalidChange, match=r"^In change 1: row"):
        write(order(read_wrongly(tmp_path), *changes) | {"earlier": 1}, tmp_path)
