"""A receipt from a model's answers, one a page, in the form of `receipt_schema`. Pure."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from processors.statements.checks.verify import occurs
from processors.statements.notation.amounts import parse_amount
from processors.statements.notation.answers import Answer, Notation, Schema, amount_schema, object_schema, text_schema
from processors.statements.notation.currencies import CODES, CODES_LIKE_WORDS
from processors.statements.receipts.currency import find_currency
from processors.statements.receipts.heading import find_date
from processors.statements.receipts.records import Item, Receipt, TaxLine
from processors.statements.receipts.taxes import confirm_tax

_SUMS = ("subtotal", "tax", "total", "tip", "rounding", "paid", "change")
_QUANTITY = re.compile(r"-?\d[\d.,'’ \u00a0\u202f]*")
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?")
_TAX = ("net", "tax", "gross")


def taxes_schema() -> Schema:
    """The JSON Schema of the taxes of a receipt or an invoice, one for each rate; see `AnsweredAmounts.read_taxes`."""
    tax = {"rate": text_schema("in percent, as printed")}
    tax |= {name: amount_schema(f"{name} amount at this rate") for name in _TAX}
    return {"type": ["array", "null"], "items": object_schema(tax), "maxItems": 10}


def printed_taxes(taxes: Sequence[Answer]) -> list[str | None]:
    """Their amounts, as printed."""
    return [tax[name] for tax in taxes for name in _TAX]


def receipt_schema() -> Schema:
    """The JSON Schema of the answer about one page of a receipt: everything as printed, null for what is not on it."""
    item = {
        "description": {"type": "string", "maxLength": 200},
        "price": amount_schema("what the line comes to; with its sign where it is a discount"),
    }
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
        "taxes": taxes_schema(),
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
    printed = [text for text in (*given, *printed_taxes(taxes)) if text]
    amounts = AnsweredAmounts(printed)
    receipt = Receipt(shop=_first(answers, "shop"))
    receipt.currency, receipt.currency_source = resolve_currency(
        _first(answers, "currency"), [*printed, *(texts or {}).values()]
    )
    date = _first(answers, "date")
    receipt.date, doubt = find_date([date] if date else [], receipt.currency)
    receipt.reasons += [doubt] if doubt and receipt.date else []
    for name, text in first.items():
        setattr(receipt, name, amounts.read(text, name, receipt.reasons) if text else None)
    for page, number, item in items:
        price = amounts.read(item["price"], repr(item["description"]), receipt.reasons)
        if price is not None:
            receipt.items.append(Item(page, item["description"], price, (confidences or {}).get((page, number), 1.0)))
    _set_taxes(receipt, taxes, amounts, texts or {})
    return receipt


class AnsweredAmounts:
    """The amounts of one receipt or invoice, in the notation of all of them."""

    def __init__(self, texts: Sequence[str]):
        self._notation = Notation(texts)

    def read(self, text: str | None, what: str, reasons: list[str]) -> Decimal | None:
        """The amount; None, and a reason for a review, if the text is not an amount."""
        standard = self._notation.standardize(text) if text else None
        amount = parse_amount(standard, ".") if standard else None
        if amount is None:
            reasons.append(f"{what}: {f'{text} is not an amount' if text else 'no amount'}")
            return None
        return amount.signed if self._notation.has_decimals else amount.signed.quantize(Decimal(1))

    def read_taxes(self, taxes: Sequence[Answer], reasons: list[str]) -> list[TaxLine]:
        """The taxes in the form of `taxes_schema` whose amount can be read."""
        lines = []
        for each in taxes:
            read = {name: self.read(each[name], f"tax: {name}", reasons) for name in _TAX if each[name]}
            if (tax := read.get("tax")) is not None:
                lines.append(TaxLine(tax, parse_rate(each["rate"]), read.get("net"), read.get("gross")))
        return lines

    def read_number(self, text: str | None) -> Decimal | None:
        """A quantity or a unit price, with any number of decimals; None if the text is not a number."""
        match = _QUANTITY.search(text or "")
        if not match:
            return None
        group, mark = (".", ",") if self._notation.mark == "," else (",", ".")
        number = re.sub(r"[\s'’]", "", match[0]).replace(group, "").replace(mark, ".")
        return Decimal(number) if _PLAIN.fullmatch(number) else None


def _first(answers: Sequence[tuple[int, Answer]], name: str) -> str:
    return next((answer[name] for _, answer in answers if answer.get(name)), "")


def resolve_currency(answered: str, printed: Sequence[str]) -> tuple[str, str]:
    """The code and its source, by the model's answer or by what is printed; ("", "") if nothing determines it."""
    code = answered.strip().upper()
    if code in CODES or code in CODES_LIKE_WORDS:
        return code, "the model"
    code, source = find_currency([line for text in (answered, *printed) for line in text.splitlines()])
    return code, source if code else ""


def _set_taxes(receipt: Receipt, taxes: Sequence[Answer], amounts: AnsweredAmounts, texts: Mapping[int, str]) -> None:
    """The lines of tax; the tax is their sum where none is printed."""
    receipt.taxes += amounts.read_taxes(taxes, receipt.reasons)
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


def parse_rate(printed: str | None) -> Decimal | None:
    """A rate in percent as a model answered it; None if the text is not a rate."""
    text = (printed or "").strip(" %").replace(",", ".")
    return Decimal(text) if text.replace(".", "", 1).isdecimal() else None
