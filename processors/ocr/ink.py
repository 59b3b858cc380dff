"""The ink of a page: the position and size of its writing, and the writing that no text box covers.

Ink is whatever is darker than its surroundings, or lighter on a dark background. Sizes and positions are in pixels of
the page's image, even if a smaller copy of it was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from PIL import Image

Bounds = tuple[float, float, float, float]  # left, top, right, bottom

_MEASURED_PIXELS = 2_000_000  # A4 at 150 dpi: letters of 6 points are still separate
_NEIGHBORHOOD = 1 / 30  # of the longer side: wider than strokes, narrower than shadows
_CONTRAST = 24  # gray values
_DARK_GROUND = 110  # gray value
_FAINTEST, _FAINT_SHARE = 6, 0.4  # gray values; of the strongest contrast near it: less is the halo of a dark letter
_NEAR = 15  # measured pixels
_NOISE = 4.5  # standard deviations of the paper's gray values that no speck reaches
_EVERY = 3  # pixels from one sample of the noise to the next
_TO_DEVIATION = 1.4826  # of a normal distribution, from the median of the absolute deviation
_LEAST_LETTER, _LEAST_MARK = 4, 2  # measured pixels high
_LOWEST = 1.5  # times `_LEAST_LETTER`; lower letters may be specks, which do not stand in lines
_LARGEST = 0.3  # of the page's height
_RULE = 12  # times as long as wide: a ruling line
_MANY = 6000  # letters; more than this are the texture of a picture
_REACH = 3.9  # letter heights to the next letter of a line, at most, whatever its height
_LINE_GAP, _LINE_SHIFT, _LINE_SIZE = 1.3, 0.5, 2.2  # letter heights; the last is the greatest ratio of two heights
_LEAST_GLYPHS = 3  # of a line
_RIM = 0.1  # of the height of a box: above and below its text


@dataclass(frozen=True)
class Ink:
    """Connected strokes of one page, each as left, top, right, bottom: float, shape (n, 4)."""

    letters: np.ndarray  # as large as a letter
    marks: np.ndarray  # the same, and smaller ones: points, commas, dashes
    mask: np.ndarray  # all ink: bool, shape (height, width) of the copy that was measured
    gray: np.ndarray  # that copy: uint8
    share: float  # of the sides of the image that the copy has

    @property
    def bounds(self) -> Bounds | None:
        """The bounds of all letters; None if there are none."""
        if not len(self.letters):
            return None
        return (*self.letters[:, :2].min(axis=0), *self.letters[:, 2:].max(axis=0))

    @cached_property
    def letter_height(self) -> float | None:
        """The height of the smaller letters of the page, without specks."""
        if not len(self.letters):
            return None
        height = _smaller_height(self.letters)
        if height < _LOWEST * _LEAST_LETTER / self.share and (lines := find_lines_outside(self, [])):
            return _smaller_height(np.concatenate([self.letters[_is_in(self.letters, line)] for line in lines]))
        return height


def _smaller_height(letters: np.ndarray) -> float:
    heights = letters[:, 3] - letters[:, 1]
    return float(np.percentile(heights[heights >= np.median(heights) / 2], 25))


def find_ink(image: "Image.Image") -> Ink:
    gray = np.asarray(image.convert("L"))
    share = min(1.0, (_MEASURED_PIXELS / gray.size) ** 0.5)
    if share < 1:
        gray = cv2.resize(gray, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    side = int(max(gray.shape) * _NEIGHBORHOOD) | 1
    ground = cv2.blur(gray, (side, side))
    depth = cv2.subtract(ground, gray)
    if (is_dark := ground < _DARK_GROUND).any():
        depth = np.where(is_dark, cv2.absdiff(gray, ground), depth)
    ink = depth > _least_contrast(gray, depth)
    _, _, found, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8))
    left, top, width, height, area = found[1:].T
    is_mark = (area >= _LEAST_MARK**2) & (height < _LARGEST * gray.shape[0])
    is_letter = is_mark & (height >= _LEAST_LETTER) & (width >= 2) & (width < _RULE * height) & (height < _RULE * width)
    sides = np.stack([left, top, left + width, top + height], axis=1) / share
    return Ink(sides[is_letter], sides[is_mark & (width < gray.shape[1] / 4)], ink, gray, share)


def _least_contrast(gray: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The contrast of ink at each place: less where all writing is faint, and never the noise of a scanner."""
    samples = cv2.absdiff(gray, cv2.medianBlur(gray, 3))[::_EVERY, ::_EVERY]
    noise = _NOISE * _TO_DEVIATION * float(np.median(samples))
    strongest = cv2.dilate(depth, np.ones((_NEAR, _NEAR), np.uint8))
    least: np.ndarray = np.clip(strongest * _FAINT_SHARE, min(_CONTRAST, max(_FAINTEST, noise)), _CONTRAST)
    return least


