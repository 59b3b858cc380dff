"""Examines the images of a PDF page: how much of the page they cover, and whether their data is complete.

pypdfium2 is imported on first use.
"""

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from processors.pages import jpeg
from processors.pages.layer_visibility import to_pixels
from processors.pages.page import Box

if TYPE_CHECKING:
    from pypdfium2 import PdfPage
    from pypdfium2.raw import FPDF_PAGEOBJECT

_DEEPEST = 8  # form XObjects in form XObjects
_MOST_IMAGES = 5000  # of a page
_LEAST_AREA = 0.01  # share of the page; smaller images are not checked for damage
_LOSSLESS = {"FlateDecode", "LZWDecode", "ASCII85Decode", "ASCIIHexDecode", "RunLengthDecode"}
_COMPLETE = 0.98  # of the data of an image
_LARGEST_PART = 0.3  # share of the page
_GRID = 200  # cells a side, to add up images that overlap


@dataclass(frozen=True)
class PlacedImage:
    drawn: "FPDF_PAGEOBJECT"  # valid while the page is open
    box: tuple[float, float, float, float]  # left, bottom, right, top in PDF user space


def find_images(page: "PdfPage") -> list[PlacedImage]:
    """All images of the page, including those in form XObjects, with their positions."""
    from pypdfium2 import raw

    found = []
    objects = ((raw.FPDFPage_GetObject(page, index), np.eye(3)) for index in range(raw.FPDFPage_CountObjects(page)))
    for each in _walk(objects, 0):
        found.append(each)
        if len(found) == _MOST_IMAGES:
            break
    return found


def picture_share(page: "PdfPage", images: list[PlacedImage]) -> float:
    """The share of the page's area that the images together cover (0 to 1)."""
    page_left, page_bottom, page_right, page_top = page.get_bbox()
    covered = np.zeros((_GRID, _GRID), bool)
    across, up = _GRID / (page_right - page_left), _GRID / (page_top - page_bottom)
    for image in images:
        left, bottom, right, top = image.box
        columns = slice(_cell((left - page_left) * across), _cell((right - page_left) * across))
        covered[_cell((bottom - page_bottom) * up) : _cell((top - page_bottom) * up), columns] = True
    return float(covered.mean())


def find_beneath(page: "PdfPage", images: list[PlacedImage], parts: Sequence[Box], scale: float) -> list[Box]:
    """The boxes of the images that overlap one of `parts`; both are in pixels, `scale` in pixels per point.

    OCR reads such an image as a whole, because its content may be rotated.
    """
    if not images or not parts:
        return []
    places = to_pixels(page, np.array([image.box for image in images]), scale)
    width, height = (side * scale for side in page.get_size())
    found = []
    for left, top, right, bottom in places.tolist():
        place = max(0.0, left), max(0.0, top), min(width, right), min(height, bottom)
        is_part = (place[2] - place[0]) * (place[3] - place[1]) <= _LARGEST_PART * width * height
        if is_part and any(_overlap(place, part) for part in parts):
            found.append(place)
    return found


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _cell(position: float) -> int:
    return int(min(_GRID, max(0, round(position))))


def _walk(objects: "Iterator[tuple[FPDF_PAGEOBJECT, np.ndarray]]", depth: int) -> Iterator[PlacedImage]:
    from pypdfium2 import raw

    for drawn, outer in objects:
        kind = raw.FPDFPageObj_GetType(drawn)
        if kind not in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_FORM):
            continue
        matrix = _matrix(drawn) @ outer
        if kind == raw.FPDF_PAGEOBJ_IMAGE:
            yield PlacedImage(drawn, _unit_square(matrix))
        elif depth < _DEEPEST:
            count = raw.FPDFFormObj_CountObjects(drawn)
            yield from _walk(((raw.FPDFFormObj_GetObject(drawn, index), matrix) for index in range(count)), depth + 1)


def _matrix(drawn: "FPDF_PAGEOBJECT") -> np.ndarray:
    """The transformation matrix of an object as in ISO 32000-1, 8.3.3: points are row vectors."""
    from pypdfium2 import raw

    found = raw.FS_MATRIX(1, 0, 0, 1, 0, 0)
    raw.FPDFPageObj_GetMatrix(drawn, found)
    return np.array([[found.a, found.b, 0], [found.c, found.d, 0], [found.e, found.f, 1]])


def _unit_square(matrix: np.ndarray) -> tuple[float, float, float, float]:
    """The bounds of the transformed unit square, in which an image is drawn: left, bottom, right, top in user space."""
    corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) @ matrix
    (left, bottom), (right, top) = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
    return float(left), float(bottom), float(right), float(top)


def filters(image: PlacedImage) -> list[str]:
    """The names of an image's filters, in the order in which they are applied to decode it."""
    from pypdfium2 import raw

    names = []
    for index in range(raw.FPDFImageObj_GetImageFilterCount(image.drawn)):
        buffer = ctypes.create_string_buffer(64)
        raw.FPDFImageObj_GetImageFilter(image.drawn, index, buffer, 64)
        names.append(buffer.value.decode("latin-1"))
    return names


def encoded_data(image: PlacedImage) -> bytes:
    """The data of an image after all filters except those of image formats, such as DCTDecode."""
    from pypdfium2 import raw

    size = raw.FPDFImageObj_GetImageDataDecoded(image.drawn, None, 0)
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFImageObj_GetImageDataDecoded(image.drawn, buffer, size)
    return buffer.raw


def find_damage(page: "PdfPage", images: list[PlacedImage]) -> tuple[str, ...]:
    """Describe the damage in the data of the images, except of small ones."""
    width, height = page.get_size()
    found: dict[str, None] = {}
    for image in images:
        left, bottom, right, top = image.box
        if (right - left) * (top - bottom) >= _LEAST_AREA * width * height and (damage := _damage(page, image)):
            found[damage] = None
    return tuple(found)


def _damage(page: "PdfPage", image: PlacedImage) -> str:
    used = filters(image)
    if not _can_be_decoded(page, image, used):
        return (
            f"a picture is damaged or in an unknown format ({used[-1] if used else 'no filter'}): its text is missing"
        )
    if used[-1:] == ["DCTDecode"]:
        return jpeg.find_damage(encoded_data(image))
    if used and set(used) <= _LOSSLESS and _decoded_share(page, image) < _COMPLETE:
        return f"a picture is cut off after about {_decoded_share(page, image):.0%} of its height: text is missing"
    return ""


def _can_be_decoded(page: "PdfPage", image: PlacedImage, used: Sequence[str]) -> bool:
    """False if pdfium draws nothing for the image."""
    from pypdfium2 import raw

    facts = raw.FPDF_IMAGEOBJ_METADATA()
    if not raw.FPDFImageObj_GetImageMetadata(image.drawn, page, facts):
        return True
    if facts.bits_per_pixel == 0:
        return False
    if used[-1:] != ["JBIG2Decode"]:
        return True
    bitmap = raw.FPDFImageObj_GetBitmap(image.drawn)
    if bitmap:
        raw.FPDFBitmap_Destroy(bitmap)
    return bool(bitmap)


def _decoded_share(page: "PdfPage", image: PlacedImage) -> float:
    """The share of the required data that the image contains (0 to 1)."""
    from pypdfium2 import raw

    facts = raw.FPDF_IMAGEOBJ_METADATA()
    if not raw.FPDFImageObj_GetImageMetadata(image.drawn, page, facts):
        return 1.0
    required = (facts.width * facts.bits_per_pixel + 7) // 8 * facts.height
    return raw.FPDFImageObj_GetImageDataDecoded(image.drawn, None, 0) / required if required else 1.0
