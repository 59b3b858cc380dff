"""What a result contains, as passages that are found together, each with its place in the document."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from daemon.queue.rows import JobRow
from daemon.results import document_files, documents
from daemon.results.result_files import Result

_MAX_TEXT_BYTES = 32 * 1024 * 1024
_MAX_JSON_BYTES = 16 * 1024 * 1024  # a larger file would take this process too much memory: its text is indexed
_PASSAGE_CHARS = 4000  # of a long page of plain text
_PAGE_MARK = re.compile(r"<!-- page (\d{1,6}) of \d+ -->|## Page (\d{1,6})")  # see processors/vlm and processors/ocr


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part of a passage is shown."""

    offset: int  # of the part in the text of the passage
    anchor: str  # in the page of the job; "": no place of its own
    seconds: float | None = None  # in the recording


@dataclass(frozen=True, slots=True)
class Passage:
    text: str
    page: int | None = None
    places: Sequence[Place] = ()


def passages_of(row: JobRow, result: Result) -> Iterator[Passage]:
    """The passages of a result, and its name."""
    yield Passage(text=_normal(row["file"]))
    document = document_files.load(result, most_bytes=_MAX_JSON_BYTES)
    match document:
        case documents.Statement():
            yield from _statement(document)
            return
        case documents.Transcript():
            yield from _transcript(document)
            return
        case documents.TextPages() if any(page.lines for page in document.pages):
            yield from _text_pages(document)
            return
        case documents.Receipt():
            yield Passage(text=_join([document.shop, document.date, document.total, *_items(document)]))
        case documents.Invoice():
            yield Passage(text=_join([*_invoice(document), *(line.description for line in document.lines)]))
    yield from _plain(document_files.load_text(result, most_bytes=_MAX_TEXT_BYTES) or "")


def _normal(text: str) -> str:
    """Composed characters, as most documents have them."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())


def _join(parts: Iterable[str | None]) -> str:
    return _normal(" ".join(part for part in parts if part))


def _items(document: documents.Receipt) -> Iterator[str | None]:
    for item in document.items:
        yield from (item.description, item.price)


def _invoice(document: documents.Invoice) -> Sequence[str | None]:
    return (
        *(document.supplier, document.customer, document.number, document.date, document.due_date, document.iban),
        *(document.net, document.gross, document.due),
    )


def _statement(document: documents.Statement) -> Iterator[Passage]:
    number = 0
    for account in document.statements:
        yield Passage(text=_join([account.account, account.holder, account.opening, account.closing]))
        for row in account.rows:
            number += 1
            text = _join([row.date, row.description, row.reference, row.debit, row.credit, row.balance])
            yield Passage(text=text, page=row.page, places=[Place(0, f"r{number}")])
    for unread in document.unread:
        yield Passage(text=_normal(unread.text), page=unread.page)


def _text_pages(document: documents.TextPages) -> Iterator[Passage]:
    for page in document.pages:
        text, places = "", []
        for line in page.numbered_lines():
            for number, piece in line:
                places.append(Place(len(text), f"r{number}" if number is not None else ""))
                text += _normal(piece.text) + " "
            text = text.rstrip(" ") + "\n"
        yield Passage(text=text, page=page.number, places=places)


def _transcript(document: documents.Transcript) -> Iterator[Passage]:
    for paragraph in document.paragraphs():
        text, places = "", []
        for segment in paragraph:
            places.append(Place(len(text), documents.anchor_of_second(segment.start), segment.start))
            text += _normal(segment.spoken) + " "
        yield Passage(text=text.strip(), places=places)


def _plain(content: str) -> Iterator[Passage]:
    """The pages of a text; form feeds or marks part them."""
    page = 1 if "\f" in content else None
    lines = _Lines()
    for number, line in enumerate(content.split("\n"), 1):
        if mark := _PAGE_MARK.fullmatch(line.strip()):
            yield from lines.end(page)
            page = int(mark[1] or mark[2])
            continue
        first, *others = line.split("\f")
        lines.add(number, first)
        for other in others:
            yield from lines.end(page)
            page = (page or 0) + 1
            lines.add(number, other)
        if lines.chars > _PASSAGE_CHARS:
            yield from lines.end(page)
    yield from lines.end(page)


class _Lines:
    """The lines of the next passage."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._places: list[Place] = []
        self.chars = 0

    def add(self, number: int, line: str) -> None:
        self._places.append(Place(self.chars, f"l{number}"))
        self._lines.append(_normal(line))
        self.chars += len(self._lines[-1]) + 1

    def end(self, page: int | None) -> Iterator[Passage]:
        text = "\n".join(self._lines)
        if text.strip():
            yield Passage(text=text, page=page, places=self._places)
        self._lines, self._places, self.chars = [], [], 0
