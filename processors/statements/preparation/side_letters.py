"""Letters for debit and credit in a column of their own, right of the amounts: read as "DR" and "CR" beside them. Pure.

Banks of many countries print such a pair, such as D and K; only both letters together show what each of them means.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from processors.statements.notation.amounts import looks_like_amount
from processors.statements.notation.words import PageWord, PageWords, group_lines

_PAIRS = (  # of debit and credit
    ("D", "K"),
    ("D", "C"),
    ("D", "H"),
    ("S", "H"),
    ("T", "J"),  # terhelés, jóváírás
    ("B", "A"),  # borç, alacak
    ("Wn", "Ma"),
    ("Dt", "Ct"),
    ("Dt", "Kt"),
    ("Dt.", "Kt."),
    ("Deb", "Cred"),
    ("Debit", "Credit"),
    ("DEBIT", "CREDIT"),
    ("Debet", "Kredit"),
    ("Soll", "Haben"),
    ("Af", "Bij"),
    ("DB", "CR"),
    ("DB", "KR"),
    ("Д", "К"),
    ("Дт", "Кт"),
    ("Χ", "Π"),  # χρέωση, πίστωση
)
_LEAST = 4  # letters; fewer may be anything
_ALIGNED = 1.0  # line heights by which the left edges, or the middles, of one column differ
_MOST_OTHERS = 0.1  # as a share of a column's letters: other words in its place
_CLOSE = 1.0  # line heights between an amount and its letters outside the column
_GAP = 0.3  # line heights between an amount and its letters


@dataclass(frozen=True)
class _Cell:
    """A word right of an amount, with nothing between them."""

    word: PageWord
    amount: PageWord


def join_side_letters(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages with "120,00 DR" and "75,00 CR" instead of the letters of a pair in a column right of the amounts."""
    cells = [cell for page in pages for cell in _find_cells(page)]
    pair = next((pair for pair in _PAIRS if _is_column(pair, cells)), None)
    if pair is None:
        return list(pages)
    letters = [*cells, *(cell for page in pages for cell in _find_cells_close(page))]
    places = {id(cell.word): cell for cell in letters if cell.word.text in pair}
    return [replace(page, words=tuple(_place(word, places, pair) for word in page.words)) for page in pages]


def _find_cells(page: PageWords) -> Iterator[_Cell]:
    for line in group_lines(page):
        if len(line.words) > 1 and looks_like_amount(_without_letters(line.words[-2].text)):
            yield _Cell(line.words[-1], line.words[-2])


def _find_cells_close(page: PageWords) -> Iterator[_Cell]:
    """The words right beside amounts anywhere on a line, such as those of a summary."""
    for line in group_lines(page):
        for amount, word in zip(line.words, line.words[1:], strict=False):
            is_close = word.left - amount.right < _CLOSE * word.height
            if is_close and looks_like_amount(_without_letters(amount.text)):
                yield _Cell(word, amount)


def _without_letters(text: str) -> str:
    """ "" for an amount that has letters already."""
    return "" if text[-1:].isalpha() else text


def _is_column(pair: tuple[str, str], cells: Sequence[_Cell]) -> bool:
    own = [cell.word for cell in cells if cell.word.text in pair]
    if len(own) < _LEAST or {word.text for word in own} != set(pair):
        return False
    middle = statistics.median(map(_middle, own))
    inside = [cell.word for cell in cells if abs(_middle(cell.word) - middle) <= _ALIGNED * own[0].height]
    aligned = [word for word in inside if word.text in pair]
    is_column = len(own) - len(aligned) <= max(1, _MOST_OTHERS * len(own)) and {word.text for word in aligned} == set(
        pair
    )
    return is_column and len(inside) - len(aligned) <= _MOST_OTHERS * len(aligned)


def _middle(word: PageWord) -> float:
    return (word.left + word.right) / 2


def _place(word: PageWord, places: dict[int, _Cell], pair: tuple[str, str]) -> PageWord:
    cell = places.get(id(word))
    if cell is None:
        return word
    left = cell.amount.right + _GAP * word.height
    text = "DR" if word.text == pair[0] else "CR"
    return replace(word, text=text, left=left, right=left + word.height)
