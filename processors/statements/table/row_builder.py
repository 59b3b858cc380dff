"""Rows from the lines of a table: which line begins one, continues it or ends it. Pure; interprets no notation yet."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from processors.statements.notation.dates import PrintedDate
from processors.statements.notation.keywords import Section
from processors.statements.notation.words import unite
from processors.statements.records import Unread
from processors.statements.table.accounts import AccountTracker
from processors.statements.table.headings import Heading
from processors.statements.table.lines import LineParts, starts_in_text, text_left
from processors.statements.table.raw import NO_AMOUNT, RawDocument, RawRow, UndatedRow
from processors.statements.table.row_lines import RowLines

CLOSE = 0.8  # line heights between a row and its further lines; an account begins further below
_FAR = 3.2  # line heights between the lines of one row; a line further below is not part of it
_NUMBER = re.compile(r"\d[\d./-]{4,}")  # of a document, which some banks print below the date
_LEAST_UNDATED = 2  # this many rows without a date show that not every row has one


class RowBuilder:
    """The row that is being read, and what the rows below it inherit."""

    def __init__(self, document: RawDocument, accounts: AccountTracker, row_lines: RowLines):
        self.row: RawRow | None = None  # that further lines may belong to
        self.last_date: PrintedDate | None = None
        self.total_bottom = float("-inf")  # of the last line with a total of a direction, on the page
        self.carried_bottom = float("-inf")  # of the last line with a balance brought forward, on the page
        self._document = document
        self._accounts = accounts
        self._row_lines = row_lines
        self._year: int | None = None  # printed on a line of its own
        self._pending: list[LineParts] = []  # text below a complete row: of that row, or of the next
        self._section: str | None = None
        self._section_number = 0
        self._page_of_heading = 0  # of a line between rows that is not a row; below it, a new section begins

    def begin_page(self) -> None:
        self.row, self._page_of_heading = None, 0
        self.total_bottom = self.carried_bottom = float("-inf")

    def end_section(self) -> None:
        self._section = None
        self._section_number += 1

    def begin_section_beside(self) -> None:
        """Begin a section in the same direction, such as a table beside another."""
        self._section_number += 1

    def extend_by_text(self, parts: LineParts) -> None:
        """Add text to the row, or keep it for the next one, if amounts are on the last lines of rows."""
        if self._row_lines.amounts_are_last and self.row and self.row.has_amount:
            self._pending.append(parts)
        else:
            self.extend(parts)

    def keep_for_next(self, parts: LineParts) -> None:
        """Keep the first lines of the next row, whose amount is on its last line."""
        self._pending.append(parts)

    def end_at_heading(self, page: int) -> None:
        """End the row at a line between rows that is not a row."""
        self.end()
        self._page_of_heading = page

    def begin(self, parts: LineParts, date: PrintedDate | None, *, inherited: bool = False) -> None:
        pending, self._pending = self._pending, []
        self._section_number += self._page_of_heading == parts.line.page
        self._page_of_heading = 0
        if date and self._year and date.year is None:
            date = replace(date, year=self._year)
        is_below_total = inherited and self.row is not None and self.row.is_below_total
        self.row = RawRow(parts.line.page, self._accounts.current, date, section=self._section)
        self.row.is_below_total = is_below_total
        self.row.section_number = self._section_number
        self.row.text_left = parts.text_left
        self.row.word_lefts = tuple(word.left for word in parts.description)
        self.row.date_is_inherited, self.row.date_like = inherited, parts.date_like
        self.last_date = date
        self._document.items.append(self.row)
        for each in (*pending, parts):
            self.extend(each)

    def keep_undated(self, parts: LineParts) -> None:
        """Keep a line with an amount, but without a date, which is a row if the balances lack exactly this amount."""
        row = RawRow(parts.line.page, self._accounts.current, None, section=self._section)
        row.section_number, row.text_left = self._section_number, parts.text_left
        self._add(row, parts)
        last = self._document.items[-1] if self._document.items else None
        self._document.undated.append(UndatedRow(row, last))

    def extend(self, parts: LineParts) -> None:
        row = self.row
        assert row is not None  # begun before
        self._document.row_lines.add(id(parts.line))
        if parts.year and row.date and row.date.year is None:
            row.date = self.last_date = replace(row.date, year=parts.year)
        self._add(row, parts)

    def _add(self, row: RawRow, parts: LineParts) -> None:
        row.lines += 1
        row.value_date = row.value_date or parts.value_date
        is_field = parts.labelled and self._row_lines.has_labelled_date
        row.value_date = row.value_date or (parts.labelled if is_field else None)
        if parts.description and not is_field:
            row.text.append(parts.text)
        row.reference += [word.text for word in parts.reference]
        row.money |= parts.money
        row.unreadable += parts.unreadable
        row.unnamed += parts.unnamed
        row.confidence = min([row.confidence, *(word.confidence for word in parts.line.words)])
        row.box = unite(box for box in (row.box, parts.line.box) if box)
        row.bottom = parts.line.bottom

    def end(self) -> None:
        for parts in self._pending:
            if self.row:
                self.extend(parts)
            else:
                self._document.not_rows.append((self._accounts.current, parts.line))
        self._pending = []
        self._drop_if_empty()
        self.row = None

    def end_above(self, parts: LineParts) -> None:
        """End the row above a line with a date; text above the amount of the next row is left to that row."""
        pending, self._pending = self._pending, []
        if not parts.has_amount:
            self._pending, pending = pending, []
        self.end()
        self._pending = pending

    def _drop_if_empty(self) -> None:
        """Report a row that ended without an amount as unread."""
        row = self.row
        if row is None or row.has_amount:
            return
        self._document.items.remove(row)
        if row.unreadable or row.unnamed or row.money or row.text:
            text = " ".join([*row.reference, *row.text, *(cell.text for cell in row.money.values())])
            why = "a date and a balance without an amount" if row.money else NO_AMOUNT
            self._document.unread.append(Unread(row.page, text, why, row.box))

    def is_near(self, parts: LineParts, height: float) -> bool:
        if self._pending:
            bottom = self._pending[-1].line.bottom
        elif self.row:
            bottom = self.row.bottom
        else:
            return False
        return parts.line.top - bottom < _FAR * height

    def begin_section(self, section: Section | None) -> None:
        if section:
            self._section = section
            self._section_number += 1

    def read_year(self, parts: LineParts) -> None:
        """Keep a year on a line of its own, or beside a balance, for the rows below that print none."""
        if parts.year and not parts.date and (parts.special or not parts.has_amount):
            self._year = parts.year

    def begin_below_total(self, parts: LineParts) -> None:
        """The same for a line below a total."""
        self.begin_undated(parts)
        if self.row:
            self.row.is_below_total = True

    def begin_undated(self, parts: LineParts) -> None:
        """Begin a row with the date of the row above or of the day, or else with its only date, in another column."""
        if self.last_date:
            self.begin(parts, self.last_date, inherited=True)
        else:
            self.begin(parts, parts.value_date, inherited=not parts.value_date)

    def is_of_last_day(self, parts: LineParts) -> bool:
        """True for a line that looks like a row of the day above: it has a balance, or is the first line of a page
        after rows that have no dates of their own."""
        rows = [item for item in self._document.items if isinstance(item, RawRow)]
        undated = sum(row.date_is_inherited for row in rows)
        continues = undated >= _LEAST_UNDATED and rows[-1].page != parts.line.page
        return bool(self.last_date and parts.text and ("balance" in parts.money or continues))

    def is_second_date(self, parts: LineParts, height: float) -> bool:
        """True for the second line of a row where each has a second date, such as the value date, below the first."""
        row = self.row
        if not self._row_lines.has_second_date or row is None or not row.has_amount or row.lines > 1:
            return False
        return bool(parts.date and not parts.money and self.is_near(parts, height))

    def is_date_below(self, parts: LineParts, height: float) -> bool:
        """True for the date of the row above, where dates are below the amounts."""
        row = self.row
        is_below = self._row_lines.dates_are_below and row is not None and row.date is None
        return bool(is_below and parts.date and not parts.money and self.is_near(parts, height))

    def starts_row(self, parts: LineParts, height: float) -> bool:
        """True for a line without a date that starts where rows start, if their further lines are indented."""
        start = self._row_lines.start_left
        return start is not None and self.last_date is not None and parts.starts_at(start, height)

    def continues_row(self, parts: LineParts, headings: Sequence[Heading], height: float) -> bool:
        """True for a further line of a row, close to it or right of its date: it may name somebody else's account."""
        if self.row is not None and parts.line.top - self.row.bottom < CLOSE * height:
            return True
        leftmost = min(headings, key=lambda heading: heading.left)
        is_near = self.row is not None and self.is_near(parts, height)
        return is_near and leftmost.column == "date" and starts_in_text(parts.line, headings, height)

    def is_further_text(self, parts: LineParts, headings: Sequence[Heading], height: float) -> bool:
        """True if a line near the row begins where the text of rows does: below its heading, or that of the row."""
        if self.row is None or parts.is_below_table or not self.is_near(parts, height):
            return False
        left = self.row.text_left
        first, *others = parts.line.words
        lefts = [each for each in self.row.word_lefts if each > first.right]
        if lefts and _NUMBER.fullmatch(first.text) and (not others or _is_aligned(others[0].left, lefts, height)):
            return True
        is_below = left is not None and abs(text_left(parts.line) - left) < height
        return is_below or starts_in_text(parts.line, headings, height)

    def is_first_text(self, parts: LineParts, headings: Sequence[Heading], height: float) -> bool:
        """True for text right below a balance brought forward, if amounts are on the last lines of rows."""
        if self.row is not None or not self._row_lines.amounts_are_last:
            return False
        above = self._pending[-1].line.bottom if self._pending else self.carried_bottom
        is_close = -height < parts.line.top - above < CLOSE * height
        return is_close and bool(parts.text) and starts_in_text(parts.line, headings, height)

    def is_below_total(self, parts: LineParts, height: float) -> bool:
        is_near = -height < parts.line.top - self.total_bottom < _FAR * height
        return bool(is_near and parts.has_amount and parts.text and self.last_date)


def _is_aligned(left: float, others: Iterable[float], height: float) -> bool:
    return any(abs(left - each) < height for each in others)
