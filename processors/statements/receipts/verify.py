"""Verification of a receipt: every figure that no other figure confirms is a reason for a review. Changes no value."""

from collections.abc import Mapping
from decimal import Decimal

from processors.statements.checks.verify import is_confirmed_by, occurs
from processors.statements.receipts.records import Receipt
from processors.statements.records import MIN_CONFIDENCE


def verify_receipt(receipt: Receipt, texts: Mapping[int, str], *, min_confidence: float = MIN_CONFIDENCE) -> None:
    """Verify a receipt: add to its reasons for review. `texts`: see `SecondReading`."""
    found = receipt.reasons
    _check_total(receipt)
    if receipt.tax is not None and not receipt.tax_confirmed_by:
        found.append(f"no other figure confirms the tax of {receipt.tax}")
    if receipt.date is None and not any("date" in reason for reason in found):
        found.append("no date was found")
    for item in receipt.items:
        text = texts.get(item.page, "")
        if item.confidence < min_confidence and not is_confirmed_by(text, [item.price], item.description):
            found.append(f"{item.description!r}: low confidence ({item.confidence:.2f})")
    for item in receipt.items:
        if item.page in texts and not occurs(item.price, texts[item.page]):
            found.append(f"{item.description!r}: {item.price} does not occur in the second reading")


def _check_total(receipt: Receipt) -> None:
    if receipt.total is None:
        receipt.reasons.append("no total was found")
        return
    if not receipt.items:
        if not (receipt.confirmed_by or receipt.tax_confirmed_by):
            receipt.reasons.append(f"no items were found, and no other figure confirms the total of {receipt.total}")
        return
    items = sum((item.price for item in receipt.items), Decimal(0))
    explained = {receipt.total, receipt.total - receipt.added}
    if receipt.tax is not None:  # it is added at the end, as in the United States
        explained.add(receipt.total - receipt.tax - (receipt.tip or 0) - (receipt.rounding or 0))
    if items not in explained:
        receipt.reasons.append(f"the items add up to {items}, but the total is {receipt.total}")
    elif not receipt.is_sum:
        receipt.reasons.append(f"the amounts before the total do not add up to {receipt.total}")
