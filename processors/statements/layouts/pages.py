"""The first pages of a document, which contain its first table, as lines, and the bank that they name. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from processors.statements.layouts.bank import find_bank
from processors.statements.layouts.headings import plain
from processors.statements.layouts.record import Bank
from processors.statements.notation.words import PageWords, TextLine, group_lines, line_height
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.columns import find_cells

_MOST_PAGES = 3  # the first pages, one of which contains the first table
_FOOTER_GAP = 3.0  # line heights above the lines below a table
_DIGEST_DIGITS = 12


@dataclass(frozen=True)
class PageLines:
    """A page as lines."""

    lines: list[TextLine]
    height: float  # of a line
    width: float  # of the page, or of its text where that is not known

    @cached_property
    def plain_texts(self) -> list[str]:
        return [plain(line.text) for line in self.lines]


class FirstPages:
    """The first pages of a document, one of which contains its first table."""

    def __init__(self, pages: Sequence[PageWords]):
        self.pages = [_page_lines(page) for page in pages[:_MOST_PAGES] if page.words]
        words = " ".join(word.text for page in pages for word in page.words)
        self.digest = hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:_DIGEST_DIGITS]

    @cached_property
    def bank(self) -> Bank:
        """The bank that the first page names outside its table."""
        return find_bank(_outside(self.pages[0])) if self.pages else Bank()


def _page_lines(page: PageWords) -> PageLines:
    lines = group_lines(page)
    width = page.frame.width if page.frame else max(word.right for word in page.words)
    return PageLines(lines, line_height(lines), width)


def _outside(page: PageLines) -> list[TextLine]:
    """The lines above the first that has a date and an amount, and those far below the last that has an amount."""
    lines = page.lines
    first = next((at for at, line in enumerate(lines) if _looks_like_row(line, page.height)), len(lines))
    last = next((at for at in reversed(range(len(lines))) if find_amounts(lines[at].words, page.height)), first)
    below = lines[last + 1 :]
    gaps = [line.top - above.bottom for above, line in zip(lines[last:], below, strict=False)]
    footer = next((at for at, gap in enumerate(gaps) if gap > _FOOTER_GAP * page.height), len(below))
    return [*lines[:first], *below[footer:]]


def _looks_like_row(line: TextLine, height: float) -> bool:
    if not find_amounts(line.words, height):
        return False
    return any(each.dates and each.amounts for each in find_cells([PageWords(line.page, line.words)]))
