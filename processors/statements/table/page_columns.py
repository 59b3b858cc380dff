"""Pages with two columns of rows, such as the list of a card that continues at the top right: one column below the
other. Pure."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import replace

from processors.statements.notation.dates import parse_date
from processors.statements.notation.words import PageWord, PageWords, TextLine, group_lines, line_height
from processors.statements.table.amount_cells import find_amounts

_LEAST_ROWS = 3  # in each column
_ALIGNED = 1.0  # line heights by which the left edges of dates differ
_MOST_ACROSS = 0.02  # of the words of the page, such as those of its title
_MARGIN = 0.5  # line heights between a column and what is left of it
_GAP = 3.0  # line heights between the columns, one below the other
_LEAST_LETTERS = 3  # of the text of a row


def unfold_columns(pages: Sequence[PageWords]) -> list[PageWords] | None:
    """The pages, of which those with two columns have the right one below the left one; None if none has two."""
    found = [_unfold(page) for page in pages]
    return [new or page for new, page in zip(found, pages, strict=True)] if any(found) else None


def _unfold(page: PageWords) -> PageWords | None:
    height = line_height(group_lines(page))
    columns = _find_columns(page, height)
    if columns is None:
        return None
    left, right, first = columns
    by, at = left - right, max(word.bottom for word in page.words) + _GAP * height
    middle = right - _MARGIN * height
    words = [_move(word, by, at) if word.left >= middle and word.middle >= first else word for word in page.words]
    return replace(page, words=tuple(words), frame=page.frame and replace(page.frame, folded_at=at, folded_by=by))


def _move(word: PageWord, right: float, down: float) -> PageWord:
    return replace(
        word, left=word.left + right, right=word.right + right, top=word.top + down, bottom=word.bottom + down
    )


def _find_columns(page: PageWords, height: float) -> tuple[float, float, float] | None:
    """The left edges of the dates of two columns of rows, each with a date, a text and an amount, and the top of the
    first row."""
    groups: list[list[PageWord]] = []
    for word in sorted((word for word in page.words if parse_date(word.text)), key=lambda word: word.left):
        if groups and word.left - groups[-1][-1].left <= _ALIGNED * height:
            groups[-1].append(word)
        else:
            groups.append([word])
    edges = [statistics.median(word.left for word in group) for group in groups if len(group) >= _LEAST_ROWS]
    for left, right in itertools.combinations(edges, 2):
        middle = right - _MARGIN * height
        across = sum(word.left < middle < word.right for word in page.words)
        lefts = _find_rows(page, left, height, until=middle)
        rights = _find_rows(page, right, height, since=middle)
        is_split = across <= _MOST_ACROSS * len(page.words)
        if is_split and min(len(lefts), len(rights)) >= _LEAST_ROWS:
            return left, right, min(line.top for line in (*lefts, *rights))
    return None


def _find_rows(
    page: PageWords, left: float, height: float, *, since: float = float("-inf"), until: float = float("inf")
) -> list[TextLine]:
    side = replace(page, words=tuple(word for word in page.words if since <= word.left and word.right <= until))
    return [line for line in side.lines if _is_row(line, left, height)]


def _is_row(line: TextLine, left: float, height: float) -> bool:
    """True for a line that begins with a date and ends with an amount, with text between them."""
    first = line.words[0]
    amounts = find_amounts(line.words[1:], height)
    if abs(first.left - left) > _ALIGNED * height or not parse_date(first.text) or not amounts:
        return False
    between = [word.text for word in line.words[1:] if word.right <= amounts[-1].left]
    ends = amounts[-1].right >= line.right
    return ends and sum(char.isalpha() for text in between for char in text) >= _LEAST_LETTERS
