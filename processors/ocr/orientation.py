"""Which way up a page lies, without reading it whole.

Where lines run is seen by detection alone, on a small image: lines of a page that was turned by a quarter stand
upended. Which of the two ways left is right is told by reading a few long lines both ways: text that stands on its
head is read as noise. A page costs about a tenth of what its reading costs.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from processors.ocr.layout import Point
from processors.pages.page import reduce

if TYPE_CHECKING:
    from PIL import Image

Box = Sequence[Point]
Detect = Callable[["Image.Image"], Sequence[Box]]  # boxes of lines, in any order
Recognize = Callable[["Image.Image"], tuple[str, float]]  # the text of the image of one line, and its confidence

_TRIAL_PIXELS = 500_000  # lines are still found apart: 8 point text is 8 pixels high on A4
_LINES = 8  # read both ways
_LEAST_LENGTH = 3.0  # times its height: a shorter line has no direction
_PADDING = 0.15  # of a line's height, so that a skewed line is within its level box
_CLEARLY_BETTER = 1.3  # the turned lines must give so many times the certain characters


def find_turn(image: "Image.Image", detect: Detect, recognize: Recognize) -> int:
    """By how many degrees clockwise an RGB image must be turned to lie upright: 0 where that cannot be told."""
    small = reduce(image, _TRIAL_PIXELS)
    scale = image.width / small.width
    boxes = [_bounds(box) for box in detect(small)]
    long = [box for box in boxes if _length(box) > _LEAST_LENGTH]
    if not long:
        return 0
    are_upended = sum(_is_upended(box) for box in long) > len(long) / 2
    lines = sorted((box for box in long if _is_upended(box) == are_upended), key=_length, reverse=True)[:_LINES]
    crops = [_crop(image, box, scale) for box in lines]
    ways = (90, 270) if are_upended else (0, 180)
    certain = {way: sum(_certainty(*recognize(turn(crop, way))) for crop in crops) for way in ways}
    if certain[ways[1]] > _CLEARLY_BETTER * certain[ways[0]]:
        return ways[1]
    return ways[0]


def turn(image: "Image.Image", degrees: int) -> "Image.Image":
    """Turned clockwise by a multiple of 90 degrees."""
    return image.rotate(-degrees, expand=True) if degrees else image


def _bounds(box: Box) -> tuple[float, float, float, float]:
    points = np.asarray(box, float)
    return *points.min(axis=0), *points.max(axis=0)


def _length(box: tuple[float, float, float, float]) -> float:
    """How many times as long as thick."""
    sides = box[2] - box[0], box[3] - box[1]
    return max(sides) / max(1.0, min(sides))


def _is_upended(box: tuple[float, float, float, float]) -> bool:
    return box[3] - box[1] > box[2] - box[0]


def _crop(image: "Image.Image", box: tuple[float, float, float, float], scale: float) -> "Image.Image":
    left, top, right, bottom = (side * scale for side in box)
    padding = _PADDING * min(right - left, bottom - top)
    return image.crop((int(left - padding), int(top - padding), int(right + padding) + 1, int(bottom + padding) + 1))


def _certainty(text: str, confidence: float) -> float:
    """A guess counts for little."""
    return len(text) * confidence**4
