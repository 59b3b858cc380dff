"""Finds text that a PDF page draws several times in one place, as programs do for bold type, or in bands.

pdfium's text layer has only one of the copies. Hiding the text of the layer therefore leaves the others visible.
"""

import ctypes
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from processors.pages.layer_visibility import Layer

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_DEEPEST = 8  # form XObjects within one another
_MOST = 20_000  # objects of a page; pages with more are drawings, without bold type

_Place = tuple[int, int, int, int, int]  # the address of the font, and the sides in points


def find_copies(page: "PdfPage", layer: Layer) -> list[object]:
    """The text objects outside the layer that draw the same text as objects of the layer."""
    from pypdfium2 import raw

    if raw.FPDFPage_CountObjects(page) > _MOST:
        return []
    known = {_address(each) for each in layer.drawn}
    others = [each.raw for each in page.get_objects(filter=(raw.FPDF_PAGEOBJ_TEXT,), max_depth=_DEEPEST)]
    others = [each for each in others if _address(each) not in known]
    if not others:
        return []
    originals = {_place(each) for each in layer.drawn}
    return [each for each in others if any(near in originals for near in _around(_place(each)))]


def _place(drawn: object) -> _Place:
    """The place of a text object, in the coordinates of the page or of the form that contains the object."""
    from pypdfium2 import raw

    sides = [ctypes.c_float() for _ in range(4)]
    raw.FPDFPageObj_GetBounds(drawn, *sides)
    left, bottom, right, top = (round(side.value) for side in sides)
    return _address(raw.FPDFTextObj_GetFont(drawn)), left, bottom, right, top


def _around(place: _Place) -> Iterable[tuple[int, ...]]:
    """The places that differ by at most one point at each side."""
    return itertools.product([place[0]], *((side, side - 1, side + 1) for side in place[1:]))


def _address(pointer: object) -> int:
    assert isinstance(pointer, ctypes._Pointer)
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0
