"""Groups the characters of a text layer into words, for all rotations and writing directions. Pure."""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from processors import bidi
from processors.pages.page import PlacedWord

_GAP = 0.25  # character heights; a wider gap starts a new word, even without a space
_SAME_ANGLE = 3.0  # degrees
_INITIAL = 2.0  # times as high as the next character: the first letter of a paragraph, several lines high
_DOUBLE = 0.7  # share of the width and of the height that two drawings of one word have in common
_SOFT_HYPHEN = "\u00ad"
_WIDE = {"W", "F"}  # East Asian Width (UAX #11)


@dataclass(frozen=True)
class Char:
    """A character and its box, in points from the upper left corner of the page as a viewer shows it."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    angle: float = 0.0  # degrees clockwise by which it is rotated

    @property
    def is_right_to_left(self) -> bool:
        return bidi.has_right_to_left(self.text)

    @property
    def is_point(self) -> bool:
        return self.left == self.right and self.top == self.bottom

    @property
    def is_wide(self) -> bool:
        return unicodedata.east_asian_width(self.text[0]) in _WIDE


def find_words(chars: Iterable[Char | None], scale: float) -> tuple[PlacedWord, ...]:
    """Group characters into words, without characters that are only a point.

    chars: None is a space. scale: pixels per point, for the boxes of the words.
    """
    shown = (char for char in chars if char is None or not char.is_point)
    return tuple(_without_doubles(word for run in _runs(shown) if (word := _word(run, scale)).text))


def _without_doubles(words: Iterable[PlacedWord]) -> Iterator[PlacedWord]:
    """The words without the second drawing of a word in the same place."""
    known: dict[str, list[PlacedWord]] = {}
    for word in words:
        same = known.setdefault(word.text, [])
        if not any(_is_double(word, other) for other in same):
            same.append(word)
            yield word


def _is_double(a: PlacedWord, b: PlacedWord) -> bool:
    if a.top > b.bottom or b.top > a.bottom:
        return False
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    return across > _DOUBLE * max(a.right - a.left, b.right - b.left) and down > _DOUBLE * max(
        a.bottom - a.top, b.bottom - b.top
    )


def _runs(chars: Iterable[Char | None]) -> list[list[Char]]:
    runs: list[list[Char]] = [[]]
    for char in chars:
        if char is None:
            runs.append([])
        elif runs[-1] and _is_next(runs[-1][-1], char):
            runs[-1].append(char)
        else:
            runs.append([char])
    return [run for run in runs if run]


def _is_next(a: Char, b: Char) -> bool:
    """True if the character `b`, which follows `a` in the file, continues its word."""
    if abs((a.angle - b.angle + 180) % 360 - 180) > _SAME_ANGLE:
        return False
    if (a.left, a.top, a.right, a.bottom) == (b.left, b.top, b.right, b.bottom):  # of one ligature
        return True
    a, b = _level(a), _level(b)
    height = a.bottom - a.top
    if height > _INITIAL * (b.bottom - b.top):
        return False
    if abs(a.bottom - b.bottom) < height / 2:
        if -height < b.left - a.right < _GAP * height:
            return True
        return (a.is_right_to_left or b.is_right_to_left) and -height < a.left - b.right < _GAP * height
    is_below = a.is_wide and b.is_wide and abs(a.left + a.right - b.left - b.right) < a.right - a.left
    return is_below and -height / 2 < b.top - a.bottom < height


def _level(char: Char) -> Char:
    """The character with its box on a page that is turned so that the character is upright."""
    if not char.angle:
        return char
    cosine, sine = math.cos(math.radians(-char.angle)), math.sin(math.radians(-char.angle))
    x, y = (char.left + char.right) / 2, (char.top + char.bottom) / 2
    width, height = char.right - char.left, char.bottom - char.top
    if abs(sine) > abs(cosine):
        width, height = height, width
    x, y = x * cosine - y * sine, x * sine + y * cosine
    return Char(char.text, x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _word(run: Sequence[Char], scale: float) -> PlacedWord:
    text = "".join(char.text for char in run)
    if not text.isascii():
        text = _without_soft_hyphens("".join(_normal(char.text) for char in _logical(run)))
        text = bidi.turn_brackets(text) if bidi.has_right_to_left(text) else text
    return PlacedWord(
        text=text,
        left=min(char.left for char in run) * scale,
        top=min(char.top for char in run) * scale,
        right=max(char.right for char in run) * scale,
        bottom=max(char.bottom for char in run) * scale,
        angle=run[0].angle,
    )


def _logical(run: Sequence[Char]) -> list[Char]:
    """Sort the characters of a Hebrew or Arabic word from right to left, except numbers and Latin letters in it."""
    if not any(char.is_right_to_left for char in run):
        return list(run)
    clusters: list[list[Char]] = []
    for char in run:
        if clusters and unicodedata.combining(char.text[0]):
            clusters[-1].append(char)
        else:
            clusters.append([char])
    clusters.sort(key=lambda cluster: -(_level(cluster[0]).left + _level(cluster[0]).right))  # stable
    found: list[Char] = []
    numbers: list[Char] = []
    for cluster in clusters:
        if unicodedata.bidirectional(cluster[0].text[0]) in ("EN", "AN", "L") or numbers and cluster[0].text in ".,:/":
            numbers[:0] = cluster
        else:
            found += [*numbers, *cluster]
            numbers = []
    return found + numbers


def _normal(text: str) -> str:
    """Replace ligatures and contextual forms of letters by plain letters (Unicode 15, 23.8)."""
    return "".join(
        unicodedata.normalize("NFKC", char) if "\ufb00" <= char <= "\ufdfb" or "\ufe70" <= char <= "\ufefc" else char
        for char in text
    )


def _without_soft_hyphens(text: str) -> str:
    """Remove the soft hyphens within words; replace others by hyphens: at the end of a line and in numbers, the page
    shows them."""
    if _SOFT_HYPHEN not in text or text == _SOFT_HYPHEN:
        return text.replace(_SOFT_HYPHEN, "")
    parts = text.split(_SOFT_HYPHEN)
    written = parts[0]
    for before, after in zip(parts, parts[1:], strict=False):
        written += after if before[-1:].islower() and after[:1].islower() else f"-{after}"
    return written
