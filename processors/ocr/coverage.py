"""Finds writing that OCR did not read: ink without text, and alphabets that its model does not know. Pure."""

from collections.abc import Sequence

from processors.ocr.recognition import Recognized

_LAST_LATIN, _MOST_OTHERS = "\u024f", 0.2  # the last one; share of later letters: doubtful kana are not Hebrew
_LEAST_GLYPHS = 4  # of a line that is counted
_VIETNAMESE = "ơưƠƯ"  # letters of no other language
_UNREAD_SHARE = 0.12  # of the glyphs of a line: one letter of eight
_UNREAD_SHARE_OF_PAGE = 0.04
_LEAST_GLYPHS_OF_PAGE = 40
DOUBTFUL = 0.9  # confidence; lines of Latin letters have more, unless they are damaged
_LEAST_LETTERS, _LEAST_SHARE = 3, 0.5  # letters of a doubtful line; share of the page's letters in such lines
_LEAST_LETTERS_OF_PAGE = 30
_IN_ALL_LANGUAGES = set("esmhbgk")  # at least a fifth of the letters in each language with Latin script
_MOST_OF_THEM = 0.11  # their share where the model reads Hebrew, whose letters look like none of them


def count_unread(read: Sequence[Recognized], missed: Sequence[Recognized]) -> int:
    """The number of lines of writing without text. `missed`: possible writing outside all boxes."""
    empty = [each for each in read if not each.box.text.strip() and each.glyphs >= _LEAST_GLYPHS]
    return len(empty) + sum(each.glyphs >= 2 * _LEAST_GLYPHS for each in missed)


def count_unknown(read: Sequence[Recognized]) -> int:
    """The number of lines in which letters are missing because the model does not know them."""
    lines = [each for each in read if each.glyphs >= _LEAST_GLYPHS and each.box.text.strip()]
    found = sum(_has_unknown(each) for each in lines)
    glyphs, unread = sum(each.glyphs for each in lines), sum(each.unread for each in lines)
    if not found and glyphs >= _LEAST_GLYPHS_OF_PAGE and unread > _UNREAD_SHARE_OF_PAGE * glyphs:
        return sum(each.unread > 0 for each in lines)
    return found


def find_foreign(read: Sequence[Recognized]) -> list[Recognized]:
    """The lines in an alphabet, such as Hebrew, that the model takes for Latin: it is unsure of them, and they have
    hardly any of the letters that every language needs."""
    letters = {id(each): [char for char in each.box.text.casefold() if char.isalpha()] for each in read}
    doubtful = [
        each
        for each in read
        if each.is_built_in and each.box.confidence < DOUBTFUL and len(letters[id(each)]) >= _LEAST_LETTERS
    ]
    found = [letter for each in doubtful for letter in letters[id(each)]]
    if len(found) < max(_LEAST_LETTERS_OF_PAGE, _LEAST_SHARE * sum(map(len, letters.values()))):
        return []
    if sum(letter > _LAST_LATIN for letter in found) > _MOST_OTHERS * len(found):
        return []
    common = sum(letter in _IN_ALL_LANGUAGES for letter in found)
    return doubtful if common <= _MOST_OF_THEM * len(found) else []


def _has_unknown(line: Recognized) -> bool:
    is_torn = line.glyphs >= 2 * _LEAST_GLYPHS and line.unread >= max(2, _UNREAD_SHARE * line.glyphs)
    return is_torn or line.is_built_in and _is_half_known(line.box.text)


def _is_half_known(text: str) -> bool:
    """True for an alphabet of which the model knows only some letters.

    The model knows Greek letters as symbols, but none with an accent, and Vietnamese letters without tone marks.
    """
    greek = ["\u0370" <= char <= "\u03ff" for char in text]
    return any(a and b for a, b in zip(greek, greek[1:], strict=False)) or any(char in _VIETNAMESE for char in text)
