"""Documents of statements of rows. Values are as printed; verification only adds flags and checks.

A `Box` is in fractions of the width and height of its page, as a viewer shows it, from the upper left corner; it is
None where the place is unknown, as with a model.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from processors.statements.notation.conventions import Conventions
from processors.statements.notation.words import Box

MIN_CONFIDENCE = 0.7  # of a row's least certain word or value: below this it is flagged


@dataclass
class Row:
    """One transaction. Exactly one of `debit` (money out) and `credit` (money in) should be set."""

    page: int  # from 1, as in the file
    date: datetime.date | None
    description: str
    reference: str = ""
    debit: Decimal | None = None
    credit: Decimal | None = None
    balance: Decimal | None = None  # after this row, negative if overdrawn; None if not printed
    value_date: datetime.date | None = None
    section: int = 0  # number of the section or table that lists the row; each has its own order of dates
    confidence: float = 1.0  # of its least certain word
    confirmed: bool | None = None  # True if a second reading agrees; None: there was none
    missing_beside: bool = False  # a second reading has another row right before or after it
    flags: list[str] = field(default_factory=list)  # why a person should review it, in words
    box: Box | None = None  # of all its lines

    @property
    def change(self) -> Decimal:
        return (self.credit or Decimal(0)) - (self.debit or Decimal(0))


@dataclass
class PrintedBalance:
    """A balance printed on a line of its own, before row number `at` (0: before the first)."""

    at: int
    name: str  # "opening", "carried", "closing"
    balance: Decimal
    page: int
    box: Box | None = None


@dataclass
class CheckResult:
    """The result of one check of a statement."""

    name: str  # "balances", "debits", "credits", "second reading"
    passed: bool | None  # None: there was nothing to check against
    text: str  # in words, with the figures


@dataclass
class Place:
    """Where a value is printed."""

    page: int
    box: Box | None = None


@dataclass
class Places:
    """Where the values of a statement's header are printed; None: nowhere, or the reader does not know."""

    account: Place | None = None
    holder: Place | None = None
    currency: Place | None = None
    period: Place | None = None
    opening: Place | None = None
    closing: Place | None = None
    printed_debits: Place | None = None
    printed_credits: Place | None = None


@dataclass
class Statement:
    """One account over one period."""

    account: str = ""
    holder: str = ""
    currency: str = ""  # ISO 4217; "" if the document names none
    start: datetime.date | None = None
    end: datetime.date | None = None
    opening: Decimal | None = None
    closing: Decimal | None = None
    printed_debits: Decimal | None = None  # totals as printed
    printed_credits: Decimal | None = None
    rows: list[Row] = field(default_factory=list)  # in the order of time
    anchors: list[PrintedBalance] = field(default_factory=list)
    is_liability: bool = False  # a credit card or loan: a positive balance is owed, a debit raises it
    places: Places = field(default_factory=Places)
    second_reading: CheckResult | None = None
    checks: list[CheckResult] = field(default_factory=list)

    @property
    def money_out(self) -> Decimal:
        return sum((row.debit for row in self.rows if row.debit), Decimal(0))

    @property
    def money_in(self) -> Decimal:
        return sum((row.credit for row in self.rows if row.credit), Decimal(0))

    @property
    def flagged(self) -> list[Row]:
        return [row for row in self.rows if row.flags]


@dataclass
class Unread:
    """Text that looks relevant, but did not become a row."""

    page: int
    text: str
    why: str
    box: Box | None = None


@dataclass
class StatementDocument:
    """A file: its statements in reading order, and what was not understood."""

    statements: list[Statement] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    pages: int = 0
    notes: list[str] = field(default_factory=list)  # decisions: page order, day or month first, sources
    doubts: list[str] = field(default_factory=list)  # why a person should review it, beside rows and checks
    layout: str = ""  # name of the remembered layout that it has; "" if none
    conventions: Conventions = Conventions()  # that its rows prove

    @property
    def rows(self) -> list[Row]:
        return [row for statement in self.statements for row in statement.rows]


@dataclass(frozen=True, kw_only=True)
class SecondReading:
    """Another reading of some pages, with which the first one is verified."""

    readers: Mapping[int, str] = field(default_factory=dict)  # by page: what read `rows`, in words
    rows: Sequence[Row] = ()  # compared with those of the first reading, page by page
    texts: Mapping[int, str] = field(default_factory=dict)  # by page without known rows: each amount must occur in it
    errors: Mapping[int, str] = field(default_factory=dict)  # by page: why it could not be read again
