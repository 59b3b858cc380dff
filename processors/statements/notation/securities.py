"""Securities in lines of text, by their numbers. Pure."""

import re

_ISIN = re.compile(r"\b[A-Z]{2}[A-Z0-9]{9}\d\b")


def names_security(text: str) -> bool:
    """True if a text contains an ISIN with the right check digit (ISO 6166)."""
    for match in _ISIN.finditer(text):
        digits = [int(digit) for char in match[0] for digit in str(int(char, 36))][::-1]
        doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
        if (sum(digits[::2]) + doubled) % 10 == 0:
            return True
    return False
