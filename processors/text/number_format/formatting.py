"""Shows the value of a cell as its number format asks for.

The decimal mark is "." and the thousands separator "," as in the file, which does not say in which country it is read.
For the same reason, the two formats that follow the reader's country (14 and 22) give ISO 8601 dates.
"""

import datetime
import math
from decimal import Decimal

from processors.text.number_format.digits import show_digits
from processors.text.number_format.plain import Value, plain
from processors.text.number_format.sections import Section, choose_section, parse_sections
from processors.text.number_format.times import show_time

_OF_THE_COUNTRY = {"mm-dd-yy", "m/d/yy h:mm"}  # openpyxl's names of the formats 14 and 22


def show(value: Value, number_format: str | None) -> str:
    """The value as the format shows it: "" if it hides the value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    sections = parse_sections(number_format or "General")
    try:
        if isinstance(value, datetime.datetime | datetime.date | datetime.time | datetime.timedelta):
            return plain(value) if number_format in _OF_THE_COUNTRY else show_time(value, sections[0])
        if isinstance(value, int | float):
            return _show_number(float(value), value, sections)
    except (ValueError, ArithmeticError, IndexError):
        return plain(value)
    return _show_text(str(value), sections)


def _show_text(text: str, sections: tuple[Section, ...]) -> str:
    last = sections[-1]
    if not any(token.kind == "text" for token in last.tokens):
        return "" if len(sections) == 4 and not last.tokens else text
    return "".join(text if token.kind == "text" else token.text for token in last.tokens)


def _show_number(number: float, value: int | float, sections: tuple[Section, ...]) -> str:
    if not math.isfinite(number):
        return plain(value)
    section, is_signed = choose_section(number, sections)
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
    return show_digits(Decimal(repr(abs(number))), section, sign)


# ------------------------------------------------------------------------------------------ dates
