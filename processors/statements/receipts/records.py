"""A receipt. Values are as printed; verification only adds reasons for a review."""

import datetime
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass
class Item:
    page: int
    description: str
    price: Decimal  # negative for a discount
    confidence: float = 1.0
    quantity: Decimal | None = None  # only where quantity × unit price = price
    unit_price: Decimal | None = None
    tax_code: str = ""  # the letter beside the price


@dataclass
class TaxLine:
    """One line of tax, at one rate."""

    tax: Decimal
    rate: Decimal | None = None  # in percent
    net: Decimal | None = None
    gross: Decimal | None = None


@dataclass
class Receipt:
    shop: str = ""
    date: datetime.date | None = None
    currency: str = ""  # ISO 4217; "" if unknown
    items: list[Item] = field(default_factory=list)
    subtotal: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal | None = None
    others: list[str] = field(default_factory=list)  # further lines with amounts: payment, change, tax tables
    reasons: list[str] = field(default_factory=list)  # why a person should review it
    taxes: list[TaxLine] = field(default_factory=list)  # by rate; `tax` is their sum
    discount: Decimal | None = None  # sum of the negative items
    tip: Decimal | None = None
    rounding: Decimal | None = None
    paid: Decimal | None = None  # cash received, if change was given
    change: Decimal | None = None
    currency_source: str = ""  # "printed", or the words that imply it
    added: Decimal = Decimal(0)  # tax, tip and rounding that are added to the items to give the total
    is_sum: bool = True  # False: only words identify the total; the amounts before it do not add up to it
    confirmed_by: list[str] = field(default_factory=list)  # what confirms the total, in words
    tax_confirmed_by: str = ""
