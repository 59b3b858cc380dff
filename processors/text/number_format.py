"""Values of spreadsheet cells as their number formats show them (ECMA-376, part 1, 18.8.31). Pure.

The decimal mark is "." and the thousands separator "," as in the file, which does not say in which country it is read.
For the same reason, the two formats that follow the reader's country (14 and 22) give ISO 8601 dates.
"""

import datetime
import locale
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

Value = object  # of a cell, as openpyxl gives it
_OF_THE_COUNTRY = {"mm-dd-yy", "m/d/yy h:mm"}  # openpyxl's names of the formats 14 and 22
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<blank>.)|\*(?P<filled>.)|\[\$(?P<currency>[^\]]*)\]|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<half>AM/PM|A/P)|(?P<general>General)|(?P<exponent>E[+-])|(?P<date>y+|m+|d+|h+|s+(?:\.0+)?|e+|g+)"
    r"|(?P<digits>[0#?]+)|(?P<text>@)|(?P<other>.)",
    re.I | re.S,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?\d+(?:\.\d+)?)")
_ELAPSED = re.compile(r"h+|m+|s+", re.I)
_SECTION = re.compile(r'("[^"]*"?|\\.|\[[^\]]*\]|[^;"\\\[]|\[)+|(?<=;)(?=;)|(?<=;)$|^(?=;)', re.S)
_MOST_DIGITS = 15  # significant, of a number in a spreadsheet
_LARGEST_PLAIN = 1e15
_FRACTION = re.compile(r"([#0?]*)\s*([#0?]+)\s*/\s*([#0?]+|\d+)")


@dataclass(frozen=True)
class _Token:
    kind: str  # the name of a group of `_TOKEN`; or "elapsed"
    text: str


@dataclass(frozen=True)
class _Section:
    tokens: tuple[_Token, ...]
    condition: tuple[str, float] | None = None
    language: int = 0  # LCID of [$-407]; 0: none

    @property
    def is_date(self) -> bool:
        return any(token.kind in ("date", "elapsed", "half") for token in self.tokens)

    @property
    def is_general(self) -> bool:
        return any(token.kind == "general" for token in self.tokens)

    @property
    def has_digits(self) -> bool:
        return any(token.kind == "digits" for token in self.tokens)


