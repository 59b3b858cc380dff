"""Marks the struck-out words of a scan, and divides boxes that also contain other words. Pure."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from processors.ocr.boxes import bounds_of
from processors.ocr.ink import Bounds, Ink
from processors.ocr.text_lines import Point, TextBox
from processors.pages.struck import find_lines

_SHORTEST = 3.0  # letter heights of a line, which is longer than any stroke of a letter
_LONGER = 2.0  # times the height of a box: shorter lines are parts of icons
_HIGHEST, _LOWEST = 0.43, 0.64  # of a box's height from its top: between the serifs of small letters and the baseline
_INK, _AS_DARK = 10, 0.75  # percentile of the gray values of all ink; share of the contrast of the darkest
_LEAST_CONTRAST = 50  # of 255
_THICKEST = 0.16  # of a box's height
_LEVEL = 0.1  # of a box's height: how far a box may slope
_OF_WORD = 0.7  # share of its width that is struck out
_BEYOND = 0.8  # of a box's height: how far a line may continue beyond the words
_SAME_LINE = 0.4  # of a box's height


def mark_struck(boxes: Sequence[TextBox], ink: Ink) -> list[TextBox]:
    """The boxes, with `is_struck`. ink: of the page."""
    height = (ink.letter_height or 0.0) * ink.share
    drawn = ink.gray[ink.mask]
    if not height or not len(drawn):
        return list(boxes)
    contrast = float(np.median(ink.gray[::8, ::8])) - float(np.percentile(drawn, _INK))
    lines = find_lines(ink.gray, max(8, round(_SHORTEST * height)), max(_LEAST_CONTRAST, round(_AS_DARK * contrast)))
    if not lines.any():
        return list(boxes)
    bounds = [bounds_of(box.corners) for box in boxes]
    return [
        part for box, place in zip(boxes, bounds, strict=True) for part in _parts(box, place, bounds, lines, ink.share)
    ]


def _parts(box: TextBox, place: Bounds, others: Sequence[Bounds], lines: np.ndarray, share: float) -> Iterator[TextBox]:
    left, top, right, bottom = place
    if abs(box.corners[0][1] - box.corners[1][1]) > _LEVEL * (right - left) or right - left < bottom - top:
        yield box
        return
    height = bottom - top
    beside = [each for each in others if abs(each[1] + each[3] - top - bottom) < 2 * _SAME_LINE * height]
    most = min(each[0] for each in beside) - _BEYOND * height, max(each[2] for each in beside) + _BEYOND * height
    struck = _struck_columns(place, most, lines, share)
    words = list(re.finditer(r"\S+", box.text))
    long = struck.sum() >= _LONGER * height * share
    marks = [long and _is_struck(word, len(box.text), struck) for word in words]
    if not any(marks):
        yield box
        return
    for is_struck, group in itertools.groupby(zip(words, marks, strict=True), key=lambda pair: pair[1]):
        run = [word for word, _ in group]
        start, end = run[0].start(), run[-1].end()
        yield replace(
            _between(box, start / len(box.text), end / len(box.text)), text=box.text[start:end], is_struck=is_struck
        )


def _struck_columns(place: Bounds, most: tuple[float, float], lines: np.ndarray, share: float) -> np.ndarray:
    """True for each column of pixels, from the left side of the box to the right one, that contains a line. A
    line that continues beyond the positions `most` does not belong to the text."""
    height = place[3] - place[1]
    top, bottom = (max(0, round((place[1] + part * height) * share)) for part in (_HIGHEST, _LOWEST))
    band = lines[top : bottom + 1]
    thickness = band[:, max(0, round(place[0] * share)) : max(0, round(place[2] * share))].sum(axis=0)
    thin = (thickness > 0) & (thickness <= max(3, _THICKEST * height * share))
    ends = [round(side * share) for side in most]
    goes_on = any(band[:, end].any() for end in ends if 0 <= end < band.shape[1])
    return np.zeros_like(thin) if goes_on else thin


def _is_struck(word: "re.Match[str]", length: int, struck: np.ndarray) -> bool:
    start, end = (round(at / length * len(struck)) for at in word.span())
    return end > start and bool(struck[start:end].mean() >= _OF_WORD)


def _between(box: TextBox, start: float, end: float) -> TextBox:
    """The part of a box between these shares of its width."""
    first, second, third, fourth = box.corners

    def at(share: float, a: Point, b: Point) -> Point:
        return round(a[0] + share * (b[0] - a[0]), 1), round(a[1] + share * (b[1] - a[1]), 1)

    corners = at(start, first, second), at(end, first, second), at(end, fourth, third), at(start, fourth, third)
    return replace(box, corners=corners)
