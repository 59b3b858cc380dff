"""Finds fonts whose characters are none that a text would have: their glyphs are those of another script. Pure.

Examples are Cyrillic in a font that claims Latin-1, Thai in one that claims MacRoman, and Chinese with a table for
another encoding.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from functools import cache
from itertools import groupby

from processors.pages.layer_visibility import Layer

_LEAST_ACCENTED, _MOST_ACCENTED = 5, 0.6  # accented letters of a font, and their share of its letters
_LEAST_SYMBOLS, _LEAST_KINDS = 4, 3  # of a word of symbols, in all and different ones
_MOST_SYMBOLS = 0.5  # share of such words in the characters of a font
_LEAST_IDEOGRAPHS, _LEAST_COMMON = 4, 0.85  # different ones of a font; the share of them that is in common use
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
    """True for a word of the upper half of Windows' or the Mac's 8-bit character sets, with several symbols."""
    symbols = sum(bool(each) and unicodedata.category(each[0])[0] in "PS" for each in word)
    is_upper = all("\u00a1" <= each <= "\u02ff" or "\u2010" <= each <= "\u2265" for each in word)
    return is_upper and symbols >= 2 and len(word) >= _LEAST_SYMBOLS and len(set(word)) >= _LEAST_KINDS


def _rare_ideographs(characters: Sequence[str]) -> set[str]:
    """The ideographs and syllables of Korean, if too few of them are in common use in any one country."""
    scripts = (("\u3400", "\u9fff"), ("\uac00", "\ud7a3"))
    return set().union(*(_rare({each for each in characters if first <= each <= last}) for first, last in scripts))


def _rare(ideographs: set[str]) -> set[str]:
    if len(ideographs) < _LEAST_IDEOGRAPHS:
        return set()
    common = max(sum(column) for column in zip(*map(_is_common, ideographs), strict=True))
    return ideographs if common < _LEAST_COMMON * len(ideographs) else set()


@cache
def _is_common(ideograph: str) -> tuple[bool, ...]:
    """True for each character set of `_COMMON_USE` whose characters in common use contain it."""
    codes = (ideograph.encode(name, errors="ignore") for name, _, _ in _COMMON_USE)
    return tuple(
        len(code) == 2 and first <= code[0] <= last for code, (_, first, last) in zip(codes, _COMMON_USE, strict=True)
    )
