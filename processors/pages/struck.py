"""Finds words that are struck out by a line. Pure."""

from collections.abc import Sequence

import numpy as np

from processors.pages.page import PlacedWord

_DARKER = 50  # of 255, than the paper
_SHORTEST = 10  # pixels of a line
_HIGHEST, _LOWEST = 0.38, 0.72  # of a word's height from its top: a line there does not underline it
_COVERED = 0.85  # share of a word's width
_THICKEST = 0.16  # of a word's height; a thicker line is a bar that covers the word or marks it
_BEYOND = 0.8  # of a word's height: how far a line may continue beyond the words
_SAME_LINE = 0.4  # of a word's height between the tops of two words of one line


def find_struck(words: Sequence[PlacedWord], gray: np.ndarray) -> set[int]:
    """The numbers of the words that are struck out. gray: the page without them: uint8, shape (height, width)."""
    level = [number for number, word in enumerate(words) if not word.angle and len(word.text) > 0]
    if not level or not (lines := find_lines(gray)).any():
        return set()
    boxes = np.array([(words[n].left, words[n].top, words[n].right, words[n].bottom) for n in level])
    return {level[number] for number in _crossed(boxes, lines) if _is_struck(boxes[number], boxes, lines)}


def find_lines(gray: np.ndarray, length: int = _SHORTEST, darker: int = _DARKER) -> np.ndarray:
    """The horizontal strokes of at least `length` pixels that are darker than the paper by at least `darker`, of 255:
    uint8, shape (height, width)."""
    import cv2

    dark = (gray < int(np.median(gray[::8, ::8])) - darker).astype(np.uint8)
    if not dark.any():
        return dark
    found: np.ndarray = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    return found


def _crossed(boxes: np.ndarray, lines: np.ndarray) -> list[int]:
    """The numbers of the boxes that may be struck out: there is enough of a line in them."""
    import cv2

    height, width = lines.shape
    sums = cv2.integral(lines)
    sides = [np.clip(boxes[:, side].astype(int), 0, most) for side, most in ((0, width), (2, width))]
    high = boxes[:, 3] - boxes[:, 1]
    rows = [np.clip((boxes[:, 1] + share * high).astype(int), 0, height) for share in (_HIGHEST, _LOWEST)]
    (left, right), (top, bottom) = sides, rows
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.flatnonzero(inside >= np.maximum(1, _COVERED * (right - left))).tolist()


def _is_struck(box: np.ndarray, boxes: np.ndarray, lines: np.ndarray) -> bool:
    left, top, right, bottom = (max(0, int(side)) for side in box)
    height = bottom - top
    first, last = top + int(_HIGHEST * height), top + int(_LOWEST * height) + 1
    covered = lines[top:bottom, left:right].mean(axis=1) >= _COVERED
    rows = np.flatnonzero(covered[first - top : last - top]) + first
    if not len(rows) or covered.sum() > max(3, _THICKEST * height):
        return False
    start, end = _ends(lines[int(rows[0])], left, right)
    beside = boxes[np.abs(boxes[:, 1] - top) < _SAME_LINE * height]
    reach = _BEYOND * height
    return bool(start >= beside[:, 0].min() - reach and end <= beside[:, 2].max() + reach)


def _ends(row: np.ndarray, left: int, right: int) -> tuple[int, int]:
    """How far the line in this row of pixels continues on both sides of a word."""
    before, after = row[:left][::-1], row[right:]
    start = left - (int(before.argmin()) if not before.all() else len(before))
    return start, right + (int(after.argmin()) if not after.all() else len(after))
