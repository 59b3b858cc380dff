"""The contents of the JSON files of results, by kind, for the console and the search."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_PARAGRAPH_PAUSE_SECONDS = 2.0
_PARAGRAPH_SECONDS = 60.0
UNCERTAIN_WORD = 0.5  # a probability below it is marked
UNCERTAIN_PIECE = 0.8

_MOST = 1e9  # of every number: more seconds, pixels or pages than any document has
Number = Annotated[float, Field(ge=-_MOST, le=_MOST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=-_MOST, le=_MOST)]
Box = tuple[Number, Number, Number, Number]  # left, top, right, bottom in fractions of the page


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


# ---------------------------------------------------------------------------------------------- statements


class StatementRow(_Part):
    page: Count = 1
    date: str | None = None
    description: str = ""
    reference: str = ""
    debit: str | None = None
    credit: str | None = None
    balance: str | None = None
    flags: list[str] = []
    box: Box | None = None


class StatementCheck(_Part):
    name: str = ""
    passed: bool | None = None
    text: str = ""


class Account(_Part):
    account: str = ""
    holder: str = ""
    currency: str = ""
    start: str | None = None
    end: str | None = None
    opening: str | None = None
    closing: str | None = None
    rows: list[StatementRow] = []
    checks: list[StatementCheck] = []


class Unread(_Part):
    page: Count = 1
    text: str = ""
    why: str = ""
    box: Box | None = None


class Statement(_Part):
    """NAME.json of a bank statement."""

    kind: Literal["statement"] = "statement"
    statements: list[Account]
    unread: list[Unread] = []
    notes: list[str] = []


# ---------------------------------------------------------------------------------------------- receipts, invoices


class Item(_Part):
    description: str = ""
    quantity: str | None = None
    unit_price: str | None = None
    price: str | None = None
    page: Count = 1


class Receipt(_Part):
    """NAME.json of a receipt."""

    kind: Literal["receipt"] = "receipt"
    shop: str
    date: str | None = None
    currency: str = ""
    items: list[Item]
    subtotal: str | None = None
    tax: str | None = None
    tip: str | None = None
    rounding: str | None = None
    total: str | None = None
    paid: str | None = None
    change: str | None = None
    confirmed_by: list[str] = []
    reasons: list[str] = []


class InvoiceLine(_Part):
    description: str = ""
    quantity: str | None = None
    unit: str = ""
    unit_price: str | None = None
    discount: str | None = None
    tax_rate: str | None = None
    amount: str | None = None


class Invoice(_Part):
    """NAME.json of an invoice."""

    kind: Literal["invoice"] = "invoice"
    supplier: str
    customer: str = ""
    number: str = ""
    date: str | None = None
    due_date: str | None = None
    delivery_date: str | None = None
    currency: str = ""
    iban: str = ""
    net: str | None = None
    tax: str | None = None
    gross: str | None = None
    withheld: str | None = None
    paid: str | None = None
    due: str | None = None
    lines: list[InvoiceLine] = []
    reasons: list[str] = []


# ---------------------------------------------------------------------------------------------- pages of text


class Piece(_Part):
    text: str = ""
    confidence: Number | None = None
    box: list[tuple[Number, Number]] = []  # corners in pixels of the page


class Line(_Part):
    text: str = ""
    pieces: list[Piece] = []


class TextPage(_Part):
    number: Count
    width: Count = 0
    height: Count = 0
    turned: Count = 0  # degrees clockwise by which the page was turned before it was read
    error: str | None = None
    lines: list[Line]

    def numbered_lines(self) -> Iterator[list[tuple[int | None, Piece]]]:
        """The pieces of each line; those with a box are numbered throughout the page."""
        numbers = itertools.count(1)
        for line in self.lines:
            pieces = line.pieces or [Piece(text=line.text)]
            yield [(next(numbers) if piece.box else None, piece) for piece in pieces]


class TextPages(_Part):
    """NAME.json of OCR."""

    kind: Literal["text"] = "text"
    pages: list[TextPage]


# ---------------------------------------------------------------------------------------------- transcripts


class Word(_Part):
    word: str = ""
    start: Number = 0.0
    probability: Number = 1.0


class Segment(_Part):
    start: Number
    end: Number
    text: str = ""
    channel: Count | None = None
    speaker: str | None = None
    words: list[Word] = []

    @property
    def voice(self) -> str:
        """The name of the speaker, or the number of the channel; "" if neither is known."""
        return self.speaker or (f"Speaker {self.channel}" if self.channel else "")

    @property
    def spoken(self) -> str:
        return self.text.strip() or "".join(word.word for word in self.words).strip()


class Gap(_Part):
    start: Number
    end: Number


class Transcript(_Part):
    """NAME.json of a recording."""

    kind: Literal["transcript"] = "transcript"
    segments: list[Segment]
    language: str | None = None
    seconds: Number = 0.0
    gaps: list[Gap] = []
    passed_over: list[Gap] = []

    def paragraphs(self) -> Iterator[list[Segment]]:
        """The segments by paragraph: a new one starts after a pause, at a change of speaker, or after a minute."""
        current: list[Segment] = []
        for segment in self.segments:
            if current and (
                segment.start - current[-1].end > _PARAGRAPH_PAUSE_SECONDS
                or segment.voice != current[-1].voice
                or segment.end - current[0].start > _PARAGRAPH_SECONDS
            ):
                yield current
                current = []
            current.append(segment)
        if current:
            yield current


def anchor_of_second(seconds: float) -> str:
    """The place of a segment in the page of a transcript."""
    return f"at-{round(seconds * 1000)}"


Document = Statement | Receipt | Invoice | TextPages | Transcript
