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
_REACH = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Layers:
    """Two RGB images."""

    text: Image.Image  # the page without colored strokes
    stamps: Image.Image  # the part of the page that has colored strokes: they alone, dark on white
    place: tuple[int, int]  # left and top of that part on the page


def separate(image: Image.Image) -> Layers | None:
    """The layers of an RGB image; None if no stamp covers text."""
    share = min(1.0, (_MEASURED_PIXELS / (image.width * image.height)) ** 0.5)
    size = max(1, round(image.width * share)), max(1, round(image.height * share))
    small = np.asarray(image.resize(size, Image.Resampling.BOX) if share < 1 else image)
    if not _covers_text(small):
        return None
    pixels = np.asarray(image)
    brightest, chroma = _brightest_and_chroma(pixels)
    colored = chroma >= _COLORED
    ink = float(np.median(brightest[colored]))
    whitened = np.minimum(255, brightest * (255 / max(1.0, ink))).astype(np.uint8)
    near = cv2.dilate(colored.astype(np.uint8), _REACH).astype(bool)
    text: np.ndarray = np.where(near, whitened, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    strength = float(np.percentile(chroma[colored], 75))
    stamps: np.ndarray = 255 - np.minimum(255, chroma * (255 / strength)).astype(np.uint8)
    rows, columns = np.flatnonzero(colored.any(axis=1)), np.flatnonzero(colored.any(axis=0))
    part = stamps[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    place = int(columns[0]), int(rows[0])
    return Layers(Image.fromarray(text).convert("RGB"), Image.fromarray(part).convert("RGB"), place)


def _brightest_and_chroma(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The brightest channel of each pixel, and its difference from the darkest one: uint8, shape (height, width)."""
    red, green, blue = cv2.split(pixels)
    brightest = cv2.max(cv2.max(red, green), blue)
    return brightest, cv2.subtract(brightest, cv2.min(cv2.min(red, green), blue))


def _covers_text(pixels: np.ndarray) -> bool:
    """True if a colored mark as large as a stamp touches dark text. pixels: RGB, uint8, shape (height, width, 3)."""
    brightest, chroma = _brightest_and_chroma(pixels)
    colored = (chroma >= _COLORED).astype(np.uint8)
    if not colored.any():
        return False
    dark = ((chroma <= _NEUTRAL) & (brightest <= _DARK)).astype(np.uint8)
    grown = cv2.dilate(colored, _REACH)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(grown)
    touching = np.bincount(labels[dark > 0], minlength=len(stats))
    area, height, width = stats[:, cv2.CC_STAT_AREA], stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_WIDTH]
    is_stamp = (height >= _LEAST_SHARE * len(pixels)) & (area <= _MOST_FILLED * height * width)
    return bool(np.any(is_stamp[1:] & (touching[1:] >= _LEAST_TOUCHING)))
