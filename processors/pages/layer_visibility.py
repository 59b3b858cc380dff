"""Finds the objects that draw the characters of a PDF page's text layer, and the characters that a person can see.

The page is rendered with its text and without it. A character whose place looks the same in both pictures is not
visible: it is transparent, has the color of its background, is covered, clipped, or in a layer that is switched off.
The second picture shows the rest of the page: all content that is not in the text layer.
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
_LEVEL = 0.1  # quarter turns from horizontal or vertical, up to which a glyph does not count as `TILTED`
_FINE = 1000  # device units per point, as pdfium returns integers
_VISIBLE = 8  # of 255: the least difference from its background that a person sees
_BAND = 0.25  # share of a letter's height, at the top and at the bottom, that does not make a covered letter visible
_IDEOGRAPHS = "\u2e80"  # from here on, characters may have an empty middle, such as the two strokes of U+4E8C
_SPARSE = 8  # pixels between the samples of the paper's color
_FILLED = (0, 2, 4, 6)  # text rendering modes (ISO 32000-1, table 106)
_LEAST_HEIGHT = 8  # pixels; lower letters are checked without the bands


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
    """Read the layer of a page. characters: of `text`, see `text_layer.to_characters`; scale: pixels per point."""
    from pypdfium2 import raw

    sides = (ctypes.c_double * 4)()  # left, right, bottom, top
    each_side = [ctypes.c_double.from_buffer(sides, number * ctypes.sizeof(ctypes.c_double)) for number in range(4)]
    boxes = np.zeros((len(characters), 4))
    objects: list[int] = []
    drawn: list[object] = []
    fonts: list[int] = []
    turns: list[int] = []
    numbers: dict[int, int] = {}  # of the objects, by address
    turned, handle = math.radians(page.get_rotation() or 0), text.raw
    for index in range(len(characters)):
        found = raw.FPDFText_GetTextObject(handle, index)
        address = ctypes.addressof(found.contents) if found else 0
        if address and address not in numbers:
            numbers[address] = len(drawn)
            drawn.append(found)
            fonts.append(ctypes.cast(raw.FPDFTextObj_GetFont(found), ctypes.c_void_p).value or 0)
        objects.append(numbers[address] if address else -1)
        quarters = (turned + raw.FPDFText_GetCharAngle(handle, index)) / (math.pi / 2)
        turns.append(round(quarters) % 4 if abs(quarters - round(quarters)) <= _LEVEL else TILTED)
        if raw.FPDFText_GetCharBox(handle, index, *each_side):
            left, right, bottom, top = sides
            boxes[index] = left, bottom, right, top
    return Layer(characters, to_pixels(page, boxes, scale), objects, drawn, fonts, turns)


def to_pixels(page: "PdfPage", boxes: np.ndarray, scale: float) -> np.ndarray:
    """Convert boxes, float64, shape (n, 4), from PDF user space (left, bottom, right, top) to pixels of the page's
    image (left, top, right, bottom). scale: pixels per point.
    """
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
    """Hide the text objects of the page during the context."""
    from pypdfium2 import raw

    for each in layer.drawn:
        raw.FPDFPageObj_SetIsActive(each, False)
    try:
        yield
    finally:
        for each in layer.drawn:
            raw.FPDFPageObj_SetIsActive(each, True)


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The largest difference of any color channel, per pixel: uint8, shape (height, width).

    one, other: RGB, uint8, shape (height, width, 3).
    """
    import cv2

    channels = cv2.absdiff(one, other)
    largest: np.ndarray = np.maximum(np.maximum(channels[..., 0], channels[..., 1]), channels[..., 2])
    return largest


def find_invisible(layer: Layer, ink: np.ndarray) -> Set[int]:
    """The indices of the invisible characters. ink: contribution of the text, uint8, shape (height, width)."""
    import cv2

    height, width = ink.shape
    sums = cv2.integral((ink >= _VISIBLE).astype(np.uint8))  # of the ink above and left of each pixel
    left, top = (np.clip(layer.boxes[:, side].astype(int), 0, most) for side, most in ((0, width), (1, height)))
    right, bottom = (np.clip(layer.boxes[:, side].astype(int) + 1, 0, most) for side, most in ((2, width), (3, height)))
    band = np.where([_is_letter(each) for each in layer.characters], ((bottom - top) * _BAND).astype(int), 0)
    band[bottom - top < _LEAST_HEIGHT] = 0
    top, bottom = top + band, bottom - band
    right, bottom = np.maximum(left, right), np.maximum(top, bottom)
    seen = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left] > 0
    is_drawn = (np.array(layer.objects) >= 0) & (layer.boxes[:, 2] > layer.boxes[:, 0])
    unseen = np.flatnonzero(is_drawn & ~seen).tolist()
    return {index for index in unseen if layer.characters[index] and not layer.characters[index].isspace()}


def _is_letter(character: str) -> bool:
    """True if tips above or below an object that covers the character do not make it visible."""
    return character.isalnum() and character < _IDEOGRAPHS


def count_covered(layer: Layer, invisible: Set[int], rest: np.ndarray) -> int:
    """The number of invisible characters that are covered or switched off, rather than drawn in the color of the paper.

    rest: the page without its text: RGB, uint8, shape (height, width, 3).
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
    """The fill color of a text object: red, green, blue, 0 to 255, shape (3,); None if the text is not filled."""
    from pypdfium2 import raw

    channels = [ctypes.c_uint() for _ in range(4)]
    if raw.FPDFTextObj_GetTextRenderMode(drawn) not in _FILLED or not raw.FPDFPageObj_GetFillColor(drawn, *channels):
        return None
    return np.array([channel.value for channel in channels[:3]]) if channels[3].value else None
