"""Amounts with three decimals, as in Omani rials or Tunisian dinars: multiplies them by ten before a document is read.

Everything else therefore handles only amounts with two decimals; `with_three_decimals` divides the result by ten. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from processors.statements.notation.words import PageWord, PageWords, group_lines
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
_FIRST_GROUP = re.compile(r"[-−–+]?\d{1,3}(?: \d{3})*")
_LAST_GROUP = re.compile(r"\d{3},\d{3}[-−–]?")
_GROUP_GAP = 0.4  # widths of the last group, from the group before it
_LEAST = 5  # amounts; fewer may be numbers of another kind
_MUCH_MORE = 3  # times as many as amounts with two decimals


def has_three_decimals(pages: Sequence[PageWords]) -> bool:
    """True if nearly all amounts of a document have three decimals, and it names a currency that has them."""
    words = [word.text for page in pages for word in _join_groups(page)]
    amounts = sum(_match(word) is not None for word in words)
    others = sum(_WITH_CENTS.fullmatch(word) is not None for word in words)
    is_usual = amounts >= _LEAST and amounts > _MUCH_MORE * others
    return is_usual and any(_CURRENCY.search(line.text) for page in pages for line in page.lines)


def multiply_by_ten(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages with "12,345.67" instead of "1,234.567"."""
    return [replace(page, words=tuple(map(_multiply, _join_groups(page)))) for page in pages]


def with_three_decimals(document: StatementDocument) -> StatementDocument:
    """The document with its amounts as printed."""
    for statement in document.statements:
        for item in (statement, *statement.rows, *statement.anchors):
            _divide(item)
    for each in document.unread:
        each.text = re.sub(r"(?<![\d.,])\d[\d.,]*[.,]\d\d(?!\d)", lambda match: _divided(match[0]), each.text)
    return document


def _divide(item: object) -> None:
    for name, value in vars(item).items():
        if isinstance(value, Decimal):
            setattr(item, name, value.scaleb(-1))


def _divided(text: str) -> str:
    mark = text[-3]
    digits = re.sub(r"\D", "", text).zfill(4)
    return f"{digits[:-3]}{mark}{digits[-3:]}"


def _join_groups(page: PageWords) -> list[PageWord]:
    """The words, with "1" and "234,567" close to each other joined to "1 234,567"."""
    found: list[PageWord] = []
    for line in group_lines(page):
        first = len(found)
        for word in line.words:
            last = found[-1] if len(found) > first else None
            is_group = last is not None and _FIRST_GROUP.fullmatch(last.text) and _LAST_GROUP.fullmatch(word.text)
            if last and is_group and word.left - last.right < _GROUP_GAP * (word.right - word.left):
                found[-1] = replace(last, text=f"{last.text} {word.text}", right=word.right)
            else:
                found.append(word)
    return found


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
