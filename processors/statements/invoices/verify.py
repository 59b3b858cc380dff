"""Verification of an invoice: what no other figure confirms is a reason for a review. Changes no value."""

from collections.abc import Mapping
from decimal import Decimal

from processors.statements.invoices.records import Invoice, InvoiceLine
from processors.statements.records import MIN_CONFIDENCE
from processors.statements.verify import is_confirmed_by, occurs

_CENT = Decimal("0.0051")
_PAYMENTS = (("paid", "paid amount"), ("withheld", "withheld amount"))
_HUNDRED = Decimal(100)


def verify_invoice(invoice: Invoice, texts: Mapping[int, str], *, min_confidence: float = MIN_CONFIDENCE) -> None:
    """Verify an invoice: add to its reasons for review. `texts`: see `SecondReading`."""
    found = invoice.reasons
    _check_totals(invoice)
    _check_lines(invoice)
    for name in ("number", "date", "supplier"):
        if not getattr(invoice, name):
            found.append(f"no {name} was found")
    for line in invoice.lines:
        text = texts.get(line.page, "")
        if line.confidence < min_confidence and not is_confirmed_by(text, [line.amount], line.description):
            found.append(f"{line.description!r}: low confidence ({line.confidence:.2f})")
        if line.page in texts and not occurs(line.amount, texts[line.page]):
            found.append(f"{line.description!r}: {line.amount} does not occur in the second reading")


def _check_totals(invoice: Invoice) -> None:
    if invoice.gross is None:
        invoice.reasons.append("no gross amount was found")
    for name, words in (("net", "net amount"), ("tax", "tax"), ("gross", "gross amount"), *_PAYMENTS):
        value = getattr(invoice, name)
        if value and name not in invoice.confirmed_by:
            invoice.reasons.append(f"the {words} of {value} follows from no other figure")
    for line in invoice.taxes:
        slack = Decimal(1) if line.tax.as_tuple().exponent == 0 else 2 * _CENT  # whole amounts are also rounded down
        if line.rate is not None and line.net is not None and abs(line.net * line.rate / _HUNDRED - line.tax) > slack:
            invoice.reasons.append(f"the tax of {line.tax} is not {line.rate} % of {line.net}")


def _check_lines(invoice: Invoice) -> None:
    if not invoice.lines:
        invoice.reasons.append("no lines were found")
        return
    if "lines" not in invoice.confirmed_by:
        total = sum((line.amount for line in invoice.lines), Decimal(0))
        printed = invoice.net if invoice.net is not None else invoice.gross
        name = "net" if invoice.net is not None else "gross"
        invoice.reasons.append(f"the lines add up to {total}, but the {name} amount is {printed}")
    for line in invoice.lines:
        if line.quantity is not None and line.unit_price is not None and not _is_product(line):
            invoice.reasons.append(
                f"page {line.page}: {line.description!r}: {line.quantity} × {line.unit_price} is not {line.amount}"  # noqa: RUF001
            )


def _is_product(line: InvoiceLine) -> bool:
    product = (line.quantity or Decimal(0)) * (line.unit_price or Decimal(0))
    share = product * (_HUNDRED - line.discount) / _HUNDRED if line.discount else product
    return min(abs(abs(share) - abs(line.amount)), abs(product - line.amount)) <= _CENT
