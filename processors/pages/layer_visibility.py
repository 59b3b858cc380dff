"""What draws the characters of a PDF page's text layer, and which of them a person can see.

The page is rendered with its text and without it: a character whose place looks the same both times is not visible,
whatever the reason (invisible, in the color of its background, covered, clipped, in a layer that is switched off). The
second picture is the rest of the page: all that the text layer does not contain.
"""

import ctypes
import math
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

TILTED = -1
_LEVEL = 0.1  # quarter turns from level or upright; a glyph that is tilted more has another shape
_FINE = 1000  # device units per point, as pdfium returns integers
_VISIBLE = 8  # of 255: the least difference from its background that a person sees
_BAND = 0.25  # of a letter's height at the top and bottom that may show beside what covers it
_IDEOGRAPHS = "\u2e80"  # and above: some have nothing in their middle, such as U+4E8C, two strokes
_SPARSE = 8  # pixels from one to the next that show the color of the paper
_FILLED = (0, 2, 4, 6)  # text rendering modes (ISO 32000-1, table 106)
_LEAST_HEIGHT = 8  # pixels; of a lower letter no band is left out


@dataclass(frozen=True)
class Layer:
    """The characters of a text layer; all sequences have one item per character."""

    characters: list[str]
    boxes: np.ndarray  # float64, shape (n, 4): left, top, right, bottom in pixels, tight; no area: a blank
    objects: list[int]  # index in `drawn` of the text object that draws it; -1: none
    drawn: list[object]  # the text objects
    fonts: list[int]  # by text object: the address of its font
    turns: list[int]  # quarter turns clockwise by which the character is rotated on the page; or `TILTED`

    @property
    def has_text(self) -> bool:
        return bool(self.drawn)


def read_layer(page: "PdfPage", text: "PdfTextPage", characters: list[str], scale: float) -> Layer:
    """`characters`: those of `text`, see `text_layer.to_characters`; `scale`: pixels per point."""
    from pypdfium2 import raw

    sides = [ctypes.c_double() for _ in range(4)]
    boxes = np.zeros((len(characters), 4))
    objects: list[int] = []
    drawn: list[object] = []
    fonts: list[int] = []
    turns: list[int] = []
    numbers: dict[int, int] = {}  # of the objects, by address
    turned = math.radians(page.get_rotation() or 0)
    for index in range(len(characters)):
        found = raw.FPDFText_GetTextObject(text, index)
        address = ctypes.cast(found, ctypes.c_void_p).value
        if address and address not in numbers:
            numbers[address] = len(drawn)
            drawn.append(found)
            fonts.append(ctypes.cast(raw.FPDFTextObj_GetFont(found), ctypes.c_void_p).value or 0)
        objects.append(numbers[address] if address else -1)
        quarters = (turned + raw.FPDFText_GetCharAngle(text, index)) / (math.pi / 2)
        turns.append(round(quarters) % 4 if abs(quarters - round(quarters)) <= _LEVEL else TILTED)
        if raw.FPDFText_GetCharBox(text, index, *sides):
            left, right, bottom, top = (side.value for side in sides)
            boxes[index] = left, bottom, right, top
    return Layer(characters, to_pixels(page, boxes, scale), objects, drawn, fonts, turns)


def to_pixels(page: "PdfPage", boxes: np.ndarray, scale: float) -> np.ndarray:
    """Convert boxes from PDF user space (left, bottom, right, top) to pixels of the page's image (left, top, …)."""
    from pypdfium2 import raw

    width, height = page.get_size()
    size = round(width * _FINE), round(height * _FINE)
    across, down = ctypes.c_int(), ctypes.c_int()
    points = []
    for x, y in ((0, 0), (1000, 0), (0, 1000)):
        raw.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, across, down)
        points.append(np.array([across.value, down.value]) / _FINE * scale)
    origin, along_x, along_y = points[0], (points[1] - points[0]) / 1000, (points[2] - points[0]) / 1000
    corners = [origin + np.outer(boxes[:, x], along_x) + np.outer(boxes[:, y], along_y) for x, y in ((0, 1), (2, 3))]
    return np.hstack([np.minimum(*corners), np.maximum(*corners)])


@contextmanager
def without_text(layer: Layer) -> Iterator[None]:
    """Render the page without its text objects."""
    from pypdfium2 import raw

    for each in layer.drawn:
        raw.FPDFPageObj_SetIsActive(each, False)
    try:
        yield
    finally:
        for each in layer.drawn:
            raw.FPDFPageObj_SetIsActive(each, True)


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The largest difference of a color channel: uint8, shape (height, width)."""
    import cv2

    red, green, blue = cv2.split(cv2.absdiff(one, other))
    return cv2.max(cv2.max(red, green), blue)


def find_invisible(layer: Layer, ink: np.ndarray) -> Set[int]:
    """The invisible characters. `ink`: the contribution of the text, uint8, shape (height, width)."""
    visible = ink >= _VISIBLE
    height, width = visible.shape
    hidden = set()
    for index, (left, top, right, bottom) in enumerate(layer.boxes):
        character = layer.characters[index]
        if layer.objects[index] < 0 or right <= left or not character or character.isspace():
            continue
        first, last = max(0, int(top)), max(0, min(height, int(bottom) + 1))
        across = slice(max(0, int(left)), max(0, min(width, int(right) + 1)))
        if not _is_seen(visible[first:last, across], character):
            hidden.add(index)
    return hidden


def _is_seen(ink: np.ndarray, character: str) -> bool:
    """True if more of a letter shows than the tips that stick out above or below what covers it."""
    if not character.isalnum() or character >= _IDEOGRAPHS or len(ink) < _LEAST_HEIGHT:
        return bool(ink.any())
    band = int(len(ink) * _BAND)
    return bool(ink[band:-band].any())


def count_covered(layer: Layer, invisible: Set[int], rest: np.ndarray) -> int:
    """How many invisible characters something hides: others are drawn invisibly or in the color of the paper.

    `rest`: the page without its text.
    """
    paper = np.median(rest[::_SPARSE, ::_SPARSE].reshape(-1, 3), axis=0)
    colors = {number: fill_color(layer.drawn[number]) for number in {layer.objects[index] for index in invisible}}
    height, width = rest.shape[:2]
    count = 0
    for index in invisible:
        if not layer.characters[index].isalnum():  # a blank may have the code of a mark
            continue
        color = colors[layer.objects[index]]
        left, top, right, bottom = layer.boxes[index]
        across, down = int((left + right) / 2), int((top + bottom) / 2)
        if color is not None and 0 <= across < width and 0 <= down < height:
            seen = rest[down, across].astype(int)
            count += bool(max(np.abs(seen - color).max(), np.abs(seen - paper).max()) >= _VISIBLE)
    return count


def fill_color(drawn: object) -> np.ndarray | None:
    """Red, green and blue; None if it is not filled."""
    from pypdfium2 import raw

    channels = [ctypes.c_uint() for _ in range(4)]
    if raw.FPDFTextObj_GetTextRenderMode(drawn) not in _FILLED or not raw.FPDFPageObj_GetFillColor(drawn, *channels):
        return None
    return np.array([channel.value for channel in channels[:3]]) if channels[3].value else None
