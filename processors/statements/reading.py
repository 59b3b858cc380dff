"""From pages of words to raw rows, balances and totals, in the order of the pages. Pure; decides no notation yet."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from processors.statements.dates import PrintedDate
from processors.statements.header import Accounts, find_page_number, find_summary, set_summaries_apart
from processors.statements.keywords import Column, name_section
from processors.statements.lines import AmountLines, Parts, starts_in_text, take_apart
from processors.statements.records import Unread
from processors.statements.table import Cell, Heading, MoneyColumns, find_amounts, find_tables
from processors.statements.words import Line, PageWords, group_lines, line_height

_FAR = 3.2  # line heights between the lines of one row; what is further below is not part of it


@dataclass
class RawRow:
    """A movement as printed."""

    page: int
    account: str
    date: PrintedDate | None
    value_date: PrintedDate | None = None
    text: list[str] = field(default_factory=list)
    reference: list[str] = field(default_factory=list)
    money: dict[Column, Cell] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    section: str | None = None  # "debits" or "credits": the heading that the row stands under
    confidence: float = 1.0
    date_is_inherited: bool = False
    bottom: float = 0.0

    @property
    def has_movement(self) -> bool:
        return bool(self.money.keys() - {"balance"})


@dataclass
class RawFigure:
    """A printed balance or total that is no movement."""

    page: int
    account: str
    name: str  # "opening", "carried", "closing", "debits", "credits", "total"
    money: dict[str, str]  # by column; "" if outside the table
    date: PrintedDate | None = None


@dataclass
class Reading:
    """All pages, as they were read. `items` keeps rows and figures in their order."""

    items: list[RawRow | RawFigure] = field(default_factory=list)
    outside: list[tuple[str, Line]] = field(default_factory=list)  # lines above tables, with the account they concern
    lines: list[Line] = field(default_factory=list)
    figure_lines: list[tuple[str, Line]] = field(default_factory=list)  # of balances within tables, with their account
    unread: list[Unread] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_words(pages: Sequence[PageWords]) -> Reading:
    """Read the tables of all pages: once more where it turns out that amounts stand on the last line of a row."""
    reader = _Reader()
    for page in pages:
        reader.read_page(page)
    if reader.amount_lines.are_last:
        reader = _Reader(amounts_are_last=True)
        for page in pages:
            reader.read_page(page)
    return reader.reading


class _Reader:
    def __init__(self, *, amounts_are_last: bool = False):
        self.reading = Reading()
        self.amount_lines = AmountLines()
        self._amounts_are_last = amounts_are_last
        self._held: list[Parts] = []  # text below a whole row: of that row, or of the next
        self._accounts = Accounts()
        self._headings: Sequence[Heading] = ()
        self._row: RawRow | None = None  # that further lines may belong to
        self._last_date: PrintedDate | None = None
        self._section: str | None = None

    def read_page(self, page: PageWords) -> None:
        lines = group_lines(page)
        self.reading.lines += lines
        self._row = None
        before = len(self.reading.items)
        tables = find_tables(lines, line_height(lines))
        if not tables and self._headings:
            self.reading.notes.append(f"page {page.number} has no headings: read by those of the page before")
            tables = [(0, 0, self._headings)]
        first = tables[0][0] if tables else len(lines)
        self._read_outside(lines[:first], line_height(lines))
        for (_, start, headings), following in zip(tables, [*tables[1:], None], strict=False):
            end = following[0] if following else len(lines)
            self._headings = headings
            self._read_table(lines[start:end], line_height(lines))
        rows = [item for item in self.reading.items[before:] if isinstance(item, RawRow)]
        if not rows and lines:
            self.reading.unread.append(Unread(page.number, "", "no rows were found on this page"))
        if not lines:
            self.reading.unread.append(Unread(page.number, "", "no text was found on this page"))

    def _read_outside(self, lines: Sequence[Line], height: float) -> None:
        for line in lines:
            self._accounts.see(line.text)
            self._section = name_section(line.text) or self._section
        self.reading.outside += [(self._accounts.current, line) for line in lines]
        for line, below in zip(lines, [*lines[1:], None], strict=False):
            for name, amount in find_summary(line, below, height):
                self._add_figure(line.page, self._standing(name), {"": amount})

    def _read_table(self, lines: Sequence[Line], height: float) -> None:
        lines, summaries = set_summaries_apart(lines, height)
        cells = [cell for line in lines for cell in find_amounts(line.words, height)]
        columns = MoneyColumns(self._headings, cells, height)
        self._row = None
        taken = [take_apart(line, self._headings, columns, height) for line in lines]
        self.amount_lines.count(taken)
        for parts in taken:
            if not parts.date and not parts.money and self._accounts.see(parts.line.text):
                self._row, self._last_date = None, None
            self._read_line(parts, height)
        self._end_row()
        for page, name, amount in summaries:
            self._add_figure(page, self._standing(name), {"": amount})

    def _read_line(self, parts: Parts, height: float) -> None:
        if not parts.money and find_page_number([parts.line]):
            self._end_row()
            return
        special = parts.special or ("total" if parts.is_total else None)
        if special and self._is_figure(parts):
            self._end_row()
            if parts.is_cut_off:
                self._report(parts.line, "an amount that may begin before what was read of it")
            if parts.money:
                money = {column: cell.text for column, cell in parts.money.items()}
                self.reading.figure_lines.append((self._accounts.current, parts.line))
                self._add_figure(parts.line.page, self._standing(special), money, parts.date)
            elif special in ("debits", "credits"):
                self._section = special
            return
        if parts.section:
            self._end_row()
            self._section = parts.section
        elif parts.date:
            self._end_row()
            self._begin(parts, parts.date)
        elif parts.runs_on:
            self._report(parts.line, "an amount within a sentence")
        elif parts.money:
            self._read_undated(parts, height)
        elif self._row and self._is_near(parts, height) and starts_in_text(parts.line, self._headings, height):
            if self._amounts_are_last and self._row.has_movement:
                self._held.append(parts)
            else:
                self._extend(parts)
        else:
            self._end_row()

    def _standing(self, name: str) -> str:
        """A balance "on" a day is the opening one before the first row of its account, the closing one behind rows."""
        if name != "standing":
            return name
        current = self._accounts.current
        has_rows = any(isinstance(item, RawRow) and item.account == current for item in self.reading.items)
        return "closing" if has_rows else "opening"

    def _is_figure(self, parts: Parts) -> bool:
        has_balance = any(heading.column == "balance" for heading in self._headings)
        return not parts.date or not parts.has_movement or (not has_balance and parts.special in ("opening", "closing"))

    def _read_undated(self, parts: Parts, height: float) -> None:
        """An amount completes the row above if that has none, else it is a movement of the same day."""
        if self._row and self._is_near(parts, height):
            if not parts.money.keys() & self._row.money.keys() and not (parts.has_movement and self._row.has_movement):
                self._extend(parts)
                return
            if parts.has_movement:
                self._begin(parts, self._last_date, inherited=True)
                return
        elif parts.has_movement and self._last_date and self._row is None and parts.text and "balance" in parts.money:
            self._begin(parts, self._last_date, inherited=True)
            return
        self._report(parts.line, "an amount without a date")

    def _begin(self, parts: Parts, date: PrintedDate | None, *, inherited: bool = False) -> None:
        held, self._held = self._held, []
        self._row = RawRow(parts.line.page, self._accounts.current, date, section=self._section)
        self._row.date_is_inherited = inherited
        self._last_date = date
        self.reading.items.append(self._row)
        for each in (*held, parts):
            self._extend(each)

    def _extend(self, parts: Parts) -> None:
        row = self._row
        row.value_date = row.value_date or parts.value_date
        if parts.description:
            row.text.append(parts.text)
        row.reference += [word.text for word in parts.reference]
        row.money |= parts.money
        row.unreadable += parts.unreadable
        row.confidence = min([row.confidence, *(word.confidence for word in parts.line.words)])
        row.bottom = parts.line.bottom

    def _end_row(self) -> None:
        for parts in self._held:
            self._extend(parts)
        self._held = []
        self._drop_if_empty()
        self._row = None

    def _drop_if_empty(self) -> None:
        """A row that ended without a movement is none: report it."""
        row = self._row
        if row is None or row.has_movement:
            return
        self.reading.items.remove(row)
        if row.unreadable or row.money or row.text:
            text = " ".join([*row.reference, *row.text, *(cell.text for cell in row.money.values())])
            why = "a date and a balance without an amount" if row.money else "a date without an amount"
            self.reading.unread.append(Unread(row.page, text, why))

    def _is_near(self, parts: Parts, height: float) -> bool:
        bottom = self._held[-1].line.bottom if self._held else self._row.bottom
        return parts.line.top - bottom < _FAR * height

    def _add_figure(self, page: int, name: str, money: dict[str, str], date: PrintedDate | None = None) -> None:
        self.reading.items.append(RawFigure(page, self._accounts.current, name, money, date))

    def _report(self, line: Line, why: str) -> None:
        self.reading.unread.append(Unread(line.page, line.text, why))
