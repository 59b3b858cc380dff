"""Finds type much larger than the rest of a page, which detection finds only in a smaller image. Pure."""

from collections.abc import Sequence

import numpy as np

from processors.ocr.boxes import Quad, bounds_of, height_of
from processors.ocr.ink import Ink

_TOO_LARGE = 120.0  # pixels high in the image for detection
_DETECTED = 40.0  # pixels: the height of such letters in the smaller image
_LEAST = 2  # letters
_AS_HIGH = 0.6  # share of the letters' height: a lower box is not theirs


def find_smaller_scale(ink: Ink, scale: float) -> float | None:
    """The scale at which to detect the letters that are too large at `scale`; None if there are none."""
    heights = _large(ink, scale)
    return _DETECTED / float(np.median(heights)) if len(heights) >= _LEAST else None


def merge(boxes: Sequence[Quad], larger: Sequence[Quad], ink: Ink, scale: float) -> list[Quad]:
    """The boxes found at `scale`, and those of the large letters in place of boxes of their parts."""
    least = _AS_HIGH * float(np.median(_large(ink, scale)))
    kept = [box for box in larger if height_of(box) >= least]
    return [box for box in boxes if not any(_is_in(box, other) for other in kept)] + kept


def _large(ink: Ink, scale: float) -> np.ndarray:
    heights: np.ndarray = ink.letters[:, 3] - ink.letters[:, 1]
    large: np.ndarray = heights[heights * scale > _TOO_LARGE]
    return large


def _is_in(box: Quad, other: Quad) -> bool:
    left, top, right, bottom = bounds_of(box)
    x, y = (left + right) / 2, (top + bottom) / 2
    sides = bounds_of(other)
    return sides[0] <= x <= sides[2] and sides[1] <= y <= sides[3]
