"""Invoices from invented answers of a model."""

import datetime
from decimal import Decimal
from typing import Any

import jsonschema

from processors.statements import Invoice, invoice_from_answers, invoice_schema
from processors.statements.invoices import verify_invoice

_KEYS = ("supplier", "customer", "number", "date", "due_date", "currency", "iban", "net", "tax", "gross")
FIRST = {"supplier": "Brandt GmbH", "number": "R-17", "date": "12.03.2025", "currency": "EUR"}
LAST = {"net": "1.230,00", "tax": "233,70", "gross": "1.463,70", "iban": "DE89 3704 0044 0532 0130 00"}
LINES = [("Montage", "10,5", "100,00", "1.050,00"), ("Anfahrt", "3", "60,00", "180,00")]


def page(lines: list[tuple[str, str, str, str]], **values: Any) -> dict[str, Any]:
    keys = ("description", "quantity", "unit_price", "amount")
    rows = [dict(zip(keys, line, strict=True)) | {"tax_rate": None} for line in lines]
    answer = dict.fromkeys(_KEYS) | {"lines": rows} | values
    jsonschema.Draft202012Validator(invoice_schema()).validate(answer)
    return answer


def read(*pages: dict[str, Any], texts: dict[int, str] | None = None) -> Invoice:
    invoice = invoice_from_answers(list(enumerate(pages, start=1)), {}, texts)
    verify_invoice(invoice, texts or {})
    return invoice


def test_pages_are_put_together():
    invoice = read(page(LINES[:1], **FIRST), page(LINES[1:], **LAST))
    assert (invoice.supplier, invoice.number, invoice.date) == ("Brandt GmbH", "R-17", datetime.date(2025, 3, 12))
    assert (invoice.net, invoice.gross, invoice.iban) == (1230, Decimal("1463.70"), "DE89370400440532013000")
    assert [(line.quantity, line.amount, line.page) for line in invoice.lines] == [
        (Decimal("10.5"), 1050, 1),
        (3, 180, 2),
    ]
    assert invoice.pages["number"] == 1 and invoice.pages["gross"] == 2 and invoice.reasons == []


def test_figures_that_do_not_follow_from_each_other_are_named():
    reasons = read(page(LINES, **FIRST, **{**LAST, "gross": "1.436,70"})).reasons
    assert "no other figure confirms the gross amount of 1436.70" in reasons
    reasons = read(page([LINES[0], ("Anfahrt", "3", "60,00", "188,00")], **FIRST, **LAST)).reasons
    assert "the lines add up to 1238.00, but the net amount is 1230.00" in reasons
    assert any("'Anfahrt': 3 × 60.00 is not 188.00" in reason for reason in reasons)  # noqa: RUF001


def test_line_that_the_second_reading_lacks_is_named():
    text = "Montage 1.050,00 Anfahrt 130,00"
    reasons = read(page(LINES, **FIRST, **LAST), texts={1: text}).reasons
    assert reasons == ["'Anfahrt': 180.00 does not occur in the second reading"]


def test_iban_and_date_that_are_none_are_named():
    wrong = {**FIRST, **LAST, "iban": "DE89 3704 0044 0532 0130 01", "date": "soon"}
    invoice = read(page(LINES, **wrong))
    assert (invoice.iban, invoice.date) == ("", None)
    assert "the check digits of the IBAN DE89 3704 0044 0532 0130 01 are wrong" in invoice.reasons
    assert "date: 'soon' is not a date" in invoice.reasons
