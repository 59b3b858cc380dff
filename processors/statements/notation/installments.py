"""Installments of a purchase on a card, such as the seventh of ten, "07/10": dated as many months ago. Pure."""

import re
from datetime import date

_NUMBER = re.compile(r"(?<![\d/.-])(\d{1,2})/(\d{2})(?![\d/.-])")
_SLACK = 1  # months


def is_installment(text: str, day: date, end: date) -> bool:
    """True if a row names an installment, and its purchase was that many months before the end of the period."""
    months = 12 * (end.year - day.year) + end.month - day.month
    numbers = [(int(match[1]), int(match[2])) for match in _NUMBER.finditer(text)]
    return day <= end and any(1 <= at <= count and abs(months - at) <= _SLACK for at, count in numbers)
