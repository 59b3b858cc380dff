"""Amounts without decimals, as in yen, won or rupiah: adds two zero decimals before a document is read. Pure.

Everything else therefore handles only amounts with two decimals; `without_decimals` removes the zeros from the result.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from processors.statements.notation.dates import parse_date
from processors.statements.notation.words import PageWord, PageWords, group_lines, line_height
from processors.statements.preparation.digit_groups import convert_amounts, join_groups
from processors.statements.records import Statement, StatementDocument

_GROUPED = re.compile(
    r"(?P<amount>[^\d]{0,4}\d{1,3}(?:(?P<group>[.,'’ ])\d{3})(?:(?P=group)\d{3})*)(?P<rest>[^\d]{0,4})"
)
_SHORT = re.compile(r"(?P<amount>[-−–+▲△¥₩]{0,2}\d{1,3})(?P<rest>[-−–円원元]?)")
_WITH_DECIMALS = re.compile(r"\D{0,4}\d[\d.,'’]*[.,]\d\d\D{0,4}")
_GROUP = re.compile(r"\d{3}[-−–]?")
_GROUP_GAP = 0.5  # widths of a group of three digits
_LEAST = 5  # grouped amounts; fewer may be numbers of another kind
_MUCH_MORE = 3  # times as many as amounts with decimals
_ALIGNED = 1.0  # line heights by which the right edges of one column differ
_LEAST_IN_COLUMN = 2


def lacks_decimals(pages: Sequence[PageWords]) -> bool:
    """True if nearly all amounts of the document are whole numbers."""
    words = [word.text for page in pages for word in join_groups(page, _GROUP, _GROUP_GAP)]
    grouped = sum(bool(_GROUPED.fullmatch(word)) for word in words)
    others = sum(bool(_WITH_DECIMALS.fullmatch(word)) and not parse_date(word) for word in words)
    return grouped >= _LEAST and grouped > _MUCH_MORE * others


def add_decimals(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages with two zero decimals after each grouped number, and each short one in a column of grouped ones."""
    return [replace(page, words=tuple(_add(page))) for page in pages]


def without_decimals(document: StatementDocument) -> StatementDocument:
    """The document with its amounts as whole numbers again."""
    for statement in document.statements:
        remove_decimals(statement)
    for each in document.unread:
        each.text = re.sub(r"(?<=\d)[.,]00(?!\d)", "", each.text)
    return document


def remove_decimals(statement: Statement) -> None:
    """Make all amounts of a statement whole numbers, as printed."""
    convert_amounts(statement, lambda amount: amount.quantize(Decimal(1)))


def _add(page: PageWords) -> list[PageWord]:
    height = line_height(group_lines(page))
    words = join_groups(page, _GROUP, _GROUP_GAP)
    rights = [word.right for word in words if _GROUPED.fullmatch(word.text)]

    def in_column(word: PageWord) -> bool:
        return sum(abs(word.right - right) < _ALIGNED * height for right in rights) >= _LEAST_IN_COLUMN

    groups = Counter(match["group"] for word in words if (match := _GROUPED.fullmatch(word.text)))
    mark = "," if groups.most_common(1) and groups.most_common(1)[0][0] == "." else "."
    return [_with_zeros(word, mark if in_column(word) else "") for word in words]


def _with_zeros(word: PageWord, mark_of_column: str) -> PageWord:
    """mark_of_column: the decimal mark of the column that a short number is in; "" if it is in none."""
    match = _GROUPED.fullmatch(word.text)
    if match:
        mark = "," if match["group"] == "." else "."
        return replace(word, text=f"{match['amount']}{mark}00{match['rest']}")
    if mark_of_column and (match := _SHORT.fullmatch(word.text)):
        return replace(word, text=f"{match['amount']}{mark_of_column}00{match['rest']}")
    return word
