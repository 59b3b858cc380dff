"""The forms of the console that correct receipts and invoices."""

import json
from typing import Any

import pytest
from web_site import Site

from daemon.results import corrections, result_files
from daemon.web.errors import WebError
from daemon.web.pages.correction_forms import change_of
from daemon.web.pages.formats import Formats

RECEIPT = {
    "shop": "Larder",
    "date": "2024-06-08",
    "currency": "GBP",
    "items": [{"description": "Milk", "price": "1234.50"}, {"description": "Bread", "price": "3.40"}],
    "total": "1237.90",
    "reasons": ["no date was found"],
}
INVOICE = {
    "supplier": "Workshop",
    "number": "7",
    "gross": "12.00",
    "lines": [{"description": "Oil", "amount": "12.00"}],
}
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


def result_of(site: Site, document: dict[str, Any], changes: list[dict[str, Any]] | None = None) -> Any:
    """The result of a job with this document; with `changes`, as if they had been made."""
    job = site.add(files={"x.json": json.dumps(document), "x.csv": ""}, review=("no date was found",))
    if changes is not None:
        folder = site.settings.outbox / "result" / "corrected"
        folder.mkdir()
        record = {"job": job.id, "files": [], "changes": changes, "review": []}
        (folder / "corrections.json").write_text(json.dumps(record))
    with_log = site.client.get(f"/api/v1/jobs/{job.id}").json()
    row = with_log | {"review": json.dumps(with_log["review"])}
    return job, result_files.find(row, site.settings)


def change(site: Site, document: dict[str, Any], form: dict[str, str], locale: str = "en_GB") -> corrections.Change:
    _, result = result_of(site, document)
    return change_of(form, result, Formats(locale))[0]


def test_form_describes_only_what_differs(site: Site):
    form = {"fields": "1", "shop": "Larder ", "date": "2024-06-09", "total": "1.237,90", "tax": "", "currency": "GBP"}
    assert change(site, RECEIPT, form, "de_DE") == {"fields": {"date": "2024-06-09"}}


def test_emptied_value_is_not_printed_and_emptied_text_is_empty(site: Site):
    assert change(site, RECEIPT, {"fields": "1", "shop": "", "total": ""}) == {"fields": {"shop": "", "total": None}}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"item": "1", "description": "Milk", "price": "1,234.50"}, {"item": 1, "values": {}}),
        ({"item": "2", "description": "Rye", "price": "3.40"}, {"item": 2, "values": {"description": "Rye"}}),
        (
            {"item": "3", "description": "Tea", "price": "2"},
            {"item": 3, "values": {"description": "Tea", "price": "2"}},
        ),
        ({"item": "2", "remove": "1", "price": "x"}, {"item": 2, "values": None}),
    ],
)
def test_items(form: dict[str, str], expected: dict[str, Any], site: Site):
    assert change(site, RECEIPT, form) == expected


def test_line_of_an_invoice(site: Site):
    form = {"item": "1", "description": "Oil", "unit_price": "6.00", "quantity": "2", "unit": "", "amount": "12.00"}
    assert change(site, INVOICE, form) == {"item": 1, "values": {"quantity": "2", "unit_price": "6.00"}}


def test_amount_that_is_none_is_refused(site: Site):
    with pytest.raises(WebError, match="unit price must be a number"):
        change(site, INVOICE, {"item": "1", "unit_price": "six"})


def test_amount_that_can_be_read_in_two_ways_is_refused(site: Site):
    form = {"item": "1", "price": "1.234"}
    with pytest.raises(WebError, match="^1.234 can mean 1234 or 1,234: write it in one of these ways"):
        change(site, RECEIPT, form, "de_DE")
    assert change(site, RECEIPT, form, "en_GB") == {"item": 1, "values": {"price": "1.234"}}
    shown = {**RECEIPT, "total": "1.234"}
    assert change(site, shown, {"fields": "1", "total": "1.234"}, "de_DE") == {"fields": {}}


def test_numbers_stay_after_a_removal(site: Site):
    removed = {**RECEIPT, "items": RECEIPT["items"][1:]}  # type: ignore[index]
    job, _ = result_of(site, removed, [{"item": 1, "values": None, "was": {"description": "Milk"}, "by": "A"}])
    text = site.client.get(f"/jobs/{job.id}?edit=2", headers=PAGE).text
    assert 'id="i2"' in text and 'id="i1"' not in text
    assert 'value="Bread"' in text and "“Milk” removed" in text


def test_page_offers_the_forms_of_a_receipt(site: Site):
    job, _ = result_of(site, RECEIPT)
    text = site.client.get(f"/jobs/{job.id}?correct=1", headers=PAGE).text
    for link in ("?edit=fields#fields", "?edit=1#i1", "?edit=2#i2", "?edit=new#it"):
        assert f'href="{link}"' in text
    text = site.client.get(f"/jobs/{job.id}?edit=fields", headers=PAGE).text
    assert 'name="shop" value="Larder"' in text and 'name="total" value="1237.90"' in text
    text = site.client.get(f"/jobs/{job.id}?edit=new", headers=PAGE).text
    assert 'name="item" value="3"' in text and "Remove this item" not in text
    text = site.client.get(f"/jobs/{job.id}?edit=999", headers=PAGE).text
    assert '<form class="fix"' not in text


def test_corrected_receipt_shows_what_remains_to_review(site: Site):
    job, _ = result_of(site, RECEIPT)
    assert "no date was found" in site.client.get(f"/jobs/{job.id}", headers=PAGE).text
    folder = site.settings.outbox / "result" / "corrected"
    folder.mkdir()
    corrected = json.dumps({**RECEIPT, "reasons": ["the items add up to 1"], "shop": "Ladder"})
    (folder / "x.json").write_text(corrected)
    files = [{"name": "x.json", "size_bytes": len(corrected), "sha256": "0" * 64}]
    changes = [{"fields": {"shop": "Ladder"}, "was": {"shop": "Larder"}, "by": "A", "at": "2024-06-08T10:00:00+00:00"}]
    (folder / "corrections.json").write_text(json.dumps({"job": job.id, "files": files, "changes": changes}))
    text = site.client.get(f"/jobs/{job.id}", headers=PAGE).text
    assert "the items add up to 1" in text and "no date was found" not in text
    assert "Shop Larder → Ladder" in text
    text = site.client.get(f"/jobs/{job.id}?as=read", headers=PAGE).text
    assert "no date was found" in text and "the items add up to 1" not in text
