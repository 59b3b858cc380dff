"""The figures of an invoice that confirm each other, if a model or an e-invoice states them by name. Pure."""

from decimal import Decimal

from processors.statements.invoices.records import Invoice
from processors.statements.notation.iban import find_ibans, has_valid_check_digits
from processors.statements.receipts.records import TaxLine
from processors.statements.receipts.taxes import confirm_tax


def confirm_figures(invoice: Invoice) -> None:
    """Record which figures confirm each other."""
    if invoice.tax is None and invoice.taxes:
        invoice.tax = sum((line.tax for line in invoice.taxes), Decimal(0))
    total = sum((line.amount for line in invoice.lines), Decimal(0))
    total += sum((value for _, value in invoice.adjustments), Decimal(0))
    confirmed = invoice.confirmed_by
    for name in ("net", "gross"):
        if invoice.lines and getattr(invoice, name) == total:
            confirmed[name], confirmed["lines"] = "the lines", f"they add up to {name}"
            break
    if invoice.gross is None:
        return
    agrees = not invoice.taxes or sum((line.tax for line in invoice.taxes), Decimal(0)) == invoice.tax
    if invoice.net is not None and invoice.tax is not None and invoice.net + invoice.tax == invoice.gross and agrees:
        confirmed.setdefault("net", "net + tax = gross")
        confirmed |= dict.fromkeys(("tax", "gross"), "net + tax = gross")
    elif invoice.tax is not None and agrees and "gross" in confirmed:
        lines = invoice.taxes or [TaxLine(invoice.tax)]
        if found := confirm_tax(lines, invoice.gross, [], invoice.currency):
            confirmed["tax"] = found
    if invoice.paid is not None and invoice.due is not None and invoice.gross - abs(invoice.paid) == invoice.due:
        confirmed["paid"] = "gross less paid is due"


def take_iban(invoice: Invoice, text: str) -> None:
    """Set the IBAN if its check digits are correct; otherwise, add a reason for a review."""
    invoice.iban = next((iban for iban in find_ibans(text.upper()) if has_valid_check_digits(iban)), "")
    if text and not invoice.iban:
        invoice.reasons.append(f"the check digits of the IBAN {text} are wrong")
        invoice.pages.pop("iban", None)
