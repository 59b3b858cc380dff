"""The dates on a line of a statement's table, found among its words by the positions of their columns. Pure."""

import re
from collections.abc import Sequence

from processors.statements.notation.dates import PrintedDate, parse_date
from processors.statements.notation.keywords import Column
from processors.statements.notation.words import PageWord, split_cells
from processors.statements.table.headings import Heading

_BOTH_DATES = re.compile(r"([^/]+)/([^/]+)|(\d\d\.\d\d\.)(\d\d\.\d\d\.)")
_DATE_GAP = 1.2  # line heights between the words of one date
DATE_WORDS = 4  # of one date at most
LOOSE = 2.0  # line heights that a cell may be left of its heading
_FAR = 4.0  # line heights right of a heading at most; a date further right is text
RUNNING_GAP = 0.6  # line heights; closer text after an amount is a sentence around it
YEAR = re.compile(r"(?:19|20)\d\d")
TIME = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")
TIME_AFTER = re.compile(r"[-–T,/|]?\d{1,2}:\d\d(?::\d\d)?")  # in one word with its date


def take_year(words: list[PageWord], headings: Sequence[Heading], height: float) -> int | None:
    """Remove a year without day and month in a column of dates, and return it."""
    lefts = [heading.left for heading in headings if heading.column in ("date", "value_date")]
    years = [
        word
        for word in words
        if YEAR.fullmatch(word.text) and any(abs(word.left - left) < LOOSE * height for left in lefts)
    ]
    for word in years:
        words.remove(word)
    return int(years[0].text) if years else None


def take_time(words: list[PageWord], headings: Sequence[Heading], height: float) -> None:
    """Remove a time of day in the column of dates: below a date, or right after it."""
    window = date_window("date", headings, height)
    for before, word in zip([None, *words], list(words), strict=False):
        if window is None or not TIME.fullmatch(word.text) or word.left < window[0]:
            continue
        is_after = (
            before is not None
            and word.left - before.right < _DATE_GAP * height
            and window[0] <= before.left < window[1]
            and parse_date(before.text)
        )
        if is_after or (word is words[0] and abs(word.left - _left_of("date", headings)) < LOOSE * height):
            words.remove(word)
            return


def _left_of(column: Column, headings: Sequence[Heading]) -> float:
    return min(heading.left for heading in headings if heading.column == column)


def take_both_dates(words: list[PageWord], headings: Sequence[Heading]) -> tuple[PrintedDate, PrintedDate] | None:
    """Booking date and value date in one word: "02.01./03.01.", or "02.01.03.01." where OCR lost the space."""
    heading = next((each for each in headings if each.column == "date"), None)
    if heading is None:
        return None
    for word in words:
        match = _BOTH_DATES.fullmatch(word.text)
        if match is None or word.left >= heading.right:
            continue
        one, other = (text for text in match.groups() if text)
        first, second = parse_date(one), parse_date(other)
        if first and second and second.length == len(other):
            words.remove(word)
            return first, second
    return None


def take_date(words: list[PageWord], column: Column, headings: Sequence[Heading], height: float) -> PrintedDate | None:
    """Remove the date in a column from the words, and return it."""
    window = date_window(column, headings, height)
    for at, word in enumerate(words):
        if window is None or not window[0] <= word.left < window[1] or _runs_on(words[:at], word, height):
            continue
        run = split_cells(words[at : at + DATE_WORDS], _DATE_GAP * height)[0]
        text = " ".join(each.text for each in run)
        opened = text.startswith("(")  # a value date in brackets below a booking date
        if printed := parse_date(text.removeprefix("(")):
            closed = opened and text[1 + printed.length :].startswith(")")
            _remove(words, at, printed.length + opened + closed)
            return printed
    return None


def _runs_on(before: Sequence[PageWord], word: PageWord, height: float) -> bool:
    """True if a word follows others as closely as within a sentence, one of which has letters."""
    near: list[PageWord] = [word]
    for each in reversed(before):
        if not 0 <= near[-1].left - each.right < RUNNING_GAP * height:
            break
        near.append(each)
    return any(char.isalpha() for each in near[1:] for char in each.text)


def date_window(column: Column, headings: Sequence[Heading], height: float) -> tuple[float, float] | None:
    """Where the words of a date in a column begin: from a left edge up to the next column's."""
    heading = next((each for each in headings if each.column == column), None)
    if heading is None:
        return None
    left = heading.left - LOOSE * height if min(h.left for h in headings) < heading.left else float("-inf")
    right = min((h.left for h in headings if h.left > heading.left), default=float("inf"))
    return left, min(max(right, heading.right), heading.right + _FAR * height)


def _remove(words: list[PageWord], at: int, length: int) -> None:
    """Remove `length` characters of the words joined by spaces, from word `at` on."""
    while length > 0 and at < len(words):
        word = words[at]
        if len(word.text) <= length:
            del words[at]
            length -= len(word.text) + 1
        else:
            rest = word.text[length:].strip()
            rest = "" if TIME_AFTER.fullmatch(rest) else rest
            share = (word.right - word.left) * length / len(word.text)
            words[at : at + 1] = (
                [PageWord(rest, word.left + share, word.top, word.right, word.bottom, word.confidence)]
                if any(char.isalnum() for char in rest)
                else []
            )
            return
