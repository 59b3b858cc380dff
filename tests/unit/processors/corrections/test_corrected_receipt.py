"""A person corrects a receipt: its fields and items; the checks run again, and the files follow."""

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from processors.corrections.changes import InvalidChange
from processors.corrections.items import numbers
from processors.corrections.write import write
from processors.statements.receipts import Item, Receipt, TaxLine, verify_receipt
from processors.statements.receipts.outputs import write_json


def as_read(tmp_path: Path, texts: dict[int, str] | None = None, **more: Any) -> dict[str, Any]:
    """NAME.json of a receipt whose second item was read as 4.70 instead of 4.10."""
    items = [Item(1, "Sourdough loaf", Decimal("3.40")), Item(1, "Oat milk", Decimal("4.70"), 0.4)]
    fields = {"shop": "Corner Larder", "date": date(2024, 6, 8), "currency": "GBP", "total": Decimal("7.50")}
    receipt = Receipt(items=items, **(fields | more))  # type: ignore[arg-type]
    verify_receipt(receipt, texts or {})
    path = tmp_path / "as-read.json"
    write_json(receipt, path)
    return dict(json.loads(path.read_text()))


def order(document: dict[str, Any], *changes: dict[str, Any], **more: object) -> dict[str, Any]:
    formats = ["json", "csv", "md"]
    return {"document": document, "stem": "r", "title": "r.jpg", "formats": formats, "changes": list(changes), **more}


def written(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "r.json").read_text()))


def test_corrected_price_makes_the_items_add_up(tmp_path: Path):
    document = as_read(tmp_path)
    assert document["reasons"] == [
        "the items add up to 8.10, but the total is 7.50",
        "'Oat milk': low confidence (0.40)",
    ]
    made = write(order(document, {"item": 2, "values": {"price": "4.10"}}), tmp_path)
    assert made == {"files": ["r.md", "r.csv", "r.json"], "review": []}
    receipt = written(tmp_path)
    assert (receipt["items"][1]["price"], receipt["confirmed_by"]) == ("4.10", ["the items"])
    with (tmp_path / "r.csv").open() as table:
        assert [each["price"] for each in csv.DictReader(table)] == ["3.40", "4.10"]
    assert "To review" not in (tmp_path / "r.md").read_text()


def test_confirmed_item_is_not_uncertain_but_sums_are_still_checked(tmp_path: Path):
    made = write(order(as_read(tmp_path), {"item": 2, "values": {}}), tmp_path)
    assert made["review"] == ["the items add up to 8.10, but the total is 7.50"]


def test_corrected_total_shop_and_date(tmp_path: Path):
    fields = {"total": "8.10", "shop": "Corner Ladder", "date": "2024-06-09"}
    made = write(order(as_read(tmp_path), {"fields": fields}, {"item": 2, "values": {}}), tmp_path)
    assert made["review"] == []
    receipt = written(tmp_path)
    assert (receipt["shop"], receipt["date"], receipt["total"]) == ("Corner Ladder", "2024-06-09", "8.10")
    assert receipt["confirmed_by"] == ["the items", "a person"]


def test_person_confirms_a_tax_that_follows_from_nothing(tmp_path: Path):
    document = as_read(tmp_path, tax=Decimal("0.62"))
    assert "no other figure confirms the tax of 0.62" in document["reasons"]
    made = write(order(document, {"fields": {}}, {"item": 2, "values": {"price": "4.10"}}), tmp_path)
    assert made["review"] == []
    assert written(tmp_path)["tax_confirmed_by"] == "a person"


def test_corrected_tax_corrects_its_only_line(tmp_path: Path):
    taxes = [TaxLine(Decimal("1.25"), Decimal(20), Decimal("6.25"), Decimal("7.50"))]
    document = as_read(tmp_path, tax=Decimal("1.25"), taxes=taxes)
    write(order(document, {"fields": {"tax": "1.20", "total": "7.20"}}), tmp_path)
    [line] = written(tmp_path)["taxes"]
    assert (line["tax"], line["net"], line["gross"]) == ("1.20", "6.00", "7.20")


