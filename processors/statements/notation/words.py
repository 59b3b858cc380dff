"""Words with their positions, and lines of words. Pure; lengths in any unit, the same one throughout a page."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from processors import bidi

Box = tuple[float, float, float, float]  # left, top, right, bottom


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

    @property
    def box(self) -> Box:
        return self.left, self.top, self.right, self.bottom


@dataclass(frozen=True)
class WordRun:
    """Words side by side, from left to right."""

    words: tuple[PageWord, ...]

    @property
    def left(self) -> float:
        return self.words[0].left

    @property
    def right(self) -> float:
        return self.words[-1].right

    @property
    def top(self) -> float:
        return min(word.top for word in self.words)

    @property
    def bottom(self) -> float:
        return max(word.bottom for word in self.words)

    @property
    def box(self) -> Box | None:
        return unite(word.box for word in self.words)

    @property
    def confidence(self) -> float:
        return min(word.confidence for word in self.words)


@dataclass(frozen=True, eq=False)
class TextLine(WordRun):
    """Words from left to right. Two lines of the same words are two lines, so that what is found on each can be
    cached."""

    page: int

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @cached_property
    def text(self) -> str:
        return join_words(self.words)


@dataclass(frozen=True, kw_only=True)
class PageFrame:
    """The position of a deskewed page on the page that a viewer shows."""

    width: float  # of the page once it is upright, in the unit of its words
    height: float
    slope: float = 0.0  # of its lines, in radians: deskewing rotated it by this angle about the upper left corner
    rotation: int = 0  # degrees clockwise by which the page was rotated upright: 0, 90, 180 or 270
    folded_at: float = math.inf  # below it are the words of the right column, from the top of the page on
    folded_by: float = 0.0  # added to the left edges of these words

    def to_fractions(self, box: Box) -> Box:
        """The place on the page that a viewer shows, in fractions of its width and height, from 0 to 1."""
        if box[1] >= self.folded_at:
            left, top, right, bottom = box
            box = left - self.folded_by, top - self.folded_at, right - self.folded_by, bottom - self.folded_at
        corners = [self._fraction(x, y) for x in (box[0], box[2]) for y in (box[1], box[3])]
        xs, ys = zip(*corners, strict=True)
        left, top, right, bottom = (round(min(max(side, 0.0), 1.0), 4) for side in (min(xs), min(ys), max(xs), max(ys)))
        return left, top, right, bottom

    def _fraction(self, x: float, y: float) -> tuple[float, float]:
        cosine, sine = math.cos(self.slope), math.sin(self.slope)
        across, down = (x * cosine - y * sine) / self.width, (x * sine + y * cosine) / self.height
        turned = {90: (down, 1 - across), 180: (1 - across, 1 - down), 270: (1 - down, across)}
        return turned.get(self.rotation, (across, down))


@dataclass(frozen=True)
class PageWords:
    """A deskewed page. `source`: what read it, "text layer" or "OCR"; `frame`: None if unknown."""

    number: int
    words: tuple[PageWord, ...]
    source: str = "OCR"
    frame: PageFrame | None = None

    @cached_property
    def lines(self) -> tuple[TextLine, ...]:
        """Words whose middles are within half their height of each other, from top to bottom."""
        groups: list[list[PageWord]] = []
        for word in sorted(self.words, key=lambda each: each.middle):
            if groups and _is_on(word, groups[-1]):
                groups[-1].append(word)
            else:
                groups.append([word])
        return tuple(TextLine(page=self.number, words=tuple(sorted(group, key=_left))) for group in groups)


def join_words(words: Sequence[PageWord]) -> str:
    """The words of a line in the order in which they are read: Hebrew and Arabic from right to left."""
    texts = [word.text for word in words]
    if any(bidi.has_right_to_left(text) for text in texts if not text.isascii()) and bidi.is_right_to_left(texts):
        texts = bidi.logical_order([(text, text) for text in texts])
    return " ".join(texts)


def unite(boxes: Iterable[Box]) -> Box | None:
    """The smallest box around all of them; None if there is none."""
    sides = list(zip(*boxes, strict=True))
    return (min(sides[0]), min(sides[1]), max(sides[2]), max(sides[3])) if sides else None


def split_words(text: str, left: float, top: float, right: float, bottom: float, confidence: float) -> list[PageWord]:
    """The words of a text of which only the box is known; each word gets a share of the width in proportion to its
    characters."""
    step = (right - left) / max(1, len(text))
    found, start = [], 0
    for part in text.split(" "):
        if part:
            box = left + start * step, top, left + (start + len(part)) * step, bottom
            found.append(PageWord(part, *box, confidence))
        start += len(part) + 1
    return found


def group_lines(page: PageWords) -> list[TextLine]:
    """The lines of a page, in a list of their own."""
    return list(page.lines)


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
    middle = sum(each.middle for each in group) / len(group)
    height = min(word.height, statistics.median(each.height for each in group))
    return abs(word.middle - middle) < 0.5 * height


def _left(word: PageWord) -> float:
    return word.left
