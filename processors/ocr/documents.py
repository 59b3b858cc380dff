"""Bank statements, receipts and invoices, from the text of the pages, read by OCR or from the text layer."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from typing import TypeVar

from processors import pages, statements
from processors.contract import BadInput, Finished, Work
from processors.ocr import text_lines
from processors.ocr.options import ReadOptions
from processors.ocr.text import PageText, plain, review
from processors.ocr.text_lines import TextBox
from processors.statements import (
    Box,
    FinishedDocument,
    Invoice,
    LayoutMemory,
    LayoutStore,
    PageFrame,
    PageWords,
    Receipt,
    SecondReading,
    StatementDocument,
    Unread,
    invoices,
    split_words,
)

_NOT_READ = "Internal error while the document was read; see the log."
_NO_SECOND_READING = "Internal error while the readings were compared; see the log."

DocumentT = TypeVar("DocumentT", StatementDocument, Receipt, Invoice)
ReadAgain = Callable[[Sequence[PageText]], Sequence[PageText]]  # the same pages, read differently


def finish_statement(
    work: Work[ReadOptions], read: Sequence[PageText], formats: Sequence[str], read_again: ReadAgain
) -> Finished:
    """Find, verify and write the statements' rows; `read_again` is called if any page needs a second reading."""
    memory = _layout_memory(work)

    def second_reader(verified: StatementDocument) -> SecondReading | None:
        doubtful = _pages_to_read_again(read, verified, work.options.second_reading)
        return _second_reading(work, read, read_again(doubtful), memory) if doubtful else None

    done = statements.finish_statement(
        work,
        _find_statements(work, read, memory),
        _without_text(formats),
        second_reader,
        min_confidence=work.options.min_row_confidence,
        csv_style=work.options.csv_style,
    )
    layers = [page.number for page in read if page.source == "text layer"]
    reasons = review(read, work.options.min_confidence, with_uncertain=False)
    return _finished(work, read, formats, done, reasons, {"pages_from_text_layer": layers})


def finish_receipt(work: Work[ReadOptions], read: Sequence[PageText], formats: Sequence[str]) -> Finished:
    """Find the items and the total, and verify that they agree."""
    receipt = _read_or_report(work, read, statements.read_receipt, lambda why: Receipt(reasons=[why]))
    done = statements.finish_receipt(
        work,
        receipt,
        _without_text(formats),
        {},
        min_confidence=work.options.min_row_confidence,
        csv_style=work.options.csv_style,
    )
    return _finished(work, read, formats, done, review(read, work.options.min_confidence), {})


def finish_invoice(work: Work[ReadOptions], read: Sequence[PageText], formats: Sequence[str]) -> Finished:
    """Find the parties, the lines, the taxes and the totals, and verify that they agree."""
    invoice = _read_or_report(work, read, statements.read_invoice, lambda why: Invoice(reasons=[why]))
    if electronic := _read_einvoice(work):
        invoice = invoices.prefer_einvoice(invoice, electronic, [page.text for page in read])
    done = statements.finish_invoice(
        work,
        invoice,
        _without_text(formats),
        {},
        min_confidence=work.options.min_row_confidence,
        csv_style=work.options.csv_style,
    )
    return _finished(work, read, formats, done, review(read, work.options.min_confidence), {})


def _read_einvoice(work: Work[ReadOptions]) -> bytes | None:
    if work.media_type != "application/pdf":
        return None
    return pages.read_attachment(work.source, invoices.NAMES, invoices.MAX_BYTES, pages.read_password(work))


def _layout_memory(work: Work[ReadOptions]) -> LayoutMemory | None:
    if work.layouts is None or not work.options.remember_layouts:
        return None
    return LayoutMemory(LayoutStore(work.layouts), date.today())