def show(value: Value, number_format: str | None) -> str:
    """The value as the format shows it: "" if it hides the value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    sections = _sections(number_format or "General")
    try:
        if isinstance(value, datetime.datetime | datetime.date | datetime.time | datetime.timedelta):
            return plain(value) if number_format in _OF_THE_COUNTRY else _show_time(value, sections[0])
        if isinstance(value, int | float):
            return _show_number(float(value), value, sections)
    except (ValueError, ArithmeticError, IndexError):
        return plain(value)
    return _show_text(str(value), sections)


def plain(value: Value) -> str:
    """The value without a format."""
    match value:
        case datetime.datetime():
            return value.isoformat(" ").removesuffix(" 00:00:00")
        case datetime.timedelta():
            return _clock(value)
        case float():
            if not math.isfinite(value):
                return str(value)
            return (
                str(int(value)) if value.is_integer() and abs(value) < _LARGEST_PLAIN else f"{value:.{_MOST_DIGITS}g}"
            )
    return str(value)


def _clock(value: datetime.timedelta) -> str:
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


# ------------------------------------------------------------------------------------------ parsing


@lru_cache(maxsize=1000)
def _sections(number_format: str) -> tuple[_Section, ...]:
    parts = [match[0] for match in _SECTION.finditer(number_format)][:4] or ["General"]
    return tuple(_section(part) for part in parts)


def _section(part: str) -> _Section:
    tokens: list[_Token] = []
    condition, language = None, 0
    for match in _TOKEN.finditer(part):
        kind = str(match.lastgroup)
        text = match[kind]
        if kind == "currency":
            symbol, _, code = text.partition("-")
            language = int(code[-4:], 16) if re.fullmatch(r"[0-9A-Fa-f]+", code) else language
            tokens += [_Token("quoted", symbol)] if symbol else []
        elif kind == "bracket":
            found = _CONDITION.fullmatch(text.strip())
            condition = (found[1], float(found[2])) if found else condition
            tokens += [_Token("elapsed", text.lower())] if _ELAPSED.fullmatch(text) else []
        elif kind == "blank":
            tokens.append(_Token("quoted", " "))
        elif kind in ("escaped", "other") and not (kind == "other" and text in ".,%/"):
            tokens.append(_Token("quoted", text))
        elif kind != "filled":
            tokens.append(_Token(kind, text))
    return _Section(tuple(tokens), condition, language)


def _chosen(number: float, sections: tuple[_Section, ...]) -> tuple[_Section, bool]:
    """The section for a number, and whether the section replaces its sign."""
    of_numbers = [each for each in sections if not any(token.kind == "text" for token in each.tokens)] or list(sections)
    if any(each.condition for each in of_numbers):
        for each in of_numbers:
            if each.condition is None or _holds(number, each.condition):
                return each, each.condition is not None and each.condition[0] in ("<", "<=") and number < 0
        return of_numbers[-1], False
    if number < 0 and len(of_numbers) > 1:
        return of_numbers[1], True
    if number == 0 and len(of_numbers) > 2:
        return of_numbers[2], False
    return of_numbers[0], False


def _holds(number: float, condition: tuple[str, float]) -> bool:
    sign, limit = condition
    return {
        "<": number < limit,
        "<=": number <= limit,
        ">": number > limit,
        ">=": number >= limit,
        "=": number == limit,
        "<>": number != limit,
    }[sign]


# ------------------------------------------------------------------------------------------ text and numbers


def _show_text(text: str, sections: tuple[_Section, ...]) -> str:
    last = sections[-1]
    if not any(token.kind == "text" for token in last.tokens):
        return "" if len(sections) == 4 and not last.tokens else text
    return "".join(text if token.kind == "text" else token.text for token in last.tokens)


def _show_number(number: float, value: int | float, sections: tuple[_Section, ...]) -> str:
    if not math.isfinite(number):
        return plain(value)
    section, is_signed = _chosen(number, sections)
    if section.is_date:
        return plain(value)  # openpyxl found no date in it, such as of a negative number
    sign = "" if is_signed or number >= 0 else "-"
    if section.is_general or any(token.kind == "text" for token in section.tokens):
        shown = plain(abs(value))
        texts = [shown if token.kind in ("general", "text") else token.text for token in section.tokens]
        return sign + "".join(texts)
    if not section.has_digits:
        text = "".join(token.text for token in section.tokens)
        return sign + text if text else ""
    return _show_digits(Decimal(repr(abs(number))), section, sign)


def _show_digits(number: Decimal, section: _Section, sign: str) -> str:
    tokens = section.tokens
    digits = [index for index, token in enumerate(tokens) if token.kind == "digits"]
    first, last = digits[0], digits[-1]
    after = last + 1
    while after < len(tokens) and tokens[after] == _Token("other", ","):
        number /= 1000
        after += 1
    number *= Decimal(100) ** sum(token == _Token("other", "%") for token in tokens)
    core = tokens[first : last + 1]
    before, behind = ("".join(token.text for token in part) for part in (tokens[:first], tokens[after:]))
    kinds = {token.kind for token in core}
    if any(token == _Token("other", "/") for token in tokens):
        pattern = "".join(token.text for token in tokens[first:])
        return f"{sign}{before}{_fraction(number, pattern)}"
    if "exponent" in kinds:
        shown = _scientific(number, core)
    elif "quoted" in kinds:
        shown = _interleaved(number, core)
    else:
        shown = _decimal(number, "".join(token.text for token in core))
    if not any(char in "123456789" for char in shown):
        sign = ""  # it is rounded to zero
    return f"{sign}{before}{shown}{behind}"


def _decimal(number: Decimal, pattern: str) -> str:
    """A number in digits, such as "#,##0.00"."""
    whole, point, places = pattern.partition(".")
    is_grouped = "," in whole
    whole = whole.replace(",", "")
    places = places.replace(",", "")
    rounded = number.quantize(Decimal(1).scaleb(-len(places)), ROUND_HALF_UP)
    left, _, right = f"{rounded:f}".partition(".")
    left = left.lstrip("0").rjust(whole.count("0"), "0")
    if is_grouped and left:
        left = _grouped(left)
    optional = len(places) - len(places.rstrip("#?"))
    while optional and right.endswith("0"):
        right, optional = right[:-1], optional - 1
    return f"{left}{point}{right}" if point else left


def _grouped(digits: str) -> str:
    start = len(digits) % 3
    groups = [digits[:start], *(digits[at : at + 3] for at in range(start, len(digits), 3))]
    return ",".join(group for group in groups if group)


def _interleaved(number: Decimal, core: tuple[_Token, ...]) -> str:
    """Digits with text between them, such as 000-0000, filled from the right."""
    if any(token == _Token("other", ".") for token in core):
        head = "".join(token.text for token in core if token.kind in ("digits", "other"))
        return _decimal(number, head)
    slots = sum(len(token.text) for token in core if token.kind == "digits")
    left = f"{number.quantize(Decimal(1), ROUND_HALF_UP):f}"
    zeros = sum(token.text.count("0") for token in core)
    left = left.lstrip("0").rjust(zeros, "0").rjust(slots, "\0")
    extra, left = left[: len(left) - slots], left[len(left) - slots :]
    found, at = [extra], 0
    for token in core:
        if token.kind == "digits":
            found.append(left[at : at + len(token.text)])
            at += len(token.text)
        elif token.text != ",":
            found.append(token.text)
    return "".join(found).replace("\0", "")


def _scientific(number: Decimal, core: tuple[_Token, ...]) -> str:
    at = next(index for index, token in enumerate(core) if token.kind == "exponent")
    pattern = "".join(token.text for token in core[:at])
    width = sum(len(token.text) for token in core[at + 1 :] if token.kind == "digits")
    step = max(1, len(pattern.partition(".")[0].replace(",", "")))
    exponent = math.floor(number.adjusted() / step) * step if number else 0
    shown = _decimal(number.scaleb(-exponent), pattern)
    if number and Decimal(shown) >= Decimal(10) ** step:  # rounded up
        exponent += step
        shown = _decimal(number.scaleb(-exponent), pattern)
    sign = "-" if exponent < 0 else "+" if core[at].text.endswith("+") else ""
    return f"{shown}E{sign}{abs(exponent):0{width}}"


def _fraction(number: Decimal, pattern: str) -> str:
    match = _FRACTION.match(pattern)
    if match is None:
        return plain(float(number))
    integer, _, denominator = match.groups()
    limit = int(denominator) if denominator.isdigit() and int(denominator) else 10 ** len(denominator) - 1
    whole = int(number) if integer else 0
    rest = float(number) - whole
    if denominator.isdigit() and int(denominator):
        above, below = round(rest * limit), limit
    else:
        from fractions import Fraction

        near = Fraction(rest).limit_denominator(limit)
        above, below = near.numerator, near.denominator
    if integer and above == below:
        whole, above = whole + 1, 0
    if not above:
        return str(whole)
    return f"{whole} {above}/{below}" if whole else f"{above}/{below}"


# ------------------------------------------------------------------------------------------ dates


def _show_time(value: Value, section: _Section) -> str:
    tokens = section.tokens
    if not section.is_date:
        return plain(value)
    if isinstance(value, datetime.timedelta) and not any(token.kind == "elapsed" for token in tokens):
        return plain(value)
    if isinstance(value, datetime.time) and any(token.kind == "date" and token.text[0] in "ydYD" for token in tokens):
        return plain(value)  # day 0, which no calendar has
    return "".join(_time_parts(value, section)).strip()


def _time_parts(value: Value, section: _Section) -> Iterator[str]:
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


def _is_minute(timed: list[_Token], position: int) -> bool:
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
