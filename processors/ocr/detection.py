"""The image in which lines are detected: the part of a page with ink, scaled by the size of its letters."""

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps

from processors.ocr.ink import Ink

if TYPE_CHECKING:
    from PIL import Image

_MAX_PIXELS = 3_500_000  # in which lines are detected: 1.8 s on one thread and 1 GB
SHORT_SIDE = 736  # pixels; detection was trained on images that are not smaller
_DETECTED_LETTERS = 9.0  # pixels high: detection finds as many lines as with letters of any other height up to 40
_DETECTED_LETTERS_OF_PART = 20.0  # the same, if all ink is on less than `SHORT_SIDE`: boxes are tighter
_LARGE_LETTERS = 40.0
_LEAST_SCALE = 0.35
_MARGIN = 64  # pixels around all ink: on a large white page, detection overlooks a single line
_LONGEST_SHAPE = 25  # ratio of the long to the short side of the image for detection
_MAX_PADDED_PIXELS = 4_000_000  # including the padding for `_LONGEST_SHAPE`

Area = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def prepare(image: "Image.Image", area: Area, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Convert a part of an image for OpenCV, with a shape and size that bound the memory of detection.

    Also return the factors from (x, y) in the result to (x, y) in the part.
    """
    part = image.crop(area)
    scale = min(scale, math.sqrt(_MAX_PIXELS / (part.width * part.height)))
    size = max(1, round(part.width * scale)), max(1, round(part.height * scale))
    resample = PillowImage.Resampling.BOX if scale < 1 else PillowImage.Resampling.BICUBIC
    shaped, factor = _in_shape(part.resize(size, resample))
    return to_bgr(shaped), factor * np.asarray(part.size) / size


def area_of(ink: Ink, size: tuple[int, int]) -> Area | None:
    """The part of the image that contains ink, with a margin; None if there is none."""
    bounds = ink.bounds
    if bounds is None:
        return None
    left, top, right, bottom = bounds
    return (
        max(0, math.floor(left) - _MARGIN),
        max(0, math.floor(top) - _MARGIN),
        min(size[0], math.ceil(right) + _MARGIN),
        min(size[1], math.ceil(bottom) + _MARGIN),
    )


def scale_for(ink: Ink, area: Area) -> float:
    """The factor by which to scale the image for detection."""
    width, height = area[2] - area[0], area[3] - area[1]
    letters = ink.letter_height or _DETECTED_LETTERS
    for_part = min(SHORT_SIDE / min(width, height), _DETECTED_LETTERS_OF_PART / letters)
    return min(max(_LEAST_SCALE, min(1.0, _DETECTED_LETTERS / letters), for_part), _LARGE_LETTERS / letters)


def _in_shape(image: "Image.Image") -> tuple["Image.Image", np.ndarray]:
    """Pad an image that is too elongated with white at the bottom or right, reduced first if that would be too large.

    Also return the factors from its coordinates to those of `image`.
    """
    if min(image.size) >= math.ceil(max(image.size) / _LONGEST_SHAPE):
        return image, np.ones(2)
    share = min(1.0, math.sqrt(_MAX_PADDED_PIXELS * _LONGEST_SHAPE) / max(image.size))
    reduced = image.resize((max(1, int(image.width * share)), max(1, int(image.height * share))))
    least = math.ceil(max(reduced.size) / _LONGEST_SHAPE)
    padding = (0, 0, max(0, least - reduced.width), max(0, least - reduced.height))
    return ImageOps.expand(reduced, padding, fill="white"), np.asarray(image.size) / reduced.size


def to_bgr(image: "Image.Image") -> np.ndarray:
    """Convert an RGB image to OpenCV's channel order: uint8, shape (height, width, 3)."""
    bgr: np.ndarray = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)
    return bgr
