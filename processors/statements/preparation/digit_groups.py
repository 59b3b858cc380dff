"""What documents whose amounts do not have two decimals share: groups of digits, and amounts as printed. Pure."""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from processors.statements.notation.words import PageWord, PageWords, group_lines
from processors.statements.records import Statement

_FIRST_GROUP = re.compile(r"[-−–+]?\d{1,3}(?: \d{3})*")  # noqa: RUF001


def join_groups(page: PageWords, last_group: re.Pattern[str], gap: float) -> list[PageWord]:
    """The words, with groups of digits that are close to each other joined: "100" and "000" to "100 000".

    last_group: what follows the first groups; gap: the space before it at most, in widths of the last group.
    """
    found: list[PageWord] = []
    for line in group_lines(page):
        first = len(found)
        for word in line.words:
            last = found[-1] if len(found) > first else None
            is_group = last is not None and _FIRST_GROUP.fullmatch(last.text) and last_group.fullmatch(word.text)
            if last and is_group and word.left - last.right < gap * (word.right - word.left):
                found[-1] = replace(last, text=f"{last.text} {word.text}", right=word.right)
            else:
                found.append(word)
    return found


def convert_amounts(statement: Statement, convert: Callable[[Decimal], Decimal]) -> None:
    """Replace each amount of a statement, its rows and its balances."""
    for item in (statement, *statement.rows, *statement.anchors):
        for name, value in vars(item).items():
            if isinstance(value, Decimal):
                setattr(item, name, convert(value))
