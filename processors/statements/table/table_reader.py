"""From the lines of one table to raw rows, balances and totals. Pure; interprets no notation yet."""

from collections.abc import Sequence

from processors.statements.notation.keywords import Section, turns_page
from processors.statements.notation.words import TextLine
from processors.statements.records import Unread
from processors.statements.table.account_numbers import find_account_below, separate_cells
from processors.statements.table.accounts import AccountTracker
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.figures import FigureBuilder
from processors.statements.table.header import (
    find_page_number,
    find_section,
    find_summary,
    separate_summaries,
)
from processors.statements.table.headings import Heading
from processors.statements.table.impossible_dates import find_impossible_dates
from processors.statements.table.line_dates import take_date
from processors.statements.table.lines import LineParts, split_line
from processors.statements.table.model import TableModel
from processors.statements.table.money_columns import MoneyColumns
from processors.statements.table.raw import IN_SENTENCE, NO_DATE, RawDocument
from processors.statements.table.row_builder import CLOSE, RowBuilder
from processors.statements.table.row_lines import LineCounts, find_below_table
from processors.statements.table.table import Table, find_right_edge


class TableReader:
    """Reads the tables of a document, one after the other, into `document`."""

    def __init__(self, document: RawDocument, accounts: AccountTracker, model: TableModel):
        self.rows = RowBuilder(document, accounts, model.row_lines)
        self.figures = FigureBuilder(document, accounts)
        self.line_counts = LineCounts()
        self.document = document
        self._accounts = accounts
        self._model = model
        self._headings: Sequence[Heading] = ()
        self._gaps: list[float] = []  # between the lines of rows

    def read(
        self, lines: Sequence[TextLine], columns: Sequence[Heading], headings: Sequence[TextLine], height: float
    ) -> None:
        """Read the lines of one table.

        columns: the headings of its columns; headings: the lines in which they are printed; height: of a line.
        """
        self._headings = columns
        if {heading.column for heading in self._headings} == {"date", "balance"}:
            return  # a ledger of daily balances lists no rows
        lines = self._cut_beside(lines, headings, height)
        lines, summaries = separate_summaries(lines, height)
        money = self._find_columns(lines, height)
        money.find_fillers(lines, height)
        self.rows.row = None
        taken = [split_line(line, self._headings, money, height) for line in lines]
        for parts, below in zip(taken, taken[1:], strict=False):
            is_text = not below.date and not below.money and not below.section
            parts.text_follows = is_text and below.line.top - parts.line.bottom < CLOSE * height
        find_impossible_dates(taken, self._headings, height)
        find_below_table(taken, self._gaps, height)
        self.line_counts.count(taken, height)
        for parts in taken:
            is_apart = not parts.date and not parts.money and not self.rows.continues_row(parts, self._headings, height)
            if is_apart and self._accounts.update(separate_cells(parts.line, height)):
                self.rows.end()
                self.rows.last_date = None
            self._read_line(parts, height)
        self.rows.end()
        for page, name, amount in summaries:
            self.figures.add(page, name, {"": amount})

    def _cut_beside(self, lines: Sequence[TextLine], headings: Sequence[TextLine], height: float) -> list[TextLine]:
        """The lines without the text of a box to the right of the last column, which is outside the table."""
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
        rows = self.rows
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
                rows.last_date = parts.date or rows.last_date  # the date of the rows below that print none
                rows.carried_bottom = parts.line.bottom
            if parts.money:
                self.document.figure_lines.append((self._accounts.current, parts.line))
                self.figures.add(parts.line.page, special, parts.money, parts.date)
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
        """Read a balance that is not below any column, such as that of a summary below the rows."""
        for name, amount in find_summary(line, None, height):
            self.figures.add(line.page, name, {"": amount})

    def _find_section_among_headings(self, parts: LineParts, height: float) -> Section | None:
        is_text = not parts.date and not parts.money and not parts.text_follows
        return find_section(parts.line, height) if is_text else None

    def _add_balance_line(self, parts: LineParts) -> None:
        self.document.figure_lines.append((self._accounts.current, parts.line))
        self.document.not_rows.append((self._accounts.current, parts.line))
        self.figures.add(parts.line.page, "standing", parts.money, parts.date)

    def _is_figure(self, parts: LineParts) -> bool:
        has_balance = any(heading.column == "balance" for heading in self._headings)
        return (
            not parts.date
            or not parts.has_amount
            or (not has_balance and parts.special in ("opening", "closing", "standing"))
        )

    def _read_undated(self, parts: LineParts, height: float) -> None:
        """An amount completes the row above if that row has none; otherwise, it begins a row of the same day."""
        rows = self.rows
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
