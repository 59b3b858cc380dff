"""Vertical text in the margin, such as a bank's register entry: removed before a document is read. Pure.

Its words are as narrow as one letter, and one below another.
"""

from collections.abc import Sequence
from dataclasses import replace

from processors.statements.notation.words import PageWord, PageWords

_NARROW = 0.15  # heights of a line per letter; the letters of horizontal text are wider
_LEAST = 3  # narrow words one below another; fewer may be misread
_ALIGNED = 0.5  # heights by which the edges of the words of a vertical line differ


def drop_vertical_text(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages without the words of vertical lines."""
    return [replace(page, words=tuple(_horizontal(page.words))) for page in pages]


def _horizontal(words: Sequence[PageWord]) -> list[PageWord]:
    narrow = [word for word in words if word.right - word.left < _NARROW * word.height * len(word.text)]
    lines = [word for word in narrow if sum(_are_in_line(word, other) for other in narrow) >= _LEAST]
    return [word for word in words if not any(_are_in_line(word, other) for other in lines)]


def _are_in_line(word: PageWord, other: PageWord) -> bool:
    edges = abs(word.left - other.left), abs(word.right - other.right)
    return max(edges) < _ALIGNED * other.height
