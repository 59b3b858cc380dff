"""Reads the text layer of a PDF page: its text, and its words with their positions on the rendered page."""

import ctypes
import math
import sys
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from processors.pages.page import PlacedWord
from processors.pages.symbols import SYMBOLS
from processors.pages.words import Char, find_words

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

_FINE = 16  # device units per point, as pdfium returns integers
_TILTED = 0.2  # radians
_UNKNOWN = "\ufffd"
_HYPHEN, _LINE_END = "-", "\x02\ufffe"  # pdfium's character for a hyphen at the end of a line


def read_characters(text: "PdfTextPage") -> list[str]:
    """The characters, in pdfium's order; see `to_characters`."""
    return to_characters([_code(text, number) for number in range(text.count_chars())])


def read_text(page: "PdfPage", omitted: Set[int] = frozenset()) -> str:
    """The text of the page, without the characters whose indices are in `omitted`."""
    text = page.get_textpage()
    try:
        if omitted:
            characters = enumerate(read_characters(text))
            found = "".join(character for number, character in characters if number not in omitted)
        else:
            found = text.get_text_bounded(errors="replace")
    finally:
        text.close()
    found = found.replace("\r\n", "\n").replace("\0", "")
    return "".join(_HYPHEN if each in _LINE_END else _readable(each) for each in found).strip()


def read_words(page: "PdfPage", scale: float, omitted: Set[int] = frozenset()) -> tuple[PlacedWord, ...]:
    """The words in pixels of the page rendered at `scale` pixels per point; none if most text is not horizontal.

    `omitted`: the indices of characters to leave out.
    """
    from pypdfium2 import raw

    text = page.get_textpage()
    try:
        count = text.count_chars()
        angles = [raw.FPDFText_GetCharAngle(text, number) for number in range(count)]
        turned = (page.get_rotation() or 0) * 3.14159265 / 180
        tilted = sum(_TILTED < (angle + turned) % 6.2831853 < 6.2831853 - _TILTED for angle in angles if angle >= 0)
        if tilted > count / 2:
            return ()
        width, height = page.get_size()
        size = round(width * _FINE), round(height * _FINE)
        chars = [
            _char(text, page, number, character, size, math.degrees(angles[number] + turned) % 360)
            for number, character in enumerate(read_characters(text))
            if number not in omitted
        ]
    finally:
        text.close()
    return find_words([char for char in chars if char is None or char.text], scale)


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


def _readable(character: str) -> str:
    """The character, or U+FFFD for a control character other than tab and line end, or a noncharacter (Unicode 15,
    23.7)."""
    character = SYMBOLS.get(character, character)
    code = ord(character)
    is_control = (code < 0x20 or 0x7F <= code < 0xA0) and character not in "\0\t\n\r"
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return _UNKNOWN if is_control or is_noncharacter else character


def _code(text: "PdfTextPage", number: int) -> int:
    """The code of a character.

    pdfium's code for a hyphen at the end of a line becomes a hyphen. U+0000, pdfium's code for a glyph without a
    character, becomes U+FFFD unless the glyph is blank.
    """
    from pypdfium2 import raw

    code = int(raw.FPDFText_GetUnicode(text, number))
    if raw.FPDFText_IsHyphen(text, number) == 1:
        return ord(_HYPHEN)
    if code == 0:
        left, bottom, right, top = text.get_charbox(number)
        return ord(_UNKNOWN) if right > left and top > bottom else 0
    return code


def _is_high(code: int) -> bool:
    """True for a high surrogate (Unicode 15, 3.8)."""
    return 0xD800 <= code <= 0xDBFF


def _is_low(code: int) -> bool:
    return 0xDC00 <= code <= 0xDFFF


def _char(
    text: "PdfTextPage", page: "PdfPage", number: int, character: str, size: tuple[int, int], angle: float
) -> Char | None:
    """Return a character and its box; None for a space, or a character that pdfium inserted."""
    from pypdfium2 import raw

    if character == "\0" or character.isspace():
        return None
    box = raw.FS_RECTF()
    if not raw.FPDFText_GetLooseCharBox(text, number, box):
        return None
    corners = []
    for x, y in ((box.left, box.top), (box.right, box.bottom)):
        across, down = ctypes.c_int(), ctypes.c_int()
        raw.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, across, down)
        corners.append((across.value / _FINE, down.value / _FINE))
    (x1, y1), (x2, y2) = corners
    return Char(character, min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2), angle)
