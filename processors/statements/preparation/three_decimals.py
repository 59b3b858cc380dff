"""Amounts with three decimals, as in Omani rials or Tunisian dinars: multiplies them by ten before a document is read.

Everything else therefore handles only amounts with two decimals; `with_three_decimals` divides the result by ten. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from processors.statements.notation.words import PageWord, PageWords
from processors.statements.preparation.digit_groups import convert_amounts, join_groups
from processors.statements.records import StatementDocument

_AMOUNT = re.compile(
    r"(?P<before>[^\d]{0,5})(?P<whole>\d{1,3}(?:(?P<group>[.,'’ ])\d{3})(?:(?P=group)\d{3})*|\d+)"
    r"(?P<mark>[.,])(?P<decimals>\d{3})(?P<after>[^\d]{0,5})"
)
_WITH_CENTS = re.compile(r"\D{0,5}\d[\d.,'’ ]*[.,]\d\d\D{0,5}")
_CURRENCY = re.compile(
    r"\b(?:OMR|KWD|BHD|JOD|TND|LYD|IQD|omani rials?|rials? omani|(?:kuwaiti|bahraini|jordanian|tunisian) dinars?)\b",
    re.IGNORECASE,
)
_LAST_GROUP = re.compile(r"\d{3},\d{3}[-−–]?")
_GROUP_GAP = 0.4  # widths of the last group, from the group before it
_LEAST = 5  # amounts; fewer may be numbers of another kind
_MUCH_MORE = 3  # times as many as amounts with two decimals


def has_three_decimals(pages: Sequence[PageWords]) -> bool:
    """True if nearly all amounts of a document have three decimals, and it names a currency that has them."""
    words = [word.text for page in pages for word in join_groups(page, _LAST_GROUP, _GROUP_GAP)]
    amounts = sum(_match(word) is not None for word in words)
    others = sum(_WITH_CENTS.fullmatch(word) is not None for word in words)
    is_usual = amounts >= _LEAST and amounts > _MUCH_MORE * others
    return is_usual and any(_CURRENCY.search(line.text) for page in pages for line in page.lines)


def multiply_by_ten(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages with "12,345.67" instead of "1,234.567"."""
    return [replace(page, words=tuple(map(_multiply, join_groups(page, _LAST_GROUP, _GROUP_GAP)))) for page in pages]


def with_three_decimals(document: StatementDocument) -> StatementDocument:
    """The document with its amounts as printed."""
    for statement in document.statements:
        convert_amounts(statement, lambda amount: amount.scaleb(-1))
    for each in document.unread:
        each.text = re.sub(r"(?<![\d.,])\d[\d.,]*[.,]\d\d(?!\d)", lambda match: _divided(match[0]), each.text)
    return document


def _divided(text: str) -> str:
    mark = text[-3]
    digits = re.sub(r"\D", "", text).zfill(4)
    return f"{digits[:-3]}{mark}{digits[-3:]}"


def _match(text: str) -> re.Match[str] | None:
    match = _AMOUNT.fullmatch(text)
    return match if match and match["group"] != match["mark"] else None


def _multiply(word: PageWord) -> PageWord:
    match = _match(word.text)
    if not match:
        return word
    digits = re.sub(r"\D", "", match["whole"]) + match["decimals"]
    whole = f"{int(digits[:-2]):,}" if match["group"] else str(int(digits[:-2]))
    group = "." if match["mark"] == "," else ","
    amount = f"{whole.replace(',', group)}{match['mark']}{digits[-2:]}"
    return replace(word, text=f"{match['before']}{amount}{match['after']}")
