"""Separates colored stamps from the dark text under them, so that OCR reads both. Pure."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

_COLORED = 50  # difference between the channels of a colored stroke, at least
_NEUTRAL, _DARK = 45, 120  # difference between the channels of dark text, and its brightest channel, at most
_MEASURED_PIXELS = 1_000_000
_LEAST_SHARE = 0.02  # height of a stamp, as a share of the page's
_MOST_FILLED = 0.4  # share of a stamp's box that its strokes cover; pictures and bands cover more
_LEAST_TOUCHING = 4  # measured pixels of dark text that touch it
_LINE = 0.07  # of the page's longer side: a longer level or upright stroke is a line of a form, not of a letter
_LEAST_WRITING = 40  # measured colored pixels that do not belong to lines
_REACH = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Layers:
    """Two RGB images."""

    text: Image.Image  # the page without colored strokes
    stamps: Image.Image | None  # the part of the page with colored strokes: only these, dark on white, without lines
    place: tuple[int, int]  # left and top of that part on the page
    covers_text: bool  # colored writing touches dark text, whose letters may be hidden


@dataclass(frozen=True)
class _Measured:
    """The colored strokes of a smaller copy of the page."""

    lines: np.ndarray  # level and upright lines: uint8, shape (height, width)
    has_writing: bool  # apart from lines
    covers_text: bool


def separate(image: Image.Image) -> Layers | None:
    """The layers of an RGB image; None if no stamp or colored grid covers text."""
    share = min(1.0, (_MEASURED_PIXELS / (image.width * image.height)) ** 0.5)
    size = max(1, round(image.width * share)), max(1, round(image.height * share))
    small = np.asarray(image.resize(size, Image.Resampling.BOX) if share < 1 else image)
    measured = _measure(small)
    if measured is None:
        return None
    pixels = np.asarray(image)
    brightest, chroma = _brightest_and_chroma(pixels)
    colored = chroma >= _COLORED
    ink = float(np.median(brightest[colored]))
    whitened = np.minimum(255, brightest * (255 / max(1.0, ink))).astype(np.uint8)
    near = cv2.dilate(colored.astype(np.uint8), _REACH).astype(bool)
    text = Image.fromarray(np.where(near, whitened, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))).convert("RGB")
    if not measured.has_writing:
        return Layers(text, None, (0, 0), covers_text=False)
    strength = float(np.percentile(chroma[colored], 75))
    stamps: np.ndarray = 255 - np.minimum(255, chroma * (255 / strength)).astype(np.uint8)
    stamps[cv2.resize(measured.lines, image.size, interpolation=cv2.INTER_NEAREST) > 0] = 255
    rows, columns = np.flatnonzero(colored.any(axis=1)), np.flatnonzero(colored.any(axis=0))
    part = Image.fromarray(stamps[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]).convert("RGB")
    return Layers(text, part, (int(columns[0]), int(rows[0])), measured.covers_text)


def _brightest_and_chroma(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The brightest channel of each pixel, and its difference from the darkest one: uint8, shape (height, width)."""
    red, green, blue = cv2.split(pixels)
    brightest = cv2.max(cv2.max(red, green), blue)
    return brightest, cv2.subtract(brightest, cv2.min(cv2.min(red, green), blue))


def _measure(pixels: np.ndarray) -> _Measured | None:
    """None if no colored mark as large as a stamp touches dark text. pixels: RGB, uint8, shape (height, width, 3)."""
    brightest, chroma = _brightest_and_chroma(pixels)
    colored = (chroma >= _COLORED).astype(np.uint8)
    if not colored.any():
        return None
    dark = ((chroma <= _NEUTRAL) & (brightest <= _DARK)).astype(np.uint8)
    grown = cv2.dilate(colored, _REACH)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(grown)
    touching = np.bincount(labels[dark > 0], minlength=len(stats))
    area, height, width = stats[:, cv2.CC_STAT_AREA], stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_WIDTH]
    is_stamp = (height >= _LEAST_SHARE * len(pixels)) & (area <= _MOST_FILLED * height * width)
    if not np.any(is_stamp[1:] & (touching[1:] >= _LEAST_TOUCHING)):
        return None
    lines = _find_lines(colored, dark, max(8, round(_LINE * max(pixels.shape))))
    writing = cv2.bitwise_and(colored, 1 - lines)
    covered = cv2.bitwise_and(cv2.dilate(writing, _REACH), dark)
    return _Measured(lines, int(writing.sum()) >= _LEAST_WRITING, int(covered.sum()) >= _LEAST_TOUCHING)


def _find_lines(colored: np.ndarray, dark: np.ndarray, length: int) -> np.ndarray:
    """The colored lines, and what is directly beside them. Dark text may interrupt a line."""
    drawn = cv2.bitwise_or(cv2.dilate(colored, _REACH), dark)
    across, down = (
        cv2.morphologyEx(drawn, cv2.MORPH_OPEN, np.ones(shape, np.uint8)) for shape in ((1, length), (length, 1))
    )
    lines: np.ndarray = cv2.dilate(cv2.bitwise_or(across, down), _REACH)
    return lines
