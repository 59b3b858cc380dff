"""Dates as printed on statements, with the months of many languages. Pure.

A date is first found as its printed parts (`PrintedDate`); their meaning is decided from the whole document
(`detect_date_order`) and from the statement's period (`resolve_date`), never from one row.
"""

import calendar
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import Literal

from processors.statements.notation.months import MONTH_OF, MONTH_PATTERN, number_of_month

DateOrder = Literal["dmy", "mdy", "ymd"]  # ymd: with two digits of the year

_NAME = MONTH_PATTERN
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff]")  # no space separates it from a date
_SHORT = re.compile(r"\d\d[-/.]\d\d[-/.]\d\d")  # the first or the last number may be the year
_LEAST_SHORT = 3  # fewer dates show no rule
_NEARLY_ALL = 0.8  # of the dates; OCR may misread the others
_BUDDHIST_ERA = 543  # years before the first one of the common era, in Thailand
_BUDDHIST = range(2480, 2640)
FIRST_OF_REIWA = 2019  # the Japanese era, whose first year is "元"
_SLACK = timedelta(days=45)  # a date further outside the period belongs to none of the adjacent years


# The names of months make these patterns large: compiled at their first use, because that takes 0.06 s of CPU time.
@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(pattern, re.IGNORECASE)
        for pattern in (
            r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d(?!\d:\d)|T\d)",  # or a time of day follows
            r"(?P<y>20\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?!\d)",
            r"(?P<y>\d{4})\s?[年년]\s?(?P<m>\d{1,2})\s?[月월]\s?(?P<d>\d{1,2})\s?[日일]",
            r"(?:令和\s?|R\.?)(?P<reiwa>\d{1,2}|元)\s?[年./-]\s?(?P<m>\d{1,2})\s?[月./-]\s?(?P<d>\d{1,2})\s?日?(?!\d)",
            r"(?P<m>\d{1,2})\s?[月월]\s?(?P<d>\d{1,2})\s?[日일]",
            r"(?P<a>\d{1,2})\s?[-/.]\s?(?P<b>\d{1,2})\s?[-/.](?P<y>\s?\d{4}|\d{2}(?!\.\d\d))(?!\d(?!\d:\d))",
            rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th|er)?\.?\s?(?:de\s)?[-/]?(?P<name>{_NAME})(?![^\W\d_])\.?"
            r"(?:,?\s?[-/]?(?:de\s)?(?P<y>\d{4}|'?\d{2}(?![\d.,:]"
            rf"|\s?[-/.]?(?:{_NAME})(?![^\W\d_]))))?",  # the day of another date follows: "02 Jan 03 Jan"
            rf"(?P<name>{_NAME})(?![^\W\d_])\.?\s?[-/]?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?![\d.])"
            r"(?:(?:,?\s?|-)(?P<y>\d{4})|/(?P<y2>\d{2})(?!\d))?",
            r"(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})\.?(?![\d/,])",
        )
    )


@cache
def _days() -> re.Pattern[str]:
    return re.compile(  # "01 - 31 Jan 2025", "1.-31.1.2025", "1 au 31 mars 2025"
        r"(?<!\d)(?P<first>\d{1,2})(?:er|st)?\.?\s?(?:[-–]|au|al|bis|to|tot|t/m|a)\s?(?P<last>\d{1,2})"
        rf"(?P<end>\.?\s?(?:{_NAME})[^\W\d_]*\.? \d{{4}}|\.\d{{1,2}}\.\d{{4}})",
        re.IGNORECASE,
    )


@cache
def _month() -> re.Pattern[str]:
    return re.compile(  # at the end of a line, of no date: "Periode: Maret 2025", "2025年3月分"
        rf"(?<![^\W_])(?<!\d[ .-])(?<!\d\. )(?:(?P<name>{_NAME})\.?,? ?/?(?P<y>(?:19|20)\d\d)"
        r"|(?P<y2>20\d\d)\s?[年년]\s?(?P<m>\d{1,2})\s?[月월][分度]?)\W*$",
        re.IGNORECASE,
    )


