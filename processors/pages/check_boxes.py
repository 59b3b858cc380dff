"""Check boxes that a page draws: squares beside words, empty or with a mark. Pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from processors.pages.page import PlacedWord

if TYPE_CHECKING:
    from processors.pages.page import Box

_INK = 160  # of 255: darker is drawn
_SMALLEST, _LARGEST = 5.0, 20.0  # points, of a side
_SQUARE = 1.25  # longest to shortest side
_EDGE = 0.2  # of a side: where its line is
_DRAWN = 0.85  # share of a side that its line covers
_INSET = 0.25  # of a side: what lies further in is the mark
_EMPTY, _FILLED = 0.02, 0.75  # share of ink within: none is no mark; more is a bullet
_BESIDE = 3.0  # sides between a box and the next word


def find_check_boxes(
    picture: np.ndarray, words: Sequence[PlacedWord], pixels_per_point: float
) -> list[tuple["Box", bool]]:
    """The boxes in an RGB picture, uint8, shape (height, width, 3), and whether each is checked.

    `picture`: the page without `words`.
    """
    import cv2

    ink = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) < _INK).astype(np.uint8)
    if not words or not ink.any():
        return []
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    sizes = stats[1:, 2:4] / pixels_per_point
    is_square = (sizes.min(axis=1) >= _SMALLEST) & (sizes.max(axis=1) <= _LARGEST)
    is_square &= sizes.max(axis=1) <= _SQUARE * sizes.min(axis=1)
    places = np.array([(word.left, word.top, word.right, word.bottom) for word in words])
    found = []
    for left, top, width, height in stats[1:][is_square][:, :4].tolist():
        box = float(left), float(top), float(left + width), float(top + height)
        mark = _mark(ink[top : top + height, left : left + width])
        if mark is None or not _is_beside(box, places):
            continue
        found.append((box, mark > _EMPTY or _has_word(box, places)))
    return found


def _mark(ink: np.ndarray) -> float | None:
    """The share of ink within a square outline; None if it is not one."""
    height, width = ink.shape
    across, down = max(1, round(width * _EDGE)), max(1, round(height * _EDGE))
    rows, columns = ink.mean(axis=1), ink.mean(axis=0)
    sides = rows[:down].max(), rows[-down:].max(), columns[:across].max(), columns[-across:].max()
    inner = ink[round(height * _INSET) : height - round(height * _INSET)]
    share = float(inner[:, round(width * _INSET) : width - round(width * _INSET)].mean())
    return share if min(sides) >= _DRAWN and share <= _FILLED else None


def _is_beside(box: "Box", words: np.ndarray) -> bool:
    """True if a word follows or precedes it on its line."""
    side, middle = box[2] - box[0], (box[1] + box[3]) / 2
    on_line = (words[:, 1] <= middle) & (middle <= words[:, 3])
    gaps = np.maximum(words[:, 0] - box[2], box[0] - words[:, 2])
    return bool((on_line & (gaps <= _BESIDE * side) & (gaps > -side / 2)).any())


def _has_word(box: "Box", words: np.ndarray) -> bool:
    """True if text marks it, such as an X."""
    across, down = (words[:, 0] + words[:, 2]) / 2, (words[:, 1] + words[:, 3]) / 2
    is_small = words[:, 2] - words[:, 0] <= 1.5 * (box[2] - box[0])
    within = (box[0] <= across) & (across <= box[2]) & (box[1] <= down) & (down <= box[3])
    return bool((within & is_small).any())
