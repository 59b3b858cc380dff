"""A page cut in two between its lines, so that a model sees each half by itself. Pure."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

_SMALLEST_SIDE = 84  # pixels: three of Qwen's tokens; less is no half of a page
_MIDDLE = (0.3, 0.7)  # of the height, where it may be cut
_BLANK = 24  # of 255: what the darkest and lightest pixel of a row between two lines may differ by


def can_split(image: "Image.Image") -> bool:
    return image.height >= 2 * _SMALLEST_SIDE


def split(image: "Image.Image") -> tuple["Image.Image", "Image.Image"]:
    """The upper and the lower half, cut at the blank row nearest to the middle; where there is none, at the palest."""
    cut = _row_to_cut(np.asarray(image.convert("L")))
    return image.crop((0, 0, image.width, cut)), image.crop((0, cut, image.width, image.height))


def _row_to_cut(grey: np.ndarray) -> int:
    """grey: uint8, shape (height, width)."""
    height = len(grey)
    first, last = (int(height * share) for share in _MIDDLE)
    contrast = grey[first:last].max(axis=1).astype(int) - grey[first:last].min(axis=1)
    distance = np.abs(np.arange(first, last) - height / 2)
    blank = contrast <= _BLANK
    cost = np.where(blank, distance, height + contrast * height + distance)
    return first + int(cost.argmin())
