"""Reads the content of a PDF page: the visible text of its text layer, and a picture of all else for OCR."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from processors.pages.accents import attach_accents
from processors.pages.annotations import Annotations
from processors.pages.check_boxes import find_check_boxes
from processors.pages.copies import find_copies
from processors.pages.glyphs import find_doubtful_fonts
from processors.pages.layer_visibility import (
    Layer,
    count_covered,
    difference,
    find_invisible,
    read_layer,
    to_pixels,
    without_text,
)
from processors.pages.list_boxes import mark_entries
from processors.pages.missing_fonts import find_undrawn
from processors.pages.page import Box, Doubt, PlacedWord
from processors.pages.spaced import find_dividers, join_spaced
from processors.pages.struck import find_struck
from processors.pages.symbols import is_private
from processors.pages.text_layer import place_characters, read_characters, read_text
from processors.pages.text_like import find_text_like
from processors.pages.words import Char, find_words

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

_POINTS_PER_INCH = 72
_UNKNOWN = "\ufffd"
_MOST_UNKNOWN = 0.05  # share of characters without a meaning, above which OCR reads them
_PADDING = 3  # pixels around a glyph
_MOST_NAMED = 10  # entries in a warning


@dataclass(kw_only=True)
class Content:
    text: str = ""  # the text layer, as far as it can be seen
    words: tuple[PlacedWord, ...] = ()  # the same with positions, without those in doubt
    doubts: tuple[Doubt, ...] = ()
    textless: np.ndarray  # the page without `words`: uint8, shape (height, width, 3)
    unread: tuple[Box, ...] = ()  # parts of `textless` that may contain text
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_content(page: "PdfPage", picture: np.ndarray, annotations: Annotations, scale: float) -> Content:
    """Read the content of a page. picture: the page rendered at `scale` pixels per point: RGB, uint8, shape (height,
    width, 3).
    """
    text = page.get_textpage()
    try:
        layer = read_layer(page, text, read_characters(text), scale)
        layer = replace(layer, drawn=[*layer.drawn, *find_copies(page, layer)])
        if not layer.has_text:
            content = Content(textless=picture)
        else:
            with without_text(layer):
                textless = render(page, scale)
            content = _read_layer(page, text, layer, picture, textless, scale)
    finally:
        text.close()
    _add_check_boxes(page, content, annotations, scale)
    _mark_lists(page, content, annotations, scale)
    content.unread = tuple(find_text_like(content.textless, scale))
    return content


def render(page: "PdfPage", scale: float) -> np.ndarray:
    """Render the page at `scale` pixels per point: RGB, uint8, shape (height, width, 3)."""
    bitmap = page.render(scale=scale, rev_byteorder=True, force_bitmap_format=_RGB)
    try:
        picture: np.ndarray = bitmap.to_numpy().copy()  # the copy outlives the bitmap, whose buffer it shares
        return picture
    finally:
        bitmap.close()


_RGB = 2  # FPDFBitmap_BGR; the bytes are in the other order, see `rev_byteorder`


def _read_layer(
    page: "PdfPage", text: "PdfTextPage", layer: Layer, picture: np.ndarray, textless: np.ndarray, scale: float
) -> Content:
    ink = difference(picture, textless)
    invisible = find_invisible(layer, ink)
    undrawn = find_undrawn(page, layer, invisible, textless, scale, lambda: render(page, scale))
    invisible = invisible - undrawn
    doubtful = _find_doubtful(layer, ink, invisible)
    in_doubt = {index for indices, _ in doubtful for index in indices}
    everything = frozenset(range(len(layer.characters)))
    placed = place_characters(page, text, layer.characters)
    gray = np.minimum(np.minimum(textless[..., 0], textless[..., 1]), textless[..., 2])  # min(axis=2) takes 0.1 s
    words = join_spaced(_words(placed, invisible | in_doubt, scale), find_dividers(gray))
    content = Content(
        text=read_text(text, layer.characters, invisible),
        words=_with_struck(words, gray),
        doubts=tuple(
            Doubt(
                words=_words(placed, everything - indices, scale),
                boxes=tuple(_boxes(layer, indices)),
                characters=characters,
            )
            for indices, characters in doubtful
        ),
        textless=textless,
    )
    if undrawn:
        why = "text in a font that the file does not contain could not be compared with the page"
        content.warnings.append(f"{why}: {len(undrawn)} characters")
    if invisible:
        content.notes.append(f"text that is not visible was left out: {len(invisible)} characters")
    if covered := count_covered(layer, invisible, textless):
        content.warnings.append(f"text that is covered or switched off was left out: {covered} characters")
    return content


def _words(placed: Sequence[Char | None], omitted: Set[int], scale: float) -> tuple[PlacedWord, ...]:
    """The words of those characters whose indices are not in `omitted`."""
    chars = (char for number, char in enumerate(placed) if number not in omitted)
    return find_words(attach_accents([char for char in chars if char is None or char.text]), scale)


def _with_struck(words: Sequence[PlacedWord], gray: np.ndarray) -> tuple[PlacedWord, ...]:
    struck = find_struck(words, gray)
    return tuple(replace(word, is_struck=number in struck) if struck else word for number, word in enumerate(words))


def _find_doubtful(layer: Layer, ink: np.ndarray, invisible: Set[int]) -> list[tuple[set[int], str]]:
    """Groups of visible characters (indices) that may be wrong, each with the characters whose glyphs look like others;
    with "" if the whole group is certainly wrong.
    """
    visible = [index for index, number in enumerate(layer.objects) if number >= 0 and index not in invisible]
    shown = [index for index in visible if not layer.characters[index].isspace()]
    unknown = sum(layer.characters[index] == _UNKNOWN for index in shown)
    wrong = {
        layer.objects[index]
        for index in shown
        if is_private(layer.characters[index][:1])
        or (layer.characters[index] == _UNKNOWN and unknown > _MOST_UNKNOWN * len(shown))
    }
    groups = [({index for index in visible if layer.objects[index] in wrong}, "")] if wrong else []
    for font, characters in find_doubtful_fonts(layer, ink, invisible).items():
        indices = {i for i in visible if layer.objects[i] not in wrong and layer.fonts[layer.objects[i]] == font}
        groups += [(indices, characters)] if indices else []
    return groups


def _boxes(layer: Layer, indices: Set[int]) -> list[Box]:
    """The boxes of the text objects that draw these characters."""
    by_object: dict[int, list[np.ndarray]] = {}
    for index in sorted(indices):
        box = layer.boxes[index]
        if box[2] > box[0] and box[3] > box[1]:
            by_object.setdefault(layer.objects[index], []).append(box)
    joined = [np.array(boxes) for boxes in by_object.values()]
    return [
        (*(each[:, :2].min(axis=0) - _PADDING).tolist(), *(each[:, 2:].max(axis=0) + _PADDING).tolist())
        for each in joined
    ]


def _add_check_boxes(page: "PdfPage", content: Content, annotations: Annotations, scale: float) -> None:
    """Add the words [x] and [ ] for check boxes, and erase the boxes from `content.textless`."""
    found: list[tuple[Box, bool]] = []
    if annotations.check_boxes:
        boxes = to_pixels(page, np.array([box.box for box in annotations.check_boxes]), scale)
        states = (box.is_checked for box in annotations.check_boxes)
        found = [(tuple(box), state) for box, state in zip(boxes.tolist(), states, strict=True)]
        content.textless = _without(content.textless, found)
    drawn = find_check_boxes(content.textless, content.words, scale)
    content.textless = _without(content.textless, drawn) if drawn else content.textless
    marks = [
        PlacedWord(text="[x]" if is_checked else "[ ]", left=left, top=top, right=right, bottom=bottom)
        for (left, top, right, bottom), is_checked in (*found, *drawn)
    ]
    others = [word for word in content.words if not any(_is_in(word, mark) for mark in marks)]
    content.words = (*others, *marks)


def _mark_lists(page: "PdfPage", content: Content, annotations: Annotations, scale: float) -> None:
    """Add the words [x] and [ ] to the entries of list boxes."""
    unseen: list[str] = []
    for each in annotations.list_boxes:
        left, top, right, bottom = to_pixels(page, np.array([each.box]), scale)[0].tolist()
        found = mark_entries(each.entries, (left, top, right, bottom), content.words)
        content.words = (*content.words, *found.marks)
        unseen += found.unseen
    if unseen:
        content.warnings.append(f"entries of a list are selected, but not visible: {', '.join(unseen[:_MOST_NAMED])}")


def _without(textless: np.ndarray, boxes: Sequence[tuple[Box, bool]]) -> np.ndarray:
    textless = textless.copy()
    for (left, top, right, bottom), _ in boxes:
        textless[max(0, int(top) - 1) : int(bottom) + 2, max(0, int(left) - 1) : int(right) + 2] = 255
    return textless


def _is_in(word: PlacedWord, mark: PlacedWord) -> bool:
    across, down = (word.left + word.right) / 2, (word.top + word.bottom) / 2
    return mark.left <= across <= mark.right and mark.top <= down <= mark.bottom
