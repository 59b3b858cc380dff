"""An invoice from a model's answers, one a page, in the form of `invoice_schema`. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from processors.statements.invoices.confirmation import confirm_figures, take_iban
from processors.statements.invoices.records import Invoice, InvoiceLine
from processors.statements.notation.answers import Answer, Schema, amount_schema, object_schema, text_schema
from processors.statements.receipts.from_model import (
    AnsweredAmounts,
    parse_rate,
    printed_taxes,
    resolve_currency,
    taxes_schema,
)
from processors.statements.receipts.heading import find_date

_SUMS = ("net", "tax", "gross", "paid", "due")
_HEADER = ("supplier", "customer", "number", "currency", "iban")
_DATES = ("date", "due_date", "delivery_date")


def invoice_schema() -> Schema:
    """The JSON Schema of the answer about one page of an invoice: everything as printed, null for what is not on it."""
    line = {
        "description": {"type": "string", "maxLength": 300},
        "quantity": text_schema("as printed, without its unit"),
        "unit_price": text_schema("price of one, as printed"),
        "amount": amount_schema("amount of the line, with its sign"),
        "tax_rate": text_schema("in percent, as printed on the line"),
    }
    whole = {
        "supplier": text_schema("name of the company that issued the invoice"),
        "customer": text_schema("name of the customer"),
        "number": text_schema("number of the invoice"),
        "date": text_schema("date of the invoice, as printed"),
        "due_date": text_schema("date by which to pay, as printed"),
        "currency": text_schema("as printed, such as EUR or £"),
        "iban": text_schema("IBAN to pay to"),
        "lines": {"type": "array", "items": object_schema(line), "maxItems": 200},
        "net": amount_schema("total before tax"),
        "tax": amount_schema("total of the taxes"),
        "gross": amount_schema("total of the invoice with tax"),
    }
    optional = {
        "delivery_date": text_schema("date of the delivery or service, as printed"),
        "taxes": taxes_schema(),
        "paid": amount_schema("what was paid before"),
        "due": amount_schema("what is still to be paid"),
    }
    required = object_schema(whole)
    return required | {"properties": required["properties"] | optional}


def invoice_from_answers(
    answers: Sequence[tuple[int, Answer]],
    confidences: Mapping[tuple[int, int], float] | None = None,
    texts: Mapping[int, str] | None = None,
) -> Invoice:
    """An invoice from (page, answer in the form of `invoice_schema`).

    confidences: by page and index of a line in its answer, the probability of its least certain value. texts: by page,
    what another reader found on it; it may tell the currency.
    """
    lines = [(page, number, line) for page, answer in answers for number, line in enumerate(answer.get("lines") or [])]
    taxes = [tax for _, answer in answers for tax in answer.get("taxes") or []]
    found, pages = _first_values(answers)
    printed = [found.get(name) for name in _SUMS] + [line["amount"] for *_, line in lines]
    texts_of_amounts = [text for text in (*printed, *printed_taxes(taxes)) if text]
    amounts = AnsweredAmounts(texts_of_amounts)
    invoice = Invoice(supplier=found.get("supplier", ""), customer=found.get("customer", ""), pages=pages)
    invoice.number = found.get("number", "")
    invoice.currency, invoice.currency_source = resolve_currency(
        found.get("currency", ""), [*texts_of_amounts, *(texts or {}).values()]
    )
    _set_dates(invoice, found)
    take_iban(invoice, found.get("iban", ""))
    for name in _SUMS:
        if found.get(name):
            setattr(invoice, name, amounts.read(found[name], name, invoice.reasons))
    for page, number, line in lines:
        amount = amounts.read(line["amount"], repr(line["description"]), invoice.reasons)
        if amount is not None:
            confidence = (confidences or {}).get((page, number), 1.0)
            invoice.lines.append(_line(page, line, amount, confidence, amounts))
    invoice.taxes += amounts.read_taxes(taxes, invoice.reasons)
    confirm_figures(invoice)
    return invoice


def _first_values(answers: Sequence[tuple[int, Answer]]) -> tuple[dict[str, str], dict[str, int]]:
    """The first answer for each value, and its page; for totals, the last answer, because they are on the last page."""
    found: dict[str, str] = {}
    pages: dict[str, int] = {}
    for page, answer in answers:
        for name in (*_HEADER, *_DATES, *_SUMS):
            if answer.get(name) and (name in _SUMS or name not in found):
                found[name], pages[name] = answer[name], page
    return found, pages


def _set_dates(invoice: Invoice, found: Mapping[str, str]) -> None:
    for name in _DATES:
        if text := found.get(name):
            day, doubt = find_date([text], invoice.currency)
            setattr(invoice, name, day)
            if not day:
                invoice.reasons.append(f"{name}: {text!r} is not a date")
                invoice.pages.pop(name)
            elif doubt and name == "date":
                invoice.reasons.append(doubt)


def _line(page: int, line: Answer, amount: Decimal, confidence: float, amounts: AnsweredAmounts) -> InvoiceLine:
    return InvoiceLine(
        page,
        line["description"],
        amount,
        quantity=amounts.read_number(line["quantity"]),
        unit_price=amounts.read_number(line["unit_price"]),
        tax_rate=parse_rate(line["tax_rate"]),
        confidence=confidence,
    )
