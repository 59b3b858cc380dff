"""Finds unrelated pages that lie side by side on one sheet, such as two receipts on the glass of a scanner. Pure.

Each of them is then read as a page of its own, with its own skew. Tables and forms also have white space between their
columns, but their lines are level with each other.
"""

import re
import statistics
from collections.abc import Sequence

from processors.ocr.columns import are_aligned, are_together, is_number, join_words
from processors.ocr.rivers import Line, Piece, group_lines

_GUTTER = 2.5  # line heights of white space, from the top of the sheet to its end, between two pages
_LEAST_LINES = 5  # of a page
_LEAST_WIDTH = 12  # line heights
_SIDE_BY_SIDE = 0.5  # of the height of the lower page
_NUMBERS = 0.4  # share of a page's lines that are numbers; a column with more belongs to a table
_FULL, _LEAST_WORDS = 0.5, 2  # share of a page's lines with at least so many words; most cells of a table have fewer
_SAME_FORM, _LEAST_SAME = 0.5, 5  # share and number of the words of a page that are also on the other
_WORD = re.compile(r"[^\W\d_]{3,}")


def find_gutters(sides: Sequence[tuple[float, float]], height: float) -> list[float]:
    """The middles of the vertical strips that no word touches and that are wide enough, the widest first.

    sides: left and right of each word on the deskewed sheet. height: of a line.
    """
    if len(sides) < 2 * _LEAST_LINES:
        return []
    found: list[tuple[float, float]] = []
    ordered = sorted(sides)
    end = ordered[0][1]
    for left, right in ordered:
        if left - end >= _GUTTER * height:
            found.append((left - end, (left + end) / 2))
        end = max(end, right)
    return [middle for _, middle in sorted(found, reverse=True)]


def are_pages(left: Sequence[Piece], right: Sequence[Piece], *, is_skewed_alike: bool) -> bool:
    """True if the words on both sides of a gutter are pages of their own.

    left, right: each as if deskewed alone. is_skewed_alike: the lines of both have the same slope on the sheet.
    """
    height = statistics.median(word.height for word in (*left, *right))
    lines = group_lines(join_words(left), height), group_lines(join_words(right), height)
    if not all(_is_page(each, height) for each in lines) or not _are_side_by_side(left, right):
        return False
    return not is_skewed_alike or not are_aligned(*lines) or _have_same_form(*lines)


def _is_page(lines: Sequence[Line], height: float) -> bool:
    """True if these lines may be a page: neither a column of a table nor a sidebar."""
    if len(lines) < _LEAST_LINES or not are_together(lines, height):
        return False
    width = max(line.right for line in lines) - min(line.left for line in lines)
    full = sum(len(line.text.split()) >= _LEAST_WORDS for line in lines)
    numbers = sum(is_number(line.text) for line in lines)
    return width >= _LEAST_WIDTH * height and full >= _FULL * len(lines) and numbers <= _NUMBERS * len(lines)


def _are_side_by_side(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    tops = [min(piece.top for piece in side) for side in (left, right)]
    bottoms = [max(piece.bottom for piece in side) for side in (left, right)]
    lower = min(bottom - top for top, bottom in zip(tops, bottoms, strict=True))
    return min(bottoms) - max(tops) >= _SIDE_BY_SIDE * lower


def _have_same_form(left: Sequence[Line], right: Sequence[Line]) -> bool:
    """True for two copies of one form or two receipts of one shop, whose lines may be level with each other."""
    one, other = ({word for line in lines for word in _WORD.findall(line.text.casefold())} for lines in (left, right))
    same = len(one & other)
    return same >= _LEAST_SAME and same >= _SAME_FORM * min(len(one), len(other))
