"""Joins the characters that OCR read in the cells of a form, one in each, into words and numbers. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from processors.ocr import text_lines
from processors.ocr.boxes import bounds_of
from processors.ocr.ink import Ink
from processors.ocr.text_lines import TextBox
from processors.pages.page import PlacedWord
from processors.pages.spaced import find_cells, find_dividers

_MOST = 3  # characters of a box, each in a cell of its own


def join_cells(boxes: Sequence[TextBox], ink: Ink) -> list[TextBox]:
    """The boxes, with those in cells joined. ink: that of the page, including the lines between the cells."""
    characters: list[PlacedWord] = []
    sources: dict[int, TextBox] = {}  # by the identity of a character
    for box in (box for line in text_lines.group_lines(boxes) for box in line):
        found = _characters(box, ink.share)
        characters += found
        sources |= {id(each): box for each in found}
    joined: list[TextBox] = []
    used: set[int] = set()
    for run, words in find_cells(characters, find_dividers(ink.gray)):
        inside = {id(box): box for box in (sources[id(each)] for each in run)}
        if sum(len(box.text) for box in inside.values()) == len(run):
            used |= inside.keys()
            confidence = min(box.confidence for box in inside.values())
            joined += [_box(word, ink.share, confidence) for word in words]
    return [*(box for box in boxes if id(box) not in used), *joined]


def _characters(box: TextBox, share: float) -> list[PlacedWord]:
    """The characters of a box if they are few, otherwise its text; in pixels of the copy that `Ink` measured."""
    left, top, right, bottom = (side * share for side in bounds_of(box.corners))
    word = PlacedWord(text=box.text, left=left, top=top, right=right, bottom=bottom)
    if not 1 < len(box.text) <= _MOST:
        return [word]
    width = (word.right - word.left) / len(box.text)
    lefts = [word.left + number * width for number in range(len(box.text))]
    return [replace(word, text=each, left=left, right=left + width) for each, left in zip(box.text, lefts, strict=True)]


def _box(word: PlacedWord, share: float, confidence: float) -> TextBox:
    left, top, right, bottom = (round(side / share, 1) for side in (word.left, word.top, word.right, word.bottom))
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return TextBox(text=word.text, confidence=confidence, corners=corners)
