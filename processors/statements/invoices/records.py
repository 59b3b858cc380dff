"""An invoice. Values are as printed; verification only adds reasons for a review."""

import datetime
from dataclasses import dataclass, field
from decimal import Decimal

from processors.statements.receipts.records import TaxLine


@dataclass
class InvoiceLine:
    """One line of the table of goods and services."""

    page: int  # from 1, as in the file
    description: str
    amount: Decimal  # as it is added up: without tax on most invoices; negative for a discount
    quantity: Decimal | None = None
    unit: str = ""
    unit_price: Decimal | None = None
    discount: Decimal | None = None  # in percent
    tax_rate: Decimal | None = None  # in percent
    has_percent: bool = True  # its rate is printed as a percentage, not as a code
    confidence: float = 1.0  # of its least certain word
    doubt: str = ""  # why its quantity, its price or its rate is not certain


@dataclass
class Invoice:
    supplier: str = ""
    customer: str = ""
    number: str = ""
    date: datetime.date | None = None
    due_date: datetime.date | None = None
    delivery_date: datetime.date | None = None
    currency: str = ""  # ISO 4217; "" if unknown
    currency_source: str = ""  # "printed", or what implies it
    iban: str = ""  # of the account to pay into; its check digits are correct
    net: Decimal | None = None  # before tax, after discounts and charges
    taxes: list[TaxLine] = field(default_factory=list)  # by rate
    tax: Decimal | None = None  # their sum; 0 if the invoice states that there is none
    gross: Decimal | None = None
    withheld: Decimal | None = None  # a tax on income that the customer pays for the supplier, as in Italy and Spain
    paid: Decimal | None = None  # before the invoice was issued
    due: Decimal | None = None  # still to be paid, if printed beside a payment
    lines: list[InvoiceLine] = field(default_factory=list)
    adjustments: list[tuple[str, Decimal]] = field(default_factory=list)  # between the lines and net or gross
    pages: dict[str, int] = field(default_factory=dict)  # where each value of the header and the totals is printed
    confirmed_by: dict[str, str] = field(default_factory=dict)  # by figure (net, tax, gross, lines): what confirms it
    reasons: list[str] = field(default_factory=list)  # why a person should review it
    source: str = "the pages"  # or the e-invoice that the PDF contains
