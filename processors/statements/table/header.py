"""The text around the table: balances and totals in a summary, sections, page numbers. Pure."""

import itertools
import re
from collections.abc import Sequence

from processors.statements.notation.amounts import looks_like_amount
from processors.statements.notation.dates import parse_date
from processors.statements.notation.keywords import Section, match_column, match_section, match_special, normalize
from processors.statements.notation.words import PageWord, TextLine, join_words, split_cells
from processors.statements.table.amount_cells import AmountCell, find_amounts

_LEAST_COLUMNS = 2  # headings beside the name of a section
_LEAST_LABELS = 3  # side by side, of which only one names a balance
_LEAST_SUMMARY = 2  # labels side by side; a single one may be the text of a row
_LABEL_GAP = 1.2  # line heights between the words of one label
_PAGE_OF = re.compile(r"(?:page|seite|pagina|blatt|feuillet|p\.)?\s*(\d{1,3})\s?(?:of|/|von|sur|de)\s?(\d{1,3})")


def find_summary(line: TextLine, below: TextLine | None, height: float) -> list[tuple[str, AmountCell]]:
    """The balances and totals named on a line, with their amounts from the same line or from below their labels."""
    found: list[tuple[str, AmountCell]] = []
    cells = split_cells(line.words, _LABEL_GAP * height)
    for at, cell in enumerate(cells):
        name = match_special(join_words(cell))
        if not name:
            continue
        inside = find_amounts(cell, height)
        following = find_amounts(_next_cell(cells[at + 1 :]), height)
        end = cells[at + 1][0].left if at + 1 < len(cells) else float("inf")
        under = _under(cell, end, below, height)
        amounts = inside or following or under
        if amounts:
            found.append((name, amounts[0]))
    return found


def _next_cell(cells: Sequence[tuple[PageWord, ...]]) -> tuple[PageWord, ...]:
    """The next cell, without one that is only a sign, such as "$" far left of its amount."""
    rest = itertools.dropwhile(lambda cell: not any(char.isalnum() for char in join_words(cell)), cells)
    return next(rest, ())


def find_section(line: TextLine, height: float) -> Section | None:
    """The section that a line begins, either alone or among the headings of its columns."""
    cells = [join_words(cell) for cell in split_cells(line.words, _LABEL_GAP * height)]
    sections = [match_section(cell) for cell in cells if match_section(cell)]
    columns = sum(match_column(cell) in ("date", "amount") for cell in cells)
    is_among = len(sections) == 1 and columns >= _LEAST_COLUMNS
    others = [cell for cell in cells[1:] if match_column(cell) or match_section(cell) or looks_like_amount(cell)]
    is_first = len(cells) > 1 and not others and match_section(cells[0]) is not None  # "Checks Paid      No. Checks: 8"
    after_name = line.text.rpartition(": ")[2]  # "J. Smith #4471: Payments, Credits and Adjustments"
    return match_section(line.text) or match_section(after_name) or (sections[0] if is_among or is_first else None)


def separate_summaries(
    lines: Sequence[TextLine], height: float
) -> tuple[list[TextLine], list[tuple[int, str, AmountCell]]]:
    """Separate labels side by side with amounts below them from the lines of a table, as (page, name, amount)."""
    rest, found, at = [], [], 0
    while at < len(lines):
        line, below = lines[at], lines[at + 1] if at + 1 < len(lines) else None
        named = [] if find_amounts(line.words, height) else find_summary(line, below, height)
        is_summary = len(named) >= _LEAST_SUMMARY or (named and _is_line_of_labels(line, height))
        if below and is_summary and not parse_date(below.text):
            found += [(line.page, name, amount) for name, amount in named]
            at += 2
        else:
            rest.append(line)
            at += 1
    return rest, found


def _is_line_of_labels(line: TextLine, height: float) -> bool:
    """True if all cells but one name something that has no number, as above the values of a box."""
    cells = [join_words(cell) for cell in split_cells(line.words, _LABEL_GAP * height)]
    numbered = [cell for cell in cells if any(char.isdigit() for char in cell) and not match_special(cell)]
    return len(cells) >= _LEAST_LABELS and not numbered


def find_page_number(lines: Sequence[TextLine]) -> tuple[int, int] | None:
    """Number and count as printed ("Page 2 of 5")."""
    for line in lines:
        match = _PAGE_OF.search(normalize(line.text))
        if match is None:
            continue
        named = any(word in match[0] for word in ("page", "seite", "pagina", "blatt", "feuillet"))
        if named and 1 <= int(match[1]) <= int(match[2]):
            return int(match[1]), int(match[2])
    return None


def _under(label: Sequence[PageWord], end: float, below: TextLine | None, height: float) -> list[AmountCell]:
    """The amounts below a label, or else those right of its left edge and left of `end`, where the next cell begins."""
    if below is None:
        return []
    cells = [cell for cell in find_amounts(below.words, height) if looks_like_amount(cell.text)]
    under = [cell for cell in cells if cell.left < label[-1].right and label[0].left < cell.right]
    return under or [cell for cell in cells if label[0].left <= cell.left and cell.right <= end]
