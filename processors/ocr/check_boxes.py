"""Check boxes of a scan: taken out of the image before OCR, which would read them as letters; marked in the text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from processors.ocr.boxes import Quad, bounds_of
from processors.ocr.ink import Ink
from processors.ocr.text_lines import Point, TextBox
from processors.pages.check_boxes import Square, choose, find_squares, is_mark

if TYPE_CHECKING:
    from PIL import Image

CHECKED, EMPTY = "[x]", "[ ]"
_SMALLEST, _LARGEST = 0.9, 4.0  # heights of the page's smaller letters
_LEAST_SIDE = 12  # measured pixels; a smaller letter may look like a square
_FRAME = 0.15  # of a side: the outline
_PAPER = 90  # percentile of the pixels around it
_SURE = 0.8  # confidence

Recognize = Callable[[Sequence[Quad]], Sequence[TextBox]]  # the text in each quad of the original image


@dataclass(frozen=True)
class Settled:
    marks: list[TextBox]  # of the check boxes
    texts: list[TextBox]  # in or of squares that are none
    unread: int  # squares with a mark, of which neither is known


def find_boxes(ink: Ink) -> list[Square]:
    """Squares that may be check boxes, in pixels of the image."""
    height = (ink.letter_height or 0.0) * ink.share
    if not height:
        return []
    squares = find_squares(ink.mask, ink.gray, max(_LEAST_SIDE, _SMALLEST * height), _LARGEST * height)
    return [_enlarged(each, ink.share) for each in squares]


def _enlarged(square: Square, share: float) -> Square:
    left, top, right, bottom = (side / share for side in square.box)
    return replace(square, box=(left, top, right, bottom))


def may_be_letters(words: Sequence[TextBox]) -> bool:
    """True for Chinese and Japanese, some of whose characters are squares."""
    return any("\u2e80" <= character <= "\u9fff" for word in words for character in word.text)


def take_out(image: "Image.Image", squares: Sequence[Square]) -> "Image.Image":
    """The image with the color of the paper in the places of the squares; of cells, only the frame is taken out."""
    image = image.copy()
    for square in squares:
        left, top, right, bottom = (round(side) for side in square.box)
        margin = max(2, round(square.side / 8))
        place = left - margin, top - margin, right + margin, bottom + margin
        content = image.crop((left + margin, top + margin, right - margin, bottom - margin))
        around = np.asarray(image.crop(place)).reshape(-1, 3)
        image.paste(tuple(int(value) for value in np.percentile(around, _PAPER, axis=0)), place)
        if square.is_cell:
            image.paste(content, (left + margin, top + margin))
    return image


def settle(squares: Sequence[Square], words: Sequence[TextBox], recognize: Recognize) -> Settled:
    """Decide which squares are check boxes. `words`: what OCR read beside them."""
    marked = [square for square in squares if square.is_marked and not square.is_cell]
    within = dict(zip((id(square) for square in marked), recognize([_inner(each) for each in marked]), strict=True))
    framed = {key: box for key, box in within.items() if box.confidence >= _SURE and not is_mark(box.text.strip())}
    chosen = choose([each for each in squares if id(each) not in framed], [bounds_of(word.corners) for word in words])
    kept = {id(each) for each in chosen}
    left = [square for square in marked if id(square) not in kept and id(square) not in framed]
    texts = [box for box in recognize([_quad(square.box) for square in left]) if box.confidence >= _SURE]
    return Settled([_mark(each) for each in chosen], [*framed.values(), *texts], len(left) - len(texts))


def _mark(square: Square) -> TextBox:
    return TextBox(text=CHECKED if square.is_marked else EMPTY, confidence=1.0, corners=_quad(square.box))


def _inner(square: Square) -> Quad:
    left, top, right, bottom = square.box
    frame = _FRAME * square.side
    return _quad((left + frame, top + frame, right - frame, bottom - frame))


def _quad(box: tuple[float, float, float, float]) -> tuple[Point, Point, Point, Point]:
    left, top, right, bottom = (round(side, 1) for side in box)
    return (left, top), (right, top), (right, bottom), (left, bottom)
