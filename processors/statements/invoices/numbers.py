"""Numbers on the lines of an invoice, with their places: quantities, prices, rates and amounts. Pure."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

from processors.statements.notation.words import PageWord, TextLine, split_words
from processors.statements.receipts.amounts import CURRENCY, Notation

_WIDE = 1.0  # line heights: a gap of a column, not a space between words
COLUMN = "   "  # represents such a gap
_SIGN = "[-−–+]"  # noqa: RUF001
_SPACES = " \u00a0\u202f"
_GLUED = re.compile(
    r"(?<=^n\.)(?=\d)|(?<=^nr\.)(?=\w)|(?<=^no\.)(?=\w)|(?<=[a-z])(?=\d{1,2}[./-]\d{1,2}[./-]\d{2,4}$)"
    r"|(?<=[^\W\d]:)(?=\w)|(?<=[.,]\d\d)(?=\d{1,2}%)",
    re.IGNORECASE,
)
_CURRENCY_ONLY = re.compile(rf"^\W*{CURRENCY}\W*$")
_MOST_LABEL_WORDS = 9
_LEAST_LETTERS = 4  # of a word with spaces between its letters
_UNIT = r"(?:h|x|hrs?|pcs|kg|km|m²|m2|m|l|st|stk|u)"


@dataclass(frozen=True)
class Number:
    """A number within a line."""

    value: Decimal
    start: int  # in the text of the line
    end: int
    left: float  # in the units of the page
    right: float
    decimals: int
    is_percent: bool
    has_currency: bool
    is_amount: bool  # of money, by its decimals or its currency

    def is_above(self, other: "Number") -> bool:
        """True if both are in one column."""
        return self.left < other.right and other.left < self.right


@dataclass(frozen=True)
class NumberedLine:
    """A line, its text with wide gaps as three spaces, and its numbers from left to right."""

    line: TextLine
    text: str
    numbers: tuple[Number, ...]
    places: tuple[tuple[int, int], ...]  # of each word in the text

    @property
    def amounts(self) -> list[Number]:
        return [number for number in self.numbers if number.is_amount]

    @property
    def label(self) -> str:
        """The text before its first amount, back to the previous gap; if there is none, the text after the amount."""
        amounts = self.amounts
        if not amounts:
            return self.text
        return last_label(self.text[: amounts[0].start]) or self.text[amounts[-1].end :].strip()

    @property
    def is_prose(self) -> bool:
        """True if amounts occur within sentences."""
        cells = [cell.split() for cell in self.text.split(COLUMN)]
        return any(sum(any(map(str.isalpha, word)) for word in cell) > _MOST_LABEL_WORDS for cell in cells)

    @property
    def confidence(self) -> float:
        return min(word.confidence for word in self.line.words)


def unglue(line: TextLine) -> TextLine:
    """Split the words that OCR glued together: "n.12/2025", "del10/02/2025", "Datum:12.3.2025", "120,0023%"; join
    letters with spaces between them: "I N V O I C E"."""
    found: list[PageWord] = []
    for word in _join_letters(line.words):
        text = _GLUED.sub(" ", word.text)
        box = word.left, word.top, word.right, word.bottom
        found += split_words(text, *box, word.confidence) if " " in text else [word]
    return TextLine(page=line.page, words=tuple(found))


def _join_letters(words: Sequence[PageWord]) -> Iterator[PageWord]:
    for is_letter, group in itertools.groupby(words, key=lambda word: len(word.text) == 1 and word.text.isalpha()):
        run = list(group)
        if is_letter and len(run) >= _LEAST_LETTERS:
            text = "".join(word.text for word in run)
            yield replace(run[0], text=text, right=run[-1].right, confidence=min(word.confidence for word in run))
        else:
            yield from run


def last_label(text: str) -> str:
    """The last words before an amount, including the cells without words after them; "" if there are none."""
    cells = text.split(COLUMN)
    for at in range(len(cells) - 1, -1, -1):
        words = _CURRENCY_ONLY.sub("", cells[at]).strip(" :(")
        if sum(char.isalpha() for char in words) > 1:
            return COLUMN.join(cells[at:]).strip(" :(")
    return ""


def number_line(line: TextLine, height: float, notation: Notation) -> NumberedLine:
    """Find the numbers of a line."""
    text, places = _lay_out(line, height)
    found = []
    for match in _pattern(notation.mark).finditer(text):
        start, end = match.start() + len(match[0]) - len(match[0].lstrip()), match.end()
        decimals = len(match["decimals"] or "")
        currency = bool(match["sign"] or match["tail"])
        percent = bool(match["percent"])
        digits = re.sub(r"\D", "", match["whole"])
        value = Decimal(f"{digits}.{match['decimals']}" if decimals else digits)
        if match["code"] and decimals != 2:
            continue
        after = match["after"] if decimals else None  # "¥1,000-" is not a negative amount
        minus = any(sign and sign != "+" for sign in (match["before"], match["inner"], after))
        minus = minus or bool(match["open"] and match["close"])
        is_whole = not decimals and (
            currency or bool(match["dash"]) or (not notation.has_decimals and len(digits) <= 9)
        )
        is_amount = not percent and (decimals == 2 or is_whole)
        left, right = _x(line, places, start, False), _x(line, places, end, True)
        found.append(
            Number(-value if minus else value, start, end, left, right, decimals, percent, currency, is_amount)
        )
    return NumberedLine(line, text, tuple(found), places)


def _lay_out(line: TextLine, height: float) -> tuple[str, tuple[tuple[int, int], ...]]:
    text, places = "", []
    for at, word in enumerate(line.words):
        if at:
            text += COLUMN if word.left - line.words[at - 1].right > _WIDE * height else " "
        places.append((len(text), len(text) + len(word.text)))
        text += word.text
    return text, tuple(places)


def _x(line: TextLine, places: Sequence[tuple[int, int]], at: int, is_end: bool) -> float:
    """The horizontal place of a character of the text."""
    for word, (start, end) in zip(line.words, places, strict=True):
        if start <= at - is_end < end:
            return word.left + (at - start) / (end - start) * (word.right - word.left)
    return line.words[-1].right if is_end else line.words[0].left


@cache
def _pattern(mark: str) -> re.Pattern[str]:
    group = "," if mark == "." else "."
    whole = rf"\d{{1,3}}(?:(?P<group>[{group}'’{_SPACES}])\d{{3}}(?!\d)(?:(?P=group)\d{{3}}(?!\d))*)|\d+"
    lakh = r"\d{1,2}(?:,\d{2})+,\d{3}(?=\.)|" if mark == "." else ""
    return re.compile(
        rf"(?<![\w.,/:\-−–])(?P<open>\()?(?P<before>{_SIGN})? ?(?P<sign>{CURRENCY} ?)?(?P<inner>{_SIGN})? ?"  # noqa: RUF001
        rf"(?P<whole>{lakh}{whole})(?:{re.escape(mark)}(?P<decimals>\d{{1,4}}))?"
        rf"(?!\d|[.,:/\-]\d)(?P<percent> ?%)?(?P<dash>[.,][-–]{{1,2}})?"  # noqa: RUF001
        rf"(?P<tail> ?{CURRENCY}(?![A-Za-z]))?(?P<close>\))?"
        rf"(?P<after> ?[-−–](?![\d\w]))?(?:{_UNIT}\b|(?P<code>[A-Z*])(?!\w)|(?![A-Za-z]))",  # noqa: RUF001
    )
