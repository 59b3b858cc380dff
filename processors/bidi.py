"""The order of words in a line of Hebrew or Arabic, from their positions. Pure."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TypeVar

Word = TypeVar("Word")
_RIGHT_TO_LEFT = {"R", "AL"}  # Unicode Bidirectional Algorithm (UAX #9), table 4

_TURNED = str.maketrans("()[]{}", ")(][}{")


def is_right_to_left(texts: Iterable[str]) -> bool:
    """True if most letters are Hebrew, Arabic or of another script that is written from right to left."""
    classes = [unicodedata.bidirectional(char) for text in texts for char in text]
    return sum(each in _RIGHT_TO_LEFT for each in classes) > sum(each == "L" for each in classes)


def has_right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in text)


def logical_order(words: Sequence[tuple[str, Word]]) -> list[Word]:
    """Words of a line that is read from right to left, given from left to right with their texts.

    Several words of Latin script side by side stay in their own order.
    """
    found: list[Word] = []
    latin: list[Word] = []
    for text, word in reversed(words):
        if _is_left_to_right(text):
            latin.insert(0, word)
            continue
        found += latin
        latin = []
        found.append(word)
    return found + latin


def from_visual(text: str) -> str:
    """The text of a line in logical order, from its characters from left to right; unchanged if it is not Arabic."""
    if not is_right_to_left([text]):
        return text
    words = [turn_brackets(word[::-1]) if has_right_to_left(word) else word for word in text.split()]
    return " ".join(logical_order([(word, word) for word in words]))


def turn_brackets(word: str) -> str:
    """The word of Hebrew or Arabic in logical order, with its brackets mirrored if they face outward: a page shows the
    opening bracket of such text as ")" (UAX #9, rule L4)."""
    if word[:1] in tuple(")]}") or word[-1:] in tuple("([{"):
        return word.translate(_TURNED)
    return word


def _is_left_to_right(text: str) -> bool:
    return not has_right_to_left(text) and any(unicodedata.bidirectional(char) == "L" for char in text)
