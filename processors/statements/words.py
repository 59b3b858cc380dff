"""Words with their positions, and lines of words. Pure; lengths in any unit, the same one throughout a page."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PageWord:
    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float = 1.0

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        return self.bottom - self.top


@dataclass(frozen=True)
class TextLine:
    """Words from left to right."""

    page: int
    words: tuple[PageWord, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def top(self) -> float:
        return min(word.top for word in self.words)

    @property
    def bottom(self) -> float:
        return max(word.bottom for word in self.words)


@dataclass(frozen=True)
class PageWords:
    """A deskewed page. `source`: what read it, "text layer" or "OCR"."""

    number: int
    words: tuple[PageWord, ...]
    source: str = "OCR"


def split_words(text: str, left: float, top: float, right: float, bottom: float, confidence: float) -> list[PageWord]:
    """The words of a text of which only the box is known; each gets a share of its width by characters."""
    step = (right - left) / max(1, len(text))
    found, start = [], 0
    for part in text.split(" "):
        if part:
            box = left + start * step, top, left + (start + len(part)) * step, bottom
            found.append(PageWord(part, *box, confidence))
        start += len(part) + 1
    return found


def group_lines(page: PageWords) -> list[TextLine]:
    """Group words whose middles are within half their height of each other, from top to bottom."""
    groups: list[list[PageWord]] = []
    for word in sorted(page.words, key=lambda each: each.middle):
        if groups and _is_on(word, groups[-1]):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [TextLine(page.number, tuple(sorted(group, key=lambda each: each.left))) for group in groups]


def line_height(lines: Iterable[TextLine]) -> float:
    """The median height of words."""
    heights = [word.height for line in lines for word in line.words]
    return statistics.median(heights) if heights else 1.0


def split_cells(words: Sequence[PageWord], gap: float) -> list[tuple[PageWord, ...]]:
    """Runs of words without a gap wider than `gap`."""
    cells: list[list[PageWord]] = []
    for word in words:
        if cells and word.left - cells[-1][-1].right <= gap:
            cells[-1].append(word)
        else:
            cells.append([word])
    return [tuple(cell) for cell in cells]


def _is_on(word: PageWord, group: list[PageWord]) -> bool:
    middle = statistics.mean(each.middle for each in group)
    height = min(word.height, statistics.median(each.height for each in group))
    return abs(word.middle - middle) < 0.5 * height
