"""Words as the index compares them: without case, accents and other differences that people do not type. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # no spaces between words: each is a token
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f"  # parts of a word
_TOKEN = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}](?:[^\W_{_IDEOGRAPHS}]|[{_MARKS}])*")
# letters that Unicode does not decompose
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ŧ": "t"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text."""

    start: int  # in the text
    end: int
    folded: str  # letters and digits only


def tokens(text: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(text):
        if folded := fold(found[0]):
            yield Token(found.start(), found.end(), folded)


def fold(word: str) -> str:
    """A word in lower case, without accents: "Straße" and "STRASSE" become "strasse"."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold().translate(_LETTERS))
    return "".join(char for char in decomposed if char.isalnum())
