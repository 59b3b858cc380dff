"""Joins text that is set letter by letter: headings with wide spaces between their letters, and fields of forms with a
cell for each character. Pure.

Single characters may also be words of their own, such as the digits of a scale from 1 to 5. inboxd therefore joins
letters only if they are many and evenly spaced, and other characters only if a line divides each from the next.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from processors.pages.page import PlacedWord

if TYPE_CHECKING:
    from processors.pages.page import Box

_SAME_LINE, _SAME_SIZE = 0.2, 1.15  # heights between the middles; ratio of the heights
_WIDEST = 1.6  # heights between two characters of a run
_LEAST_LETTERS, _LEAST_CELLS = 4, 3
_EVEN = 0.25  # largest difference between the spaces between the letters of a word
_NEXT_WORD = 1.5  # times the space between letters
_PITCH = 0.2  # largest difference of a distance between characters from a whole number of cells
_WIDEST_CELL = 2.2  # heights
_DARKER, _DRAWN = 40, 0.25  # of 255, than the paper; share of a height of a character that a line between cells covers
_REACH = 0.15  # of a cell's width around its edge
_BELOW = 0.3  # of a height of a character: lines between cells may be as short as ticks

IsDivided = Callable[[float, float, "Box"], bool]


def join_spaced(words: Sequence[PlacedWord], is_divided: IsDivided) -> tuple[PlacedWord, ...]:
    """The words, in the same order, with spaced characters joined.

    is_divided: True if a vertical line is near the first position, up to the second on both sides, at the height of a
    box; in pixels.
    """
    combs = {id(run[0]): cells for run, cells in find_cells(words, is_divided)}
    joined: list[PlacedWord] = []
    for run in _runs(words):
        joined += combs.get(id(run[0])) or (_join_letters(run) if _are_letters(run) else run)
    return tuple(joined)


def find_cells(words: Sequence[PlacedWord], is_divided: IsDivided) -> list[tuple[list[PlacedWord], list[PlacedWord]]]:
    """The characters in cells, as a list for each field of a form, with the words that they form."""
    singles = [word for word in words if _is_single(word)]
    return [
        (run, _join_cells(run)) for run in _runs(words) if _is_comb(run, is_divided) and not _is_in_grid(run, singles)
    ]


def _is_single(word: PlacedWord) -> bool:
    return len(word.text) == 1 and not word.angle


def _runs(words: Sequence[PlacedWord]) -> Iterator[list[PlacedWord]]:
    """Runs of single characters beside each other; every other word is a run of its own."""
    run: list[PlacedWord] = []
    for word in words:
        if run and not (_is_single(word) and _is_single(run[-1]) and _is_beside(run[-1], word)):
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def _is_beside(a: PlacedWord, b: PlacedWord) -> bool:
    low, high = sorted((a.bottom - a.top, b.bottom - b.top))
    shift = abs(a.top + a.bottom - b.top - b.bottom) / 2
    return shift <= _SAME_LINE * low and high <= _SAME_SIZE * low and -low / 2 < b.left - a.right <= _WIDEST * high


# ---------------------------------------------------------------------------------------------- letters


def _gaps(run: Sequence[PlacedWord]) -> list[float]:
    return [after.left - before.right for before, after in pairwise(run)]


def _are_letters(run: Sequence[PlacedWord]) -> bool:
    """True if most characters are letters, and each space has the width of that between letters or between words."""
    if len(run) < _LEAST_LETTERS:
        return False
    text = "".join(word.text for word in run)
    letters = [character for character in text.casefold() if character.isalpha()]
    if len(letters) < max(_LEAST_LETTERS, len(text) / 2) or len(set(letters)) == 1 or _is_list(letters):
        return False
    gaps = _gaps(run)
    usual = min(gaps)
    height = run[0].bottom - run[0].top
    near = [gap for gap in gaps if gap < _NEXT_WORD * usual]
    return 0 < usual <= height and max(near) - usual <= _EVEN * usual


def _is_list(characters: Sequence[str]) -> bool:
    """True for a list such as "A B C D", and for a scale such as "1 2 3 4 5"."""
    return all(ord(after) - ord(before) == 1 for before, after in pairwise(characters))


def _join_letters(run: Sequence[PlacedWord]) -> list[PlacedWord]:
    gaps = _gaps(run)
    return _join(run, [gap >= _NEXT_WORD * min(gaps) for gap in gaps])


def _join(run: Sequence[PlacedWord], ends: Sequence[bool]) -> list[PlacedWord]:
    """The characters joined into words. ends: for each character but the last, True if it ends a word."""
    words = [run[0]]
    for character, is_new in zip(run[1:], ends, strict=True):
        last = words[-1]
        if is_new:
            words.append(character)
        else:
            top, bottom = min(last.top, character.top), max(last.bottom, character.bottom)
            text = last.text + character.text
            words[-1] = replace(last, text=text, right=character.right, top=top, bottom=bottom)
    return words


# ---------------------------------------------------------------------------------------------- cells


def _middles(run: Sequence[PlacedWord]) -> list[float]:
    return [(word.left + word.right) / 2 for word in run]


def _pitch(run: Sequence[PlacedWord]) -> float:
    """The width of a cell."""
    return min(after - before for before, after in pairwise(_middles(run)))


def _cells_between(run: Sequence[PlacedWord]) -> list[float]:
    steps = [after - before for before, after in pairwise(_middles(run))]
    pitch = statistics.median(step for step in steps if step < 1.5 * min(steps))
    return [step / pitch for step in steps]


def _is_comb(run: Sequence[PlacedWord], is_divided: IsDivided) -> bool:
    """True if each character is in the middle of a cell, and a line divides it from the next one."""
    if len(run) < _LEAST_CELLS or _is_list([word.text for word in run]):
        return False
    pitch, height = _pitch(run), run[0].bottom - run[0].top
    if not 0 < pitch <= _WIDEST_CELL * height or any(abs(each - round(each)) > _PITCH for each in _cells_between(run)):
        return False
    return all(
        is_divided(middle + pitch / 2, _REACH * pitch, (word.left, word.top, word.right, word.bottom))
        for word, middle in zip(run[:-1], _middles(run), strict=False)
    )


def _is_in_grid(run: Sequence[PlacedWord], singles: Sequence[PlacedWord]) -> bool:
    """True if another row of single characters is directly above or below, as in a table of digits."""
    pitch, height = _pitch(run), run[0].bottom - run[0].top
    near = [
        word
        for word in singles
        if height / 2 < abs(word.top - run[0].top) <= 2 * height
        and any(abs((word.left + word.right) / 2 - middle) <= _PITCH * pitch for middle in _middles(run))
    ]
    return len(near) >= len(run) / 2


def _join_cells(run: Sequence[PlacedWord]) -> list[PlacedWord]:
    return _join(run, [round(cells) > 1 for cells in _cells_between(run)])


def find_dividers(gray: np.ndarray) -> IsDivided:
    """A function for `join_spaced`. gray: the page without its text: uint8, shape (height, width)."""

    def is_divided(x: float, reach: float, box: "Box") -> bool:
        height = box[3] - box[1]
        top, bottom = max(0, round(box[1])), max(0, round(box[3] + _BELOW * height))
        part = gray[top:bottom, max(0, round(x - reach) - 1) : max(0, round(x + reach) + 2)]
        if not part.size:
            return False
        dark = part < int(part.max()) - _DARKER
        return bool(dark.sum(axis=0).max() >= _DRAWN * height)

    return is_divided
