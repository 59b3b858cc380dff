"""Bank statements and receipts out of what was read of the pages."""

from collections.abc import Sequence

from processors import statements
from processors.base import Finished, Work
from processors.ocr import layout
from processors.ocr.text import PageText, review
from processors.statements import Document, PageWords, Unread, split_words


def finish_statement(work: Work, read: Sequence[PageText], formats: Sequence[str]) -> Finished:
    """Find, verify and write the statements' rows. A job with anything flagged or not understood says so."""
    document = statements.read_statements([_words(page) for page in read if not page.error])
    document.pages = len(read)
    _report_uncertain(document, read)
    for statement in document.statements:
        statements.check(statement)
    found = [*statements.reasons(document), *review(read, work.options.min_confidence, faint=False)]
    files = _write(work, read, document, formats, found)
    rows = len(document.rows)
    accounts = ", ".join(statement.account or "?" for statement in document.statements)
    return Finished(
        files=files,
        excerpt=f"{rows} rows, account {accounts}" if rows else "no rows found",
        review=tuple(found),
        pages=len(read),
        details={
            "rows": rows,
            "flagged_rows": sum(bool(row.flags) for row in document.rows),
            "accounts": [statement.account for statement in document.statements],
            "not_understood": len(document.unread),
            "pages_from_text_layer": [page.number for page in read if page.source == "text layer"],
        },
    )


def finish_receipt(work: Work, read: Sequence[PageText], formats: Sequence[str]) -> Finished:
    """Find what was bought and the total, and verify that they agree."""
    receipt = statements.read_receipt([_words(page) for page in read if not page.error])
    writers = {
        "csv": statements.write_receipt_csv,
        "json": statements.write_receipt_json,
        "md": statements.write_receipt_markdown,
    }
    files = []
    for name in formats:
        path = work.outputs / f"{work.stem}.{name}"
        if name == "txt":
            path.write_text(_plain(read), encoding="utf-8")
        else:
            writers[name](receipt, path)
        files.append(path.name)
    return Finished(
        files=tuple(files),
        excerpt=f"{receipt.shop}, {receipt.date or 'no date'}, {receipt.total or 'no total'}",
        review=(*receipt.reasons, *review(read, work.options.min_confidence)),
        pages=len(read),
        details={"items": len(receipt.items), "total": receipt.total and str(receipt.total)},
    )


def _plain(read: Sequence[PageText]) -> str:
    return "\f".join(f"{page.text}\n" for page in read)


def _words(page: PageText) -> PageWords:
    pieces = [piece for line in page.lines for piece in line]
    words = [word for piece, *box in layout.level(pieces) for word in split_words(piece.text, *box, piece.confidence)]
    return PageWords(page.number, tuple(words), page.source)


def _report_uncertain(document: Document, read: Sequence[PageText]) -> None:
    for page in read:
        for piece in page.faint:
            why = f"read with too little certainty to be taken ({piece.confidence:.2f})"
            document.unread.append(Unread(page.number, piece.text, why))
    layers = [str(page.number) for page in read if page.source == "text layer"]
    if layers:
        document.notes.append(f"the text layer was read, not the picture, of page {', '.join(layers)}")


def _write(
    work: Work, read: Sequence[PageText], document: Document, formats: Sequence[str], found: list[str]
) -> tuple[str, ...]:
    """Write the files; what one of them cannot hold is added to `found`."""
    files = []
    for name in formats:
        path = work.outputs / f"{work.stem}.{name}"
        if name == "csv":
            statements.write_csv(document, path)
        elif name == "xlsx":
            statements.write_xlsx(document, path)
        elif name == "json":
            statements.write_json(document, path)
        elif name == "ofx":
            if not document.rows:
                continue
            found += statements.write_ofx(document, path)
        elif name == "txt":
            path.write_text(_plain(read), encoding="utf-8")
        else:
            statements.write_markdown(document, path, work.source.name)
        files.append(path.name)
    return tuple(files)
