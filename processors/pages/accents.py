"""Puts accents on the letters over which they are drawn: TeX and old printer drivers draw "é" as "´" and "e". Pure."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from processors.pages.words import Char

_COMBINING = {
    **{"`": "\u0300", "´": "\u0301", "^": "\u0302", "ˆ": "\u0302", "~": "\u0303", "˜": "\u0303", "¯": "\u0304"},
    **{"˘": "\u0306", "˙": "\u0307", "¨": "\u0308", "˚": "\u030a", "˝": "\u030b", "ˇ": "\u030c", "¸": "\u0327"},
    "˛": "\u0328",
}
_DOTLESS = {"ı": "i", "ȷ": "j"}
_OVER = 0.6  # share of the accent's width and height that is over its letter


def attach_accents(chars: Sequence[Char | None]) -> list[Char | None]:
    """The characters, in the same order, with each accent that is drawn over a letter as part of that letter."""
    marks = [number for number, char in enumerate(chars) if char and _combining(char.text)]
    attached: dict[int, str] = {}  # by the number of the letter
    removed: set[int] = set()
    for number in marks:
        mark, before = chars[number], chars[number - 1] if number else None
        if mark is None or before is not None and mark.text not in _COMBINING:  # already follows its letter
            continue
        letter = _find_letter(chars, number)
        if letter is not None:
            attached[letter] = attached.get(letter, "") + _combining(mark.text)
            removed.add(number)
    return [
        replace(char, text=_accented(char.text, attached[number])) if char is not None and number in attached else char
        for number, char in enumerate(chars)
        if number not in removed
    ]


def _combining(text: str) -> str:
    """The combining character for an accent, "" for any other character."""
    if text in _COMBINING:
        return _COMBINING[text]
    return text if len(text) == 1 and unicodedata.category(text) == "Mn" else ""


def _find_letter(chars: Sequence[Char | None], number: int) -> int | None:
    """The number of the letter below the accent, the nearest one in the file."""
    mark = chars[number]
    over = [at for at, char in enumerate(chars) if mark and char and char.text.isalpha() and _is_over(mark, char)]
    return min(over, key=lambda at: abs(at - number), default=None)


def _is_over(mark: Char, letter: Char) -> bool:
    across = min(mark.right, letter.right) - max(mark.left, letter.left)
    down = min(mark.bottom, letter.bottom) - max(mark.top, letter.top)
    return across > _OVER * (mark.right - mark.left) and down > _OVER * (mark.bottom - mark.top)


def _accented(letter: str, accents: str) -> str:
    return unicodedata.normalize("NFC", _DOTLESS.get(letter, letter) + accents)
