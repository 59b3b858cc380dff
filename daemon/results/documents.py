"""The JSON files of results, for the console and the search.

People edit results: a file that does not fit a kind is not shown as one.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from daemon.files import corrected as corrected_files
from daemon.results.result_files import FileMissing, Result, ResultFile
from processors.corrections.changes import JsonObject

_MAX_BYTES = 48 * 1024 * 1024  # of a file that is shown: a transcript of ten hours, with its words
_MAX_TEXT_BYTES = 400 * 1024
_PARAGRAPH_PAUSE_SECONDS = 2.0
_PARAGRAPH_SECONDS = 60.0
UNCERTAIN_WORD = 0.5  # a probability below it is marked
UNCERTAIN_PIECE = 0.8
_NOT_SHOWN = ("result.json", "error.json", corrected_files.RECORD)

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
    words: list[Word] = []

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
        """The segments by paragraph: a new one after a pause, with another channel, or after a minute."""
        current: list[Segment] = []
        for segment in self.segments:
            if current and (
                segment.start - current[-1].end > _PARAGRAPH_PAUSE_SECONDS
                or segment.channel != current[-1].channel
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
_MODELS: Sequence[type[Document]] = (Statement, Transcript, Receipt, Invoice, TextPages)


def load(result: Result, *, as_read: bool = False, most_bytes: int = _MAX_BYTES) -> Document | None:
    """The document of a result, as a person has corrected it or else as it was read; None: it has none of a known
    kind, or only a larger one."""
    for _, data in _json_files(result, as_read, most_bytes):
        for model in _MODELS:
            try:
                return model.model_validate(data)
            except ValidationError:
                continue
    return None


def load_json(result: Result, *, as_read: bool) -> tuple[str, JsonObject] | None:
    """The name and the content of the file that `load` shows."""
    for name, data in _json_files(result, as_read, _MAX_BYTES):
        for model in _MODELS:
            try:
                model.model_validate(data)
            except ValidationError:
                continue
            return (name, data) if isinstance(data, dict) else None
    return None


def _json_files(result: Result, as_read: bool, most_bytes: int) -> Iterator[tuple[str, object]]:
    for file in _in_order(result, as_read):
        path = PurePosixPath(file.name)
        if path.suffix != ".json" or path.name in _NOT_SHOWN or ".pages." in path.name:
            continue
        if (content := _read(result, file, most_bytes)) is None:
            continue
        with contextlib.suppress(ValueError):  # also for text that is not valid Unicode
            yield file.name, from_json(content, allow_inf_nan=False)


def _in_order(result: Result, as_read: bool) -> list[ResultFile]:
    """The files; those that people have corrected come first, or with `as_read` not at all."""
    corrected = [
        file for file in result.files if result.corrections and file.name.startswith(f"{corrected_files.FOLDER}/")
    ]
    others = [file for file in result.files if file not in corrected]
    return others if as_read else [*corrected, *others]


def load_text(result: Result, *, as_read: bool = False, most_bytes: int = _MAX_TEXT_BYTES) -> str | None:
    """The text of a result for people: its plain text or Markdown file."""
    names = {PurePosixPath(file.name).suffix: file for file in reversed(_in_order(result, as_read))}
    for suffix in (".txt", ".md"):
        file = names.get(suffix)
        if file is None or file.name == "error.txt":
            continue
        content = _read(result, file, most_bytes)
        if content is not None:
            return content.decode("utf-8", "replace")
    return None


def _read(result: Result, file: ResultFile, most_bytes: int) -> bytes | None:
    """The content of a file; None: it is gone, or too large to be shown."""
    try:
        descriptor = result.open(file.name)
    except FileMissing:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        content = opened.read(most_bytes + 1)
    return content if len(content) <= most_bytes else None
