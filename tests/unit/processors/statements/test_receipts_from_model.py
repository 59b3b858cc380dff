"""Receipts from invented answers of a model."""

from decimal import Decimal
from typing import Any

import jsonschema

from processors.statements import Receipt, receipt_from_answers, receipt_schema
from processors.statements.receipts import verify_receipt

_KEYS = ("shop", "date", "currency", "subtotal", "tax", "total")


def read(items: list[tuple[str, str]], text: str | None = None, confidence: float = 1.0, **values: Any) -> Receipt:
    answer = dict.fromkeys(_KEYS) | {"items": [{"description": name, "price": price} for name, price in items]} | values
    jsonschema.Draft202012Validator(receipt_schema()).validate(answer)
    texts = {} if text is None else {1: text}
    receipt = receipt_from_answers([(1, answer)], {(1, 0): confidence}, texts)
    verify_receipt(receipt, texts)
    return receipt


def test_receipt_in_yen_has_whole_amounts():
    receipt = read(
        [("おにぎり", "¥150"), ("緑茶", "¥1,128")],
        shop="さくら商店",
        date="2025年2月7日",
        currency="JPY",
        total="¥1,278",
        taxes=[{"rate": "8%", "net": None, "tax": "¥94", "gross": None}],
    )
    assert (str(receipt.date), str(receipt.total), str(receipt.tax)) == ("2025-02-07", "1278", "94")
    assert receipt.reasons == [] and receipt.tax_confirmed_by == "the rate"


def test_tip_and_tax_at_the_end_explain_the_total():
    receipt = read(
        [("Burger", "$14.00"), ("Tea", "$3.50")],
        date="Feb 5, 2025",
        currency="USD",
        subtotal="$17.50",
        tax="$1.31",
        tip="$3.50",
        total="$22.31",
    )
    assert receipt.reasons == [] and receipt.tip == Decimal("3.50")


def test_tax_that_nothing_confirms_is_a_reason():
    values = {"date": "5 Feb 2025", "currency": "EUR", "tax": "0,93", "total": "5,00"}
    assert read([("Brot", "5,00")], **values).reasons == ["no other figure confirms the tax of 0.93"]
    assert read([("Brot", "5,00")], "Brot 5,00 MwSt 0,93", **values).reasons == []


def test_item_on_which_both_readings_agree_needs_no_flag():
    values = {"date": "5 Feb 2025", "currency": "EUR", "total": "5,00"}
    assert read([("Brot", "5,00")], "Brot 5,00", confidence=0.3, **values).reasons == []
    assert read([("Brot", "5,00")], "Brat 5,00", confidence=0.3, **values).reasons == ["'Brot': low confidence (0.30)"]


def test_dollar_of_an_unknown_country_is_no_currency():
    receipt = read([("Tea", "$5.00")], date="5 Feb 2025", currency="$", total="$5.00")
    assert receipt.currency == ""
