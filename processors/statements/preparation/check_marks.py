"""Check boxes, which some banks print in each row for their customers: removed before a document is read. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from processors.statements.notation.words import PageWord, PageWords

_BOX = r"(?:\[[ x]\]|[□☐☑☒▢◻▫■▪◼])"
_AT_ENDS = re.compile(rf"^(?:{_BOX}\s*)+|(?:\s*{_BOX})+$")
_HAS_BOX = re.compile(_BOX)


def remove_check_marks(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages with "60.00" instead of "60.00 □", and without words that are check boxes."""
    return [replace(page, words=tuple(part for word in page.words for part in _without_box(word))) for page in pages]


def _without_box(word: PageWord) -> Iterator[PageWord]:
    if not _HAS_BOX.search(word.text):
        yield word
        return
    text = _AT_ENDS.sub("", word.text)
    start = word.text.find(text)
    width = (word.right - word.left) / len(word.text)
    if text:
        yield replace(word, text=text, left=word.left + start * width, right=word.left + (start + len(text)) * width)
