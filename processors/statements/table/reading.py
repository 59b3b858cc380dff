"""From pages of words to raw rows, balances and totals, in page order. Pure; interprets no notation yet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from processors.statements.notation.conventions import Conventions
from processors.statements.notation.currencies import CODES
from processors.statements.notation.currency_accounts import find_currencies
from processors.statements.notation.dates import parse_date
from processors.statements.notation.keywords import Section, turns_page
from processors.statements.notation.words import PageWords, TextLine, group_lines, line_height
from processors.statements.records import Unread
from processors.statements.table.account_numbers import find_account_below, find_title, separate_cells
from processors.statements.table.accounts import AccountTracker
from processors.statements.table.booking_dates import exchange_dates, find_headings_around, is_second_booked
from processors.statements.table.figures import FigureBuilder
from processors.statements.table.header import (
    find_page_number,
    find_section,
    find_summary,
    separate_summaries,
)
from processors.statements.table.headings import Heading
from processors.statements.table.implied_headings import add_first_dates, add_second_dates, find_first_row, widen_text
from processors.statements.table.line_dates import take_date
from processors.statements.table.lines import LineParts, find_impossible_dates, split_line
from processors.statements.table.page_columns import unfold_columns
from processors.statements.table.raw import IN_SENTENCE, NO_DATE, NO_ROWS, RawDocument, RawRow
from processors.statements.table.row_builder import CLOSE, RowBuilder
from processors.statements.table.row_lines import LineCounts, RowLines, find_below_table
from processors.statements.table.table import (
    MoneyColumns,
    Table,
    find_amounts,
    find_right_edge,
    find_tables,
)


@dataclass(frozen=True, kw_only=True)
class TableModel:
    """How to read the tables of a document."""

    headings: tuple[Heading, ...] = ()  # of all tables; empty: each has its own
    keeps_beside: bool = False  # tables side by side have their own headings nevertheless
    is_folded: bool = False  # the right column of a page continues the left one
    is_net: bool = False  # of three amounts in each row, the last one is the sum or the difference of the others
    balances_alone: bool = False  # a line with a balance and no other amount is not a row
    row_lines: RowLines = RowLines()
    conventions: Conventions = Conventions()  # of earlier documents of the same layout


def read_words(pages: Sequence[PageWords], model: TableModel = TableModel()) -> RawDocument:
    """Read the tables of all pages; read them again if their rows turn out to have another structure."""
    pages = (unfold_columns(pages) if model.is_folded else None) or pages
    reader = _read_pages(pages, model)
    found = reader.line_counts.decide()
    return (_read_pages(pages, replace(model, row_lines=found)) if found != model.row_lines else reader).document


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
        self.line_counts = LineCounts()
        self._model = model
        self._accounts = accounts
        self._headings: Sequence[Heading] = ()
        self._is_second_booked: bool | None = None  # of the columns of dates of the last table
        self._gaps: list[float] = []  # between the lines of rows
        self._rows = RowBuilder(self.document, self._accounts, model.row_lines)
        self._figures = FigureBuilder(self.document, self._accounts)

    def read_page(self, page: PageWords) -> None:
        lines = group_lines(page)
        self.document.lines += lines
        self._rows.begin_page()
        before = len(self.document.items)
        tables = self._find_tables(lines, line_height(lines))
        if not tables and self._headings and not self._model.headings:
            self.document.notes.append(f"page {page.number} has no headings; those of the page before were used")
            tables = [Table(0, 0, tuple(self._headings))]
        first = tables[0].top if tables else len(lines)
        self._read_outside(lines[:first], line_height(lines))
        for table in tables:
            end = min((each.top for each in tables if each.top > table.top), default=len(lines))
            headings = lines[table.top : table.start]
            self._accounts.begin_table(
                find_title(lines, table.top, line_height(lines)), _first_currency(lines[table.start : end])
            )
            self.document.not_rows += [(self._accounts.current, line) for line in headings]
            if table is not tables[0] and not table.is_beside_another:
                self._end_section_above(lines[table.top - 1], line_height(lines))
            for line in headings:
                self._rows.begin_section(find_section(line, line_height(lines)))
            own = lines[table.start : end]
            if table.is_beside_another:
                own = self._take_rows_beside(own, [each for each in tables if each.top == table.top], table)
            is_inferred = self._model.headings and not table.is_beside_another
            self._headings = self._model.headings if is_inferred else _complete(table.headings, own, line_height(lines))
            around = find_headings_around(lines, table.top, table.start, line_height(lines))
            self._name_dates(around, line_height(lines))
            self._read_table(own, headings, line_height(lines))
            if table.is_beside_another:
                self._read_rest_beside(
                    lines[table.start : end], [each for each in tables if each.top == table.top], table
                )
        self.document.last_account = self._accounts.current or self._accounts.wallet
        self.document.ibans = self._accounts.ibans
        rows = [item for item in self.document.items[before:] if isinstance(item, RawRow)]
        if not rows and lines:
            self.document.unread.append(Unread(page.number, "", NO_ROWS))
        if not lines:
            self.document.unread.append(Unread(page.number, "", "no text was found on this page"))

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
            self._rows.end_section()

    def _take_rows_beside(self, lines: Sequence[TextLine], beside: Sequence[Table], table: Table) -> list[TextLine]:
        """The rows of one of the tables beside each other."""
        self._rows.begin_section_beside()
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
        for at, line in enumerate(lines):
            number = find_account_below(line, lines[at + 1 :], height)
            self._accounts.update(separate_cells(line, height), below=number)
            self._rows.begin_section(find_section(line, height))
        self.document.outside += [(self._accounts.current, line) for line in lines]
        self.document.not_rows += [(self._accounts.current, line) for line in lines]
        for line, below in zip(lines, [*lines[1:], None], strict=False):
            for name, amount in find_summary(line, below, height):
                self._figures.add(line.page, name, {"": amount})

    def _read_table(self, lines: Sequence[TextLine], headings: Sequence[TextLine], height: float) -> None:
        if {heading.column for heading in self._headings} == {"date", "balance"}:
            return  # a ledger of daily balances lists no rows
        lines = self._cut_beside(lines, headings, height)
        lines, summaries = separate_summaries(lines, height)
        columns = self._find_columns(lines, height)
        columns.find_fillers(lines, height)
        self._rows.row = None
        taken = [split_line(line, self._headings, columns, height) for line in lines]
        for parts, below in zip(taken, taken[1:], strict=False):
            is_text = not below.date and not below.money and not below.section
            parts.text_follows = is_text and below.line.top - parts.line.bottom < CLOSE * height
        find_impossible_dates(taken, self._headings, height)
        find_below_table(taken, self._gaps, height)
        self.line_counts.count(taken, height)
        for parts in taken:
            is_apart = (
                not parts.date and not parts.money and not self._rows.continues_row(parts, self._headings, height)
            )
            if is_apart and self._accounts.update(separate_cells(parts.line, height)):
                self._rows.end()
                self._rows.last_date = None
            self._read_line(parts, height)
        self._rows.end()
        for page, name, amount in summaries:
            self._figures.add(page, name, {"": amount})

    def _cut_beside(self, lines: Sequence[TextLine], headings: Sequence[TextLine], height: float) -> list[TextLine]:
        """The lines without the text of a box right of the last column, which is text outside the table."""
        edge = find_right_edge(lines, self._headings, height)
        if edge is None:
            return list(lines)
        table, box = Table(0, 0, tuple(self._headings), right=edge), Table(0, 0, (), left=edge)
        parts = {id(line): (table.cut(line), box.cut(line)) for line in lines}
        rest = [[part for part in parts.get(id(line), (line,)) if part] for line in self.document.lines]
        self.document.lines = [part for each in rest for part in each]
        beside = [part for line in headings if (part := box.cut(line))]
        beside += [each[1] for each in parts.values() if each[1]]
        for at, line in enumerate(beside):
            number = find_account_below(line, beside[at + 1 :], height)
            self._accounts.update(separate_cells(line, height), below=number)
        self.document.outside += [(self._accounts.current, line) for line in beside]
        self.document.not_rows += [(self._accounts.current, line) for line in beside]
        return [each[0] for each in parts.values() if each[0]]

    def _find_columns(self, lines: Sequence[TextLine], height: float) -> MoneyColumns:
        cells, dated = [], set()
        for line in lines:
            found = find_amounts(line.words, height)
            cells += found
            if take_date(list(line.words), "date", self._headings, height):
                dated |= {id(cell) for cell in found}
        return MoneyColumns(self._headings, cells, height, dated)

    def _read_line(self, parts: LineParts, height: float) -> None:
        rows = self._rows
        rows.read_year(parts)
        if not parts.money and (find_page_number([parts.line]) or (not parts.date and turns_page(parts.line.text))):
            rows.end()
            return
        special = parts.special
        if parts.is_total and special in (None, "opening", "carried"):
            special = "total"  # of both columns, even if carried forward
        if special and self._is_figure(parts):
            rows.end()
            if parts.is_cut_off:
                self._report_unread(parts.line, "an amount whose first digits may be missing")
            if parts.money and special in ("debits", "credits"):
                rows.total_bottom = parts.line.bottom
            if special in ("opening", "carried"):
                rows.last_date = parts.date or rows.last_date  # that of the rows below that print none
                rows.carried_bottom = parts.line.bottom
            if parts.money:
                self.document.figure_lines.append((self._accounts.current, parts.line))
                self._figures.add(parts.line.page, special, parts.money, parts.date)
            elif special in ("debits", "credits"):
                rows.begin_section("debits" if special == "debits" else "credits")
            elif special in ("opening", "closing"):
                self._read_beside_columns(parts.line, height)
            return
        if section := parts.section or self._find_section_among_headings(parts, height):
            rows.end()
            rows.begin_section(section)
        elif rows.row and rows.is_second_date(parts, height):
            rows.row.value_date = rows.row.value_date or parts.date
            rows.extend(parts)
        elif self._model.balances_alone and parts.is_balance_only:
            rows.end()
            self._add_balance_line(parts)
        elif rows.row and rows.is_date_below(parts, height):
            rows.row.date = rows.last_date = parts.date
            rows.extend(parts)
        elif parts.date or parts.date_like:
            rows.end_above(parts)
            rows.begin(parts, parts.date)
        elif parts.side and rows.row and rows.is_near(parts, height):
            rows.row.mark_side(parts.side)
            if parts.description:
                rows.extend(parts)
        elif rows.starts_row(parts, height):
            rows.end()
            rows.begin(parts, rows.last_date, inherited=True)
        elif self._model.row_lines.dates_are_below and parts.has_amount:
            rows.end()
            rows.begin(parts, None)
        elif parts.runs_on:
            self._report_unread(parts.line, IN_SENTENCE)
        elif parts.money:
            self._read_undated(parts, height)
        elif rows.is_further_text(parts, self._headings, height):
            rows.extend_by_text(parts)
        elif rows.is_first_text(parts, self._headings, height):
            rows.keep_for_next(parts)
        else:
            rows.end_at_heading(parts.line.page)
            self.document.not_rows.append((self._accounts.current, parts.line))

    def _read_beside_columns(self, line: TextLine, height: float) -> None:
        """Read a balance that is below none of the columns, such as that of a summary below the rows."""
        for name, amount in find_summary(line, None, height):
            self._figures.add(line.page, name, {"": amount})

    def _find_section_among_headings(self, parts: LineParts, height: float) -> Section | None:
        is_text = not parts.date and not parts.money and not parts.text_follows
        return find_section(parts.line, height) if is_text else None

    def _add_balance_line(self, parts: LineParts) -> None:
        self.document.figure_lines.append((self._accounts.current, parts.line))
        self.document.not_rows.append((self._accounts.current, parts.line))
        self._figures.add(parts.line.page, "standing", parts.money, parts.date)

    def _is_figure(self, parts: LineParts) -> bool:
        has_balance = any(heading.column == "balance" for heading in self._headings)
        return (
            not parts.date
            or not parts.has_amount
            or (not has_balance and parts.special in ("opening", "closing", "standing"))
        )

    def _read_undated(self, parts: LineParts, height: float) -> None:
        """An amount completes the row above if that row has none; otherwise, it begins a row of the same day."""
        rows = self._rows
        if rows.row and rows.is_near(parts, height):
            if not parts.money.keys() & rows.row.money.keys() and not (parts.has_amount and rows.row.has_amount):
                rows.extend(parts)
                return
            if parts.has_amount:
                rows.begin_undated(parts)
                return
        elif parts.has_amount and (parts.value_date or (rows.row is None and rows.is_of_last_day(parts))):
            rows.begin_undated(parts)
            return
        elif rows.row is None and rows.is_below_total(parts, height):
            rows.begin_below_total(parts)
            return
        rows.keep_undated(parts)
        self._report_unread(parts.line, NO_DATE)

    def _report_unread(self, line: TextLine, why: str) -> None:
        self.document.unread.append(Unread(line.page, line.text, why, line.box))
        self.document.not_rows.append((self._accounts.current, line))


def _first_currency(lines: Sequence[TextLine]) -> str:
    """The currency with which the first line of a table begins, in a column of its own."""
    first = lines[0].words[0].text if lines else ""
    return first if first in CODES else ""


def _is_row_beside(line: TextLine, beside: Sequence[Table]) -> bool:
    parts = [table.cut(line) for table in beside]
    return any(part and parse_date(part.text) for part in parts)


def _complete(headings: tuple[Heading, ...], lines: Sequence[TextLine], height: float) -> tuple[Heading, ...]:
    return widen_text(add_second_dates(add_first_dates(headings, lines, height), lines, height), lines, height)
