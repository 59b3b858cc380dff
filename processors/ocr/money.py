"""Bank statements and receipts out of what was read of the pages."""

import math
from collections.abc import Callable, Mapping, Sequence

from processors import statements, wellformed
from processors.contract import Finished, Work
from processors.ocr import layout
from processors.ocr.text import PageText, review
from processors.statements import Document, PageWords, Unread, split_words

ReadAgain = Callable[[Sequence[PageText]], Sequence[PageText]]  # the same pages, read in another way


def finish_statement(work: Work, read: Sequence[PageText], formats: Sequence[str], read_again: ReadAgain) -> Finished:
    """Find, verify and write the statements' rows. A job with anything flagged or not understood says so.

    `read_again` is asked for the pages that a second reading is to verify, if there are any.
    """
    options = work.options
    document = _find_statements(read, options.min_row_confidence)
    failed: list[str] = []
    doubtful = [page for page in read if not page.error and _is_doubtful(page, document, options.second_reading)]
    if doubtful:
        again = read_again(doubtful)
        failed = [f"page {page.number}: the second reading failed: {page.error}" for page in again if page.error]
        succeeded = {page.number: page for page in again if not page.error}
        document = _find_statements(read, options.min_row_confidence, succeeded)
    found = [*statements.reasons(document), *review(read, options.min_confidence, faint=False), *failed]
    line, facts = statements.summarize_document(document)
    written = [name for name in formats if name != "txt"]
    title = wellformed.text(work.source.name)
    files, lacking = statements.write_document(document, work.outputs, work.stem, written, title=title)
    return Finished(
        files=(*files, *_write_text(work, read, formats)),
        excerpt=line,
        review=(*found, *lacking),
        pages=len(read),
        details=facts | {"pages_from_text_layer": [page.number for page in read if page.source == "text layer"]},
    )


def _find_statements(
    read: Sequence[PageText], least_confidence: float, again: Mapping[int, PageText] | None = None
) -> Document:
    """Checked; by a second reading, too, of the pages that were read again."""
    document = statements.read_statements([_words(page) for page in read if not page.error])
    document.pages = len(read)
    _report_uncertain(document, read)
    if again:
        other = statements.read_statements([_words(again.get(page.number, page)) for page in read if not page.error])
        by = {page.number: "OCR" if page.source == "text layer" else "OCR of a smaller picture" for page in read}
        statements.compare(document, other, {number: by[number] for number in again})
    for statement in document.statements:
        statements.check(statement, least_confidence=least_confidence)
    return document


def _is_doubtful(page: PageText, document: Document, second_reading: str) -> bool:
    """Is it to be read again? As it takes as long as the first time: only where something does not agree."""
    if second_reading != "auto":
        return second_reading == "always"
    agrees = not any(each.page == page.number for each in document.unread) and not any(
        check.passed is False
        for statement in document.statements
        if any(row.page == page.number for row in statement.rows)
        for check in statement.checks
    )
    is_flagged = any(row.flags for row in document.rows if row.page == page.number)
    return is_flagged or not agrees


def finish_receipt(work: Work, read: Sequence[PageText], formats: Sequence[str]) -> Finished:
    """Find what was bought and the total, and verify that they agree."""
    pages = [_words(page) for page in read if not page.error]
    receipt = statements.read_receipt(pages, least_confidence=work.options.min_row_confidence)
    line, facts = statements.summarize_receipt(receipt)
    files = statements.write_receipt(receipt, work.outputs, work.stem, [name for name in formats if name != "txt"])
    return Finished(
        files=(*files, *_write_text(work, read, formats)),
        excerpt=line,
        review=(*receipt.reasons, *review(read, work.options.min_confidence)),
        pages=len(read),
        details=facts,
    )


def _write_text(work: Work, read: Sequence[PageText], formats: Sequence[str]) -> tuple[str, ...]:
    if "txt" not in formats:
        return ()
    path = work.outputs / f"{work.stem}.txt"
    path.write_text(_plain(read), encoding="utf-8")
    return (path.name,)


def _plain(read: Sequence[PageText]) -> str:
    return "\f".join(f"{page.text}\n" for page in read)


def _words(page: PageText) -> PageWords:
    pieces = [piece for line in page.lines for piece in line]
    words = [word for piece, *box in layout.level(pieces) for word in split_words(piece.text, *box, piece.confidence)]
    return PageWords(page.number, tuple(words), page.source)


def _report_uncertain(document: Document, read: Sequence[PageText]) -> None:
    for page in read:
        for piece in page.faint:
            sure = f" ({piece.confidence:.2f})" if math.isfinite(piece.confidence) else ""
            why = f"confidence too low to use{sure}"
            document.unread.append(Unread(page.number, piece.text, why))
    layers = [str(page.number) for page in read if page.source == "text layer"]
    if layers:
        document.notes.append(f"the text layer was read, not the picture, of page {', '.join(layers)}")
