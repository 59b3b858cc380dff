"""From pages of words to raw rows, balances and totals, in page order. Pure; interprets no notation yet."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from processors.statements.notation.currencies import CODES
from processors.statements.notation.currency_accounts import find_currencies
from processors.statements.notation.dates import parse_date
from processors.statements.notation.words import PageWords, TextLine, group_lines, line_height
from processors.statements.records import Unread
from processors.statements.table.account_numbers import find_account_below, find_title, separate_cells
from processors.statements.table.accounts import AccountTracker
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.booking_dates import exchange_dates, find_headings_around, is_second_booked
from processors.statements.table.header import (
    find_section,
    find_summary,
)
from processors.statements.table.headings import Heading
from processors.statements.table.implied_headings import add_first_dates, add_second_dates, find_first_row, widen_text
from processors.statements.table.model import TableModel
from processors.statements.table.page_columns import unfold_columns
from processors.statements.table.raw import NO_ROWS, RawDocument, RawRow
from processors.statements.table.table import Table, find_tables
from processors.statements.table.table_reader import TableReader

_AS_PRINTED = TableModel()


def read_words(pages: Sequence[PageWords], model: TableModel = _AS_PRINTED) -> RawDocument:
    """Read the tables of all pages; read them again if their rows turn out to have another structure."""
    pages = (unfold_columns(pages) if model.is_folded else None) or pages
    read = _read_pages(pages, model)
    found = read.reader.line_counts.decide()
    return (_read_pages(pages, replace(model, row_lines=found)) if found != model.row_lines else read).document


def _read_pages(pages: Sequence[PageWords], model: TableModel) -> "_PageReader":
    is_exact = all(page.source == "text layer" for page in pages)
    reader = _PageReader(model, AccountTracker(find_currencies(pages), is_exact=is_exact))
    reader.document.are_columns_named = not model.headings
    reader.document.is_net = model.is_net
    reader.document.is_exact = is_exact
    reader.document.frames = {page.number: page.frame for page in pages if page.frame}
    for page in pages:
        reader.read_page(page)
    return reader


class _PageReader:
    def __init__(self, model: TableModel, accounts: AccountTracker):
        self.document = RawDocument()
        self._model = model
        self._accounts = accounts
        self._headings: Sequence[Heading] = ()
        self._is_second_booked: bool | None = None  # of the columns of dates of the last table
        self.reader = TableReader(self.document, accounts, model)

    def read_page(self, page: PageWords) -> None:
        lines = group_lines(page)
        height = line_height(lines)
        self.document.lines += lines
        self.reader.rows.begin_page()
        before = len(self.document.items)
        tables = self._find_tables(lines, height)
        if not tables and self._headings and not self._model.headings:
            self.document.notes.append(f"page {page.number} has no headings; those of the page before were used")
            tables = [Table(0, 0, tuple(self._headings))]
        self._read_outside(lines[: tables[0].top if tables else len(lines)], height)
        for table in tables:
            if table is not tables[0] and not table.is_beside_another:
                self._end_section_above(lines[table.top - 1], height)
            end = min((each.top for each in tables if each.top > table.top), default=len(lines))
            self._read_table(lines, table, end, [each for each in tables if each.top == table.top])
        self.document.last_account = self._accounts.current or self._accounts.other
        self.document.ibans = self._accounts.ibans
        if not lines:
            self.document.unread.append(Unread(page.number, "", "no text was found on this page"))
        elif not any(isinstance(item, RawRow) for item in self.document.items[before:]):
            self.document.unread.append(Unread(page.number, "", NO_ROWS))

    def _read_table(self, lines: Sequence[TextLine], table: Table, end: int, beside: Sequence[Table]) -> None:
        """Read a table. `lines`: of the page; `end`: the line after its last one; `beside`: those with the same top."""
        height = line_height(lines)
        headings, below = lines[table.top : table.start], lines[table.start : end]
        self._accounts.begin_table(find_title(lines, table.top, height), _first_currency(below))
        self.document.not_rows += [(self._accounts.current, line) for line in headings]
        for line in headings:
            self.reader.rows.begin_section(find_section(line, height))
        own = self._take_rows_beside(below, beside, table) if table.is_beside_another else below
        is_inferred = self._model.headings and not table.is_beside_another
        self._headings = self._model.headings if is_inferred else _complete(table.headings, own, height)
        self._name_dates(find_headings_around(lines, table.top, table.start, height), height)
        self.reader.read(own, self._headings, headings, height)
        if table.is_beside_another:
            self._read_rest_beside(below, beside, table)

    def _name_dates(self, lines: Sequence[TextLine], height: float) -> None:
        """Decide by the lines above the rows, or else by those of the pages before, which date is that of bookings."""
        is_second = is_second_booked(self._headings, lines, height)
        if lines or self._model.headings:
            self._is_second_booked = self._is_second_booked if is_second is None else is_second
            self.document.are_dates_named &= self._is_second_booked is not None
        if is_second or (is_second is None and self._model.headings and self._is_second_booked):
            self._headings = exchange_dates(self._headings)

    def _end_section_above(self, line: TextLine, height: float) -> None:
        """End the section if the title right above the headings of a further table on a page names no section."""
        if not find_amounts(line.words, height) and not find_section(line, height):
            self.reader.rows.end_section()

    def _take_rows_beside(self, lines: Sequence[TextLine], beside: Sequence[Table], table: Table) -> list[TextLine]:
        """The rows of one of the tables beside each other."""
        self.reader.rows.begin_section_beside()
        cut = [table.cut(line) for line in lines if _is_row_beside(line, beside)]
        return [part for part in cut if part]

    def _read_rest_beside(self, lines: Sequence[TextLine], beside: Sequence[Table], table: Table) -> None:
        """Read the lines that are rows of none of the tables beside each other, such as totals, after the last one."""
        for line in lines if table is beside[-1] else ():
            self._read_outside([] if _is_row_beside(line, beside) else [line], line.words[0].height)

    def _find_tables(self, lines: Sequence[TextLine], height: float) -> list[Table]:
        headings = self._model.headings
        if not headings:
            return find_tables(lines, height)
        beside = [each for each in find_tables(lines, height) if each.is_beside_another and self._model.keeps_beside]
        top = min((each.top for each in beside), default=len(lines))
        start = find_first_row(lines[:top], headings, height)
        return beside if start is None else [Table(start, start, headings), *beside]

    def _read_outside(self, lines: Sequence[TextLine], height: float) -> None:
        """Read the lines outside tables. Lines below the title of a currency belong to the account in this currency."""
        titles = [at for at, line in enumerate(lines) if self._accounts.is_title(separate_cells(line, height))]
        for start, end in itertools.pairwise(sorted({0, *titles, len(lines)})):
            self._read_lines_outside(lines[start:end], height)

    def _read_lines_outside(self, lines: Sequence[TextLine], height: float) -> None:
        for at, line in enumerate(lines):
            number = find_account_below(line, lines[at + 1 :], height)
            self._accounts.update(separate_cells(line, height), below=number)
            self.reader.rows.begin_section(find_section(line, height))
        self.document.outside += [(self._accounts.current, line) for line in lines]
        self.document.not_rows += [(self._accounts.current, line) for line in lines]
        for line, below in zip(lines, [*lines[1:], None], strict=False):
            for name, amount in find_summary(line, below, height):
                self.reader.figures.add(line.page, name, {"": amount})


def _first_currency(lines: Sequence[TextLine]) -> str:
    """The currency with which the first line of a table begins, in a column of its own."""
    first = lines[0].words[0].text if lines else ""
    return first if first in CODES else ""


def _is_row_beside(line: TextLine, beside: Sequence[Table]) -> bool:
    parts = [table.cut(line) for table in beside]
    return any(part and parse_date(part.text) for part in parts)


def _complete(headings: tuple[Heading, ...], lines: Sequence[TextLine], height: float) -> tuple[Heading, ...]:
    return widen_text(add_second_dates(add_first_dates(headings, lines, height), lines, height), lines, height)
