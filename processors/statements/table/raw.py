"""A document as read from its pages: rows, balances and totals as printed, in their order. Interprets no notation."""

from dataclasses import dataclass, field, replace

from processors.statements.notation.dates import PrintedDate
from processors.statements.notation.keywords import Column
from processors.statements.notation.words import Box, PageFrame, TextLine
from processors.statements.records import Unread
from processors.statements.table.amount_cells import AmountCell

NO_DATE = "an amount without a date"  # why a line was not read
NO_AMOUNT = "a date without an amount"
IN_SENTENCE = "an amount within a sentence"
NO_ROWS = "no rows were found on this page"  # why a page was not


@dataclass
class RawRow:
    """A row as printed."""

    page: int
    account: str
    date: PrintedDate | None
    value_date: PrintedDate | None = None
    text: list[str] = field(default_factory=list)
    reference: list[str] = field(default_factory=list)
    money: dict[Column, AmountCell] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)  # amounts in a column without a heading
    section: str | None = None  # "debits" or "credits": the heading above the row
    section_number: int = 0  # counts sections and tables side by side
    confidence: float = 1.0
    date_is_inherited: bool = False
    is_below_total: bool = False  # without a date, and right below the total of a direction or below such a row
    date_like: str = ""  # printed in the place of its date, but not a calendar date
    doubts: list[str] = field(default_factory=list)  # why a person should look at it
    bottom: float = 0.0
    text_left: float | None = None  # left edge of the text on its first line
    word_lefts: tuple[float, ...] = ()  # left edges of the words of its first line
    lines: int = 0
    box: Box | None = None  # of its lines; None if it has no place

    @property
    def has_amount(self) -> bool:
        return bool(self.money.keys() - {"balance"})

    def mark_side(self, side: tuple[Column, str]) -> None:
        """Add "CR" or "DR" printed on the line below an amount to that amount."""
        column, letters = side
        if column in self.money:
            cell = self.money[column]
            self.money[column] = replace(cell, text=f"{cell.text} {letters}")


@dataclass
class RawFigure:
    """A printed balance or total."""

    page: int
    account: str
    name: str  # "opening", "carried", "closing", "debits", "credits", "total"
    money: dict[str, str]  # by column; "" if outside the table
    date: PrintedDate | None = None
    box: Box | None = None  # of its amounts


@dataclass
class UndatedRow:
    """A line with an amount, but without a date, which was not read as a row."""

    row: RawRow
    above: RawRow | RawFigure | None  # the last item before it


@dataclass
class RawDocument:
    """All pages as read. `items`: rows and figures in their order."""

    items: list[RawRow | RawFigure] = field(default_factory=list)
    undated: list[UndatedRow] = field(default_factory=list)
    outside: list[tuple[str, TextLine]] = field(default_factory=list)  # lines above tables, with their account
    lines: list[TextLine] = field(default_factory=list)
    figure_lines: list[tuple[str, TextLine]] = field(default_factory=list)  # of balances in tables, with their account
    not_rows: list[tuple[str, TextLine]] = field(default_factory=list)  # with amounts, with their account
    row_lines: set[int] = field(default_factory=set)  # the ids of the lines of rows
    unread: list[Unread] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    frames: dict[int, PageFrame] = field(default_factory=dict)  # by page, where it is known
    last_account: str = ""  # named last, maybe below all rows
    ibans: dict[str, str] = field(default_factory=dict)  # by account that another number names
    are_columns_named: bool = True  # by headings, not inferred
    are_dates_named: bool = True  # headings show which of two dates of a row is that of its booking
    is_net: bool = False  # each amount follows from two others of its row: a wallet's gross and fee
    is_exact: bool = False  # the text is that of the file, not of OCR
