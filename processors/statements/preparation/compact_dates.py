"""Dates of four digits without separators, "0303" for 3 March, or in two words, "03 03": adds separators before a
document is read. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

from processors.statements.notation.dates import PrintedDate, parse_date
from processors.statements.notation.keywords import match_column, normalize
from processors.statements.notation.words import PageWord, PageWords, TextLine, group_lines, line_height

_ALIGNED = 0.7  # line heights by which the left edges of one column differ
_LEAST = 8  # fewer words may be numbers of another kind
_LEAST_BESIDE = 3  # the same for dates that are near those of their lines
_MOST_MONTHS = 3  # of one statement
_MOST_DAYS = 10  # from the date of a line to its other one
_NEARLY_ALL = 0.8
_USUAL = 0.6  # of the lines of a column that begin with a date: fewer begin with a number that looks like one
_LEAP_YEAR = 2024
_PAIR_GAP = 0.9  # line heights between the two words of a date; to other words, it is wider
_WIDE_GAP = 3.0  # the same below headings for the day and the month
_DAY_AND_MONTH = {
    *(("day", "month"), ("dia", "mes"), ("tag", "monat"), ("jour", "mois"), ("giorno", "mese"), ("dag", "maand")),
    *(("dd", "mm"), ("dag", "manad"), ("dag", "maned"), ("dzien", "miesiac"), ("gun", "ay")),
}
_BELOW = 3.0  # line heights by which the left edges of a date and of its heading differ


@dataclass(frozen=True)
class _Candidate:
    word: PageWord
    height: float  # of the lines of its page
    is_headed: bool  # as a date
    printed: PrintedDate | None  # the date that its line begins with


def add_date_marks(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages with "03.03." instead of "0303" in columns of nothing but such dates; day or month may be first.

    Where most lines begin with another date, such a number must be a day near it.
    """
    pages = [_join_pairs(page) for page in pages]
    columns = _find_columns(pages)
    return [
        replace(page, words=tuple(_with_marks(word) if id(word) in columns else word for word in page.words))
        for page in pages
    ]


def _join_pairs(page: PageWords) -> PageWords:
    """The page with "03.02." instead of "02" and "03" in a column of nothing but such pairs below a heading."""
    lines = group_lines(page)
    height = line_height(lines)
    lefts = _lefts_of_dates(lines)
    gap = _WIDE_GAP if _has_day_and_month(lines) else _PAIR_GAP
    pairs = [pair for line in lines for pair in _find_pairs(line.words, height, gap)]
    pairs = [pair for pair in pairs if any(abs(pair[0].left - left) <= _BELOW * height for left in lefts)]
    firsts, seconds = ([int(pair[at].text) for pair in pairs] for at in (0, 1))
    is_month_first = len(set(firsts)) <= len(set(seconds))
    months, days = (firsts, seconds) if is_month_first else (seconds, firsts)
    if len(pairs) < _LEAST_BESIDE or len(set(months)) > _MOST_MONTHS or max(months) > 12 or max(days) > 31:
        return page
    dates = {id(first): (second, first) if is_month_first else (first, second) for first, second in pairs}
    rights = {id(first): second.right for first, second in pairs}
    dropped = {id(second) for _, second in pairs}
    words = [
        replace(word, text=f"{dates[id(word)][0].text}.{dates[id(word)][1].text}.", right=rights[id(word)])
        if id(word) in dates
        else word
        for word in page.words
        if id(word) not in dropped
    ]
    return replace(page, words=tuple(words))


def _lefts_of_dates(lines: Sequence[TextLine]) -> list[float]:
    """The left edges of the headings of dates."""
    return [word.left for line in lines for word in line.words if match_column(word.text) in ("date", "value_date")]


def _has_day_and_month(lines: Sequence[TextLine]) -> bool:
    """True if a day and a month have headings of their own, side by side."""
    texts = [[normalize(word.text) for word in line.words] for line in lines]
    return any((a, b) in _DAY_AND_MONTH or (b, a) in _DAY_AND_MONTH for each in texts for a, b in pairwise(each))


