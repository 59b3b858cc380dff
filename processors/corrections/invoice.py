"""A corrected invoice: the checks run again, and the files are written as the recipe wrote them."""

import copy
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from pydantic import TypeAdapter

from processors.corrections import items
from processors.corrections.changes import FieldsChange, InvalidChange, ItemChange, set_values
from processors.corrections.fields import INVOICE, INVOICE_LINE
from processors.corrections.figures import (
    BY_A_PERSON,
    check_currency,
    contradiction_of_taxes,
    csv_style,
    follow_tax,
    is_settled,
    reading_reasons,
    touched_items,
)
from processors.statements.invoices.confirmation import confirm_figures
from processors.statements.invoices.outputs import write_invoice
from processors.statements.invoices.records import Invoice, InvoiceLine
from processors.statements.invoices.verify import verify_invoice
from processors.statements.notation.iban import find_ibans, has_valid_check_digits
from processors.statements.records import MIN_CONFIDENCE
from processors.statements.writing.formats import FORMATS as DEFAULT_FORMATS

FORMATS = DEFAULT_FORMATS["invoice"]
_INVOICE = TypeAdapter(Invoice)
_FIELDS = re.compile(
    r"\b(?:number|date|supplier|customer|currency|IBAN|net|taxe?s?|gross|paid|payment|withheld|due|total)\b",
    re.IGNORECASE,
)
_FIGURES = ("net", "tax", "gross")
_PAYMENTS = ("paid", "withheld")
_MOST_ADJUSTMENTS = 8  # tried in all combinations


def load(facts: Mapping[str, object]) -> Invoice:
    """The invoice of NAME.json.

    Raises:
        ValidationError: another program wrote it.
    """
    return _INVOICE.validate_python(facts)


def correct(
    invoice: Invoice, changes: Sequence[FieldsChange | ItemChange], *, min_confidence: float = MIN_CONFIDENCE
) -> None:
    """Apply the changes, and verify the invoice again.

    Reasons for a review that arithmetic explains are computed again. Others remain, unless they concern what a person
    has corrected or confirmed.

    Raises:
        InvalidChange: there is no such field or line.
    """

    def verify(checked: Invoice) -> None:
        verify_invoice(checked, {}, min_confidence=min_confidence)

    others = reading_reasons(invoice, verify)
    touched = touched_items([line.description for line in invoice.lines], changes)
    before = copy.deepcopy(invoice)
    of_fields = [change for change in changes if isinstance(change, FieldsChange)]
    for change in of_fields:
        set_values(invoice, change.fields, INVOICE)
    _check(invoice, before)
    of_lines = [change for change in changes if isinstance(change, ItemChange)]
    for number in {each.item for each in of_lines}:
        if number <= len(invoice.lines):
            invoice.lines[number - 1].doubt = ""
    invoice.lines = items.correct(invoice.lines, of_lines, INVOICE_LINE, lambda: InvoiceLine(1, "", Decimal(0)))
    invoice.reasons = [each for each in others if not is_settled(each, touched, _FIELDS if of_fields else None)]
    _confirm(invoice, before, is_confirmed=bool(of_fields))
    verify(invoice)


def write(invoice: Invoice, folder: Path, stem: str, formats: Sequence[str], options: object) -> list[str]:
    """Write the files; return their names."""
    return write_invoice(invoice, folder, stem, formats, csv_style=csv_style(options))


def _check(invoice: Invoice, before: Invoice) -> None:
    """Raises InvalidChange for a currency or an IBAN that cannot be right."""
    check_currency(invoice.currency)
    if invoice.iban and invoice.iban != before.iban:
        found = next(find_ibans(invoice.iban.upper()), "")
        if not found or not has_valid_check_digits(found):
            raise InvalidChange(f"The check digits of the IBAN {invoice.iban} are wrong.")
        invoice.iban = found


def _confirm(invoice: Invoice, before: Invoice, *, is_confirmed: bool) -> None:
    """Find again which figures follow from each other; the others are confirmed by the person, if at all."""
    figures = {name: getattr(invoice, name) for name in (*_FIGURES, *_PAYMENTS, "due")}
    was = {name: getattr(before, name) for name in figures}
    amounts, amounts_before = (sorted(line.amount for line in each.lines) for each in (invoice, before))
    if figures != was:
        follow_tax(invoice.taxes, before.gross, invoice.tax, invoice.gross)
    if figures != was or amounts != amounts_before:
        as_read = invoice.confirmed_by
        invoice.confirmed_by = {}
        if all(figures[name] == was[name] for name in ("gross", *_PAYMENTS, "due")):
            invoice.confirmed_by = {name: as_read[name] for name in _PAYMENTS if name in as_read}
        confirm_figures(invoice)
        _confirm_with_adjustments(invoice)
    if contradiction := _contradiction(invoice):
        invoice.reasons += [contradiction] if contradiction not in invoice.reasons else []
    elif is_confirmed:
        for name in (*_FIGURES, *_PAYMENTS):
            if getattr(invoice, name) is not None:
                invoice.confirmed_by.setdefault(name, BY_A_PERSON)


def _confirm_with_adjustments(invoice: Invoice) -> None:
    """The same as `confirm_figures`, with some of the discounts and charges before net, and others after it."""
    confirmed = invoice.confirmed_by
    total = sum((line.amount for line in invoice.lines), Decimal(0))
    for name in ("net", "gross"):
        value = getattr(invoice, name)
        if invoice.lines and value is not None and "lines" not in confirmed and value - total in _sums(invoice):
            confirmed[name], confirmed["lines"] = "the lines", f"they add up to {name}"
    if invoice.net is not None and invoice.tax is not None and invoice.gross is not None:
        is_sum = invoice.gross - invoice.net - invoice.tax in _sums(invoice)
        if is_sum and sum((line.tax for line in invoice.taxes), Decimal(0)) in (invoice.tax, Decimal(0)):
            confirmed.setdefault("net", "net + tax = gross")
            confirmed |= dict.fromkeys(("tax", "gross"), "net + tax = gross")


def _contradiction(invoice: Invoice) -> str:
    """Why the totals cannot all be right; "" if they can."""
    if found := contradiction_of_taxes(invoice.taxes, invoice.tax):
        return found
    if invoice.net is None or invoice.tax is None or invoice.gross is None:
        return ""
    if invoice.gross - invoice.net - invoice.tax in _sums(invoice):
        return ""
    return f"net and tax add up to {invoice.net + invoice.tax}, but the gross amount is {invoice.gross}"


def _sums(invoice: Invoice) -> set[Decimal]:
    """What the discounts and charges come to, in all combinations."""
    values = [value for _, value in invoice.adjustments[:_MOST_ADJUSTMENTS]]
    return set(_combinations(values))


def _combinations(values: Sequence[Decimal]) -> Iterator[Decimal]:
    for size in range(len(values) + 1):
        for chosen in itertools.combinations(values, size):
            yield sum(chosen, Decimal(0))
