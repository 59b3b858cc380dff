"""The layout to remember from a document whose balances confirm how it was read. Pure."""

import re
from collections.abc import Sequence
from datetime import date

from processors.statements.layouts.headings import find_heading_row, heading_cells, place_column, plain
from processors.statements.layouts.pages import FirstPages, PageLines
from processors.statements.layouts.record import MAX_HEADINGS, Bank, HeadingCell, RememberedLayout
from processors.statements.notation.amounts import detect_decimal_mark
from processors.statements.notation.keywords import normalize
from processors.statements.notation.words import TextLine
from processors.statements.records import StatementDocument
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.headings import MONEY, Heading
from processors.statements.table.implied_headings import find_first_row
from processors.statements.table.model import TableModel
from processors.statements.table.table import find_tables

_LONGEST_NAME = 32
_LEAST_COLUMNS = 2


def describe_layout(
    first: FirstPages, document: StatementDocument, model: TableModel, today: date
) -> RememberedLayout | None:
    """The layout of a document that was read by `model`; None if no page shows it. Its name may be taken already."""
    for page in first.pages:
        headings, row = _find_headings(page, model)
        columns = [place_column(each, page.width) for each in headings[:MAX_HEADINGS]]
        cells = heading_cells(row, page.height) if row else []
        holders = {plain(statement.holder) for statement in document.statements} - {""}
        if any(holder in plain(row.text) for holder in holders if row):
            cells = []
        if len(columns) < _LEAST_COLUMNS or not any(each.column in MONEY for each in columns):
            continue
        if not cells and not first.bank.keys:
            return None  # the layout could never be recognized
        texts = tuple(
            HeadingCell(text=text, left=round(left / page.width, 4), right=round(right / page.width, 4))
            for text, left, right in cells
        )
        amounts = [cell.text for line in page.lines for cell in find_amounts(line.words, page.height)]
        return RememberedLayout(
            name=make_name(first.bank, [each.text for each in texts]),
            bank=first.bank,
            headings=texts,
            columns=tuple(columns),
            has_known_headings=not model.headings,
            balances_alone=model.balances_alone,
            decimal_mark=detect_decimal_mark(amounts) if amounts else None,
            conventions=document.conventions,
            learned=today,
            used=today,
            seen=(first.digest,),
        )
    return None


def make_name(bank: Bank, headings: Sequence[str]) -> str:
    """A name for people: that of the bank, or the first headings."""
    keys = [key.split(":", 1)[1] for key in bank.readable_keys]
    for text in (bank.name, *keys, " ".join(headings[:3])):
        name = re.sub(r"[^a-z0-9]+", "-", normalize(text))[:_LONGEST_NAME].strip("-")
        if name:
            return name
    return "layout"


def _find_headings(page: PageLines, model: TableModel) -> tuple[Sequence[Heading], TextLine | None]:
    """The columns and the heading row of the first table of a page."""
    if model.headings:
        start = find_first_row(page.lines, model.headings, page.height)
        if start is None:
            return (), None
        return model.headings, find_heading_row(page.lines, start, model.headings, page.height)
    tables = find_tables(page.lines, page.height)
    if not tables:
        return (), None
    rows = page.lines[tables[0].top : tables[0].start]
    return tables[0].headings, max(rows, key=lambda line: len(heading_cells(line, page.height)), default=None)
