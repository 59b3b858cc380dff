"""One line of a statement's table, split into date, text and amounts by the table's headings. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from processors.statements.notation.amounts import looks_like_amount
from processors.statements.notation.currencies import CODES
from processors.statements.notation.dates import PrintedDate, parse_date
from processors.statements.notation.keywords import (
    Column,
    Section,
    match_column,
    match_section,
    match_special,
    normalize,
)
from processors.statements.notation.words import PageWord, TextLine, join_words, split_cells
from processors.statements.table.amount_cells import AmountCell, find_amounts, is_in_sentence
from processors.statements.table.headings import MONEY, Heading
from processors.statements.table.line_dates import (
    DATE_WORDS,
    LOOSE,
    RUNNING_GAP,
    TIME,
    YEAR,
    take_both_dates,
    take_date,
    take_time,
    take_year,
)
from processors.statements.table.money_columns import MoneyColumns

LEADING_YEAR = re.compile(r"^(?:19|20)\d\d (?=\D)")  # "2025 OPENING BALANCE", right of day and month
_MOST_LABEL_WORDS = 2  # before a date on a line of its own
_CUT_OFF = re.compile(r"[-−–+(£$€₹]{0,3}\d{1,3}")  # possibly the thousands of the amount after it
_SIDE = re.compile(r"\(?(?:CR|DR|Cr|Dr)\)?")
_DEBIT = "DB"  # after an amount, in Indonesia; the balances prove the direction
_IDENTIFIER = re.compile(r"^(?!.*[.,]\d\d)(?=.*\d).*[^\W\d_]{3}")  # "CARD-447188201" is no misread amount
_SIGNS = frozenset({"$", "£", "€", "¥", "₹", "R$", "US$"})  # far left of an amount, at the edge of its column
_PURCHASE = re.compile(r"trans|oper|purchase|kauf|auth|compra|achat")  # "Transaction date: 02.01.2025" below a row
_ASIDE = re.compile(r"[-−–—]|\d{1,4}[.,]\d{4,6}")  # an empty cell, or a rate of exchange
_ASIDE_GAP = 1.2  # line heights between columns
_WORD_GAP = 0.75  # line heights between words of running text
_CUT_OFF_GAP = 1.6  # line heights; closer digits may belong to the amount
_INDENT = 0.7  # line heights; text further right is indented


@dataclass
class LineParts:
    """The parts of a line."""

    line: TextLine
    date: PrintedDate | None = None
    value_date: PrintedDate | None = None
    description: list[PageWord] = field(default_factory=list)
    reference: list[PageWord] = field(default_factory=list)
    money: dict[Column, AmountCell] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)  # in the money columns, with digits, but no amount
    unnamed: list[str] = field(default_factory=list)  # amounts in a column without a heading
    runs_on: bool = False  # an amount has text close after it
    labelled: PrintedDate | None = None  # the value date, alone on its line: "Valuta: 02.01.2025"
    year: int | None = None  # without day and month, in the column of dates
    side: tuple[Column, str] | None = None  # "CR" or "DR", below an amount of a column
    has_other_amount: bool = False  # in a column that is not read
    date_like: str = ""  # at the position of the date, in the shape of the other dates, but not a calendar date
    text_follows: bool = False  # close below, without date and amount: the line belongs to a row
    is_cut_off: bool = False  # an amount has digits close before it, which may be its thousands
    is_below_table: bool = False  # further below a row than lines of the table are apart

    @property
    def text(self) -> str:
        return join_words(self.description)

    @property
    def text_left(self) -> float | None:
        return min((word.left for word in (*self.description, *self.reference)), default=None)

    def starts_at(self, left: float, height: float) -> bool:
        return self.text_left is not None and abs(self.text_left - left) < _INDENT * height

    @property
    def has_amount(self) -> bool:
        return bool(self.money.keys() - {"balance"})

    @property
    def is_balance_only(self) -> bool:
        others = self.has_other_amount or any(looks_like_amount(word.text) for word in self.description)
        return bool(self.money) and not self.has_amount and bool(self.text) and not others

    @property
    def is_total(self) -> bool:
        """True for money both out and in without a date: the totals of the columns, whatever their label."""
        both = [self.money[column] for column in ("debit", "credit") if column in self.money]
        return not self.date and len(both) == 2 and all(set(cell.text) & set("123456789") for cell in both)

    @property
    def section(self) -> Section | None:
        return None if self.date or self.money or self.text_follows else match_section(self.line.text)

    @property
    def special(self) -> str | None:
        text = LEADING_YEAR.sub("", self.text)
        first, _, rest = text.partition(" ")
        text = rest if first in CODES else text  # from a column of currencies
        found = match_special(text) or match_special(" ".join(w.text for w in self.reference + self.description))
        return found or (self._label_beside if self.money and not self.date else None)

    @property
    def _label_beside(self) -> str | None:
        """What the last of several cells is called: "Branch 370  Account 5519044      Closing balance"."""
        if not self.description:
            return None
        cells = split_cells(self.description, LOOSE * self.description[-1].height)
        return match_special(join_words(cells[-1])) if len(cells) > 1 else None


def split_line(line: TextLine, headings: Sequence[Heading], columns: MoneyColumns, height: float) -> LineParts:
    """Split a line; each word ends up in exactly one part."""
    parts = LineParts(line)
    words = list(line.words)
    parts.year = take_year(words, headings, height)
    take_time(words, headings, height)
    if _take_labelled_date(parts, words):
        return parts
    labelled = _take_value_date_cell(words, height)
    parts.date, parts.value_date = take_both_dates(words, headings) or (
        take_date(words, "date", headings, height),
        take_date(words, "value_date", headings, height),
    )
    parts.value_date = parts.value_date or labelled
    _take_money(parts, words, columns, height)
    words = [word for word in words if not (parts.money and word.text in _SIGNS)]
    last = words[-1] if words else None  # the words that are not dates
    if last and not parts.money and _SIDE.fullmatch(last.text) and (column := columns.column_at(last)):
        parts.side = column, last.text
        words.pop()
    text_headings = [heading for heading in headings if heading.column in ("description", "reference")]
    for word in words:
        if columns.covers(word) and (word.text == "0" or columns.is_filler(word)):
            continue  # not an amount; or "0" where the other amounts have no decimals
        if _is_aside(word, line.words, height) or (word.text == _DEBIT and _is_behind_amount(word, parts, height)):
            continue
        if columns.covers(word) and _may_be_misread(word, line.words, height):
            parts.unreadable.append(word.text)
        nearest = _text_column(word, text_headings, height)
        (parts.reference if nearest == "reference" else parts.description).append(word)
    return parts


def _is_behind_amount(word: PageWord, parts: LineParts, height: float) -> bool:
    return any(0 <= word.left - cell.right < _CUT_OFF_GAP * height for cell in parts.money.values())


def _is_aside(word: PageWord, words: Sequence[PageWord], height: float) -> bool:
    """True for a rate, a currency or a dash that is alone in a column right of the text: it belongs to an amount."""
    if not _ASIDE.fullmatch(word.text) and word.text not in CODES:
        return False
    at = next(number for number, each in enumerate(words) if each is word)
    before, after = words[at - 1 : at] if at else (), words[at + 1 : at + 2]
    is_alone = all(word.left - each.right > _ASIDE_GAP * height for each in before)
    is_alone = is_alone and all(each.left - word.right > _ASIDE_GAP * height for each in after)
    return is_alone and any(char.isalpha() for each in words[:at] for char in each.text)


def _may_be_misread(word: PageWord, words: Sequence[PageWord], height: float) -> bool:
    """True for a word with digits that may be an amount: it is no identifier, and no part of running text."""
    if not any(char.isdigit() for char in word.text) or _IDENTIFIER.search(word.text):
        return False
    gaps = [(each, each.left - word.right if each.left > word.left else word.left - each.right) for each in words]
    near = [each for each, gap in gaps if each is not word and -height < gap < _WORD_GAP * height]
    return not any(sum(char.isalpha() for char in each.text) > 1 for each in near)


def starts_in_text(line: TextLine, headings: Sequence[Heading], height: float) -> bool:
    """True if the line begins below the heading of the text, like the next line of a wrapped description."""
    dates = [heading for heading in headings if heading.column in ("date", "value_date")]
    texts = [heading.left for heading in headings if heading.column == "description"]
    first = min((heading.left for heading in dates), default=0.0)
    left = text_left(line)
    if any(abs(left - each) < _INDENT * height for each in texts):
        return True
    if texts and min(texts) < first:
        return left >= min(texts) - LOOSE * height
    return left > first + LOOSE * height


def text_left(line: TextLine) -> float:
    """The left edge of a line without a year or a time of day at its start."""
    texts = (word.left for word in line.words if not YEAR.fullmatch(word.text) and not TIME.fullmatch(word.text))
    return next(texts, line.words[0].left)


def _take_labelled_date(parts: LineParts, words: Sequence[PageWord]) -> bool:
    """Read a line that has only a date and its label; True if the date applies to the rows below, "Buchungsdatum:
    02.01.2025"."""
    for count in range(1, min(len(words), _MOST_LABEL_WORDS + 1)):
        label = match_column(" ".join(word.text for word in words[:count]))
        text = " ".join(word.text for word in words[count:])
        printed = parse_date(text) if label in ("date", "value_date") else None
        if printed and printed.length == len(text):
            if label == "date" and _PURCHASE.search(normalize(" ".join(word.text for word in words[:count]))):
                return False  # the text of a row
            if label == "date":
                parts.date = printed
            else:
                parts.labelled = printed
            return label == "date"
    return False


