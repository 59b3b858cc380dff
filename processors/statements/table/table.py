"""The tables on a statement's page: where their heading rows, their lines and their edges are. Pure."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from processors.statements.notation.amounts import looks_like_amount
from processors.statements.notation.keywords import match_column
from processors.statements.notation.words import PageWord, TextLine, join_words, split_cells
from processors.statements.table.amount_cells import AmountCell, find_amounts
from processors.statements.table.headings import MONEY, Heading, find_headings, find_side_by_side

_MOST_CACHED = 128  # pages; a document is read several times
_BESIDE = 1.0  # line heights that a date may be left of its heading, in a table beside another
_BOX_GAP = 1.0  # line heights between the last column and a box of text beside the table
_MOST_BESIDE = 0.5  # of the rows that have text beside them; more have a column of it


@dataclass(frozen=True)
class Table:
    """Lines of a page below one heading row, between two edges."""

    top: int  # the first line of the headings
    start: int  # the first line below them
    headings: tuple[Heading, ...]
    left: float = float("-inf")
    right: float = float("inf")

    @property
    def is_beside_another(self) -> bool:
        return (self.left, self.right) != (float("-inf"), float("inf"))

    def cut(self, line: TextLine) -> TextLine | None:
        """The part of a line between the table's edges; None if there is none."""
        words = tuple(word for word in line.words if self.left <= word.left < self.right)
        return TextLine(page=line.page, words=words) if words else None


def find_tables(lines: Sequence[TextLine], height: float) -> list[Table]:
    """The tables of a page by their heading rows, from top to bottom, then from left to right."""
    return list(_find_tables(tuple(lines), height))


@functools.lru_cache(_MOST_CACHED)
def _find_tables(lines: tuple[TextLine, ...], height: float) -> tuple[Table, ...]:
    found: list[Table] = []
    at = 0
    while at < len(lines):
        if beside := _tables_beside(lines, at, height):
            found += beside
            at = beside[0].start
            continue
        line = without_box(lines[at], height)
        used, headings = 1, find_headings(line, height)
        if at + 1 < len(lines) and lines[at + 1].top - lines[at].bottom < height:
            both = find_headings(join_lines(line, lines[at + 1]), height)
            lower = find_headings(lines[at + 1], height)
            if both and _is_better(both, headings, lower) and not find_amounts(lines[at + 1].words, height):
                used, headings = 2, both
            elif headings and lower and len(lower) <= len(headings):
                used = 2  # the second line of the headings
        if headings:
            found.append(Table(at, at + used, headings))
        at += used if headings else 1
    return tuple(found)


def without_box(line: TextLine, height: float) -> TextLine:
    """The line without a label and its amount right of it: no headings, but a box beside the table."""
    cells = split_cells(line.words, _BOX_GAP * height)
    for label, amount in zip(cells[1:], cells[2:], strict=False):
        if looks_like_amount(join_words(amount)) and not match_column(join_words(label)):
            return replace(line, words=tuple(word for word in line.words if word.left < label[0].left))
    return line


def _tables_beside(lines: Sequence[TextLine], at: int, height: float) -> list[Table]:
    """The tables side by side whose headings are in a line, or in it and the line right below it."""
    below = lines[at + 1 : at + 2]
    is_near = bool(below) and below[0].top - lines[at].bottom < height and not find_amounts(below[0].words, height)
    groups = find_side_by_side(lines[at], height)
    start = at + 1
    if not groups and is_near and not find_side_by_side(below[0], height):
        groups, start = find_side_by_side(join_lines(lines[at], below[0]), height), at + 2
    lefts = [group[0].left - _BESIDE * height for group in groups]
    edges = zip([float("-inf"), *lefts[1:]], [*lefts[1:], float("inf")], strict=True) if groups else ()
    return [Table(at, start, group, *edge) for group, edge in zip(groups, edges, strict=True)]


def _is_better(both: tuple[Heading, ...], upper: tuple[Heading, ...] | None, lower: tuple[Heading, ...] | None) -> bool:
    """True if two joined lines make a better heading row than either of them."""
    return len(both) > len(lower or ()) and len(both) >= len(upper or ())


def find_right_edge(lines: Sequence[TextLine], headings: Sequence[Heading], height: float) -> float | None:
    """The right edge of a table that ends with a column of money, if there is text beside it, but not in most rows."""
    last = max((each for each in headings if each.column in MONEY), key=lambda heading: heading.right)
    if any(each.left > last.right and each.column != "other" for each in headings):
        return None
    rows = [(line, [cell for cell in find_amounts(line.words, height) if _is_below(cell, last)]) for line in lines]
    rights = [cell.right for _, cells in rows for cell in cells]
    if not rights:
        return None
    edge = max(last.right, *rights) + _BOX_GAP * height
    beside = [any(word.left > edge for word in line.words) for line, cells in rows if cells]
    has_text = any(_is_word(word) and word.left > edge for line in lines for word in line.words)
    return edge if has_text and sum(beside) < _MOST_BESIDE * len(beside) else None


def _is_below(cell: AmountCell, heading: Heading) -> bool:
    return cell.left < heading.right and heading.left < cell.right


def _is_word(word: PageWord) -> bool:
    return sum(char.isalpha() for char in word.text) > 2


def join_lines(upper: TextLine, lower: TextLine) -> TextLine:
    """Join two lines: each word of the lower line follows the words of the upper line that it is below."""
    merged: list[list[PageWord]] = [[word] for word in upper.words]
    for word in lower.words:
        over = next((run for run in merged if run[0].left < word.right and word.left < run[-1].right), None)
        if over:
            over.append(word)
        else:
            merged.append([word])
    merged.sort(key=lambda run: min(word.left for word in run))
    words = [
        PageWord(
            " ".join(word.text for word in run),
            min(word.left for word in run),
            min(word.top for word in run),
            max(word.right for word in run),
            max(word.bottom for word in run),
        )
        for run in merged
    ]
    return TextLine(page=upper.page, words=tuple(words))
