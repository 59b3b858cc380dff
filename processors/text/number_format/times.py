"""Dates, times and durations, as the tokens of a number format ask for."""

import datetime
import locale
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from processors.text.number_format.plain import Value, plain
from processors.text.number_format.sections import Section, Token


def show_time(value: Value, section: Section) -> str:
    """A date, a time or a duration as a section shows it; without a format where the section does not fit it."""
    tokens = section.tokens
    if not section.is_date:
        return plain(value)
    if isinstance(value, datetime.timedelta) and not any(token.kind == "elapsed" for token in tokens):
        return plain(value)
    if isinstance(value, datetime.time) and any(token.kind == "date" and token.text[0] in "ydYD" for token in tokens):
        return plain(value)  # day 0, which no calendar has
    return "".join(_time_parts(value, section)).strip()


def _time_parts(value: Value, section: Section) -> Iterator[str]:
    tokens = section.tokens
    has_halves = any(token.kind == "half" for token in tokens)
    clock = _Clock.of(value)
    timed = [token for token in tokens if token.kind in ("date", "elapsed")]
    position = -1
    for token in tokens:
        if token.kind == "half":
            yield ("AM" if clock.hour < 12 else "PM")[: 1 if token.text.upper() == "A/P" else 2]
        elif token.kind == "elapsed":
            position += 1
            yield clock.elapsed(token.text)
        elif token.kind == "date":
            position += 1
            letter, width = token.text[0].lower(), len(token.text)
            if letter == "m" and width <= 2 and _is_minute(timed, position):
                yield f"{clock.minute:0{width}}"
            elif letter == "h":
                hour = (clock.hour % 12 or 12) if has_halves else clock.hour
                yield f"{hour:0{min(width, 2)}}"
            elif letter == "s":
                yield clock.seconds(token.text)
            else:
                yield _date_part(value, letter, width, section.language)
        else:
            yield token.text


def _is_minute(timed: list[Token], position: int) -> bool:
    """True for an "m" after hours or before seconds."""
    before = timed[position - 1].text[0].lower() if position else ""
    after = timed[position + 1].text[0].lower() if position + 1 < len(timed) else ""
    return before == "h" or after == "s"


@dataclass(frozen=True)
class _Clock:
    total: float  # seconds, of a duration also beyond a day
    hour: int
    minute: int
    second: float

    @classmethod
    def of(cls, value: Value) -> "_Clock":
        if isinstance(value, datetime.timedelta):
            total = value.total_seconds()
        elif isinstance(value, datetime.datetime | datetime.time):
            total = value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
        else:
            total = 0.0
        within = total % 86_400
        return cls(total, int(within // 3600), int(within // 60 % 60), within % 60)

    def elapsed(self, unit: str) -> str:
        size = {"h": 3600, "m": 60, "s": 1}[unit[0]]
        return f"{int(abs(self.total) // size):0{len(unit)}}" if self.total >= 0 else f"-{int(-self.total // size)}"

    def seconds(self, pattern: str) -> str:
        whole, _, places = pattern.partition(".")
        width = min(len(whole), 2)
        return f"{self.second:0{width + 1 + len(places)}.{len(places)}f}" if places else f"{int(self.second):0{width}}"


def _date_part(value: Value, letter: str, width: int, language: int) -> str:
    if not isinstance(value, datetime.date):
        return ""
    match letter, width:
        case (("y" | "e"), _):
            return f"{value.year:04}" if width > 2 or letter == "e" else f"{value.year % 100:02}"
        case "m", 1 | 2:
            return f"{value.month:0{width}}"
        case "d", 1 | 2:
            return f"{value.day:0{width}}"
        case "m", _:
            name = _names(language, "months", "abbreviated" if width == 3 else "wide")[value.month]
            return name[0] if width == 5 else name
        case "d", _:
            return _names(language, "days", "abbreviated" if width == 3 else "wide")[value.weekday()]
    return ""


@lru_cache(maxsize=100)
def _names(language: int, what: str, width: str) -> dict[int, str]:
    from babel import Locale, UnknownLocaleError

    try:
        found = Locale.parse(locale.windows_locale.get(language, "en_US"))
    except (UnknownLocaleError, ValueError):
        found = Locale("en", "US")
    names = found.months if what == "months" else found.days
    return dict(names["format"][width])
