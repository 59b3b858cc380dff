"""Small check boxes of scans: whether each is marked, wherever the pixels fall."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from processors.pages.check_boxes import find_squares

_FINE = 8  # times as large as the scan
_MARKS = {
    "cross": [((0.2, 0.2), (0.8, 0.8)), ((0.8, 0.2), (0.2, 0.8))],
    "check mark": [((0.2, 0.5), (0.45, 0.8)), ((0.45, 0.8), (0.85, 0.15))],
    "stroke": [((0.15, 0.85), (0.85, 0.15))],
}


def _scan(side: int, shift: float, outline: float, blur: float, marks: list | None = None) -> np.ndarray:
    """A box of `side` pixels with a mark, as a scanner sees it: gray, uint8. outline, blur: pixels."""
    image = Image.new("L", (60 * _FINE, 60 * _FINE), 245)
    draw = ImageDraw.Draw(image)
    start, end = (20 + shift) * _FINE, (20 + shift + side) * _FINE
    draw.rectangle((start, start, end, end), outline=40, width=round(outline * _FINE))
    for stroke in marks or ():
        places = [tuple(start + share * (end - start) for share in point) for point in stroke]
        draw.line(places, fill=40, width=round(outline * _FINE))
    small = image.resize((60, 60), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(blur))
    noise = np.random.default_rng(side).normal(0, 4, (60, 60))
    return np.clip(np.asarray(small) + noise, 0, 255).astype(np.uint8)


def _is_marked(gray: np.ndarray) -> list[bool]:
    ink = cv2.subtract(cv2.blur(gray, (41, 41)), gray) >= 24
    return [square.is_marked for square in find_squares(ink, gray, 9, 30)]


@pytest.mark.parametrize("shift", [0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize(("side", "outline", "blur"), [(11, 2, 0.5), (13, 2, 0.5), (20, 1.5, 0.7), (24, 2.5, 0.7)])
def test_empty_box_is_not_marked(side: int, outline: float, blur: float, shift: float):
    assert _is_marked(_scan(side, shift, outline, blur)) in ([False], [])  # the thickest outlines may not be found


@pytest.mark.parametrize("shift", [0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("mark", list(_MARKS))
@pytest.mark.parametrize(("side", "outline", "blur"), [(18, 1.5, 0.5), (20, 2, 0.7), (24, 2.5, 0.7)])
def test_box_with_a_mark_is_marked(side: int, outline: float, blur: float, mark: str, shift: float):
    assert _is_marked(_scan(side, shift, outline, blur, _MARKS[mark])) == [True]
