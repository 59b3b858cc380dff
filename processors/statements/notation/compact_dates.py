"""Dates of four digits without separators, such as "0303" for 3 March: adds separators before a document is read.
Pure."""

from collections.abc import Sequence
from dataclasses import replace

from processors.statements.notation.dates import parse_date
from processors.statements.notation.words import PageWord, PageWords, group_lines, line_height

_ALIGNED = 0.7  # line heights by which the left edges of one column differ
_LEAST = 8  # fewer words may be numbers of another kind
_MOST_MONTHS = 3  # of one statement


def add_date_marks(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages with "03.03." instead of "0303" in columns of nothing but such dates; day or month may be first."""
    columns = _find_columns(pages)
    return [
        replace(page, words=tuple(_with_marks(word) if id(word) in columns else word for word in page.words))
        for page in pages
    ]


def _find_columns(pages: Sequence[PageWords]) -> set[int]:
    """The ids of the words."""
    found: set[int] = set()
    words = [(word, height) for page in pages for word, height in _candidates(page)]
    words.sort(key=lambda each: each[0].left)
    column: list[PageWord] = []
    for word, height in [*words, (None, 0.0)]:
        if word and (not column or word.left - column[-1].left <= _ALIGNED * height):
            column.append(word)
            continue
        if len(column) >= _LEAST and _are_dates(column):
            found |= {id(each) for each in column}
        column = [word] if word else []
    return found


def _candidates(page: PageWords) -> list[tuple[PageWord, float]]:
    """Words of four digits on lines that do not begin with a date."""
    lines = group_lines(page)
    height = line_height(lines)
    undated = [line for line in lines if not parse_date(line.text)]
    return [(word, height) for line in undated for word in line.words if len(word.text) == 4 and word.text.isdecimal()]


def _are_dates(column: Sequence[PageWord]) -> bool:
    firsts, seconds = ([int(word.text[part]) for word in column] for part in (slice(2), slice(2, 4)))
    return any(
        len(set(months)) <= _MOST_MONTHS
        and 1 <= min(months) <= max(months) <= 12
        and 1 <= min(days) <= max(days) <= 31
        and len(set(days)) > len(set(months))
        for days, months in ((firsts, seconds), (seconds, firsts))
    )


def _with_marks(word: PageWord) -> PageWord:
    return replace(word, text=f"{word.text[:2]}.{word.text[2:]}.")