def test_taxes_by_rate_that_differ_from_the_tax_are_reported(tmp_path: Path):
    taxes = [TaxLine(Decimal("1.00"), Decimal(20)), TaxLine(Decimal("0.25"), Decimal(5))]
    document = as_read(tmp_path, tax=Decimal("1.25"), taxes=taxes)
    made = write(order(document, {"fields": {"tax": "1.30"}}), tmp_path)
    assert "the taxes by rate add up to 1.25, but the tax is 1.30" in made["review"]  # type: ignore[operator]


def test_tip_is_added_to_the_items(tmp_path: Path):
    document = as_read(tmp_path, total=Decimal("9.10"))
    made = write(order(document, {"fields": {"tip": "1.00"}}, {"item": 2, "values": {}}), tmp_path)
    assert made["review"] == []
    assert written(tmp_path)["added"] == "1.00"


def test_doubt_about_the_date_ends_when_a_person_confirms_it(tmp_path: Path):
    doubt = "the date is read as 2024-06-08: day or month may be first"
    document = as_read(tmp_path, reasons=[doubt, "page 1: 'LEERGUT 1,00' is above the items and was left out"])
    made = write(order(document, {"item": 2, "values": {"price": "4.10"}}), tmp_path)
    assert made["review"] == document["reasons"][:2], "nobody has confirmed the fields"
    made = write(order(document, {"fields": {}}, {"item": 2, "values": {"price": "4.10"}}), tmp_path)
    assert made["review"] == ["page 1: 'LEERGUT 1,00' is above the items and was left out"]


def test_difference_to_the_second_reading_stays_on_items_that_nobody_touched(tmp_path: Path):
    document = as_read(tmp_path, {1: "3.90 4.10"})
    made = write(order(document, {"item": 2, "values": {"price": "4.10"}}), tmp_path)
    assert made["review"] == ["'Sourdough loaf': 3.40 does not occur in the second reading"]
    made = write(order(document, {"item": 1, "values": {}}, {"item": 2, "values": {"price": "4.10"}}), tmp_path)
    assert made["review"] == []


def test_item_is_added_and_another_removed_without_new_numbers(tmp_path: Path):
    changes = [
        {"item": 1, "values": None},
        {"item": 3, "values": {"description": "Butter", "price": "3.00"}},
        {"item": 3, "values": {"price": "3.40"}},
        {"item": 2, "values": {"price": "4.10"}},
    ]
    made = write(order(as_read(tmp_path), *changes), tmp_path)
    assert made["review"] == []
    items = written(tmp_path)["items"]
    assert [(each["description"], each["price"]) for each in items] == [("Oat milk", "4.10"), ("Butter", "3.40")]
    assert numbers(2, [(1, True), (3, False), (3, False), (2, False)]) == [2, 3]
    assert numbers(2, [(1, True), (1, False)]) == [1, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"item": 4, "values": {"price": "1"}}, "no item 4"),
        ({"item": 3, "values": None}, "no item 3"),
        ({"item": 3, "values": {"price": "1"}}, "needs its description"),
        ({"item": 1, "values": {"price": None}}, "needs its price"),
        ({"item": 1, "values": {"description": ""}}, "needs its description"),
        ({"item": 1, "values": {"amount": "1"}}, "no value 'amount'"),
        ({"fields": {"gross": "1"}}, "no value 'gross'"),
        ({"fields": {"total": "1,50"}}, "The total must be a number"),
        ({"fields": {"total": "NaN"}}, "must be a number"),
        ({"fields": {"total": "1" * 19}}, "digits"),
        ({"fields": {"date": "8.6.2024"}}, "year-month-day"),
        ({"fields": {"shop": None}}, "must be a text"),
        ({"fields": {"currency": "EURO"}}, "no currency code"),
        ({"row": 1, "values": {}}, "does not fit"),
        ({"page": 1, "line": 1, "text": "x"}, "does not fit"),
    ],
)
def test_change_that_does_not_fit_is_refused(change: dict[str, Any], words: str, tmp_path: Path):
    with pytest.raises(InvalidChange, match=words):
        write(order(as_read(tmp_path), change), tmp_path)
    assert not (tmp_path / "r.json").exists()


def test_document_of_another_program_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="price"):
        write(
            order({"shop": "x", "items": [{"page": 1, "description": "x", "price": "abc"}]}, {"fields": {}}), tmp_path
        )
