"""Characters that pdfium cannot draw: the file does not contain their font, and this machine has none for their script.

Such characters look like hidden text, which inboxd leaves out. The difference is that they remain invisible even when
they are drawn alone on an empty page, although their color differs from the paper's.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from processors.pages.layer_visibility import Layer, difference, fill_color, find_invisible, to_pixels, without_text

if TYPE_CHECKING:
    from pypdfium2 import PdfObject, PdfPage

_LATIN = "\u024f"  # up to here, pdfium has its own fonts for the letters
_LEAST_CONTRAST = 64  # of 255, between a character and the place where it should be

Render = Callable[[], np.ndarray]  # the page: RGB, uint8, shape (height, width, 3)


def find_undrawn(
    page: "PdfPage", layer: Layer, invisible: Set[int], rest: np.ndarray, scale: float, render: Render
) -> Set[int]:
    """The indices of those invisible characters that pdfium could not draw, although nothing hides them.

    rest: the page without its text: RGB, uint8, shape (height, width, 3), at `scale` pixels per point.
    """
    numbers = {layer.objects[index] for index in invisible if layer.characters[index] > _LATIN}
    numbers = {number for number in numbers if number >= 0 and _lacks_font(layer.drawn[number])}
    found = {index for index in invisible if layer.objects[index] in numbers and _has_contrast(layer, index, rest)}
    covers = _find_covers(page, scale) if found else []
    found = {index for index in found if not _is_covered(layer, index, covers)}
    if not found:
        return frozenset()
    with _alone(page, {_address(layer.drawn[number]) for number in numbers}):
        shown = render()
        with without_text(layer):
            empty = render()
    return found & find_invisible(layer, difference(shown, empty))


def _lacks_font(drawn: object) -> bool:
    from pypdfium2 import raw

    return raw.FPDFFont_GetIsEmbedded(raw.FPDFTextObj_GetFont(drawn)) == 0 and fill_color(drawn) is not None


def _has_contrast(layer: Layer, index: int, rest: np.ndarray) -> bool:
    left, top, right, bottom = layer.boxes[index]
    across, down = int((left + right) / 2), int((top + bottom) / 2)
    color = fill_color(layer.drawn[layer.objects[index]])
    if color is None or not (0 <= across < rest.shape[1] and 0 <= down < rest.shape[0]):
        return False
    return bool(np.abs(rest[down, across].astype(int) - color).max() >= _LEAST_CONTRAST)


def _find_covers(page: "PdfPage", scale: float) -> list[tuple[int, np.ndarray | None]]:
    """The page's objects in drawing order: address, and box in pixels if the object hides others, else None."""
    found = []
    for each in page.get_objects(max_depth=1):
        box = to_pixels(page, np.array([each.get_bounds()]), scale)[0] if _hides(each) else None
        found.append((_address(each.raw), box))
    return found


def _hides(drawn: "PdfObject") -> bool:
    """True for pictures, shadings and filled shapes."""
    from pypdfium2 import raw

    if drawn.type != raw.FPDF_PAGEOBJ_PATH:
        return bool(drawn.type in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING))
    mode, is_stroked = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(drawn.raw, mode, is_stroked)
    return bool(mode.value != raw.FPDF_FILLMODE_NONE)


def _is_covered(layer: Layer, index: int, covers: Sequence[tuple[int, np.ndarray | None]]) -> bool:
    """True if an object that is drawn later covers the center of the character, or if the order is unknown."""
    own = _address(layer.drawn[layer.objects[index]])
    after = next((at for at, (address, _) in enumerate(covers) if address == own), None)
    if after is None:  # within a form
        return True
    left, top, right, bottom = layer.boxes[index]
    x, y = (left + right) / 2, (top + bottom) / 2
    return any(box is not None and box[0] <= x <= box[2] and box[1] <= y <= box[3] for _, box in covers[after:])


@contextmanager
def _alone(page: "PdfPage", kept: set[int]) -> Iterator[None]:
    """Hide all objects of the page except `kept` (addresses) during the context."""
    from pypdfium2 import raw

    others = [each.raw for each in page.get_objects(max_depth=1) if _address(each.raw) not in kept]
    for each in others:
        raw.FPDFPageObj_SetIsActive(each, False)
    try:
        yield
    finally:
        for each in others:
            raw.FPDFPageObj_SetIsActive(each, True)


def _address(drawn: object) -> int:
    assert isinstance(drawn, ctypes._Pointer)
    return ctypes.cast(drawn, ctypes.c_void_p).value or 0
