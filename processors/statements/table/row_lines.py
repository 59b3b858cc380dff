"""The order of the lines within one row, by counts over all rows of a document. Pure."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from processors.statements.table.lines import LineParts

_LEAST_DATED = 3  # rows; fewer show no rule
_NEARLY_ALL = 0.95
_USUAL = 0.7  # of the rows of a document, what holds for all of them
_NEAR = 2.0  # line heights between a line and the next of the same row
_CLOSER = 0.1  # line heights by which text must be nearer to one row than to the other
_FULL = 0.9  # of the width of the text
_LEAST_CLOSER = 2  # such texts; OCR may misplace a single one
_LEAST_GAPS = 3  # between lines; fewer show no rule
_LEAST_USUAL = 10  # the same, to know the gap that nearly all lines have
_USUAL_GAPS = 0.9
_FAR_APART = 0.35  # line heights by which a heading between rows is further below than nearly all lines
_APART = 0.25  # line heights by which a footnote is further below than the lines of rows


@dataclass(frozen=True)
class RowLines:
    """The order of the lines within one row."""

    amounts_are_last: bool = False  # the amount of a row of several lines is on its last line
    has_second_date: bool = False  # a second date, such as the value date, is below the first one
    has_labelled_date: bool = False  # the value date is on a line of its own, with its label
    dates_are_below: bool = False  # the date of a row is on the line below its amount
    days_are_above: bool = False  # the date is on a line above the rows of a day, the only one of a row is another
    start_left: float | None = None  # the left edge of the first line of each row's text; further lines are indented


@dataclass
class LineCounts:
    """Counts of rows that show the order of the lines within a row."""

    first: int = 0  # rows with text below the amount, and a date after it
    last: int = 0  # rows with a date, and an amount on the next line
    dated: int = 0  # rows with a date and an amount on one line
    labelled: int = 0  # lines of nothing but a value date and its label
    amounts: int = 0  # lines with an amount
    below: int = 0  # of them, those without a date and with one below, before the next amount
    above: int = 0  # the same with a date above
    nearer_above: int = 0  # dates between two amounts that are nearer to the upper one, less those nearer to the other
    second: int = 0  # of them, those with a date and no amount on the next line
    valued: int = 0  # lines with an amount and a value date only
    between: int = 0  # texts between two complete rows
    nearer_below: int = 0  # of them, those that are nearer to the lower one, or wrapped onto its line
    lines: list[LineParts | None] = field(default_factory=list)  # None: a table ends
    height: float = 1.0

    def decide(self) -> RowLines:
        has_second_date = self.dated >= _LEAST_DATED and self.second > _USUAL * self.dated
        has_labels = self.labelled >= _LEAST_DATED and self.labelled > _USUAL * self.dated
        start_left = find_start_left(self.lines, self.height)
        are_below = self.nearer_above > 0 if self.nearer_above else self.below >= self.above
        if are_below and self.below >= _LEAST_DATED and self.below > _USUAL * self.amounts:
            return RowLines(dates_are_below=True)
        are_above = self.valued >= _LEAST_DATED and self.dated <= (1 - _NEARLY_ALL) * self.amounts
        is_below = self.nearer_below >= _LEAST_CLOSER and 2 * self.nearer_below > self.between
        is_last = (self.last > self.first and not are_above) or is_below
        is_last = is_last and start_left is None and not has_second_date
        return RowLines(is_last, has_second_date, has_labels, days_are_above=are_above, start_left=start_left)

    def count(self, lines: Sequence[LineParts], height: float) -> None:
        for above, line, below in zip(lines, lines[1:], [*lines[2:], None], strict=False):
            if above.date and above.text and not above.money and line.has_amount and not line.date and not line.special:
                self.last += 1
            elif above.has_amount and not line.date and not line.money and below and below.date:
                self.first += 1
            is_near = line.line.top - above.line.bottom < _NEAR * height
            self.second += bool(above.date and above.has_amount and line.date and not line.money and is_near)
        self.below += _count_dates_below(lines, height)
        self.above += _count_dates_below(lines[::-1], height)
        self.nearer_above += sum(_vote_for_above(lines, at, height) for at in range(len(lines)))
        right = max((word.right for line in lines for word in line.description), default=0.0)
        for above, text, below in _texts_between(lines):
            gap = (_middle(text[0]) - _middle(above)) - (_middle(below) - _middle(text[-1]))
            is_wrapped = _wraps(text[-1], below, right) - _wraps(above, text[0], right)
            self.between += 1
            self.nearer_below += (gap > _CLOSER * height) - (gap < -_CLOSER * height) + is_wrapped > 0
        self.labelled += sum(line.labelled is not None for line in lines)
        rows = [line for line in lines if line.has_amount and not line.special]
        self.amounts += len(rows)
        self.valued += sum(line.value_date is not None and line.date is None for line in rows)
        self.dated += sum(line.date is not None for line in rows)
        self.lines += [*lines, None]
        self.height = height


def _wraps(upper: LineParts, lower: LineParts, right: float) -> bool:
    """True if the first word of the lower text would not fit on the upper line, which is full; `right`: the edge of the
    text."""
    if not upper.description or not lower.description or upper.labelled:
        return False
    left, end = upper.description[0].left, max(word.right for word in upper.description)
    first = lower.description[0]
    return end - left >= _FULL * (right - left) and end + first.right - first.left > right


def _middle(parts: LineParts) -> float:
    """The middle of a line: OCR makes boxes of different heights."""
    return statistics.median(word.middle for word in parts.line.words)


def _gap(one: LineParts, other: LineParts) -> float:
    return max(one.line.top, other.line.top) - min(one.line.bottom, other.line.bottom)


def _vote_for_above(lines: Sequence[LineParts], at: int, height: float) -> int:
    """1 if line `at` is a date nearer to the amount above than to the one below, -1 for the opposite, or 0."""
    if not lines[at].date or lines[at].money:
        return 0
    above, below = (_widest_gap(lines[at], others) for others in (lines[:at][::-1], lines[at + 1 :]))
    if above is None or below is None or abs(above - below) <= _CLOSER * height:
        return 0
    return 1 if above < below else -1


def _widest_gap(first: LineParts, others: Sequence[LineParts]) -> float | None:
    """The widest gap between the lines from a date to the next amount without one; None if there is no such amount."""
    widest = float("-inf")
    for line in others:
        widest = max(widest, _gap(first, line))
        if line.date or line.money:
            return widest if line.has_amount and not line.date else None
        first = line
    return None


def _count_dates_below(lines: Sequence[LineParts], height: float) -> int:
    """The lines with an amount and no date that have a date below, with at most text between them; for reversed lines,
    a date above."""
    count = 0
    amount: LineParts | None = None
    last: LineParts | None = None
    for line in lines:
        if amount and last and _gap(line, last) < _NEAR * height and not line.money:
            count += line.date is not None
            amount = None if line.date else amount
        else:
            amount = line if line.has_amount and not line.date else None
        last = line
    return count


def _texts_between(lines: Sequence[LineParts]) -> Iterator[tuple[LineParts, list[LineParts], LineParts]]:
    """The lines of nothing but text between two complete rows, with the lines of these."""
    above: LineParts | None = None
    text: list[LineParts] = []
    for line in lines:
        if line.date and line.has_amount:
            if above and text:
                yield above, text, line
            above, text = line, []
        elif line.date or line.money or line.special or line.section:
            above, text = None, []
        else:
            text.append(line)


def find_start_left(lines: Sequence[LineParts | None], height: float) -> float | None:
    """The left edge at which the text of each row starts, if further lines of a row are indented, and some rows have
    their amount on a further line. It holds only if it gives nearly all rows exactly one line with an amount."""
    lefts = [left for line in lines if line and line.date and (left := line.text_left) is not None]
    if len(lefts) < _LEAST_DATED:
        return None
    start = statistics.median(lefts)
    rows: list[list[LineParts]] = []
    for line in lines:
        if line is None or line.special:
            rows.append([])
        elif line.date or line.starts_at(start, height):
            rows.append([line])
        elif rows and rows[-1]:
            rows[-1].append(line)
    counts = [sum(line.has_amount for line in row) for row in rows if row]
    wrapped = [row for row in rows if row and not row[0].has_amount and any(line.has_amount for line in row)]
    undated = [row for row in wrapped if not row[0].date]
    is_rule = bool(undated) and counts.count(1) >= _NEARLY_ALL * len(counts)
    return start if is_rule else None


def find_below_table(lines: Sequence[LineParts], gaps: list[float], height: float) -> None:
    """Mark the text that is further below the last row than any lines of the rows are apart, such as a footnote, and
    the text between rows that is further below a row than nearly all lines are, such as the name of another card.

    gaps: between the lines of rows so far, to which those of these lines are added.
    """
    rows = [at for at, parts in enumerate(lines) if parts.date or parts.has_amount]
    if not rows:
        return
    distances = [b.line.top - a.line.bottom for a, b in zip(lines, lines[1:], strict=False)]
    gaps += distances[rows[0] : rows[-1]]
    if len(gaps) < _LEAST_GAPS:
        return
    _mark_text_between(lines[: rows[-1] + 1], distances, gaps, height)
    is_below = False
    for parts, distance in zip(lines[rows[-1] + 1 :], distances[rows[-1] :], strict=True):
        is_below = is_below or distance > max(gaps) + _APART * height
        parts.is_below_table = is_below


def _mark_text_between(
    lines: Sequence[LineParts], distances: Sequence[float], gaps: Sequence[float], height: float
) -> None:
    if len(gaps) < _LEAST_USUAL:
        return
    usual = sorted(gaps)[int(_USUAL_GAPS * len(gaps))]
    is_apart = False
    for parts, distance in zip(lines[1:], distances, strict=False):
        is_text = not parts.date and not parts.money
        is_apart = is_text and (is_apart or distance > usual + _FAR_APART * height)
        parts.is_below_table = is_apart