def glyphs_in(strokes: np.ndarray, box: Bounds) -> np.ndarray:
    """Left and right sides of the strokes in a box, those above each other joined: float, shape (n, 2)."""
    inside = strokes[_is_in(strokes, box)]
    merged: list[list[float]] = []
    for left, _, right, _ in inside[np.argsort(inside[:, 0])]:
        if merged and left < merged[-1][1] - 1:
            merged[-1][1] = max(merged[-1][1], right)
        else:
            merged.append([left, right])
    return np.array(merged).reshape(-1, 2)


def find_light_glyphs(ink: Ink, box: Bounds) -> np.ndarray | None:
    """Left and right sides of the glyphs in a box of light text on a colored ground: float, shape (n, 2).

    None if the text is darker than its ground. The ground of a band is darker than that of the page, so `find_ink` may
    find only some of its letters.
    """
    left, top, right, bottom = (round(side * ink.share) for side in box)
    rim = round(_RIM * (bottom - top))
    part = ink.gray[max(0, top + rim) : max(0, bottom - rim), max(0, left) : max(0, right)]
    if not part.size:
        return None
    ground, lightest = float(np.median(part)), float(part.max())
    is_light = part > ground + max(_CONTRAST, _FAINT_SHARE * (lightest - ground))
    if np.count_nonzero(is_light) <= np.count_nonzero(part < ground - _CONTRAST):
        return None
    steps = np.diff(np.concatenate([[0], is_light.any(axis=0), [0]]).astype(np.int8))
    sides = np.stack([np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)], axis=1) + max(0, left)
    glyphs: np.ndarray = sides / ink.share
    return glyphs


def _is_in(strokes: np.ndarray, box: Bounds) -> np.ndarray:
    x, y = (strokes[:, 0] + strokes[:, 2]) / 2, (strokes[:, 1] + strokes[:, 3]) / 2
    is_in: np.ndarray = (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])
    return is_in


def find_lines_outside(ink: Ink, boxes: Sequence[Bounds]) -> list[Bounds]:
    """Letters beside each other that no box covers, grouped into lines."""
    covered = np.zeros(len(ink.letters), bool)
    for box in boxes:
        covered |= _is_in(ink.letters, box)
    letters = ink.letters[~covered]
    if len(letters) > _MANY:
        return []
    lines: list[list[Bounds]] = []
    open_lines: list[tuple[float, list[Bounds]]] = []  # how far right the next letter of the line may begin; the line
    for letter in map(tuple, letters[np.argsort(letters[:, 0])].tolist()):
        open_lines = [each for each in open_lines if letter[0] < each[0]]
        beside = [line for _, line in open_lines if _is_beside(line[-1], letter)]
        best = max(beside, key=lambda line: line[-1][2], default=None)
        if best is None:
            best = []
            lines.append(best)
        else:
            open_lines = [each for each in open_lines if each[1] is not best]
        best.append(letter)
        open_lines.append((letter[2] + _REACH * (letter[3] - letter[1]), best))
    found = [np.array(line) for line in lines if len(line) >= _LEAST_GLYPHS]
    return [(*line[:, :2].min(axis=0), *line[:, 2:].max(axis=0)) for line in found if _is_writing(line)]


def _is_beside(a: Bounds, b: Bounds) -> bool:
    low, high = sorted((a[3] - a[1], b[3] - b[1]))
    shift = min(abs(a[3] - b[3]), abs(a[1] + a[3] - b[1] - b[3]) / 2)
    return shift < _LINE_SHIFT * low and high < _LINE_SIZE * low and -low / 2 < b[0] - a[2] < _LINE_GAP * high


def _is_writing(line: np.ndarray) -> bool:
    """True if the strokes of a line are of about the same height and on one baseline, as letters are."""
    heights = line[:, 3] - line[:, 1]
    height = float(np.median(heights))
    width = line[:, 2].max() - line[:, 0].min()
    return width > 1.5 * height and float(np.std(heights)) < 0.35 * height and float(np.std(line[:, 3])) < 0.35 * height
