"""Values of cells without a format."""

import datetime
import math

Value = object  # of a cell, as openpyxl gives it
_MOST_DIGITS = 15  # significant, of a number in a spreadsheet
_LARGEST_PLAIN = 1e15


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
