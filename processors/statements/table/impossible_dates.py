"""Finds text in the place of a row's date that is not a date: an impossible day, or a month that OCR misread. Pure."""

import re
from collections.abc import Iterator, Sequence

from processors.statements.notation.dates import parse_date, shape_of
from processors.statements.table.headings import Heading
from processors.statements.table.line_dates import DATE_WORDS, date_window
from processors.statements.table.lines import LineParts

_STARTS = 2  # a date may follow the number of its line
_MISREAD_DIGIT = re.compile(r"(?<=[^\W\d_])[01|](?=[^\W\d_])")  # among letters
_LETTERS = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"\d+")


def find_impossible_dates(lines: Sequence[LineParts], headings: Sequence[Heading], height: float) -> None:
    """Move text that has the shape of the other lines' dates, but is not a calendar date, from the text to
    `date_like`.

    On a line with an amount, any word counts as the name of a month: otherwise, the row would get the date of the row
    above.
    """
    dated = [parts.date.text for parts in lines if parts.date]
    shapes, outlines = set(map(shape_of, dated)), {text for text in map(_outline, dated) if "a" in text}
    window = date_window("date", headings, height)
    if window is None:
        return
    for parts in lines:
        words = [word for word in parts.line.words if window[0] <= word.left < window[1]]
        runs = [] if parts.date else [words[at:end] for at, end in _runs(len(words))]
        for run in runs:
            text = " ".join(word.text for word in run)
            is_alike = (run[0] is words[0] and shape_of(text) in shapes) or (
                parts.has_amount and _outline(text) in outlines
            )
            if is_alike and not parse_date(text):
                parts.date_like = text
                parts.description = [word for word in parts.description if word not in run]
                parts.reference = [word for word in parts.reference if word not in run]
                break


def _runs(count: int) -> Iterator[tuple[int, int]]:
    """The start and end of each run among `count` words, the longest first."""
    for start in range(min(count, _STARTS)):
        for end in range(min(start + DATE_WORDS, count), start, -1):
            yield start, end


def _outline(text: str) -> str:
    """The text with each word as "a" and each number as "9"."""
    return _DIGITS.sub("9", _LETTERS.sub("a", _MISREAD_DIGIT.sub("a", text.strip())))
