"""Marks the entries of list boxes that are selected, which a page shows only by their color. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from processors.pages.page import PlacedWord

if TYPE_CHECKING:
    from processors.pages.page import Box

SELECTED, NOT_SELECTED = "[x]", "[ ]"
_SAME_LINE = 0.5  # of the height of a word
_WIDTH, _GAP = 1.2, 0.3  # of a mark, and between it and its entry, in heights of the entry


@dataclass(frozen=True)
class Marked:
    marks: tuple[PlacedWord, ...]  # one for each visible entry
    unseen: tuple[str, ...]  # entries that are selected, but not visible


def mark_entries(entries: Sequence[tuple[str, bool]], box: "Box", words: Sequence[PlacedWord]) -> Marked:
    """Find the entries of a list box among the words of the page. entries: each with True if it is selected."""
    left_over = list(entries)
    marks = []
    for line in _lines([word for word in words if _is_in(word, box)]):
        text = "".join(word.text for word in line)
        entry = next((each for each in left_over if "".join(each[0].split()) == text), None)
        if entry is not None:
            left_over.remove(entry)
            marks.append(_mark(line[0], is_selected=entry[1]))
    return Marked(tuple(marks), tuple(label for label, is_selected in left_over if is_selected))


def _is_in(word: PlacedWord, box: "Box") -> bool:
    across, down = (word.left + word.right) / 2, (word.top + word.bottom) / 2
    return box[0] <= across <= box[2] and box[1] <= down <= box[3]


def _lines(words: Sequence[PlacedWord]) -> list[list[PlacedWord]]:
    lines: list[list[PlacedWord]] = []
    for word in sorted(words, key=lambda word: word.top):
        if lines and word.top - lines[-1][0].top < _SAME_LINE * (word.bottom - word.top):
            lines[-1].append(word)
        else:
            lines.append([word])
    return [sorted(line, key=lambda word: word.left) for line in lines]


def _mark(first: PlacedWord, *, is_selected: bool) -> PlacedWord:
    height = first.bottom - first.top
    right = first.left - _GAP * height
    text = SELECTED if is_selected else NOT_SELECTED
    return PlacedWord(text=text, left=right - _WIDTH * height, top=first.top, right=right, bottom=first.bottom)
