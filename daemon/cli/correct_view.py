"""What `inboxd correct` prints: a document with the numbers by which its parts are corrected; what was recorded."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from daemon.cli.terminal import safe_text, span
from daemon.core.names import printable
from daemon.files import corrected_files
from daemon.files.flat import shown
from daemon.queue.rows import JobRow
from daemon.results import corrections, documents, result_files
from daemon.results.numbered_items import next_item, numbered
from processors.corrections import fields

_ITEM_COLUMNS = {"receipt": ("description", "quantity", "price"), "invoice": ("description", "quantity", "amount")}

Part = Table | Text


def view(row: JobRow, document: documents.Document, result: result_files.Result) -> Group:
    """The document as people have corrected it, the corrections so far, and an example of the next one."""
    parts = list(_parts(document, result, f"inboxd correct {row['id'][:8]}"))
    made = result_files.corrections_of(result)
    if made:
        parts.append(Text("\nCorrections", style="bold"))
        parts += [safe_text(f"{corrections.describe(each)} ({each.get('by', '')})", style="dim") for each in made]
    return Group(*parts)


def report(row: JobRow, record: Mapping[str, object], count: int) -> Group:
    """What was recorded, where the files are, and what remains to be reviewed."""
    changes, review = record.get("changes"), record.get("review")
    made = changes[-count:] if isinstance(changes, list) else []
    lines = [f"{printable(row['file'])} ({row['id'][:8]}): {corrections.describe(each)}" for each in made]
    lines.append(f"Files: {shown(row['result_path'] or '')}/{corrected_files.FOLDER}/")
    left = [str(each) for each in review] if isinstance(review, list) else []
    is_text = any("segment" in each or "line" in each for each in made)
    if is_text:  # the checks do not report the reasons for these again
        left += [each for each in json.loads(row["review"] or "[]") if each not in left]
    lines += ["Still to review:", *(f"  {each}" for each in left)] if left else ["The checks find nothing to review."]
    if row["review"]:
        lines.append(f"To close the review: inboxd reviewed {row['id'][:8]}")
    return Group(*map(safe_text, lines))


def _parts(document: documents.Document, result: result_files.Result, command: str) -> Iterator[Part]:
    match document:
        case documents.Statement():
            yield from _statement(document, command)
        case documents.Receipt():
            yield from _figures(document, fields.RECEIPT, result, command)
        case documents.Invoice():
            yield from _figures(document, fields.INVOICE, result, command)
        case documents.TextPages():
            yield from _pages(document, command)
        case documents.Transcript():
            yield from _segments(document, command)


def _statement(document: documents.Statement, command: str) -> Iterator[Part]:
    table = _table("row", "date", "description", "debit", "credit", "balance", "flags")
    number = 0
    for account in document.statements:
        for row in account.rows:
            number += 1
            texts = (row.date, row.description, row.debit, row.credit, row.balance, "; ".join(row.flags))
            _add(table, number, texts, is_flagged=bool(row.flags))
    yield table
    yield _example(command, "--row 2 debit=18.00 description='Card Pike Lane'", "--row 2 --confirm")


def _figures(
    document: documents.Receipt | documents.Invoice, types: fields.Types, result: result_files.Result, command: str
) -> Iterator[Part]:
    yield from (safe_text(reason, style="yellow") for reason in document.reasons)
    table = _table("field", "value")
    for name in types:
        _add(table, name, (getattr(document, name),))
    yield table
    columns = _ITEM_COLUMNS[document.kind]
    items = _table("item", *columns)
    for each in numbered(document, result):
        _add(items, each.number, (getattr(each.of, name) for name in columns))
    yield items
    added = f"--item {next_item(document, result)} description=Tea {columns[-1]}=2.00"
    yield _example(
        command,
        f"date=2024-05-31 {'total' if document.kind == 'receipt' else 'gross'}=7.50",
        added,
        "--item 2 --remove",
    )


def _pages(document: documents.TextPages, command: str) -> Iterator[Part]:
    table = _table("page", "line", "text")
    for page in document.pages:
        for number, line in enumerate(page.lines, 1):
            _add(table, page.number, (str(number), line.text or " ".join(piece.text for piece in line.pieces)))
    yield table
    yield _example(command, "--page 1 --line 3 'the right text'")


def _segments(document: documents.Transcript, command: str) -> Iterator[Part]:
    has_speakers = any(segment.voice for segment in document.segments)
    table = _table("segment", "at", *(["speaker"] if has_speakers else []), "text")
    for number, segment in enumerate(document.segments, 1):
        voice = [segment.voice] if has_speakers else []
        _add(table, number, (span(segment.start), *voice, segment.spoken))
    yield table
    yield _example(command, "--segment 2 'the right text'")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        is_number = name in ("row", "item", "segment", "debit", "credit", "balance", "quantity", "price", "amount")
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    return table


def _add(table: Table, first: object, texts: Iterable[str | None], *, is_flagged: bool = False) -> None:
    cells: Sequence[Text] = [safe_text(" ".join((text or "").split())) for text in texts]
    table.add_row(str(first), *cells, style="yellow" if is_flagged else "")


def _example(command: str, *arguments: str) -> Text:
    return Text("\n".join(["", "To correct it:", *(f"  {command} {each}" for each in arguments)]), style="dim")