def _find_pairs(words: Sequence[PageWord], height: float, gap: float) -> Iterator[tuple[PageWord, PageWord]]:
    """Two words of two digits each, at most `gap` line heights apart, and far from all others."""
    for before, first, second, after in zip([None, *words], words, words[1:], [*words[2:], None], strict=False):
        is_pair = all(len(word.text) == 2 and word.text.isdecimal() for word in (first, second))
        is_near = 0 <= second.left - first.right < gap * height
        is_apart = (before is None or first.left - before.right > _PAIR_GAP * height) and (
            after is None or after.left - second.right > _PAIR_GAP * height
        )
        if is_pair and is_near and is_apart and int(first.text) and int(second.text):
            yield first, second


def _find_columns(pages: Sequence[PageWords]) -> set[int]:
    """The ids of the words."""
    found: set[int] = set()
    candidates = sorted((each for page in pages for each in _candidates(page)), key=lambda each: each.word.left)
    columns: list[list[_Candidate]] = []
    for each in candidates:
        if columns and each.word.left - columns[-1][-1].word.left <= _ALIGNED * each.height:
            columns[-1].append(each)
        else:
            columns.append([each])
    for column in columns:
        if _are_dates_of_rows(column) if _begin_with_dates(column) else _are_dates(column):
            found |= {id(each.word) for each in column}
    return found


def _candidates(page: PageWords) -> list[_Candidate]:
    """Words of four digits."""
    lines = group_lines(page)
    height = line_height(lines)
    lefts = _lefts_of_dates(lines)
    return [
        _Candidate(
            word, height, any(abs(word.left - left) <= _ALIGNED * height for left in lefts), parse_date(line.text)
        )
        for line in lines
        for word in line.words
        if len(word.text) == 4 and word.text.isdecimal()
    ]


def _begin_with_dates(column: Sequence[_Candidate]) -> bool:
    return sum(each.printed is not None for each in column) >= _USUAL * len(column)


def _are_dates(column: Sequence[_Candidate]) -> bool:
    firsts, seconds = ([int(each.word.text[part]) for each in column] for part in (slice(2), slice(2, 4)))
    least = _LEAST_BESIDE if column[0].is_headed else _LEAST
    return len(column) >= least and any(
        len(set(months)) <= _MOST_MONTHS
        and 1 <= min(months) <= max(months) <= 12
        and 1 <= min(days) <= max(days) <= 31
        and len(set(days)) > len(set(months))
        for days, months in ((firsts, seconds), (seconds, firsts))
    )


def _are_dates_of_rows(column: Sequence[_Candidate]) -> bool:
    """True if nearly all numbers are days near those that their lines begin with, in one order of day and month."""
    beside = [(each.word, each.printed) for each in column if each.printed]
    near = [sum(_is_near(word, printed, month_first=order) for word, printed in beside) for order in (False, True)]
    return len(beside) >= _LEAST_BESIDE and max(near) >= _NEARLY_ALL * len(column)


def _is_near(word: PageWord, printed: PrintedDate, *, month_first: bool) -> bool:
    numbers = int(word.text[:2]), int(word.text[2:])
    own = _day_of(numbers, month_first=month_first)
    pair = printed.pair or (printed.day, printed.month)
    other = _day_of(pair, month_first=month_first and printed.pair is not None)
    return own is not None and other is not None and min(abs(own - other), 366 - abs(own - other)) <= _MOST_DAYS


def _day_of(numbers: tuple[int | None, int | None], *, month_first: bool) -> int | None:
    """The day of a leap year, from 1; None if there is no such day."""
    day, month = reversed(numbers) if month_first else numbers
    try:
        return date(_LEAP_YEAR, month or 0, day or 0).timetuple().tm_yday
    except ValueError:
        return None


def _with_marks(word: PageWord) -> PageWord:
    return replace(word, text=f"{word.text[:2]}.{word.text[2:]}.")