def _find_statements(
    work: Work[ReadOptions], read: Sequence[PageText], memory: LayoutMemory | None
) -> StatementDocument:
    document = _read_or_report(
        work,
        read,
        lambda words: statements.read_statements(words, memory),
        lambda why: StatementDocument(doubts=[why]),
    )
    document.pages = len(read)
    for page in read:
        for box in page.uncertain:
            sure = f" ({box.confidence:.2f})" if math.isfinite(box.confidence) else ""
            document.unread.append(Unread(page.number, box.text, f"confidence too low to use{sure}", _place(page, box)))
    layers = [str(page.number) for page in read if page.source == "text layer"]
    if layers:
        document.notes.append(f"the text layer was used instead of OCR for page {', '.join(layers)}")
    return document


def _place(page: PageText, box: TextBox) -> Box | None:
    frame, (xs, ys) = _frame(page, 0.0), zip(*box.corners, strict=True)
    return frame.to_fractions((min(xs), min(ys), max(xs), max(ys))) if frame else None


def _pages_to_read_again(read: Sequence[PageText], verified: StatementDocument, when: str) -> list[PageText]:
    """With "auto", only pages on which something does not agree, because reading a page again takes as long as the
    first time."""
    with_text = {page.number for page in read if page.source == "text layer"}
    doubtful = statements.doubtful_pages(verified, with_text) if when == "auto" else set()
    return [page for page in read if not page.error and (when == "always" or page.number in doubtful)]


def _second_reading(
    work: Work[ReadOptions], read: Sequence[PageText], again: Sequence[PageText], memory: LayoutMemory | None
) -> SecondReading:
    """The rows of the document in which the pages that could be read again replace the first reading's."""
    succeeded = {page.number: page for page in again if not page.error}
    words = [_words(succeeded.get(page.number, page)) for page in read if not page.error]
    try:
        with _document_boundary(work, _NO_SECOND_READING):
            other = statements.read_statements(words, memory and replace(memory, learns=False))
    except BadInput as error:
        return SecondReading(errors={page.number: page.error or str(error) for page in again})
    readers = {page.number: "OCR" if page.source == "text layer" else "OCR of a smaller picture" for page in read}
    return SecondReading(
        readers={number: readers[number] for number in succeeded},
        rows=other.rows,
        errors={page.number: page.error for page in again if page.error},
    )


def _read_or_report(
    work: Work[ReadOptions],
    read: Sequence[PageText],
    reader: Callable[[Sequence[PageWords]], DocumentT],
    report: Callable[[str], DocumentT],
) -> DocumentT:
    """What `reader` finds on the pages; if it fails, an empty document with the reason."""
    try:
        with _document_boundary(work, _NOT_READ):
            return reader([_words(page) for page in read if not page.error])
    except BadInput as error:
        return report(str(error))


def _document_boundary(work: Work[ReadOptions], message: str) -> AbstractContextManager[None]:
    """Error boundary of one reading of a document: the job continues with whatever else is known."""
    return pages.unexpected_as_bad_input(f"job {work.job} ({work.source.name})", message)


def _words(page: PageText) -> PageWords:
    boxes = [box for line in page.lines for box in line]
    words = [
        word
        for box, left, top, right, bottom in text_lines.deskew(boxes)
        for word in split_words(box.text, left, top, right, bottom, box.confidence)
    ]
    return PageWords(page.number, tuple(words), page.source, _frame(page, text_lines.find_slope(boxes)))


def _frame(page: PageText, slope: float) -> PageFrame | None:
    if page.size is None:
        return None
    return PageFrame(width=page.size[0], height=page.size[1], slope=slope, rotation=page.rotation)


def _without_text(formats: Sequence[str]) -> list[str]:
    return [name for name in formats if name != "txt"]


def _finished(
    work: Work[ReadOptions],
    read: Sequence[PageText],
    formats: Sequence[str],
    done: FinishedDocument,
    reasons: Sequence[str],
    details: dict[str, list[int]],
) -> Finished:
    files = list(done.files)
    if "txt" in formats:
        path = work.outputs / f"{work.stem}.txt"
        path.write_text(plain(read), encoding="utf-8")
        files.append(path.name)
    return Finished(
        files=tuple(files),
        excerpt=done.summary,
        review=(*done.reasons, *reasons),
        pages=len(read),
        details={**done.facts, **details},
    )
