"""Checks whether the glyphs of a text layer look like its characters.

A font's table may map its glyphs to the wrong characters. The text layer then contains text, but not the text that the
page shows. This module compares each glyph, as drawn on the page, with the letters and digits of the standard
typefaces. This is not OCR: in some milliseconds, it only finds the fonts whose text needs OCR.
"""

from collections import defaultdict
from collections.abc import Mapping, Set
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from processors.pages.unlikely_text import find_unlikely_fonts

if TYPE_CHECKING:
    from processors.pages.layer_visibility import Layer

_TYPEFACES = (b"Helvetica", b"Helvetica-Bold", b"Times-Roman", b"Times-Bold", b"Times-Italic", b"Courier")
_KNOWN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SAME = ("Il1", "O0o", "cC", "sS", "vVuU", "wW", "xX", "zZ", "kK", "pP", "5S", "2Z", "fF", "jJ", "yY", "mM", "tT", "nN")
# letters that Greek and Cyrillic share with Latin, as drawn
_SHARED = str.maketrans("АВЕКМНОРСТХаеорсхΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEKMHOPCTXaeopcxABEZHIKMNOPTYXo")
# letters of Greek and Cyrillic that look like a letter or digit of Latin, in some typeface
_LIKE_LATIN = set("βγηθικνπρτυχωбвгзийкмнптуфя")
_ALIKE = 0.85  # likeness to a Latin letter: in six typefaces, 16 or more of 26 Latin letters have it, 9 or fewer of 24
_MOST_LATIN, _LEAST_LATIN = 0.5, 3  # maximum share, and minimum number, of the other letters that look like Latin
_SIDE = 16  # pixels of a normalized glyph
_CELL = 60  # points around a reference glyph
_SAMPLES = 3  # of each character
_LEAST_HEIGHT = 5  # pixels; a lower glyph has no shape
_INK = 40  # of 255
_SHAPE_WEIGHT = 0.15  # weight of the difference in proportion, relative to the correlation
_MARGIN = 0.12  # by which the likeness to another character must be higher
_MOST_WRONG = 0.34  # share of a font's characters that may look like others: italics, ornaments


def find_doubtful_fonts(layer: "Layer", ink: np.ndarray, skipped: Set[int]) -> dict[int, str]:
    """The fonts whose glyphs look like other characters than the layer says, each with the characters concerned.

    ink: the contribution of the text to the picture, uint8, shape (height, width). skipped: indices of characters to
    ignore. Fonts are identified by their address in pdfium.
    """
    samples = _samples(layer, ink, skipped)
    doubtful = {}
    for font, by_character in samples.items():
        wrong, judged = [], 0
        latin = _find_latin(by_character)
        for character, crops in by_character.items():
            if character not in _REFERENCE_INDEX:
                continue
            verdicts = [_is_wrong(character, crop) for crop in crops]
            known = [verdict for verdict in verdicts if verdict is not None]
            if known:
                judged += 1
                wrong += [character] if sum(known) > len(known) / 2 else []
        if latin or is_doubtful(wrong, judged):
            doubtful[font] = "".join([*wrong, *latin])
    for font, unlikely in find_unlikely_fonts(layer, skipped).items():
        doubtful[font] = "".join(sorted({*unlikely, *doubtful.get(font, "")}))
    return doubtful


def _find_latin(by_character: Mapping[str, list[np.ndarray]]) -> list[str]:
    """The Greek and Cyrillic letters whose glyphs look Latin; none unless most of the compared letters do."""
    verdicts = {
        character: [alike for crop in crops if (alike := _likeness(crop)) is not None]
        for character, crops in by_character.items()
        if _is_distinct(character)
    }
    judged = {character: alike for character, alike in verdicts.items() if alike}
    latin = [character for character, alike in judged.items() if float(np.median(alike)) >= _ALIKE]
    return latin if len(latin) >= _LEAST_LATIN and len(latin) > _MOST_LATIN * len(judged) else []


def _is_distinct(character: str) -> bool:
    """True for a small Greek or Cyrillic letter that does not look like any Latin letter."""
    is_small = "α" <= character <= "ω" or "а" <= character <= "я"
    return is_small and character not in _LIKE_LATIN and character not in _REFERENCE_INDEX


def is_doubtful(wrong: list[str], judged: int) -> bool:
    """True if too many of a font's characters look like others. Two wrong digits are enough."""
    digits = sum(character.isdecimal() for character in wrong)
    return len(wrong) > max(1, _MOST_WRONG * judged) or digits > 1 or len(wrong) == judged > 0


