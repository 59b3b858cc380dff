"""Words with their places, and lines of them. Pure; lengths in any unit, as long as a page keeps to one."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
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
class Line:
    """Words from left to right."""

    page: int
    words: tuple[Word, ...]

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
    """A level page. `source` says who read it: "text layer" or "OCR"."""

    number: int
    words: tuple[Word, ...]
    source: str = "OCR"


def split_words(text: str, left: float, top: float, right: float, bottom: float, confidence: float) -> list[Word]:
    """The words of a run of text of which only the whole box is known: each gets its share by characters."""
    step = (right - left) / max(1, len(text))
    found, start = [], 0
    for part in text.split(" "):
        if part:
            place = left + start * step, top, left + (start + len(part)) * step, bottom
            found.append(Word(part, *place, confidence))
        start += len(part) + 1
    return found


def group_lines(page: PageWords) -> list[Line]:
    """Words whose middles are within half their height of each other, from top to bottom."""
    groups: list[list[Word]] = []
    for word in sorted(page.words, key=lambda each: each.middle):
        if groups and _is_on(word, groups[-1]):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [Line(page.number, tuple(sorted(group, key=lambda each: each.left))) for group in groups]


def line_height(lines: Iterable[Line]) -> float:
    """The median height of words."""
    heights = [word.height for line in lines for word in line.words]
    return statistics.median(heights) if heights else 1.0


def split_cells(words: Sequence[Word], gap: float) -> list[tuple[Word, ...]]:
    """Runs of words with no gap wider than `gap` within."""
    cells: list[list[Word]] = []
    for word in words:
        if cells and word.left - cells[-1][-1].right <= gap:
            cells[-1].append(word)
        else:
            cells.append([word])
    return [tuple(cell) for cell in cells]


def _is_on(word: Word, group: list[Word]) -> bool:
    middle = statistics.mean(each.middle for each in group)
    height = min(word.height, statistics.median(each.height for each in group))
    return abs(word.middle - middle) < 0.5 * height