def _take_value_date_cell(words: list[PageWord], height: float) -> PrintedDate | None:
    """Remove a value date with its label from a cell right of others, "Valuta 02-01-2025", or in brackets, "(Val.
    02-01-2025)", and return it."""
    if printed := _take_bracketed_date(words):
        return printed
    for cell in split_cells(words, LOOSE * height)[1:]:
        for count in range(1, min(len(cell), _MOST_LABEL_WORDS + 1)):
            text = join_words(cell[count:])
            printed = parse_date(text)
            if match_column(join_words(cell[:count])) == "value_date" and printed and printed.length == len(text):
                for word in cell:
                    words.remove(word)
                return printed
    return None


def _take_bracketed_date(words: list[PageWord]) -> PrintedDate | None:
    for at, word in enumerate(words):
        if not word.text.startswith("("):
            continue
        end = next((n for n, each in enumerate(words[at : at + 2 + DATE_WORDS], at + 1) if each.text.endswith(")")), at)
        inside = join_words(words[at:end]).strip("()").replace("(", "")
        for label in (" ".join(inside.split()[:count]) for count in (1, 2)):
            text = inside.removeprefix(label).strip()
            printed = parse_date(text) if match_column(label) == "value_date" else None
            if printed and printed.length == len(text):
                del words[at:end]
                return printed
    return None


