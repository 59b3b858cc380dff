"""Pages typed as monospaced text, for tests of reading by layout."""

import re
import textwrap

from processors.statements import PageWords, Word

_WIDTH, _HEIGHT, _PITCH = 6.0, 10.0, 14.0


def typed_page(text: str, number: int = 1, confidence: float = 1.0) -> PageWords:
    """Each word of a text stands where its column and line put it."""
    words = []
    for row, line in enumerate(textwrap.dedent(text).strip("\n").split("\n")):
        for match in re.finditer(r"\S+", line):
            left, top = match.start() * _WIDTH, row * _PITCH
            place = left, top, left + len(match[0]) * _WIDTH, top + _HEIGHT
            words.append(Word(match[0], *place, confidence))
    return PageWords(number, tuple(words))
