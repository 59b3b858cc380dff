"""Accounts with the same number in several currencies, each below a title such as "Transaction History - GBP". Pure."""

from collections.abc import Iterable

from processors.statements.notation.currencies import CODES, CODES_LIKE_WORDS
from processors.statements.notation.words import PageWords, group_lines, line_height, split_cells

_SEPARATOR = "\x1f"  # between the number of an account and its currency
_MOST_WORDS = 6
_LABEL_GAP = 1.2  # line heights between the words of one title


def find_currencies(pages: Iterable[PageWords]) -> frozenset[str]:
    """The currencies that titles name, if there are several."""
    found = set()
    for page in pages:
        lines = group_lines(page)
        height = line_height(lines)
        titles = (line.text for line in lines if len(split_cells(line.words, _LABEL_GAP * height)) == 1)
        found |= {code for title in titles if (code := title_currency(title))}
    return frozenset(found) if len(found) > 1 else frozenset()


def title_currency(text: str) -> str:
    """The currency code at either end of a title; "" if the text is not such a title."""
    words = [word.strip("()[]:,") for word in text.split()]
    if not 1 < len(words) <= _MOST_WORDS or any(char.isdigit() for char in text):
        return ""
    named = [word for word in words if word in CODES or word in CODES_LIKE_WORDS]
    is_title = len(named) == 1 and named[0] in (words[0], words[-1]) and named[0] in CODES
    return named[0] if is_title else ""


def with_currency(account: str, code: str) -> str:
    return f"{number_of(account)}{_SEPARATOR}{code}"


def with_title(account: str, code: str, title: str) -> str:
    """The name of a further account with the same number; `code`: its currency, or "" if unknown."""
    return f"{number_of(account)}{_SEPARATOR}{code}{_SEPARATOR}{title}"


def number_of(account: str) -> str:
    return account.partition(_SEPARATOR)[0]


def currency_of_account(account: str) -> str:
    """The currency of an account that is one of several with the same number; "" if it is not."""
    return account.partition(_SEPARATOR)[2].partition(_SEPARATOR)[0]
