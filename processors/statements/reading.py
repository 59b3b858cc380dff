"""From pages of words to raw rows, balances and totals, in page order. Pure; interprets no notation yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from processors.statements.columns import add_first_dates, find_first_row
from processors.statements.conventions import Conventions
from processors.statements.dates import PrintedDate, parse_date
from processors.statements.header import (
    AccountTracker,
    find_account_below,
    find_page_number,
    find_summary,
    separate_cells,
    separate_summaries,
)
from processors.statements.keywords import Column, Section, match_section
from processors.statements.line_dates import take_date
from processors.statements.lines import (
    LineCounts,
    LineParts,
    RowLines,
    find_impossible_dates,
    split_line,
    starts_in_text,
    text_left,
)
from processors.statements.raw import NO_DATE, RawDocument, RawFigure, RawRow
from processors.statements.records import Unread
from processors.statements.table import AmountCell, Heading, MoneyColumns, Table, find_amounts, find_tables
from processors.statements.words import PageWords, TextLine, group_lines, line_height, unite

_CLOSE = 0.8  # line heights between a row and its further lines; an account begins further below
_LEAST_UNDATED = 2  # rows that show that not each row has a date
_FAR = 3.2  # line heights between the lines of one row; a line further below is not part of it


@dataclass(frozen=True, kw_only=True)
class TableModel:
    """How to read the tables of a document."""

    headings: tuple[Heading, ...] = ()  # of all tables; empty: each has its own
    balances_alone: bool = False  # a line with a balance and no other amount is not a row
    row_lines: RowLines = RowLines()
    conventions: Conventions = Conventions()  # of earlier documents of the same layout


def read_words(pages: Sequence[PageWords], model: TableModel = TableModel()) -> RawDocument:
    """Read the tables of all pages; read them again if their rows turn out to be built in another way."""
    reader = _read_pages(pages, model)
    found = reader.line_counts.decide()
    return (_read_pages(pages, replace(model, row_lines=found)) if found != model.row_lines else reader).document


def _read_pages(pages: Sequence[PageWords], model: TableModel) -> "_PageReader":
    reader = _PageReader(model)
    reader.document.is_exact = all(page.source == "text layer" for page in pages)
    reader.document.frames = {page.number: page.frame for page in pages if page.frame}
    for page in pages:
        reader.read_page(page)
    return reader


class _PageReader:
    def __init__(self, model: TableModel):
        self.document = RawDocument()
        self.line_counts = LineCounts()
        self._model = model
        self._year: int | None = None  # printed on a line of its own
        self._pending: list[LineParts] = []  # text below a complete row: of that row, or of the next
        self._accounts = AccountTracker()
        self._headings: Sequence[Heading] = ()
        self._row: RawRow | None = None  # that further lines may belong to
        self._last_date: PrintedDate | None = None
        self._section: str | None = None
        self._section_number = 0
        self._total_bottom = float("-inf")  # of the last line with a total of a direction, on the page
        self._page_of_heading = 0  # of a line between rows that is not one: rows below it on its page are a new section

    def read_page(self, page: PageWords) -> None:
        lines = group_lines(page)
        self.document.lines += lines
        self._row, self._page_of_heading, self._total_bottom = None, 0, float("-inf")
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
            self.document.not_rows += [(self._accounts.current, line) for line in headings]
            own = lines[table.start : end]
            self._headings = self._model.headings or add_first_dates(table.headings, own, line_height(lines))
            if table.is_beside_another:
                own = self._take_rows_beside(own, [each for each in tables if each.top == table.top], table)
            self._read_table(own, line_height(lines))
        self.document.last_account = self._accounts.current or self._accounts.wallet
        rows = [item for item in self.document.items[before:] if isinstance(item, RawRow)]
        if not rows and lines:
            self.document.unread.append(Unread(page.number, "", "no rows were found on this page"))
        if not lines:
            self.document.unread.append(Unread(page.number, "", "no text was found on this page"))

    def _take_rows_beside(self, lines: Sequence[TextLine], beside: Sequence[Table], table: Table) -> list[TextLine]:
        """The rows of one of the tables beside each other; other lines, such as totals, belong to all of them."""
        self._section_number += 1
        parts = [[each.cut(line) for each in beside] for line in lines]
        is_row = [any(part and parse_date(part.text) for part in each) for each in parts]
        if table is beside[-1]:
            for line, is_one in zip(lines, is_row, strict=True):
                self._read_outside([] if is_one else [line], line.words[0].height)
        cut = [table.cut(line) for line, is_one in zip(lines, is_row, strict=True) if is_one]
        return [part for part in cut if part]

    def _find_tables(self, lines: Sequence[TextLine], height: float) -> list[Table]:
        headings = self._model.headings
        if not headings:
            return find_tables(lines, height)
        start = find_first_row(lines, headings, height)
        return [] if start is None else [Table(start, start, headings)]

    def _read_outside(self, lines: Sequence[TextLine], height: float) -> None:
        for line, below in zip(lines, [*lines[1:], None], strict=False):
            self._accounts.update(separate_cells(line, height), below=find_account_below(line, below, height))
            self._begin_section(match_section(line.text))
        self.document.outside += [(self._accounts.current, line) for line in lines]
        self.document.not_rows += [(self._accounts.current, line) for line in lines]
        for line, below in zip(lines, [*lines[1:], None], strict=False):
            for name, amount in find_summary(line, below, height):
                self._add_figure(line.page, self._opening_or_closing(name, amount), {"": amount})

    def _read_table(self, lines: Sequence[TextLine], height: float) -> None:
        if {heading.column for heading in self._headings} == {"date", "balance"}:
            return  # a ledger of daily balances lists no rows
        lines, summaries = separate_summaries(lines, height)
        columns = self._find_columns(lines, height)
        columns.find_fillers(lines, height)
        self._row = None
        taken = [split_line(line, self._headings, columns, height) for line in lines]
        for parts, below in zip(taken, taken[1:], strict=False):
            is_text = not below.date and not below.money and not below.section
            parts.text_follows = is_text and below.line.top - parts.line.bottom < _CLOSE * height
        find_impossible_dates(taken, self._headings, height)
        self.line_counts.count(taken, height)
        for parts in taken:
            is_apart = not parts.date and not parts.money and not self._continues_row(parts, height)
            if is_apart and self._accounts.update(separate_cells(parts.line, height)):
                self._end_row()
                self._last_date = None
            self._read_line(parts, height)
        self._end_row()
        for page, name, amount in summaries:
            self._add_figure(page, self._opening_or_closing(name, amount), {"": amount})

    def _find_columns(self, lines: Sequence[TextLine], height: float) -> MoneyColumns:
        cells, dated = [], set()
        for line in lines:
            found = find_amounts(line.words, height)
            cells += found
            if take_date(list(line.words), "date", self._headings, height):
                dated |= {id(cell) for cell in found}
        return MoneyColumns(self._headings, cells, height, dated)

    def _read_line(self, parts: LineParts, height: float) -> None:
        self._read_year(parts)
        if not parts.money and find_page_number([parts.line]):
            self._end_row()
            return
        special = parts.special or ("total" if parts.is_total else None)
        if special and self._is_figure(parts):
            self._end_row()
            if parts.is_cut_off:
                self._report_unread(parts.line, "an amount whose first digits may be missing")
            if parts.money and special in ("debits", "credits"):
                self._total_bottom = parts.line.bottom
            if parts.money:
                self.document.figure_lines.append((self._accounts.current, parts.line))
                self._add_figure(
                    parts.line.page, self._opening_or_closing(special, _first(parts.money)), parts.money, parts.date
                )
            elif special in ("debits", "credits"):
                self._begin_section(special)
            return
        if parts.section:
            self._end_row()
            self._begin_section(parts.section)
        elif self._is_second_date(parts, height):
            self._row.value_date = self._row.value_date or parts.date
            self._extend_row(parts)
        elif self._model.balances_alone and parts.is_balance_only:
            self._end_row()
            self._add_balance_line(parts)
        elif self._is_date_below(parts, height):
            self._row.date = self._last_date = parts.date
            self._extend_row(parts)
        elif parts.date or parts.date_like:
            self._end_row()
            self._begin_row(parts, parts.date)
        elif parts.side and self._row and self._is_near(parts, height):
            self._row.mark_side(parts.side)
            if parts.description:
                self._extend_row(parts)
        elif self._starts_row(parts, height):
            self._end_row()
            self._begin_row(parts, self._last_date, inherited=True)
        elif self._model.row_lines.dates_are_below and parts.has_amount:
            self._end_row()
            self._begin_row(parts, None)
        elif parts.runs_on:
            self._report_unread(parts.line, "an amount within a sentence")
        elif parts.money:
            self._read_undated(parts, height)
        elif self._row and self._is_near(parts, height) and self._is_further_text(parts, height):
            if self._model.row_lines.amounts_are_last and self._row.has_amount:
                self._pending.append(parts)
            else:
                self._extend_row(parts)
        else:
            self._end_row()
            self._page_of_heading = parts.line.page

    def _continues_row(self, parts: LineParts, height: float) -> bool:
        """True for a further line of a row, close to it or right of its date: it may name somebody else's account."""
        if self._row is not None and parts.line.top - self._row.bottom < _CLOSE * height:
            return True
        leftmost = min(self._headings, key=lambda heading: heading.left)
        is_near = self._row is not None and self._is_near(parts, height)
        return is_near and leftmost.column == "date" and starts_in_text(parts.line, self._headings, height)

    def _is_further_text(self, parts: LineParts, height: float) -> bool:
        """True if a line begins where the text of rows does: below its heading, or below the text of the row above."""
        left = self._row.text_left
        is_below = left is not None and abs(text_left(parts.line) - left) < height
        return is_below or starts_in_text(parts.line, self._headings, height)

    def _begin_section(self, section: Section | None) -> None:
        if section:
            self._section = section
            self._section_number += 1

    def _read_year(self, parts: LineParts) -> None:
        """Keep a year on a line of its own, or beside a balance, for the rows below that print none."""
        if parts.year and not parts.date and (parts.special or not parts.has_amount):
            self._year = parts.year

    def _is_second_date(self, parts: LineParts, height: float) -> bool:
        """True for the second line of a row where each has a second date, such as the value date, below the first."""
        row = self._row
        if not self._model.row_lines.has_second_date or row is None or not row.has_amount or row.lines > 1:
            return False
        return bool(parts.date and not parts.money and self._is_near(parts, height))

    def _is_date_below(self, parts: LineParts, height: float) -> bool:
        """True for the date of the row above, where dates are below the amounts."""
        row = self._row
        is_below = self._model.row_lines.dates_are_below and row is not None and row.date is None
        return bool(is_below and parts.date and not parts.money and self._is_near(parts, height))

    def _starts_row(self, parts: LineParts, height: float) -> bool:
        """True for a line without a date that starts where rows start, if their further lines are indented."""
        start = self._model.row_lines.start_left
        return start is not None and self._last_date is not None and parts.starts_at(start, height)

    def _add_balance_line(self, parts: LineParts) -> None:
        self.document.figure_lines.append((self._accounts.current, parts.line))
        self.document.not_rows.append((self._accounts.current, parts.line))
        self._add_figure(
            parts.line.page, self._opening_or_closing("standing", _first(parts.money)), parts.money, parts.date
        )

    def _opening_or_closing(self, name: str, amount: AmountCell) -> str:
        """A balance "on" a day is the opening balance before the first row of its account, later the closing one.

        A second one with another amount before the first row is the closing balance in a summary.
        """
        if name != "standing":
            return name
        own = [item for item in self.document.items if item.account == self._accounts.current]
        is_other = any(
            isinstance(item, RawFigure) and item.name == "opening" and amount.text not in item.money.values()
            for item in own
        )
        return "closing" if is_other or any(isinstance(item, RawRow) for item in own) else "opening"

    def _is_figure(self, parts: LineParts) -> bool:
        has_balance = any(heading.column == "balance" for heading in self._headings)
        return (
            not parts.date
            or not parts.has_amount
            or (not has_balance and parts.special in ("opening", "closing", "standing"))
        )

    def _read_undated(self, parts: LineParts, height: float) -> None:
        """An amount completes the row above if that has none; otherwise it is a row of the same day."""
        if self._row and self._is_near(parts, height):
            if not parts.money.keys() & self._row.money.keys() and not (parts.has_amount and self._row.has_amount):
                self._extend_row(parts)
                return
            if parts.has_amount:
                self._begin_undated(parts)
                return
        elif parts.has_amount and (parts.value_date or (self._row is None and self._is_of_last_day(parts))):
            self._begin_undated(parts)
            return
        elif self._row is None and self._is_below_total(parts, height):
            self._begin_undated(parts)
            self._row.is_below_total = True
            return
        self._report_unread(parts.line, NO_DATE)

    def _is_of_last_day(self, parts: LineParts) -> bool:
        """True for a line like a row of the day above: it has a balance, or is the first of a page after rows that have
        no dates of their own, either."""
        rows = [item for item in self.document.items if isinstance(item, RawRow)]
        undated = sum(row.date_is_inherited for row in rows)
        continues = undated >= _LEAST_UNDATED and rows[-1].page != parts.line.page
        return bool(self._last_date and parts.text and ("balance" in parts.money or continues))

    def _is_below_total(self, parts: LineParts, height: float) -> bool:
        is_near = -height < parts.line.top - self._total_bottom < _FAR * height
        return bool(is_near and parts.has_amount and parts.text and self._last_date)

    def _begin_undated(self, parts: LineParts) -> None:
        """Begin a row with its only date, in another column, or with that of the row above."""
        if parts.value_date:
            self._begin_row(parts, parts.value_date)
        else:
            self._begin_row(parts, self._last_date, inherited=True)

    def _begin_row(self, parts: LineParts, date: PrintedDate | None, *, inherited: bool = False) -> None:
        pending, self._pending = self._pending, []
        self._section_number += self._page_of_heading == parts.line.page
        self._page_of_heading = 0
        if date and self._year and date.year is None:
            date = replace(date, year=self._year)
        is_below_total = inherited and self._row is not None and self._row.is_below_total
        self._row = RawRow(parts.line.page, self._accounts.current, date, section=self._section)
        self._row.is_below_total = is_below_total
        self._row.section_number = self._section_number
        self._row.text_left = parts.text_left
        self._row.date_is_inherited, self._row.date_like = inherited, parts.date_like
        self._last_date = date
        self.document.items.append(self._row)
        for each in (*pending, parts):
            self._extend_row(each)

    def _extend_row(self, parts: LineParts) -> None:
        row = self._row
        row.lines += 1
        self.document.row_lines.add(id(parts.line))
        if parts.year and row.date and row.date.year is None:
            row.date = self._last_date = replace(row.date, year=parts.year)
        row.value_date = row.value_date or parts.value_date
        is_field = parts.labelled and self._model.row_lines.has_labelled_date
        row.value_date = row.value_date or (parts.labelled if is_field else None)
        if parts.description and not is_field:
            row.text.append(parts.text)
        row.reference += [word.text for word in parts.reference]
        row.money |= parts.money
        row.unreadable += parts.unreadable
        row.confidence = min([row.confidence, *(word.confidence for word in parts.line.words)])
        row.box = unite(box for box in (row.box, parts.line.box) if box)
        row.bottom = parts.line.bottom

    def _end_row(self) -> None:
        for parts in self._pending:
            self._extend_row(parts)
        self._pending = []
        self._drop_if_empty()
        self._row = None

    def _drop_if_empty(self) -> None:
        """Report a row that ended without an amount as unread."""
        row = self._row
        if row is None or row.has_amount:
            return
        self.document.items.remove(row)
        if row.unreadable or row.money or row.text:
            text = " ".join([*row.reference, *row.text, *(cell.text for cell in row.money.values())])
            why = "a date and a balance without an amount" if row.money else "a date without an amount"
            self.document.unread.append(Unread(row.page, text, why, row.box))

    def _is_near(self, parts: LineParts, height: float) -> bool:
        bottom = self._pending[-1].line.bottom if self._pending else self._row.bottom
        return parts.line.top - bottom < _FAR * height

    def _add_figure(
        self, page: int, name: str, cells: Mapping[str, AmountCell], date: PrintedDate | None = None
    ) -> None:
        money = {column: cell.text for column, cell in cells.items()}
        if name == "opening" and self._is_of_another_account(money):
            self._accounts.begin_numbered()
        elif name == "closing":
            self._accounts.numbered = ""  # that of the next account is further below
        box = unite(cell.box for cell in cells.values() if cell.box)
        self.document.items.append(RawFigure(page, self._accounts.current, name, money, date, box))

    def _is_of_another_account(self, money: Mapping[str, str]) -> bool:
        """True for an opening balance that is not the closing balance printed last."""
        last = next((item for item in reversed(self.document.items) if isinstance(item, RawFigure)), None)
        is_closed = last is not None and last.name == "closing" and last.account == self._accounts.current
        return is_closed and last is self.document.items[-1] and not set(money.values()) & set(last.money.values())

    def _report_unread(self, line: TextLine, why: str) -> None:
        self.document.unread.append(Unread(line.page, line.text, why, line.box))
        self.document.not_rows.append((self._accounts.current, line))


def _first(money: Mapping[Column, AmountCell]) -> AmountCell:
    """The balance of a line, or its only amount."""
    return money.get("balance") or next(iter(money.values()))
