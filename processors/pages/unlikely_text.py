"""Finds fonts whose characters no text would have, because their glyphs are those of another script. Pure.

Examples are Cyrillic in a font that claims Latin-1, Thai in a font that claims MacRoman, and Chinese with the table of
another encoding.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from functools import cache
from itertools import groupby

from processors.pages.layer_visibility import Layer

_LEAST_ACCENTED, _MOST_ACCENTED = 5, 0.6  # accented letters of a font, and their share of its letters
_LEAST_SYMBOLS, _LEAST_KINDS = 4, 3  # symbols of a word: all, and different ones
_MOST_SYMBOLS = 0.5  # share of such words in the characters of a font
_LEAST_IDEOGRAPHS, _LEAST_COMMON = 4, 0.85  # different ideographs of a font; share of them in common use
_COMMON_USE = (  # character sets, and the first bytes of the characters in common use
    *(("gb2312", 0xB0, 0xD7), ("big5", 0xA4, 0xC6), ("euc_jp", 0xB0, 0xCF)),
    ("euc_kr", 0xB0, 0xC8),
)


def find_unlikely_fonts(layer: Layer, skipped: Set[int]) -> dict[int, set[str]]:
    """The fonts with unlikely characters, each with these characters. skipped: indices of characters to ignore."""
    texts: dict[int, list[str]] = defaultdict(list)
    for index, number in enumerate(layer.objects):
        if number >= 0 and index not in skipped:
            texts[layer.fonts[number]].append(layer.characters[index])
    found = {}
    for font, characters in texts.items():
        if unlikely := _accented(characters) | _symbols(characters) | _rare_ideographs(characters):
            found[font] = unlikely
    return found


def _accented(characters: Sequence[str]) -> set[str]:
    """The accented Latin letters, if most letters have an accent, as in no language."""
    letters = [each for each in characters if each.isalpha()]
    accented = [letter for letter in letters if "\u00c0" <= letter <= "\u024f"]
    is_unlikely = len(accented) >= _LEAST_ACCENTED and len(accented) > _MOST_ACCENTED * len(letters)
    return set(accented) if is_unlikely else set()


def _symbols(characters: Sequence[str]) -> set[str]:
    """The symbols, if most of the text consists of words of different symbols, perhaps with accented letters."""
    shown = sum(not each.isspace() for each in characters)
    found = [symbol for word in _words(characters) if _is_of_symbols(word) for symbol in word]
    return set(found) if len(found) > _MOST_SYMBOLS * shown else set()


def _words(characters: Sequence[str]) -> Iterator[list[str]]:
    for is_blank, word in groupby(characters, key=lambda each: each.isspace()):
        if not is_blank:
            yield list(word)


def _is_of_symbols(word: Sequence[str]) -> bool:
    """True for a word from the upper half of the 8-bit character sets of Windows or the Mac, with several symbols."""
    symbols = sum(bool(each) and unicodedata.category(each[0])[0] in "PS" for each in word)
    is_upper = all("\u00a1" <= each <= "\u02ff" or "\u2010" <= each <= "\u2265" for each in word)
    return is_upper and symbols >= 2 and len(word) >= _LEAST_SYMBOLS and len(set(word)) >= _LEAST_KINDS


def _rare_ideographs(characters: Sequence[str]) -> set[str]:
    """The ideographs, and the syllables of Korean, of which too few are in common use in any one country."""
    scripts = (("\u3400", "\u9fff"), ("\uac00", "\ud7a3"))
    return set().union(*(_rare({each for each in characters if first <= each <= last}) for first, last in scripts))


def _rare(ideographs: set[str]) -> set[str]:
    if len(ideographs) < _LEAST_IDEOGRAPHS:
        return set()
    common = max(sum(column) for column in zip(*map(_is_common, ideographs), strict=True))
    return ideographs if common < _LEAST_COMMON * len(ideographs) else set()


@cache
def _is_common(ideograph: str) -> tuple[bool, ...]:
    """For each character set of `_COMMON_USE`: True if the ideograph is among its characters in common use."""
    codes = (ideograph.encode(name, errors="ignore") for name, _, _ in _COMMON_USE)
    return tuple(
        len(code) == 2 and first <= code[0] <= last for code, (_, first, last) in zip(codes, _COMMON_USE, strict=True)
    )
