"""A receipt from the words of its pages. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from processors.statements.notation.dates import find_dates
from processors.statements.notation.words import PageWords, TextLine, group_lines, line_height
from processors.statements.receipts.amounts import (
    Notation,
    PricedLine,
    detect_notation,
    find_priced_lines,
    has_other_notation,
    spaced,
)
from processors.statements.receipts.currency import find_currency
from processors.statements.receipts.heading import find_date, find_shop
from processors.statements.receipts.records import Item, Receipt
from processors.statements.receipts.sums import Sums, confirmations, find_cash, find_labelled_total, find_sums
from processors.statements.receipts.taxes import find_taxes

_NO_ITEMS = ("payment", "change", "information", "quantity", "tax", "subtotal", "net", "total", "rounding", "tip")


def read_receipt(pages: Sequence[PageWords]) -> Receipt:
    """One receipt, on one page or several; every uncertainty is among its reasons."""
    lines = [line for page in pages for line in group_lines(page)]
    height = line_height(lines)
    texts = [line.text for line in lines]
    receipt = Receipt(shop=find_shop(texts))
    receipt.currency, source = find_currency(texts)
    receipt.currency_source = source if receipt.currency else ""
    receipt.date, doubt = find_date(texts, receipt.currency)
    notation = detect_notation(spaced(line, height) for line in lines)
    priced = find_priced_lines(lines, height, notation)
    receipt.reasons += [reason for reason in ("" if receipt.currency else source, doubt) if reason and priced]
    receipt.reasons += _other_notations(lines, height, notation)
    sums = find_sums(priced)
    items = _take_sums(receipt, priced, sums) if sums else _take_labelled(receipt, priced)
    receipt.reasons += _contradictions(receipt, priced, items)
    _take_taxes(receipt, lines, height, notation, priced, items)
    return receipt


def _other_notations(lines: Sequence[TextLine], height: float, notation: Notation) -> list[str]:
    return [
        f"page {line.page}: the format of the amount in {line.text!r} differs from that of the others"
        for line in lines
        if has_other_notation(spaced(line, height), notation) and not any(date.year for date in find_dates(line.text))
    ]


def _take_sums(receipt: Receipt, priced: Sequence[PricedLine], sums: Sums) -> set[int]:
    """Set what the running sum explains; return the lines of items."""
    receipt.total = priced[sums.total_at].price
    receipt.confirmed_by = list(sums.confirmed_by)
    if priced[sums.first_sum_at].price != receipt.total:
        receipt.subtotal = priced[sums.first_sum_at].price
    receipt.reasons += [
        f"page {line.line.page}: {line.line.text!r} is above the items and was left out"
        for line in priced[: sums.start]
        if line.role != "information" or line.price < 0
    ]
    before_discounts = sum((priced[at].price for at in sums.added if priced[at].price > 0), Decimal(0))
    receipt.reasons += [
        f"page {line.line.page}: the items before {line.line.text!r} do not add up to it"
        for line in (priced[at] for at in sums.passed)
        if line.role == "subtotal" and line.price != before_discounts
    ]
    items: set[int] = set()
    for at, sign in zip(sums.added, sums.signs, strict=True):
        line, price = priced[at], sign * priced[at].price
        if line.role in ("tip", "rounding") or (at > sums.first_sum_at and line.role in ("tax", "charge")):
            receipt.added += price
            if line.role == "tip":
                receipt.tip = (receipt.tip or Decimal(0)) + price
            elif line.role == "rounding":
                receipt.rounding = price
        else:
            items.add(at)
            receipt.items.append(_item(line, price))
    _take_others(receipt, priced, items, sums.total_at)
    return items


def _take_labelled(receipt: Receipt, priced: Sequence[PricedLine]) -> set[int]:
    """Use the words, because nothing adds up; return the lines of items."""
    total_at = find_labelled_total(priced)
    end = len(priced)
    receipt.is_sum = False
    if total_at is not None:
        receipt.total = priced[total_at].price
        receipt.confirmed_by = confirmations(priced, total_at)
        end = total_at
    subtotals = [at for at in range(end) if priced[at].role == "subtotal"]
    if subtotals and total_at is not None:
        receipt.subtotal = priced[subtotals[0]].price
    items = {at for at in range(min([end, *subtotals[:1]])) if priced[at].role not in _NO_ITEMS}
    items |= {at for at in range(end) if priced[at].role == "discount"} if total_at is not None else set()
    if not items and any(priced[at].role not in ("tax", "information") for at in range(end)):
        receipt.reasons.append("no items were found above the total")
    items -= _superfluous(receipt, priced, items)
    receipt.items = [_item(priced[at], priced[at].price) for at in sorted(items)]
    _take_others(receipt, priced, items, total_at)
    return items


def _contradictions(receipt: Receipt, priced: Sequence[PricedLine], items: set[int]) -> list[str]:
    """Further totals, and payments, that are not the total."""
    if receipt.total is None:
        return []
    at = next(at for at, line in enumerate(priced) if at not in items and line.price == receipt.total)
    later = priced[at + 1 :]
    payments = [abs(line.price) for line in later if line.role == "payment"]
    rests = {receipt.total - amount for amount in (*payments, sum(payments, Decimal(0)))}
    found = [
        f"page {line.line.page}: no other figure confirms {line.line.text!r}"
        for line in later
        if line.role == "total" and len(line.cells) == 1 and line.price not in (receipt.total, *rests)
    ]
    if payments and receipt.total not in (*payments, sum(payments)) and receipt.change is None:
        found.append(f"the payment differs from the total of {receipt.total}")
    return found


def _superfluous(receipt: Receipt, priced: Sequence[PricedLine], items: set[int]) -> set[int]:
    """The only line whose omission makes the others add up to the total."""
    if receipt.total is None:
        return set()
    over = sum((priced[at].price for at in items), Decimal(0)) - receipt.total
    found = [at for at in items if over and priced[at].price == over]
    if len(found) != 1 or len(items) < 3:
        return set()
    line = priced[found[0]].line
    receipt.reasons.append(f"page {line.page}: {line.text!r} was left out, as the other items add up to the total")
    return set(found)


def _item(line: PricedLine, price: Decimal) -> Item:
    item = Item(line.line.page, line.description or line.text, price, line.confidence, tax_code=line.tax_code)
    if line.quantity and line.quantity.gives(line.price):
        item.quantity, item.unit_price = line.quantity.count, line.quantity.unit_price
    return item


def _take_others(receipt: Receipt, priced: Sequence[PricedLine], items: set[int], total_at: int | None) -> None:
    discounts = [item.price for item in receipt.items if item.price < 0]
    receipt.discount = sum(discounts, Decimal(0)) if discounts else None
    receipt.others = [line.line.text for at, line in enumerate(priced) if at not in items and at != total_at]
    if total_at is not None and (cash := find_cash(priced, total_at)):
        receipt.paid, receipt.change = cash


def _take_taxes(
    receipt: Receipt,
    lines: Sequence[TextLine],
    height: float,
    notation: Notation,
    priced: Sequence[PricedLine],
    items: set[int],
) -> None:
    used = {id(priced[at].line) for at in items}
    printed = [line.price for at, line in enumerate(priced) if at not in items]
    others = [line for line in lines if id(line) not in used]
    added = receipt.added - (receipt.tip or 0) - (receipt.rounding or 0)
    total = receipt.total - (receipt.tip or 0) if receipt.total is not None else None
    texts = [(priced[at].text, priced[at].price) for at in sorted(items)]
    taxes = find_taxes(others, height, notation, total, printed, added, texts, receipt.currency)
    receipt.reasons += [
        f"the figures of the tax {text!r} do not follow from each other" for text in taxes.contradictions
    ]
    receipt.tax, receipt.taxes, receipt.tax_confirmed_by = taxes.total, taxes.lines, taxes.confirmed_by
