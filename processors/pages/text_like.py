"""Finds the parts of a page that may contain text which is not in its text layer.

Such parts are rows of marks of the size of letters, and pictures. Lines, frames, areas of one color and single marks
are left out. Only OCR can decide whether a part really contains text.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from processors.pages.page import Box

# All lengths are in points, converted to pixels of the picture (ISO 32000-1, 8.3.2.3: 72 to the inch).
_ENOUGH_PIXELS = 1.5  # pixels per point at which the search works: letters are still separate
_EDGE = 24  # of 255: the least contrast of a mark with its neighborhood
_LINE = 40.0  # a longer horizontal or vertical stroke is a line, not part of a letter
_LOWEST, _HIGHEST = 2.5, 80.0  # height of a letter
_SIDE_BY_SIDE = 1.2  # heights; letters with a wider gap belong to different words
_LEAST_LETTERS = 2  # in a row, to be text
_PICTURE = 40.0  # a larger mark may be a picture or a word whose letters touch
_LEAST_DETAIL = 0.04  # share of its pixels that are edges, in a picture that is not a line drawing or a frame
_TOGETHER = 14.0  # words and lines with a smaller gap are read together
_MARGIN = 4.0  # margin around each part


def find_text_like(picture: np.ndarray, pixels_per_point: float) -> list["Box"]:
    """Boxes in pixels of the parts that may contain text. They do not overlap.

    picture: RGB, uint8, shape (height, width, 3).
    """
    import cv2

    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, _ENOUGH_PIXELS / pixels_per_point)
    if scale < 1.0:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    pixels_per_point *= scale
    edges = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) >= _EDGE
    if not edges.any():
        return []
    marks = _without_lines(edges.astype(np.uint8), round(_LINE * pixels_per_point) | 1)
    count, _, found, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    likely = np.zeros_like(marks)
    letters = np.zeros_like(marks)
    for left, top, width, height, area in found[1:count]:
        size = max(width, height) / pixels_per_point
        if size > _PICTURE and area >= _LEAST_DETAIL * width * height:
            likely[top : top + height, left : left + width] = 1
        elif _LOWEST <= height / pixels_per_point <= _HIGHEST:
            letters[top : top + height, left : left + width] = 1
    for left, top, right, bottom in _rows(letters):
        likely[top:bottom, left:right] = 1
    boxes = _together(likely, pixels_per_point)
    return [(left / scale, top / scale, right / scale, bottom / scale) for left, top, right, bottom in boxes]


def _without_lines(edges: np.ndarray, length: int) -> np.ndarray:
    import cv2

    for shape in ((1, length), (length, 1)):
        edges = edges - cv2.morphologyEx(edges, cv2.MORPH_OPEN, np.ones(shape, np.uint8))
    return edges


def _rows(letters: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Boxes of marks of similar height that stand side by side."""
    import cv2

    count, _, found, _ = cv2.connectedComponentsWithStats(letters, connectivity=8)
    order = sorted(range(1, count), key=lambda index: int(found[index][0]))
    rows: list[list[int]] = []  # left, top, right, bottom, letters
    open_rows: list[list[int]] = []
    for index in order:
        left, top, width, height = (int(value) for value in found[index][:4])
        open_rows = [row for row in open_rows if left - row[2] <= _SIDE_BY_SIDE * (row[3] - row[1])]
        row = next((row for row in open_rows if _is_beside(row, left, top, width, height)), None)
        if row is None:
            row = [left, top, left + width, top + height, 0]
            rows.append(row)
            open_rows.append(row)
        row[1], row[2], row[3] = min(row[1], top), max(row[2], left + width), max(row[3], top + height)
        row[4] += max(1, round(width / height / 0.8))  # touching letters are one mark
    return [(row[0], row[1], row[2], row[3]) for row in rows if row[4] >= _LEAST_LETTERS]


def _is_beside(row: list[int], left: int, top: int, width: int, height: int) -> bool:
    shared = min(row[3], top + height) - max(row[1], top)
    lower, higher = sorted((row[3] - row[1], height))
    return shared >= 0.5 * lower and higher <= 4 * lower and left - row[2] <= _SIDE_BY_SIDE * higher


def _together(likely: np.ndarray, pixels_per_point: float) -> list[tuple[int, int, int, int]]:
    """Merge marks that are close to each other into boxes that do not overlap."""
    import cv2

    if not likely.any():
        return []
    gap, margin = round(_TOGETHER * pixels_per_point) | 1, round(_MARGIN * pixels_per_point)
    height, width = likely.shape
    while True:
        near = cv2.dilate(likely, np.ones((gap, gap), np.uint8))
        count, _, found, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
        boxes = [_shrunk(each, gap // 2, (width, height)) for each in found[1:count]]
        filled = np.zeros_like(likely)
        for left, top, right, bottom in boxes:
            filled[top:bottom, left:right] = 1
        if np.array_equal(filled, likely):
            break
        likely = filled
    return [
        (max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin))
        for left, top, right, bottom in boxes
    ]


def _shrunk(dilated: np.ndarray, by: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Undo the dilation of a component's box. At the picture's border, the dilation was cut off."""
    left, top, width, height = (int(side) for side in dilated[:4])
    right, bottom = left + width, top + height
    return (
        left + by if left > 0 else 0,
        top + by if top > 0 else 0,
        right - by if right < size[0] else size[0],
        bottom - by if bottom < size[1] else size[1],
    )
