"""Recognizes frames, and edges of colored areas, that OCR took for characters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from processors.ocr.boxes import bounds_of
from processors.ocr.text_lines import TextBox
from processors.pages.page import PlacedWord

if TYPE_CHECKING:
    from PIL import Image

_STROKES = frozenset("1Iil|[](){}/\\!-_—–=.:,'°oO0口□ロ日D")  # characters that look like edges and frames
_SHAPES = frozenset("口□回ロ日田目十个丨一卜丁")  # characters that look like corners of a QR code, arrows and axes
_LONGEST = 6  # characters
_SURE = 0.8  # confidence from which such text counts as text even if it touches a line
_RIM = 3  # pixels around a box
_CROSSED = 0.4  # of the contrast within the box: more contrast along its rim shows that lines continue outside


def without_shapes(boxes: Sequence[TextBox], words: Sequence[PlacedWord] = ()) -> list[TextBox]:
    """The boxes without single squares, arrows and lines, unless the page has other Chinese or Japanese text."""
    read = [box for box in boxes if box.text.strip() not in _SHAPES]
    others = "".join([*(box.text for box in read), *(word.text for word in words)])
    return list(boxes) if any("\u3040" <= char <= "\u9fff" for char in others) else read


def is_frame(box: TextBox, words: Sequence[PlacedWord], image: "Image.Image") -> bool:
    """True if the box is not text, but drawn around one of `words`, or part of longer lines.

    image: the RGB image in which OCR found the box.
    """
    text = "".join(box.text.split())
    if len(text) > _LONGEST or not _STROKES.issuperset(text):
        return False
    left, top, right, bottom = map(round, bounds_of(box.corners))
    if len(text) == 1 and any(
        left < word.left and word.right < right and top < word.top and word.bottom < bottom for word in words
    ):
        return True
    return box.confidence < _SURE and _continues(image, left, top, right, bottom)


def _continues(image: "Image.Image", left: int, top: int, right: int, bottom: int) -> bool:
    """True if the content of the box continues outside it."""
    around = (left - _RIM, top - _RIM, right + _RIM, bottom + _RIM)
    gray = np.asarray(image.crop(around).convert("L")).astype(int)
    rim = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    return int(np.ptp(rim)) > _CROSSED * int(np.ptp(gray))
