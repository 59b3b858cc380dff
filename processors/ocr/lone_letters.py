"""Finds single letters and digits that detection overlooks, such as the labels of a diagram."""

from collections.abc import Sequence

import numpy as np

from processors.ocr.boxes import Quad, bounds_of
from processors.ocr.ink import Bounds, Ink
from processors.ocr.recognition import Recognized

_LOWEST, _HIGHEST = 0.7, 1.6  # times as high as the letters of the page
_NARROWEST = 0.4  # ratio of width to height: a narrower stroke may be anything
_MOST = 30  # on a page; more are the texture of a picture
_SURE = 0.98  # confidence
_APART = 0.5  # letter heights to any other ink
_ANYTHING = frozenset("oO0Il")  # characters that look like circles and lines


def find_lone_letters(ink: Ink, boxes: Sequence[Quad]) -> list[Bounds]:
    """The strokes outside all boxes that are as large as the letters inside, and apart from all others."""
    bounds = np.array([bounds_of(box) for box in boxes]).reshape(-1, 4)
    x, y = (ink.letters[:, 0] + ink.letters[:, 2]) / 2, (ink.letters[:, 1] + ink.letters[:, 3]) / 2
    is_in = (x[:, None] >= bounds[:, 0]) & (x[:, None] <= bounds[:, 2]) & (y[:, None] >= bounds[:, 1])
    covered = (is_in & (y[:, None] <= bounds[:, 3])).any(axis=1)
    heights, widths = ink.letters[:, 3] - ink.letters[:, 1], ink.letters[:, 2] - ink.letters[:, 0]
    if not covered.any():
        return []
    usual = float(np.median(heights[covered]))
    is_letter = (heights >= _LOWEST * usual) & (heights <= _HIGHEST * usual)
    is_letter &= (widths >= _NARROWEST * heights) & (widths <= _HIGHEST * heights)
    found = [tuple(each) for each in ink.letters[is_letter & ~covered].tolist() if _is_apart(each, ink.letters, usual)]
    return found if len(found) <= _MOST else []


def is_letter(read: Recognized) -> bool:
    """True if the stroke is certainly one letter or digit."""
    text = read.box.text.strip()
    return len(text) == 1 and text.isalnum() and text not in _ANYTHING and read.box.confidence >= _SURE


def _is_apart(letter: Sequence[float], others: np.ndarray, height: float) -> bool:
    left, top, right, bottom = letter
    margin = _APART * height
    near = (others[:, 0] < right + margin) & (others[:, 2] > left - margin)
    near &= (others[:, 1] < bottom + margin) & (others[:, 3] > top - margin)
    return int(near.sum()) == 1
