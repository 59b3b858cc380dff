"""Receipts: the shop, the date, the items and the total, read by layout. Pure."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from processors.statements.amounts import detect_decimal_mark, parse_amount
from processors.statements.currencies import detect_currency
from processors.statements.dates import detect_date_order, find_dates, resolve_date
from processors.statements.keywords import normalize
from processors.statements.table import AmountCell, find_amounts
from processors.statements.words import PageWords, TextLine, group_lines, line_height

_LABELS = (  # the first that matches the start of a line's text names its amount
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
    price: Decimal  # negative for a discount
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
    reasons: list[str] = field(default_factory=list)  # why a person should review it


def read_receipt(pages: Sequence[PageWords]) -> Receipt:
    """One receipt, on one page or several; nothing is verified yet."""
    lines = [line for page in pages for line in group_lines(page)]
    height = line_height(lines)
    priced = [(line, cells[-1]) for line in lines if (cells := find_amounts(line.words, height))]
    mark = detect_decimal_mark(cell.text for _, cell in priced)
    receipt = Receipt(currency=detect_currency(line.text for line in lines) or "")
    receipt.shop = next((line.text for line in lines if sum(char.isalpha() for char in line.text) > 2), "")
    receipt.date = find_date([line.text for line in lines])
    for line, cell in priced:
        amount = parse_amount(cell.text, mark)
        if amount is None:
            receipt.reasons.append(
                f"page {line.page}: the format of the amount in {line.text!r} differs from the others"
            )
        else:
            _add(receipt, line, cell, amount.signed)
    return receipt


def _add(receipt: Receipt, line: TextLine, cell: AmountCell, price: Decimal) -> None:
    text = " ".join(word.text for word in line.words if word not in cell.words)
    label = next((name for name, pattern in _PATTERNS if pattern.match(normalize(text))), None)
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
    order = detect_date_order(found)
    return next((day for printed in found if (day := resolve_date(printed, order, None))), None)
