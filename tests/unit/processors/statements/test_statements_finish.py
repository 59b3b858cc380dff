"""From a document to its result files: when it is read again, and what the result reports."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from test_statements_second_reading import PAGE
from typed_pages import typed_page
from works import work_on

from processors.contract import Work
from processors.statements import SecondReading, StatementDocument, finish_receipt, finish_statement, read_statements
from processors.statements.receipts import Item, Receipt, TaxLine

WRONG = PAGE.replace("31.46", "37.46")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    return work_on(tmp_path / "may.pdf", outputs=outputs, recipe="bank-statement")


def read(text: str) -> StatementDocument:
    return read_statements([typed_page(text, 1)])


def finish(work: Work, text: str, second: SecondReading | None):
    asked: list[StatementDocument] = []

    def second_reader(verified: StatementDocument) -> SecondReading | None:
        asked.append(verified)
        return second

    done = finish_statement(work, read(text), ("md", "json"), second_reader, min_confidence=0.7)
    statements = json.loads((work.outputs / "may.json").read_text())["statements"]
    return done, asked, [row["flags"] for statement in statements for row in statement["rows"]]


def test_document_without_a_second_reading_is_verified_and_written(work: Work):
    done, asked, flags = finish(work, WRONG, None)
    assert done.files == ("may.md", "may.json") and done.summary == "5 rows, account 00012345"
    assert [bool(each) for each in flags] == [True, True, True, False, False]
    assert "3 rows are flagged, on page 1" in done.reasons and done.facts["flagged_rows"] == 3
    assert [bool(row.flags) for row in asked[0].rows] == [True, True, True, False, False]  # verified before it asks


def test_second_reading_replaces_the_flags_of_the_first_verification(work: Work):
    done, _, flags = finish(work, WRONG, SecondReading(readers={1: "OCR"}, rows=read(PAGE).rows))
    assert [len(each) for each in flags] == [0, 2, 0, 0, 0]
    assert "the second reading (OCR) has the debit 31.46" in flags[1]
    assert done.facts["flagged_rows"] == 1


def test_page_that_could_not_be_read_again_is_reported(work: Work):
    done, _, _ = finish(work, PAGE, SecondReading(errors={1: "Internal error on this page; see the log."}))
    assert done.reasons == ("page 1: the second reading failed: Internal error on this page; see the log.",)


def test_item_that_does_not_occur_in_the_second_reading_is_a_reason(work: Work):
    receipt = Receipt(shop="Corner Larder", items=[Item(1, "Bread", Decimal("3.90"))], total=Decimal("3.90"))
    done = finish_receipt(work, receipt, ("md", "csv"), {1: "Bread 3.40"}, min_confidence=0.7)
    assert done.files == ("may.md", "may.csv")
    assert done.reasons == ("no date was found", "'Bread': 3.90 does not occur in the second reading")


def test_receipt_lists_each_tax_rate_and_the_change(work: Work):
    receipt = Receipt(
        shop="Corner Larder",
        date=date(2025, 2, 5),
        items=[Item(1, "Bread", Decimal("3.90"))],
        total=Decimal("3.90"),
        tax=Decimal("0.50"),
        taxes=[TaxLine(Decimal("0.20"), Decimal(5)), TaxLine(Decimal("0.30"), Decimal(20))],
        change=Decimal("1.10"),
        tax_confirmed_by="each rate",
    )
    done = finish_receipt(work, receipt, ("md", "json"), {}, min_confidence=0.7)
    assert done.reasons == () and done.facts["tax"] == "0.50" and done.facts["date"] == "2025-02-05"
    markdown = (work.outputs / "may.md").read_text()
    assert "| **Tax 5 %** | 0.20 |" in markdown and "| **Change** | 1.10 |" in markdown
    assert json.loads((work.outputs / "may.json").read_text())["taxes"][1]["rate"] == "20"