def _samples(layer: "Layer", ink: np.ndarray, skipped: Set[int]) -> Mapping[int, Mapping[str, list[np.ndarray]]]:
    """Some glyphs of each character, upright, by font and character."""
    samples: dict[int, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for index, character in enumerate(layer.characters):
        number = layer.objects[index]
        if number < 0 or index in skipped or len(character) != 1 or layer.turns[index] < 0:
            continue
        character = character.translate(_SHARED)
        is_judged = character in _REFERENCE_INDEX or _is_distinct(character)
        if is_judged and len(crops := samples[layer.fonts[number]][character]) < _SAMPLES:
            crops.append(np.rot90(_crop(ink, layer.boxes[index]), layer.turns[index]))
    return samples


def _crop(ink: np.ndarray, box: np.ndarray) -> np.ndarray:
    left, top, right, bottom = box
    return ink[max(0, int(top)) : max(0, int(bottom) + 1), max(0, int(left)) : max(0, int(right) + 1)]


def _is_wrong(character: str, crop: np.ndarray) -> bool | None:
    """True if the glyph looks clearly more like another character; None if it cannot be compared."""
    best = _compare(crop)
    return None if best is None else bool(best[_allowed(character)].max() < best.max() - _MARGIN)


def _likeness(crop: np.ndarray) -> float | None:
    """How much the glyph looks like any letter or digit, up to 1; None if it is too small."""
    best = _compare(crop)
    return None if best is None else float(best.max())


def _compare(crop: np.ndarray) -> np.ndarray | None:
    """How much the glyph looks like each known character: float64, shape (characters,)."""
    glyph = _normalized(crop)
    if glyph is None:
        return None
    references, shapes = _references()
    pixels, shape = glyph
    alike = references @ pixels - _SHAPE_WEIGHT * np.abs(shapes - shape)  # shape (typefaces, characters)
    best: np.ndarray = alike.max(axis=0)
    return best


@cache
def _allowed(character: str) -> list[int]:
    same = {character}.union(*(group for group in _SAME if character in group))
    return [_REFERENCE_INDEX[each] for each in same]


def _normalized(crop: np.ndarray) -> tuple[np.ndarray, float] | None:
    """The glyph's ink as a vector of mean 0 and length 1, and the logarithm of its width to its height."""
    import cv2

    dark = crop >= _INK
    if not dark.any():
        return None
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    glyph = np.ascontiguousarray(crop)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if glyph.shape[0] < _LEAST_HEIGHT:
        return None
    interpolation = cv2.INTER_AREA if min(glyph.shape) > _SIDE else cv2.INTER_LINEAR
    small = cv2.GaussianBlur(cv2.resize(glyph, (_SIDE, _SIDE), interpolation=interpolation), (3, 3), 0).astype(float)
    small -= small.mean()
    length = np.linalg.norm(small)
    if length < 1:  # a bar: no contrast within its box
        return None
    return (small / length).ravel(), float(np.log(glyph.shape[1] / glyph.shape[0]))


_REFERENCE_INDEX = {character: index for index, character in enumerate(_KNOWN)}


@cache
def _references() -> tuple[np.ndarray, np.ndarray]:
    """The normalized glyphs, shape (typefaces, characters, pixels), and their shapes, (typefaces, characters)."""
    pictures = [_render(typeface) for typeface in _TYPEFACES]
    pixels = np.zeros((len(_TYPEFACES), len(_KNOWN), _SIDE * _SIDE))
    shapes = np.zeros((len(_TYPEFACES), len(_KNOWN)))
    for row, picture in enumerate(pictures):
        for column in range(len(_KNOWN)):
            glyph = _normalized(picture[:, column * _CELL : (column + 1) * _CELL])
            if glyph is not None:
                pixels[row, column], shapes[row, column] = glyph
    return pixels, shapes


def _render(typeface: bytes) -> np.ndarray:
    """The known characters side by side, white on black, uint8."""
    import ctypes

    import pypdfium2
    from pypdfium2 import raw

    pdf = pypdfium2.PdfDocument.new()
    try:
        page = pdf.new_page(_CELL * len(_KNOWN), _CELL)
        font = raw.FPDFText_LoadStandardFont(pdf, typeface)
        for column, character in enumerate(_KNOWN):
            drawn = raw.FPDFPageObj_CreateTextObj(pdf, font, 40)
            text = (character + "\0").encode("utf-16-le")
            buffer = ctypes.create_string_buffer(text)
            raw.FPDFText_SetText(drawn, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)))
            raw.FPDFPageObj_Transform(drawn, 1, 0, 0, 1, column * _CELL + 10, 15)
            raw.FPDFPage_InsertObject(page, drawn)
        picture: np.ndarray = 255 - page.render(grayscale=True).to_numpy().reshape(_CELL, -1).copy()
        return picture
    finally:
        pdf.close()
