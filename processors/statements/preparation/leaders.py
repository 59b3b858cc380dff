"""Leaders, the dots that lead from a text to its amount: removed before a document is read. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from processors.statements.notation.words import PageWord, PageWords

_LEADER = re.compile(r"[.․‥…·_-]{6,}|…{3,}")  # fewer may mask a number
_REST = re.compile(r"[.․‥…·]+(?=\d{1,3}(?:[.,' ]?\d{3})*[.,]\d\d(?!\d))")  # that OCR leaves before an amount
_CHARACTER = 0.55  # heights of a line: the usual width of a digit


def remove_leaders(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages with "Rent" and "470.00" instead of "Rent........470.00"."""
    return [replace(page, words=tuple(part for word in page.words for part in _split(word))) for page in pages]


def _split(word: PageWord) -> Iterator[PageWord]:
    """What is left and right of a leader: each keeps its outer edge, since dots are narrower than digits."""
    match = _LEADER.search(word.text) or _REST.match(word.text)
    if not match:
        yield word
        return
    before, after = word.text[: match.start()], word.text[match.end() :]
    width = _CHARACTER * word.height
    if before:
        yield replace(word, text=before, right=min(word.right, word.left + width * len(before)))
    if after:
        yield replace(word, text=after, left=max(word.left, word.right - width * len(after)))