def _take_money(parts: LineParts, words: list[PageWord], columns: MoneyColumns, height: float) -> None:
    for cell in find_amounts(words, height):
        column = columns.column_of(cell)
        if column not in MONEY and is_in_sentence(cell, parts.line.words, height):
            continue
        if columns.is_unnamed(cell):
            parts.unnamed.append(cell.text)
        if column == "other":
            parts.has_other_amount = True
            if not _follows_text(cell, parts.line.words, height):
                _remove_words(words, cell)
        if column not in MONEY or column in parts.money:
            continue
        if digits := _find_cut_off(cell, words, height):
            parts.unreadable.append(digits.text)
            parts.is_cut_off = True
        after = [word for word in parts.line.words if 0 <= word.left - cell.right < RUNNING_GAP * height]
        parts.runs_on |= any(char.isalpha() for word in after for char in word.text)
        parts.money[column] = cell
        _remove_words(words, cell)


def _follows_text(cell: AmountCell, words: Sequence[PageWord], height: float) -> bool:
    """True if text is directly before an amount, as in "Visa purchase SEK 164,37"."""
    near = [word for word in words if 0 <= cell.left - word.right < RUNNING_GAP * height]
    return any(char.isalpha() for word in near for char in word.text)


def _remove_words(words: list[PageWord], cell: AmountCell) -> None:
    for word in cell.words:
        words.remove(word)


def _find_cut_off(cell: AmountCell, words: Sequence[PageWord], height: float) -> PageWord | None:
    """The digits close before an amount that begins with three digits, or with its decimal mark.

    This check is necessary because all sums would still agree if all amounts lost their thousands in the same way.
    """
    if not re.match(r"(?:\d{3})?[.,]\d{2}(?!\d)", cell.text):
        return None
    near = [word for word in words if 0 <= cell.left - word.right < _CUT_OFF_GAP * height]
    return next((word for word in near if _CUT_OFF.fullmatch(word.text)), None)


def _text_column(word: PageWord, headings: Sequence[Heading], height: float) -> Column:
    """The last text column that starts left of the word."""
    begun = [heading for heading in headings if heading.left - LOOSE * height <= word.left]
    return max(begun, key=lambda heading: heading.left).column if begun else "description"
