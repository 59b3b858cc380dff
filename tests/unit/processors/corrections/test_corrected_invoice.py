"""A person corrects an invoice: its fields and lines; the checks run again, and the files follow."""

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from processors.corrections.changes import InvalidChange
from processors.corrections.write import write
from processors.statements.invoices.confirmation import confirm_figures
from processors.statements.invoices.outputs import write_json
from processors.statements.invoices.records import Invoice, InvoiceLine
from processors.statements.invoices.verify import verify_invoice
from processors.statements.receipts import TaxLine

IBAN = "DE89370400440532013000"


def money(text: str) -> Decimal:
    return Decimal(text)


def as_read(tmp_path: Path, texts: dict[int, str] | None = None, **more: Any) -> dict[str, Any]:
    """NAME.json of an invoice over 119.00 whose second line was read as 70.00 instead of 40.00."""
    lines = [
        InvoiceLine(1, "Repair", money("60.00"), quantity=money("2"), unit_price=money("30.00")),
        InvoiceLine(1, "Parts", money("70.00"), doubt="no quantity and price give its amount of 70.00"),
    ]
    fields = {"supplier": "Workshop", "number": "R-7", "date": date(2024, 5, 31), "currency": "EUR"}
    sums = {"net": money("100.00"), "tax": money("19.00"), "gross": money("119.00")}
    taxes = [TaxLine(money("19.00"), money("19"), money("100.00"), money("119.00"))]
    invoice = Invoice(**({"lines": lines, "taxes": taxes} | fields | sums | more))
    confirm_figures(invoice)
    verify_invoice(invoice, texts or {})
    path = tmp_path / "as-read.json"
    write_json(invoice, path)
    return dict(json.loads(path.read_text()))


def order(document: dict[str, Any], *changes: dict[str, Any]) -> dict[str, Any]:
    formats = ["json", "csv", "md"]
    return {"document": document, "stem": "i", "title": "i.pdf", "formats": formats, "changes": list(changes)}


def written(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "i.json").read_text()))


def test_corrected_amount_makes_the_lines_add_up(tmp_path: Path):
    document = as_read(tmp_path)
    assert document["reasons"] == [
        "the lines add up to 130.00, but the net amount is 100.00",
        "page 1: 'Parts': no quantity and price give its amount of 70.00",
    ]
    made = write(order(document, {"item": 2, "values": {"amount": "40.00"}}), tmp_path)
    assert made == {"files": ["i.md", "i.csv", "i.json"], "review": []}
    assert written(tmp_path)["confirmed_by"]["lines"] == "they add up to net"
    with (tmp_path / "i.csv").open() as table:
        assert [each["amount"] for each in csv.DictReader(table)] == ["60.00", "40.00"]


def test_quantity_times_price_is_checked_again(tmp_path: Path):
    changes = {"item": 2, "values": {"amount": "40.00", "quantity": "2", "unit_price": "21.00", "unit": "pcs"}}
    made = write(order(as_read(tmp_path), changes), tmp_path)
    assert made["review"] == ["page 1: 'Parts': 2 × 21.00 is not 40.00"]  # noqa: RUF001


def test_fields_are_corrected(tmp_path: Path):
    fields = {
        "supplier": "The Workshop",
        "number": "R-17",
        "due_date": "2024-06-30",
        "iban": "de89 3704 0044 0532 0130 00",
    }
    document = as_read(tmp_path, number="", reasons=["the supplier 'Workshop' is only the likeliest name"])
    made = write(order(document, {"fields": fields}, {"item": 2, "values": {"amount": "40.00"}}), tmp_path)
    assert made["review"] == []
    invoice = written(tmp_path)
    assert (invoice["supplier"], invoice["number"], invoice["iban"]) == ("The Workshop", "R-17", IBAN)
    assert invoice["due_date"] == "2024-06-30"


def test_totals_that_contradict_each_other_are_reported_although_a_person_entered_them(tmp_path: Path):
    document = as_read(tmp_path)
    made = write(order(document, {"fields": {"gross": "120.00"}}, {"item": 2, "values": {"amount": "40.00"}}), tmp_path)
    assert "net and tax add up to 119.00, but the gross amount is 120.00" in made["review"]  # type: ignore[operator]


def test_corrected_totals_correct_the_only_tax(tmp_path: Path):
    fields = {"net": "130.00", "tax": "24.70", "gross": "154.70"}
    made = write(order(as_read(tmp_path), {"fields": fields}, {"item": 2, "values": {}}), tmp_path)
    assert made["review"] == []
    [tax] = written(tmp_path)["taxes"]
    assert (tax["tax"], tax["net"], tax["gross"]) == ("24.70", "130.00", "154.70")


def test_person_confirms_what_follows_from_nothing(tmp_path: Path):
    document = as_read(tmp_path, net=None, tax=None, taxes=[], paid=money("19.00"))
    assert "no other figure confirms the gross amount of 119.00" in document["reasons"]
    made = write(order(document, {"fields": {}}, {"item": 2, "values": {}}), tmp_path)
    assert made["review"] == ["the lines add up to 130.00, but the gross amount is 119.00"]
    assert written(tmp_path)["confirmed_by"] == {"gross": "a person", "paid": "a person"}


def test_discount_between_the_lines_and_net_is_considered(tmp_path: Path):
    document = as_read(tmp_path, adjustments=[("Discount", money("-10.00")), ("Rounding", money("0.01"))])
    made = write(order(document, {"item": 2, "values": {"amount": "50.00"}}), tmp_path)
    assert made["review"] == []


def test_description_alone_changes_no_confirmation(tmp_path: Path):
    confirmed = {"net": "the lines", "lines": "they add up to net", "gross": "x", "tax": "each rate"}
    lines = [InvoiceLine(1, "Repiar", money("100.00"), confidence=0.3)]
    document = as_read(tmp_path, lines=lines) | {"confirmed_by": confirmed}
    made = write(order(document, {"item": 1, "values": {"description": "Repair"}}), tmp_path)
    assert made["review"] == []
    assert written(tmp_path)["confirmed_by"] == confirmed


def test_line_is_added(tmp_path: Path):
    changes = [{"item": 2, "values": None}, {"item": 3, "values": {"description": "Oil", "amount": "40.00"}}]
    made = write(order(as_read(tmp_path), *changes), tmp_path)
    assert made["review"] == []
    assert [line["description"] for line in written(tmp_path)["lines"]] == ["Repair", "Oil"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fields": {"iban": "DE89370400440532013001"}}, "check digits"),
        ({"fields": {"total": "1"}}, "no value 'total'"),
        ({"fields": {"due_date": "x"}}, "The due date must be"),
        ({"item": 1, "values": {"price": "1"}}, "no value 'price'"),
        ({"item": 1, "values": {"unit_price": "x"}}, "The unit price must be a number"),
        ({"segment": 1, "text": "x"}, "does not fit"),
    ],
)
def test_change_that_does_not_fit_is_refused(change: dict[str, Any], words: str, tmp_path: Path):
    with pytest.raises(InvalidChange, match=words):
        write(order(as_read(tmp_path), change), tmp_path)
