"""A corrected receipt: the checks run again, and the files are written as the recipe wrote them."""

import copy
import itertools
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from pydantic import TypeAdapter

from processors.corrections import items
from processors.corrections.changes import FieldsChange, ItemChange, set_values
from processors.corrections.fields import RECEIPT, RECEIPT_ITEM
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
from processors.statements.receipts import Item, Receipt, TaxLine, verify_receipt
from processors.statements.receipts.outputs import write_receipt
from processors.statements.receipts.taxes import confirm_tax
from processors.statements.records import MIN_CONFIDENCE
from processors.statements.writing.formats import FORMATS as DEFAULT_FORMATS

FORMATS = DEFAULT_FORMATS["receipt"]
_RECEIPT = TypeAdapter(Receipt)
_FIELDS = re.compile(
    r"\b(?:shop|date|currency|(?:sub)?total|tax|tip|rounding|paid|payment|cash|change)\b", re.IGNORECASE
)


def load(facts: Mapping[str, object]) -> Receipt:
    """The receipt of NAME.json.

    Raises:
        ValidationError: another program wrote it.
    """
    return _RECEIPT.validate_python(facts)


def correct(
    receipt: Receipt, changes: Sequence[FieldsChange | ItemChange], *, min_confidence: float = MIN_CONFIDENCE
) -> None:
    """Apply the changes, and verify the receipt again.

    Reasons for a review that arithmetic explains are computed again. Others remain, unless they concern what a person
    has corrected or confirmed.

    Raises:
        InvalidChange: there is no such field or item.
    """

    def verify(checked: Receipt) -> None:
        verify_receipt(checked, {}, min_confidence=min_confidence)

    others = reading_reasons(receipt, verify)
    touched = touched_items([item.description for item in receipt.items], changes)
    before = copy.deepcopy(receipt)
    of_fields = [change for change in changes if isinstance(change, FieldsChange)]
    for change in of_fields:
        set_values(receipt, change.fields, RECEIPT)
    check_currency(receipt.currency)
    of_items = [change for change in changes if isinstance(change, ItemChange)]
    receipt.items = items.correct(receipt.items, of_items, RECEIPT_ITEM, lambda: Item(1, "", Decimal(0)))
    receipt.reasons = [each for each in others if not is_settled(each, touched, _FIELDS if of_fields else None)]
    _explain(receipt, before, is_confirmed=bool(of_fields))
    verify(receipt)


def write(receipt: Receipt, folder: Path, stem: str, formats: Sequence[str], options: object) -> list[str]:
    """Write the files; return their names."""
    return write_receipt(receipt, folder, stem, formats, csv_style=csv_style(options))


def _explain(receipt: Receipt, before: Receipt, *, is_confirmed: bool) -> None:
    """Find again how the items give the total, and what confirms the total and the tax."""
    discounts = [item.price for item in receipt.items if item.price < 0]
    receipt.discount = sum(discounts, Decimal(0)) if discounts else None
    receipt.is_sum = True
    receipt.added = _added(receipt)
    receipt.confirmed_by = [
        each for each in before.confirmed_by if each == "the payment" and receipt.total == before.total
    ]
    if receipt.total is not None and receipt.items:
        if sum((item.price for item in receipt.items), Decimal(0)) + receipt.added == receipt.total:
            receipt.confirmed_by.insert(0, "the items")
        paid, change = receipt.paid, receipt.change
        if paid is not None and change is not None and paid - change == receipt.total:
            receipt.confirmed_by.append("cash less change")
    if is_confirmed and receipt.total is not None:
        receipt.confirmed_by.append(BY_A_PERSON)
    _explain_tax(receipt, before, is_confirmed=is_confirmed)


def _added(receipt: Receipt) -> Decimal:
    """What is added to the items to give the total: of the tax, the tip and the rounding."""
    items_sum = sum((item.price for item in receipt.items), Decimal(0))
    possible = [each for each in (receipt.tax, receipt.tip, receipt.rounding) if each is not None]
    sums = (
        sum(each, Decimal(0)) for size in range(len(possible) + 1) for each in itertools.combinations(possible, size)
    )
    return next((each for each in sums if items_sum + each == receipt.total), Decimal(0))


def _explain_tax(receipt: Receipt, before: Receipt, *, is_confirmed: bool) -> None:
    if (receipt.tax, receipt.total) != (before.tax, before.total):
        receipt.tax_confirmed_by = ""
        follow_tax(receipt.taxes, before.total, receipt.tax, receipt.total)
    if receipt.tax is None:
        receipt.taxes = []
        return
    if found := contradiction_of_taxes(receipt.taxes, receipt.tax):
        receipt.tax_confirmed_by = ""
        receipt.reasons.append(found)
        return
    if receipt.tax_confirmed_by:
        return
    total = receipt.total - (receipt.tip or 0) if receipt.total is not None else None
    printed = [receipt.subtotal] if receipt.subtotal is not None else []
    lines = receipt.taxes or [TaxLine(receipt.tax)]
    receipt.tax_confirmed_by = confirm_tax(lines, total, printed, receipt.currency)
    if is_confirmed and not receipt.tax_confirmed_by:
        receipt.tax_confirmed_by = BY_A_PERSON