@cache
def _any_month() -> re.Pattern[str]:
    return re.compile(  # anywhere, of no date: "Extracto de marzo de 2025 IBAN …", "Auszug 03/2025"
        rf"(?<![^\W_])(?<!\d[ ./-])(?<!\d\. )(?:(?P<name>{_NAME})\.?,? ?/?(?:de |del )?(?P<y>(?:19|20)\d\d)"
        r"(?!\d|[ ,]*[/-] ?\d)|(?P<m>0?[1-9]|1[0-2])[/-](?P<y2>20\d\d)(?![\d/.-]))",
        re.IGNORECASE,
    )


@dataclass(frozen=True)
class PrintedDate:
    """A date's parts as printed. Either day and month are known, or `pair` is, in unknown order."""

    day: int | None
    month: int | None
    year: int | None  # four digits; None if none is printed
    pair: tuple[int, int] | None = None
    length: int = 0  # characters from the start of the text
    text: str = field(default="", compare=False)  # these characters


@lru_cache(1 << 14)
def parse_date(text: str) -> PrintedDate | None:
    """The date at the start of `text`, or None."""
    for pattern in _patterns():
        match = pattern.match(text)
        if match and (found := _printed(match)):
            return found
    return None


def shape_of(text: str) -> str:
    """The shape of a date, with digits as "9" and names of months as "a": dates of one notation have the same shape."""
    digits = re.sub(r"\d", "9", text.strip())
    return re.sub(r"[^\W\d_]+", lambda word: "a" if word[0].lower() in MONTH_OF else word[0], digits)


def find_dates(text: str) -> list[PrintedDate]:
    """All dates within a text, in order."""
    found, start = [], 0
    while start < len(text):
        at_word = start == 0 or not text[start - 1].isalnum() or _IDEOGRAPH.match(text[start - 1]) is not None
        if at_word and (one := parse_date(text[start:])):
            found.append(one)
            start += one.length
        else:
            start += 1
    return found


def detect_date_order(
    printed: Iterable[PrintedDate], period: tuple[date, date] | None = None, known: DateOrder | None = None
) -> DateOrder:
    """Decide whether day or month comes first in the numeric dates of one document.

    A number above twelve decides; then the number of dates in the period; then the order in which consecutive rows span
    fewer days, or `known`, the order of earlier documents. If nothing decides, the day comes first, as in most
    countries.
    """
    pairs = [each for each in printed if each.pair]
    if _puts_year_first(pairs):
        return "ymd"
    numbers = [each.pair for each in pairs if each.pair]
    firsts, seconds = sum(first > 12 for first, _ in numbers), sum(second > 12 for _, second in numbers)
    if firsts != seconds:
        return "dmy" if firsts > seconds else "mdy"
    costs = {order: _cost(pairs, order, period) for order in ("dmy", "mdy")}
    if known and costs[known][0] == min(outside for outside, _ in costs.values()):
        return known
    return "mdy" if costs["mdy"] < costs["dmy"] else "dmy"


def _puts_year_first(pairs: Sequence[PrintedDate]) -> bool:
    """True for "25.04.01", "25.04.15": the first of three numbers is the year, and the last one changes most."""
    texts = [each.text for each in pairs if _SHORT.fullmatch(each.text)]
    numbers = [[int(number) for number in re.findall(r"\d+", text)] for text in texts]
    if not numbers:
        return False
    usual = statistics.median_low(first for first, _, _ in numbers)
    good = [each for each in numbers if abs(each[0] - usual) <= 1 and 1 <= each[1] <= 12 and 1 <= each[2] <= 31]
    if len(good) < max(_LEAST_SHORT, _NEARLY_ALL * len(pairs)):
        return False
    years, _, days = (set(each) for each in zip(*good, strict=True))
    return max(years) - min(years) <= 1 and len(days) > len(years) + 1


