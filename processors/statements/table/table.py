"""The table on a statement's page: its heading row, and which amounts are in which column. Pure."""

import functools
import re
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from processors.statements.notation import currencies
from processors.statements.notation.amounts import looks_like_amount
from processors.statements.notation.dates import parse_date
from processors.statements.notation.keywords import Column, match_column
from processors.statements.notation.words import PageWord, TextLine, WordRun, join_words, split_cells
from processors.statements.table.headings import MONEY, Heading, find_headings, find_side_by_side

_DIGIT_GAP = 0.55  # between groups of digits of one amount
_DIGIT_GAP_WIDTHS = 1.1  # the same in character widths: a typewriter's space is as wide as its digits
_SIGN_GAP = 1.6  # between an amount and its sign, currency or CR
_SIGNS = frozenset(
    {"-", "−", "–", "+", "£", "$", "€", "EUR", "GBP", "USD", "CHF", "CR", "DR", "C", "D", "H", "S", "OD"}
)
_PART = re.compile(  # of an amount, without digits
    rf"[\W_]*(?:{currencies.PATTERN})?[\W_]*(?:[a-zA-Z]{{1,2}}|Haben|Soll)?[\W_]*"
)
_SENTENCE_GAP = 0.8  # between an amount and the words around it
_DAY_OR_TIME = re.compile(r"(?:0[1-9]|[12]\d|3[01])[.](?:0[1-9]|1[0-2])|(?:[01]\d|2[0-3])[.][0-5]\d")
_MOST_AMOUNT_WORDS = 5
_MOST_CACHED = 128  # pages; a document is read several times
_UNNAMED_SHARE = 0.5  # share of the amounts of the fullest column, from which amounts in the text form a column
_BESIDE = 1.0  # line heights that a date may be left of its heading, in a table beside another
_BOX_GAP = 1.0  # line heights between the last column and a box of text beside the table
_MOST_BESIDE = 0.5  # of the rows that have text beside them; more have a column of it
_LEAST_FILLERS = 3  # of a word in columns of amounts; fewer may be text
_ALIGNED = 1.0  # line heights by which the right edges of one column differ


@dataclass(frozen=True)
class AmountCell(WordRun):
    """An amount on a line, of one or more words."""

    text: str


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


def find_amounts(words: Sequence[PageWord], height: float) -> list[AmountCell]:
    """The amounts on a line, each as long as possible."""
    found, at = [], 0
    while at < len(words):
        for count in range(_count_possible(words[at : at + _MOST_AMOUNT_WORDS]), 0, -1):
            run = words[at : at + count]
            text = _joined(run, height)
            if text:
                found.append(AmountCell(tuple(run), text))
                at += count - 1
                break
        at += 1
    return found


def is_in_sentence(cell: AmountCell, words: Sequence[PageWord], height: float) -> bool:
    """True for an amount within running text, such as "Card transaction of 24.66 USD issued by", or a day or a time at
    the end of such text, "purchase of 27.02", or behind a date, "24/11 11.47"."""
    before = [word for word in words if 0 <= cell.left - word.right < _SENTENCE_GAP * height]
    after = [word for word in words if 0 <= word.left - cell.right < _SENTENCE_GAP * height]
    follows, precedes = (any(char.isalpha() for word in each for char in word.text) for each in (before, after))
    is_time = _DAY_OR_TIME.fullmatch(cell.text) is not None
    is_dated = any(parse_date(word.text) and not looks_like_amount(word.text) for word in before[-1:])
    return (follows and (precedes or is_time)) or (is_dated and is_time)


class MoneyColumns:
    """The money column of an amount, by the positions of all amounts of the table."""

    def __init__(
        self, headings: Sequence[Heading], cells: Sequence[AmountCell], height: float, dated: Collection[int] = ()
    ):
        """`dated`: the ids of the cells on lines with a date, which count more: others may be totals."""
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
        """None: the amount is part of the text, such as that of a purchase in a foreign currency."""
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
        """True if the word is where the amounts of a column that is read are."""
        middle = (word.left + word.right) / 2
        return any(cluster.column in MONEY and cluster.left < middle < cluster.right for cluster in self._clusters)


@dataclass
class _Cluster:
    column: Column | None
    left: float
    right: float
    size: int
    dated: int  # of them, those on lines with a date


def _count_possible(words: Sequence[PageWord]) -> int:
    """How many of the first words may be parts of one amount."""
    return next((at for at, word in enumerate(words) if not _may_belong(word.text)), len(words))


@functools.lru_cache(1 << 14)
def _may_belong(text: str) -> bool:
    return any(char.isdigit() for char in text) or _PART.fullmatch(text) is not None or _is_sign(text)


def _joined(run: Sequence[PageWord], height: float) -> str | None:
    if not any(char.isdigit() for word in run for char in word.text):
        return None
    for a, b in zip(run, run[1:], strict=False):
        signs = _is_sign(a.text) or _is_sign(b.text)
        digits = max(_DIGIT_GAP * height, _DIGIT_GAP_WIDTHS * (b.right - b.left) / len(b.text))
        if b.left - a.right > (_SIGN_GAP * height if signs else digits):
            return None
    for text in (" ".join(word.text for word in run), "".join(word.text for word in run)):
        if looks_like_amount(text.removeprefix(":")):
            return text.removeprefix(":")
    return None


@functools.lru_cache(4096)
def _is_sign(text: str) -> bool:
    return text.strip("()").upper() in _SIGNS or re.fullmatch(currencies.PATTERN, text) is not None


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
