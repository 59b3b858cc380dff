"""Receipts: the shop, the date, what was bought, the total, and whether they agree. Pure but for the writers."""

import csv
import datetime
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path

from processors import wellformed
from processors.statements.amounts import decide_mark, read_amount
from processors.statements.currencies import find_currency
from processors.statements.dates import decide_order, find_dates, resolve
from processors.statements.keywords import plain
from processors.statements.records import LEAST_CONFIDENCE
from processors.statements.table import Cell, find_amounts
from processors.statements.words import Line, PageWords, group_lines, line_height
from processors.statements.writers import escape_formula, escape_markdown, to_json

_LABELS = (  # the first that begins a line's text says what its amount is
    ("subtotal", r"sub ?-?total|zwischensumme|sous ?-?total|net(?:to)?\b|total (?:ht|net)|base imponible"),
    (
        "total",
        r"(?:grand |total )?total\b|amount due|balance due|to pay|summe|gesamt|zu zahlen"
        r"|(?:net )?a payer|montant du",
    ),
    ("tax", r"(?:incl\.? |inkl\.? |dont |total )?(?:vat|mwst|ust|tva|iva|(?:sales )?tax|gst)\b|\d+(?:[.,]\d+)? ?%"),
    (
        "payment",
        r"cash|card|visa|master ?card|debit|credit|change|tendered|paid|bar\b|karte|ec-|gegeben|ruckgeld|girocard"
        r"|especes|carte|cb\b|rendu|efectivo|tarjeta|cambio|contactless|apple pay",
    ),
)
_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _LABELS)


@dataclass
class Item:
    page: int
    description: str
    price: Decimal  # below zero for a discount
    confidence: float = 1.0


@dataclass
class Receipt:
    shop: str = ""
    date: datetime.date | None = None
    currency: str = ""
    items: list[Item] = field(default_factory=list)
    subtotal: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal | None = None
    others: list[str] = field(default_factory=list)  # further lines with amounts: payment, change, tax tables
    reasons: list[str] = field(default_factory=list)  # why a person should look


def read_receipt(pages: Sequence[PageWords], *, least_confidence: float = LEAST_CONFIDENCE) -> Receipt:
    """One receipt, on one page or several, verified: its items must come to its total."""
    lines = [line for page in pages for line in group_lines(page)]
    height = line_height(lines)
    priced = [(line, cells[-1]) for line in lines if (cells := find_amounts(line.words, height))]
    mark = decide_mark(cell.text for _, cell in priced)
    receipt = Receipt(currency=find_currency(line.text for line in lines) or "")
    receipt.shop = next((line.text for line in lines if sum(char.isalpha() for char in line.text) > 2), "")
    receipt.date = find_date([line.text for line in lines])
    for line, cell in priced:
        amount = read_amount(cell.text, mark)
        if amount is None:
            receipt.reasons.append(f"page {line.page}: the amount in {line.text!r} is not written as the others are")
        else:
            _add(receipt, line, cell, amount.signed)
    verify_receipt(receipt, least_confidence)
    return receipt


def write_receipt_csv(receipt: Receipt, path: Path) -> None:
    """One line an item."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("date", "shop", "description", "price", "currency"))
        for item in receipt.items:
            texts = [escape_formula(text) for text in (receipt.shop, item.description)]
            writer.writerow((receipt.date or "", *texts, item.price, receipt.currency))


def write_receipt_json(receipt: Receipt, path: Path) -> None:
    path.write_text(wellformed.dumps(asdict(receipt), indent=1, default=to_json) + "\n", encoding="utf-8")


def write_receipt_markdown(receipt: Receipt, path: Path) -> None:
    lines = [f"# {escape_markdown(receipt.shop) or 'Receipt'}", ""]
    lines += [f"{receipt.date or 'date not found'}, total {receipt.total or 'not found'} {receipt.currency}", ""]
    if receipt.reasons:
        lines += ["**To be looked at:**", "", *[f"- {reason}" for reason in receipt.reasons], ""]
    lines += ["| Item | Price |", "|---|---|"]
    lines += [f"| {escape_markdown(item.description)} | {item.price} |" for item in receipt.items]
    lines += [f"| **{name}** | {value} |" for name, value in _sums(receipt).items() if value is not None]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _sums(receipt: Receipt) -> dict[str, Decimal | None]:
    return {"Subtotal": receipt.subtotal, "Tax": receipt.tax, "Total": receipt.total}


def _add(receipt: Receipt, line: Line, cell: Cell, price: Decimal) -> None:
    text = " ".join(word.text for word in line.words if word not in cell.words)
    label = next((name for name, pattern in _PATTERNS if pattern.match(plain(text))), None)
    if label in ("subtotal", "total", "tax") and getattr(receipt, label) is None and not (label == "tax" and not text):
        setattr(receipt, label, price)
    elif label or receipt.total is not None:
        receipt.others.append(line.text)
    else:
        confidence = min(word.confidence for word in line.words)
        receipt.items.append(Item(line.page, text, price, confidence))


def find_date(texts: Sequence[str]) -> datetime.date | None:
    """The first full date within the texts."""
    found = [printed for text in texts for printed in find_dates(text) if printed.year]
    order = decide_order(found)
    return next((day for printed in found if (day := resolve(printed, order, None))), None)


def verify_receipt(receipt: Receipt, least_confidence: float) -> None:
    """Add the reasons to look at it, such as items read with less than `least_confidence`; change no value."""
    total = sum((item.price for item in receipt.items), Decimal(0))
    allowed = {receipt.total, receipt.subtotal}
    if receipt.total is not None and receipt.tax is not None:
        allowed.add(receipt.total - receipt.tax)  # tax is added at the end, as in the United States
    if receipt.total is None:
        receipt.reasons.append("no total was found")
    elif total not in allowed:
        receipt.reasons.append(f"the items come to {total}, but the total is {receipt.total}")
    if receipt.date is None:
        receipt.reasons.append("no date was found")
    for item in receipt.items:
        if item.confidence < least_confidence:
            receipt.reasons.append(f"{item.description!r} was read with little certainty ({item.confidence:.2f})")
