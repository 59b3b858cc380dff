"""Finds the money column of each amount of a table by the positions of the amounts. Pure."""

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from processors.statements.notation.keywords import Column
from processors.statements.notation.words import PageWord, TextLine, split_cells
from processors.statements.table.amount_cells import AmountCell
from processors.statements.table.headings import MONEY, Heading

_UNNAMED_SHARE = 0.5  # of the amounts of the fullest column; from this share on, amounts in the text form a column
_LEAST_FILLERS = 3  # of a word in columns of amounts; fewer may be text
_ALIGNED = 1.0  # line heights by which the right edges of one column may differ


class MoneyColumns:
    """The money column of an amount, by the positions of all amounts of the table."""

    def __init__(
        self, headings: Sequence[Heading], cells: Sequence[AmountCell], height: float, dated: Collection[int] = ()
    ):
        """`dated`: the ids of the cells on lines with a date. They count more, because others may be totals."""
        self._fillers: frozenset[str] = frozenset()
        self._clusters: list[_Cluster] = []
        for group in _cluster_cells(sorted(cells, key=lambda cell: cell.right), height):
            left = statistics.median(cell.left for cell in group)
            right = statistics.median(cell.right for cell in group)
            nearest = min(headings, key=lambda heading: _distance(heading, left, right))
            column = nearest.column if nearest.column in MONEY or nearest.column == "other" else None
            self._clusters.append(_Cluster(column, left, right, len(group), sum(id(cell) in dated for cell in group)))
        for cluster in self._clusters:
            main = max((c for c in self._clusters if c.column == cluster.column), key=lambda c: (c.dated, c.size))
            if cluster.column != "other" and (cluster.right < main.left or cluster.left > main.right):
                cluster.column = None

    def column_of(self, cell: AmountCell) -> Column | None:
        """The column; None if the amount is part of the text, such as that of a purchase in a foreign currency."""
        if not self._clusters:
            return None
        return min(self._clusters, key=lambda cluster: abs(cluster.right - cell.right)).column

    def is_unnamed(self, cell: AmountCell) -> bool:
        """True if the amount is in a column of amounts without a known heading."""
        if not self._clusters or self.column_of(cell) is not None:
            return False
        own = min(self._clusters, key=lambda cluster: abs(cluster.right - cell.right))
        return own.size > max(1, _UNNAMED_SHARE * max(cluster.size for cluster in self._clusters))

    def column_at(self, word: PageWord) -> Column | None:
        """The money column that the word is in, by its right edge."""
        return next(
            (
                cluster.column
                for cluster in self._clusters
                if cluster.left < word.right <= cluster.right + 2 * word.height
            ),
            None,
        )

    def find_fillers(self, lines: Iterable[TextLine], height: float) -> None:
        """Learn the word that each empty cell of a column of amounts contains, such as "blank" or "-"."""
        found = Counter(
            cell[0].text
            for line in lines
            for cell in split_cells(line.words, height)
            if len(cell) == 1 and not any(char.isdigit() for char in cell[0].text) and self.covers(cell[0])
        )
        self._fillers = frozenset(text for text, count in found.items() if count >= _LEAST_FILLERS)

    def is_filler(self, word: PageWord) -> bool:
        return word.text in self._fillers

    def covers(self, word: PageWord) -> bool:
        """True if the word is in the place of the amounts of a column that is read."""
        middle = (word.left + word.right) / 2
        return any(cluster.column in MONEY and cluster.left < middle < cluster.right for cluster in self._clusters)


@dataclass
class _Cluster:
    column: Column | None
    left: float
    right: float
    size: int
    dated: int  # those on lines with a date


def _cluster_cells(cells: Sequence[AmountCell], height: float) -> list[list[AmountCell]]:
    groups: list[list[AmountCell]] = []
    for cell in cells:
        if groups and cell.right - groups[-1][-1].right <= _ALIGNED * height:
            groups[-1].append(cell)
        else:
            groups.append([cell])
    return groups


def _distance(heading: Heading, left: float, right: float) -> float:
    middle = (left + right) / 2 - (heading.left + heading.right) / 2
    return min(abs(heading.left - left), abs(heading.right - right), abs(middle))
