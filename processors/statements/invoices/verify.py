"""Verification of an invoice: every figure that no other figure confirms is a reason for a review. Changes no value."""

from collections.abc import Mapping
from decimal import Decimal

from processors.statements.checks.verify import is_confirmed_by, occurs
from processors.statements.invoices.records import Invoice, InvoiceLine
from processors.statements.records import MIN_CONFIDENCE

_CENT = Decimal("0.0051")
_PAYMENTS = (("paid", "paid amount"), ("withheld", "withheld amount"))
_HUNDRED = Decimal(100)
_LEAST_UNTAXED = Decimal(1)  # a smaller difference is a wrong digit, not goods without tax


def verify_invoice(invoice: Invoice, texts: Mapping[int, str], *, min_confidence: float = MIN_CONFIDENCE) -> None:
    """Verify an invoice: add to its reasons for review. `texts`: see `SecondReading`."""
    found = invoice.reasons
    _check_totals(invoice)
    _check_lines(invoice)
    _check_bases(invoice)
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
            invoice.reasons.append(f"no other figure confirms the {words} of {value}")
    for line in invoice.taxes:
        slack = Decimal(1) if line.tax.as_tuple().exponent == 0 else 2 * _CENT  # whole amounts are also rounded down
        if line.rate is not None and line.net is not None and abs(line.net * line.rate / _HUNDRED - line.tax) > slack:
            invoice.reasons.append(f"the tax of {line.tax} is not {line.rate} % of {line.net}")


def _check_bases(invoice: Invoice) -> None:
    """Check that the taxed amounts add up to net, and the lines at each rate to the taxed amount of that rate."""
    bases = [line.net for line in invoice.taxes if line.net is not None]
    if not bases or len(bases) < len(invoice.taxes) or invoice.net is None:
        return
    gap = invoice.net - sum(bases, Decimal(0))
    is_partial = all(line.rate for line in invoice.taxes) and abs(gap) >= _LEAST_UNTAXED
    if gap and not is_partial:
        invoice.reasons.append(f"the taxed amounts add up to {invoice.net - gap}, but net is {invoice.net}")
    rates = {line.tax_rate for line in invoice.lines}
    if gap or invoice.adjustments or None in rates or invoice.confirmed_by.get("lines") != "they add up to net":
        return
    for tax in (line for line in invoice.taxes if line.rate is not None):
        total = sum((line.amount for line in invoice.lines if line.tax_rate == tax.rate), Decimal(0))
        if total != tax.net:
            invoice.reasons.append(f"the lines at {tax.rate} % add up to {total}, but {tax.net} is taxed")


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
        if line.doubt:
            invoice.reasons.append(f"page {line.page}: {line.description!r}: {line.doubt}")
        elif line.quantity is not None and line.unit_price is not None and not _is_product(line):
            invoice.reasons.append(
                f"page {line.page}: {line.description!r}: {line.quantity} × {line.unit_price} is not {line.amount}"  # noqa: RUF001
            )


def _is_product(line: InvoiceLine) -> bool:
    product = (line.quantity or Decimal(0)) * (line.unit_price or Decimal(0))
    share = product * (_HUNDRED - line.discount) / _HUNDRED if line.discount else product
    slack = _CENT * 100 if line.amount.as_tuple().exponent == 0 else _CENT
    return min(abs(abs(share) - abs(line.amount)), abs(product - line.amount)) <= slack
