"""Reads the text layer of a PDF page: its text, and its words with their positions on the rendered page."""

import math
import sys
from collections.abc import Sequence, Set
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from processors.pages.layer_visibility import to_pixels
from processors.pages.symbols import SYMBOLS, restore_equations
from processors.pages.words import Char

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

_FINE = 16  # steps per point, to which positions are rounded
_UNKNOWN = "\ufffd"
_HYPHEN, _LINE_END = "-", "\x02\ufffe"  # pdfium's character for a hyphen at the end of a line
_LAST_CONTROL = 0x1F  # which pdfium uses for such a hyphen


def read_characters(text: "PdfTextPage") -> list[str]:
    """The characters, in pdfium's order; see `to_characters`."""
    return restore_equations(to_characters(_codes(text)))


def read_text(text: "PdfTextPage", characters: Sequence[str], omitted: Set[int] = frozenset()) -> str:
    """The text of the page, without the characters whose indices are in `omitted`. characters: all, see
    `read_characters`.
    """
    if omitted:
        found = "".join(character for number, character in enumerate(characters) if number not in omitted)
    else:
        found = text.get_text_bounded(errors="replace")
    found = found.replace("\r\n", "\n").replace("\0", "")
    return "".join(restore_equations(_HYPHEN if each in _LINE_END else _readable(each) for each in found)).strip()


def place_characters(page: "PdfPage", text: "PdfTextPage", characters: Sequence[str]) -> list[Char | None]:
    """The characters and their loose boxes, in pdfium's order, for `find_words`: None for a space, or a character that
    pdfium inserted.
    """
    from pypdfium2 import raw

    handle, turned = text.raw, math.radians(page.get_rotation() or 0)
    angles = [raw.FPDFText_GetCharAngle(handle, number) for number in range(len(characters))]
    loose, box = np.zeros((len(characters), 4)), raw.FS_RECTF()
    is_placed = [False] * len(characters)
    for number, character in enumerate(characters):
        if character != "\0" and not character.isspace() and raw.FPDFText_GetLooseCharBox(handle, number, box):
            loose[number] = box.left, box.bottom, box.right, box.top
            is_placed[number] = True
    places: list[tuple[float, float, float, float]]
    places = (np.floor(to_pixels(page, loose, 1.0) * _FINE + 0.5) / _FINE).tolist()
    return [
        Char(character, left, top, right, bottom, math.degrees(angle + turned) % 360) if placed else None
        for character, (left, top, right, bottom), angle, placed in zip(
            characters, places, angles, is_placed, strict=True
        )
    ]


def to_characters(codes: Sequence[int]) -> list[str]:
    """Convert the codes from a font's table, valid or not, to characters.

    A surrogate pair becomes one character, followed by ""; a lone surrogate, an invalid code point, a noncharacter or a
    control character becomes U+FFFD. U+0000 stays.
    """
    found: list[str] = []
    for number, code in enumerate(codes):
        if _is_low(code) and number and _is_high(codes[number - 1]):
            high = codes[number - 1]
            found[-1:] = [_readable(chr(0x10000 + ((high - 0xD800) << 10) + code - 0xDC00)), ""]
        else:
            is_character = code <= sys.maxunicode and not 0xD800 <= code <= 0xDFFF
            found.append(_readable(chr(code)) if is_character else _UNKNOWN)
    return found


@cache
def _readable(character: str) -> str:
    """The character, or U+FFFD for a control character other than tab and line end, or a noncharacter (Unicode 15,
    23.7)."""
    character = SYMBOLS.get(character, character)
    code = ord(character)
    is_control = (code < 0x20 or 0x7F <= code < 0xA0) and character not in "\0\t\n\r"
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return _UNKNOWN if is_control or is_noncharacter else character


def _codes(text: "PdfTextPage") -> list[int]:
    """The codes of all characters.

    pdfium's code for a hyphen at the end of a line becomes a hyphen. U+0000, pdfium's code for a glyph without a
    character, becomes U+FFFD unless the glyph is blank.
    """
    from pypdfium2 import raw

    handle = text.raw
    codes = [int(raw.FPDFText_GetUnicode(handle, number)) for number in range(text.count_chars())]
    for number, code in enumerate(codes):
        if code <= _LAST_CONTROL and raw.FPDFText_IsHyphen(handle, number) == 1:
            codes[number] = ord(_HYPHEN)
        elif code == 0:
            left, bottom, right, top = text.get_charbox(number)
            codes[number] = ord(_UNKNOWN) if right > left and top > bottom else 0
    return codes


def _is_high(code: int) -> bool:
    """True for a high surrogate (Unicode 15, 3.8)."""
    return 0xD800 <= code <= 0xDBFF


def _is_low(code: int) -> bool:
    return 0xDC00 <= code <= 0xDFFF
