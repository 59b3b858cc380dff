"""The remembered layouts that a document may have: its heading row has their words at their positions. Pure.

A layout without a heading row is recognized by its bank and by the amounts of the first row. The layout of another bank
is never a candidate, whatever its headings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from processors.statements.layouts.headings import Fit, fit_headings, is_same_row, place_column
from processors.statements.layouts.pages import FirstPages, PageLines
from processors.statements.layouts.record import Bank, RememberedLayout
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.headings import MONEY, Heading
from processors.statements.table.implied_headings import find_first_row

_ALIGNED = 1.5  # line heights by which an amount may be off its column


@dataclass(frozen=True)
class Candidate:
    """A layout that a document may have."""

    layout: RememberedLayout
    headings: tuple[Heading, ...]  # its columns, at their places on these pages
    is_of_bank: bool  # False: the bank is not known
    width: float  # of the page

    @property
    def here(self) -> RememberedLayout:
        """The layout with its columns at their places on this page."""
        return self.layout.model_copy(
            update={"columns": tuple(place_column(each, self.width) for each in self.headings)}
        )

    @property
    def source(self) -> str:
        whose = "of this bank" if self.is_of_bank else "with the same headings"
        return f"earlier statements {whose} (layout {self.layout.name})"


def find_candidates(first: FirstPages, layouts: Sequence[RememberedLayout]) -> list[Candidate]:
    """The layouts that fit; if any of them are those of the bank, only these. No layout covers another."""
    found = [candidate for layout in layouts if (candidate := _match(first, layout))]
    of_bank = [candidate for candidate in found if candidate.is_of_bank]
    with_headings = [candidate for candidate in of_bank or found if candidate.layout.headings]
    return _without_covered(with_headings or of_bank or found)


def others_of_bank(
    bank: Bank, layouts: Sequence[RememberedLayout], candidates: Sequence[Candidate]
) -> list[RememberedLayout]:
    """The layouts of the same bank that do not fit, the latest first."""
    fitting = {candidate.layout.name for candidate in candidates}
    others = [each for each in layouts if each.name not in fitting and bank.is_same(each.bank)]
    return sorted(others, key=lambda each: each.used, reverse=True)


def _without_covered(candidates: Sequence[Candidate]) -> list[Candidate]:
    richest = sorted(candidates, key=lambda each: -len(each.headings))
    return [each for at, each in enumerate(richest) if not any(other.here.covers(each.here) for other in richest[:at])]


def _match(first: FirstPages, layout: RememberedLayout) -> Candidate | None:
    is_same = first.bank.is_same(layout.bank)
    if is_same is False or not (layout.headings or is_same):
        return None
    return next((found for page in first.pages for found in _on_page(page, layout, bool(is_same))), None)


def _on_page(page: PageLines, layout: RememberedLayout, is_of_bank: bool) -> Iterator[Candidate]:
    if not layout.headings:
        headings = _placed(layout, Fit(page.width, 0.0))
        if _first_row_fits(page, headings):
            yield Candidate(layout, headings, is_of_bank, page.width)
        return
    for line, text in zip(page.lines, page.plain_texts, strict=True):
        if is_same_row(text, layout.headings):
            fit = fit_headings(line, layout.headings, page.width, page.height)
            if fit:
                yield Candidate(layout, _placed(layout, fit), is_of_bank, page.width)


def _placed(layout: RememberedLayout, fit: Fit) -> tuple[Heading, ...]:
    return tuple(Heading(each.column, fit.place(each.left), fit.place(each.right)) for each in layout.columns)


def _first_row_fits(page: PageLines, headings: Sequence[Heading]) -> bool:
    """True if the first row has its date and all its amounts in the columns."""
    start = find_first_row(page.lines, headings, page.height)
    rights = [heading.right for heading in headings if heading.column in MONEY]
    cells = [] if start is None else find_amounts(page.lines[start].words, page.height)
    return bool(cells) and all(
        any(abs(cell.right - right) < _ALIGNED * page.height for right in rights) for cell in cells
    )
