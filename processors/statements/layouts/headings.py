"""The heading row of a page, which identifies its layout: finds it in any language, and recognizes it. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from processors.statements.layouts.record import MAX_HEADINGS, ColumnPlace, HeadingCell
from processors.statements.notation.keywords import normalize
from processors.statements.notation.words import PageWord, TextLine, split_cells
from processors.statements.table.headings import MONEY, Heading

_CELL_GAP = 0.9  # line heights between two headings
_LONGEST = 60
_LEAST_CELLS = 3  # of a heading row; the positions of two cells prove nothing
_ABOVE = 5  # lines above the first row among which the heading row is
_ABOVE_COLUMNS = 0.6  # of the columns that have a heading
_ALIKE = 0.9  # of the characters of a heading row; OCR misreads some
_CELLS_ALIKE = 0.8
_CELLS_FOUND = 0.6  # of the headings that must be found one by one to place the columns
_MOST_OFF = 1.3  # line heights by which a heading may differ from its position
_LEAST_WIDTH, _MOST_WIDTH = 0.6, 1.6  # of the table, as a share of the page: margins may be cut or added


@dataclass(frozen=True)
class Fit:
    """The position of a layout's columns on another page: `scale * x + shift`."""

    scale: float
    shift: float

    def place(self, x: float) -> float:
        return self.scale * x + self.shift


def place_column(heading: Heading, width: float) -> ColumnPlace:
    """A column with its place as shares of the page's width."""
    left, right = (min(2.0, max(-1.0, round(edge / width, 4))) for edge in (heading.left, heading.right))
    return ColumnPlace(column=heading.column, left=left, right=right)


def plain(text: str) -> str:
    """Letters only, in lower case and without accents: OCR loses spaces and dots."""
    return "".join(char for char in normalize(text) if char.isalpha())


def heading_cells(line: TextLine, height: float) -> list[tuple[str, float, float]]:
    """The texts of a heading row with their edges, without those that have digits."""
    cells = [
        (plain(_text(cell))[:_LONGEST], cell[0].left, cell[-1].right)
        for cell in split_cells(line.words, _CELL_GAP * height)
        if not any(char.isdigit() for char in _text(cell))
    ]
    return [cell for cell in cells if cell[0]][:MAX_HEADINGS]


def find_heading_row(
    lines: Sequence[TextLine], start: int, columns: Sequence[Heading], height: float
) -> TextLine | None:
    """The line above a table's first line, number `start`, with a text above most of its columns and no digit."""
    edges = [(each.left - height, each.right + height) for each in columns if each.column in (*MONEY, "date", "other")]
    for line in reversed(lines[max(0, start - _ABOVE) : start]):
        cells = heading_cells(line, height)
        above = [any(cell[1] < right and left < cell[2] for cell in cells) for left, right in edges]
        if len(cells) >= _LEAST_CELLS and not _has_digits(line) and sum(above) > _ABOVE_COLUMNS * len(edges):
            return line
    return None


def is_same_row(text: str, headings: Sequence[HeadingCell]) -> bool:
    """True if `text`, a line as `plain` writes it, has the words of a heading row, whatever their places."""
    wanted = "".join(each.text for each in headings)
    if not wanted or abs(len(text) - len(wanted)) > 2 * (1 - _ALIKE) * len(wanted):
        return False
    return _is_alike(text, wanted, _ALIKE)


def fit_headings(line: TextLine, headings: Sequence[HeadingCell], width: float, height: float) -> Fit | None:
    """Where a layout's columns are on a page, by its heading row; None if the headings are at other places.

    width: of the page, by which the layout's shares are multiplied.
    """
    pairs = _pair(heading_cells(line, height), headings)
    if len(pairs) < max(_LEAST_CELLS, _CELLS_FOUND * len(headings)):
        return None
    points = [(known, here) for pair in pairs for known, here in pair]
    fit = _fit(points)
    if fit is None or not _LEAST_WIDTH < fit.scale / width < _MOST_WIDTH:
        return None
    off = [min(abs(fit.place(known) - here) for known, here in pair) for pair in pairs]
    return fit if max(off) <= _MOST_OFF * height else None


def _pair(
    cells: Sequence[tuple[str, float, float]], headings: Sequence[HeadingCell]
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """For each heading that is found, in order: its left and right edge in the layout and here."""
    pairs, at = [], 0
    for known in headings:
        found = next((n for n in range(at, len(cells)) if _is_alike(cells[n][0], known.text, _CELLS_ALIKE)), None)
        if found is not None:
            _, left, right = cells[found]
            pairs.append(((known.left, left), (known.right, right)))
            at = found + 1
    return pairs


def _is_alike(text: str, other: str, least: float) -> bool:
    matcher = SequenceMatcher(None, text, other, autojunk=False)
    return text == other or (matcher.quick_ratio() >= least and matcher.ratio() >= least)


def _fit(points: Sequence[tuple[float, float]]) -> Fit | None:
    """The median line through the points (Theil–Sen), which a single misplaced heading does not move."""
    pairs = [(a, b) for n, a in enumerate(points) for b in points[n + 1 :] if abs(a[0] - b[0]) > 0.1]
    if not pairs:
        return None
    scale = statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs)
    return Fit(scale, statistics.median(here - scale * known for known, here in points))


def _has_digits(line: TextLine) -> bool:
    return any(char.isdigit() for char in line.text)


def _text(cell: Sequence[PageWord]) -> str:
    return " ".join(word.text for word in cell)
