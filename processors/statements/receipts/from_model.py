"""A receipt from a model's answers, one a page, in the form of `receipt_schema`. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from processors.statements.amounts import parse_amount
from processors.statements.answers import Answer, Notation, Schema, amount_schema, object_schema, text_schema
from processors.statements.currencies import CODES, CODES_LIKE_WORDS
from processors.statements.receipts.currency import find_currency
from processors.statements.receipts.heading import find_date
from processors.statements.receipts.records import Item, Receipt, TaxLine
from processors.statements.receipts.taxes import confirm_tax
from processors.statements.verify import occurs

_SUMS = ("subtotal", "tax", "total", "tip", "rounding", "paid", "change")
_TAX = ("net", "tax", "gross")


def receipt_schema() -> Schema:
    """The JSON Schema of the answer about one page of a receipt: everything as printed, null for what is not on it."""
    item = {
        "description": {"type": "string", "maxLength": 200},
        "price": amount_schema("what the line comes to; with its sign where it is a discount"),
    }
    tax = {"rate": text_schema("in percent, as printed")}
    tax |= {name: amount_schema(f"{name} amount at this rate") for name in _TAX}
    whole = {
        "shop": text_schema("name of the shop"),
        "date": text_schema("date of the purchase, as printed"),
        "currency": text_schema("as printed, such as EUR or £"),
        "items": {"type": "array", "items": object_schema(item), "maxItems": 200},
        "subtotal": amount_schema("sum before tax, where it is printed"),
        "tax": amount_schema("tax, where it is printed"),
        "total": amount_schema("what was to be paid"),
    }
    optional = {
        "taxes": {"type": ["array", "null"], "items": object_schema(tax), "maxItems": 10},
        "tip": amount_schema("tip, where it is printed"),
        "rounding": amount_schema("rounding, with its sign"),
        "paid": amount_schema("cash received"),
        "change": amount_schema("change given"),
    }
    required = object_schema(whole)
    return required | {"properties": required["properties"] | optional}


def receipt_from_answers(
    answers: Sequence[tuple[int, Answer]],
    confidences: Mapping[tuple[int, int], float] | None = None,
    texts: Mapping[int, str] | None = None,
) -> Receipt:
    """A receipt from (page, answer in the form of `receipt_schema`).

    confidences: by page and index of an item in its answer, the probability of its least certain value. texts: by page,
    what another reader found on it; it may tell the currency, and confirm the tax.
    """
    items = [(page, number, item) for page, answer in answers for number, item in enumerate(answer.get("items") or [])]
    taxes = [tax for _, answer in answers for tax in answer.get("taxes") or []]
    first = {name: next((answer[name] for _, answer in answers if answer.get(name)), None) for name in _SUMS}
    given = [*first.values(), *(item["price"] for _, _, item in items)]
    printed = [text for text in (*given, *(tax[name] for tax in taxes for name in _TAX)) if text]
    amounts = _Amounts(printed)
    receipt = Receipt(shop=_first(answers, "shop"))
    _set_currency(receipt, _first(answers, "currency"), [*printed, *(texts or {}).values()])
    date = _first(answers, "date")
    receipt.date, doubt = find_date([date] if date else [], receipt.currency)
    receipt.reasons += [doubt] if doubt and receipt.date else []
    for name, text in first.items():
        setattr(receipt, name, amounts.read(text, name, receipt) if text else None)
    for page, number, item in items:
        price = amounts.read(item["price"], repr(item["description"]), receipt)
        if price is not None:
            receipt.items.append(Item(page, item["description"], price, (confidences or {}).get((page, number), 1.0)))
    _set_taxes(receipt, taxes, amounts, texts or {})
    return receipt


class _Amounts:
    """The amounts of one receipt, in the notation of all of them."""

    def __init__(self, texts: Sequence[str]):
        self._notation = Notation(texts)

    def read(self, text: str | None, what: str, receipt: Receipt) -> Decimal | None:
        """The amount; a reason for a review, and None, if it is none."""
        standard = self._notation.standardize(text) if text else None
        amount = parse_amount(standard, ".") if standard else None
        if amount is None:
            receipt.reasons.append(f"{what}: {f'{text} is not an amount' if text else 'no amount'}")
            return None
        return amount.signed if self._notation.has_decimals else amount.signed.quantize(Decimal(1))


def _first(answers: Sequence[tuple[int, Answer]], name: str) -> str:
    return next((answer[name] for _, answer in answers if answer.get(name)), "")


def _set_currency(receipt: Receipt, answered: str, printed: Sequence[str]) -> None:
    code = answered.strip().upper()
    if code in CODES or code in CODES_LIKE_WORDS:
        receipt.currency, receipt.currency_source = code, "the model"
        return
    texts = [line for text in (answered, *printed) for line in text.splitlines()]
    receipt.currency, source = find_currency(texts)
    receipt.currency_source = source if receipt.currency else ""


def _set_taxes(receipt: Receipt, taxes: Sequence[Answer], amounts: _Amounts, texts: Mapping[int, str]) -> None:
    """The lines of tax; the tax is their sum where none is printed."""
    for each in taxes:
        read = {name: amounts.read(each[name], f"tax: {name}", receipt) for name in _TAX if each[name]}
        if read.get("tax") is not None:
            receipt.taxes.append(TaxLine(read["tax"], _rate(each["rate"]), read.get("net"), read.get("gross")))
    if receipt.taxes and receipt.tax is None:
        receipt.tax = sum((line.tax for line in receipt.taxes), Decimal(0))
    if receipt.tax is None:
        return
    lines = receipt.taxes or [TaxLine(receipt.tax)]
    printed = [receipt.subtotal] if receipt.subtotal is not None else []
    agrees = sum((line.tax for line in lines), Decimal(0)) == receipt.tax
    total = receipt.total if receipt.tip is None or receipt.total is None else receipt.total - receipt.tip
    receipt.tax_confirmed_by = confirm_tax(lines, total, printed, receipt.currency) if agrees else ""
    if agrees and not receipt.tax_confirmed_by and any(occurs(receipt.tax, text) for text in texts.values()):
        receipt.tax_confirmed_by = "the second reading"


def _rate(printed: str | None) -> Decimal | None:
    text = (printed or "").strip(" %").replace(",", ".")
    return Decimal(text) if text.replace(".", "", 1).isdecimal() else None