def resolve_date(printed: PrintedDate, order: DateOrder, period: tuple[date, date] | None) -> date | None:
    """The calendar date; if no year is printed, with the year that puts it in the period or closest to it.

    None if there is no such day, or the year is unknown.
    """
    if order == "ymd" and printed.pair and printed.year and _SHORT.fullmatch(printed.text):
        return _date(2000 + printed.pair[0], printed.pair[1], printed.year % 100)
    day, month = _day_and_month(printed, order)
    if printed.year:
        return _date(printed.year, month, day)
    if period is None:
        return None
    start, end = period
    candidates = [_date(year, month, day) for year in range(start.year - 1, end.year + 2)]
    known = [each for each in candidates if each and start - _SLACK <= each <= end + _SLACK]
    return min(known, key=lambda each: _distance(each, start, end), default=None)


def find_period(lines: Sequence[str], order: DateOrder) -> tuple[date, date] | None:
    """The statement's period: the first that `find_periods` finds."""
    return next(find_periods(lines, order), None)


def find_periods(lines: Sequence[str], order: DateOrder) -> Iterator[tuple[date, date]]:
    """Two full dates on one line outside the table, at most 400 days apart; the first may lack its year."""
    for line in lines:
        found = find_dates(_days().sub(r"\g<first>\g<end> - \g<last>\g<end>", line))
        for first, second in zip(found, found[1:], strict=False):
            end = resolve_date(second, order, None)
            if end is None:
                continue
            start = resolve_date(first, order, None) or resolve_date(first, order, (end - timedelta(days=300), end))
            if start and timedelta(0) < end - start <= timedelta(days=400):
                yield start, end


def find_months(lines: Iterable[str], *, anywhere: bool = False) -> Iterator[tuple[date, date]]:
    """The first and the last day of each month that a line ends with, such as "March 2025", or names `anywhere`."""
    for line in lines:
        for match in (_any_month() if anywhere else _month()).finditer(line):
            year, number = int(match["y"] or match["y2"]), match["m"]
            month = int(number) if number else number_of_month(match["name"])
            if start := _date(year, month, 1):
                yield start, start.replace(day=calendar.monthrange(year, month)[1])


def _printed(match: re.Match[str]) -> PrintedDate | None:
    parts = match.groupdict()
    year = _year_of_reiwa(parts["reiwa"]) if parts.get("reiwa") else _year(parts.get("y") or parts.get("y2"))
    if parts.get("a"):
        pair = int(parts["a"]), int(parts["b"])
        possible = 1 <= min(pair) <= 12 and max(pair) <= 31
        return PrintedDate(None, None, year, pair, match.end(), match[0]) if possible else None
    month = number_of_month(parts["name"]) if parts.get("name") else int(parts["m"])
    day = int(parts["d"])
    possible = 1 <= month <= 12 and 1 <= day <= 31
    return PrintedDate(day, month, year, None, match.end(), match[0]) if possible else None


def _year_of_reiwa(text: str) -> int:
    return FIRST_OF_REIWA + (0 if text == "元" else int(text) - 1)


def _year(text: str | None) -> int | None:
    if not text:
        return None
    number = int(text.lstrip("'"))
    if number in _BUDDHIST:
        return number - _BUDDHIST_ERA
    return number if number > 99 else 2000 + number if number < 70 else 1900 + number


def _day_and_month(printed: PrintedDate, order: DateOrder) -> tuple[int, int]:
    if printed.pair is None:
        assert printed.day is not None and printed.month is not None  # see `PrintedDate`
        return printed.day, printed.month
    first, second = printed.pair
    return (first, second) if order == "dmy" else (second, first)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _distance(each: date, start: date, end: date) -> timedelta:
    return max(start - each, each - end, timedelta(0))


def _cost(pairs: Sequence[PrintedDate], order: DateOrder, period: tuple[date, date] | None) -> tuple[int, int]:
    """How badly an order fits: the number of dates that are invalid or outside the period, then days between rows."""
    year = next((each.year for each in pairs if each.year), 2024)
    read = [_date(each.year or year, *reversed(_day_and_month(each, order))) for each in pairs]
    outside = sum(each is None or bool(period and not period[0] <= each <= period[1]) for each in read)
    known = [each for each in read if each]
    return outside, sum(abs((b - a).days) for a, b in zip(known, known[1:], strict=False))
