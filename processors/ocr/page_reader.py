"""Reads one page as text: from its text layer where that is correct, and by OCR where it is missing or wrong."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

from processors import pages
from processors.ocr.frames import is_frame, without_shapes
from processors.ocr.regions import RegionReader, clip, join, rotate
from processors.ocr.text import PageText, Source
from processors.ocr.text_lines import Point, TextBox
from processors.pages import Page
from processors.pages.page import Box, Doubt, PlacedWord

if TYPE_CHECKING:
    from PIL import Image

    from processors.ocr.engine import RapidOcrEngine

TextLayer = Literal["auto", "never"]

_LEAST_CHARACTERS = 20  # of a document with amounts: a text layer with fewer, beside a picture, is a stamp on a scan
_LARGEST_PICTURE = 0.6  # share of a page: a larger picture is a scan
_LARGEST_REST = 0.35  # share of a page: if the rest is larger, the complete page is read
_SAMPLED_WORDS = 8  # of a font in doubt
_CONFIRMED = 0.6  # share of the characters in doubt that OCR also reads
_SURE = 0.75  # confidence of OCR that overrides a text layer
_SAME_PLACE = 0.5  # of the area of a box
_MARGIN = 4  # pixels around a word
_TILTED = 5.0  # degrees
_STAMPED = "a stamp or a colored line covers text, whose words may be wrong there"
_TURNED = 11.5  # degrees
_LEAST_SHARE = 0.2  # of the length of a tilted word that its box shows
_AS_HIGH = 1.8  # times as high as wide: a letter


@dataclass(frozen=True)
class _Verdict:
    """The result of OCR for the words in doubt."""

    kept: tuple[PlacedWord, ...]  # confirmed, or neither confirmed nor refuted
    refuted: tuple[Doubt, ...]
    warnings: tuple[str, ...]


class PageReader:
    """Reads the pages of one job. OCR is loaded when a page needs it."""

    def __init__(self, engine: "Callable[[], RapidOcrEngine]", text_layer: TextLayer):
        self._engine, self._text_layer = engine, text_layer
        self._regions = RegionReader(engine)

    def read(self, page: Page, was_rotated: bool) -> tuple[PageText, Sequence[TextBox]]:
        """The page without its lines, and its text, which the caller puts in order."""
        if self._text_layer == "never" or not (page.words or page.doubts):
            return self._by_ocr(page, page.image, (), was_rotated)
        verdict = self._judge(page)
        page = replace(page, warnings=(*page.warnings, *verdict.warnings))
        regions = join(clip(each, page.image.size) for each in (*page.unread, *_boxes(verdict.refuted)))
        if not regions:
            return _from_layer(page, verdict.kept)
        rest = _rest(page, verdict.refuted)
        if _share(regions, page) > _LARGEST_REST or page.picture_share > _LARGEST_PICTURE:
            return self._by_ocr(page, rest, verdict.kept, was_rotated)
        found = self._regions.read(rest, regions)
        read, boxes = _from_layer(page, verdict.kept)
        new = [
            box
            for box in without_shapes(found.boxes, verdict.kept)
            if not _is_drawn_twice(box, verdict.kept) and not is_frame(box, verdict.kept, rest)
        ]
        read = replace(
            read,
            source=_source(boxes, new),
            uncertain=tuple(found.uncertain),
            unread=found.unread,
            unknown=found.unknown,
            is_by_small_models=found.is_by_small_models,
        )
        return read, [*boxes, *new]

    def read_as_one(self, page: Page, was_rotated: bool) -> tuple[PageText, Sequence[TextBox]]:
        """The page and its text from a single source (the text layer or OCR), as the readers of tables need it."""
        if self._text_layer == "auto" and self._is_complete(page):
            verdict = self._judge(page)
            if not verdict.refuted:
                return _from_layer(replace(page, warnings=(*page.warnings, *verdict.warnings)), verdict.kept)
        return self._by_ocr(page, page.image, (), was_rotated)

    def _is_complete(self, page: Page) -> bool:
        """True if the text layer has all relevant text: the rest of the page is a logo, not a table."""
        words = [*page.words, *(word for doubt in page.doubts for word in doubt.words)]
        characters = sum(len(word.text) for word in words)
        written = sum((word.right - word.left) * (word.bottom - word.top) for word in words)
        rest = _share(page.unread, page) * page.image.width * page.image.height
        if not words or page.picture_share > _LARGEST_PICTURE or rest > written > 0 or _is_turned(words):
            return False
        return characters >= _LEAST_CHARACTERS or not page.unread

    def _by_ocr(
        self, page: Page, image: "Image.Image", words: Sequence[PlacedWord], was_rotated: bool
    ) -> tuple[PageText, Sequence[TextBox]]:
        if page.textless is not None and _is_blank(image):
            return _from_layer(page, words) if words else (replace(_page_text(page), size=image.size), ())
        found = self._engine().read_upright(image, may_be_rotated=was_rotated)
        boxes = without_shapes(found.boxes, words)
        read = replace(
            _page_text(page),
            size=found.image.size,
            rotation=found.rotation,
            scale=page.scale,
            uncertain=tuple(found.uncertain),
            unread=found.unread,
            unknown=found.unknown,
            is_by_small_models=found.is_by_small_models,
            source=_source(words, boxes),
            warnings=(*page.warnings, _STAMPED) if found.is_stamped else page.warnings,
        )
        return read, [*(rotate(_text_box(word), image.size, found.rotation) for word in words), *boxes]

    # ------------------------------------------------------------------------------------------ doubts

    def _judge(self, page: Page) -> _Verdict:
        kept, refuted, warnings = list(page.words), [], []
        for doubt in page.doubts:
            confirmed = bool(doubt.characters and doubt.words) and self._confirms(page.image, doubt)
            if confirmed:
                kept += doubt.words
            elif confirmed is None:
                kept += doubt.words
                warnings.append(f"words of the text layer that OCR could not confirm: {len(doubt.words)}")
            else:
                refuted.append(doubt)
        if wrong := sum(len(doubt.words) for doubt in refuted):
            warnings.append(f"words of the text layer that the page does not show, so OCR read them: {wrong}")
        return _Verdict(tuple(kept), tuple(refuted), tuple(warnings))

    def _confirms(self, image: "Image.Image", doubt: Doubt) -> bool | None:
        """True if OCR reads the same characters; None if it cannot read them."""
        sampled = [word for word in doubt.words if set(word.text) & set(doubt.characters)] or list(doubt.words)
        sampled = sorted(sampled, key=lambda word: -len(word.text))[:_SAMPLED_WORDS]
        same = total = 0
        sure = []
        for word in sampled:
            sides = (word.left - _MARGIN, word.top - _MARGIN, word.right + _MARGIN, word.bottom + _MARGIN)
            text, confidence = self._engine().recognize(image.crop(clip(sides, image.size)))
            same += _matching(word.text, text, doubt.characters)
            total += sum(character in doubt.characters for character in word.text)
            sure.append(confidence)
        if same >= _CONFIRMED * total > 0:
            return True
        return False if sure and sum(sure) / len(sure) >= _SURE else None


def _is_turned(words: Sequence[PlacedWord]) -> bool:
    """True if most text is not horizontal: OCR turns the page, as tables need it."""
    turned = sum(len(word.text) for word in words if _TURNED < word.angle % 360 < 360 - _TURNED)
    return turned > sum(len(word.text) for word in words) / 2


def _matching(layer: str, read: str, characters: str) -> int:
    """The number of these characters of `layer` that OCR read at the same place."""
    blocks = SequenceMatcher(None, layer.casefold(), read.casefold(), autojunk=False).get_matching_blocks()
    return sum(character in characters for block in blocks for character in layer[block.a : block.a + block.size])


def _is_drawn_twice(box: TextBox, words: Sequence[PlacedWord]) -> bool:
    """True if words of the layer are in the same place, as with a shadow or with bold type that is printed twice."""
    xs, ys = zip(*box.corners, strict=True)
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    shared = 0.0
    for word in words:
        across, down = min(right, word.right) - max(left, word.left), min(bottom, word.bottom) - max(top, word.top)
        shared += max(0.0, across) * max(0.0, down)
    return shared > _SAME_PLACE * (right - left) * (bottom - top)


def _boxes(doubts: Sequence[Doubt]) -> list[Box]:
    return [box for doubt in doubts for box in doubt.boxes]


def _rest(page: Page, refuted: Sequence[Doubt]) -> "Image.Image":
    """The page without the words that are correct in the text layer."""
    if page.textless is None:
        return page.image
    rest = page.textless.copy()
    for box in _boxes(refuted):
        place = clip(box, page.image.size)
        rest.paste(page.image.crop(place), place[:2])
    return rest


def _share(regions: Sequence[Box], page: Page) -> float:
    area = sum((right - left) * (bottom - top) for left, top, right, bottom in regions)
    return area / (page.image.width * page.image.height)


def _source(layer: Sequence[object], ocr: Sequence[object]) -> Source:
    if not layer:
        return "OCR"
    return "text layer and OCR" if ocr else "text layer"


def _is_blank(image: "Image.Image") -> bool:
    return image.getcolors(1) is not None  # None: more than one color


def _from_layer(page: Page, words: Sequence[PlacedWord]) -> tuple[PageText, Sequence[TextBox]]:
    read = replace(_page_text(page), size=page.image.size, source="text layer")
    return read, [_text_box(word) for word in words]


def _page_text(page: Page) -> PageText:
    return PageText(number=page.number, notes=page.notes, warnings=page.warnings)


def _text_box(word: pages.PlacedWord) -> TextBox:
    left, top, right, bottom = (round(side, 1) for side in (word.left, word.top, word.right, word.bottom))
    corners: tuple[Point, ...] = ((left, top), (right, top), (right, bottom), (left, bottom))
    first = round(word.angle / 90) % 4  # the upper left corner of the text
    if abs(word.angle - round(word.angle / 90) * 90) > _TILTED:
        corners, first = _tilted(word), 0
    a, b, c, d = corners[first:] + corners[:first]
    return TextBox(text=word.text, confidence=1.0, corners=(a, b, c, d), is_struck=word.is_struck)


def _tilted(word: pages.PlacedWord) -> tuple[Point, Point, Point, Point]:
    """The corners of a word that is neither level nor upright."""
    across, down = word.right - word.left, word.bottom - word.top
    cosine, sine = math.cos(math.radians(word.angle)), math.sin(math.radians(word.angle))
    share = cosine**2 - sine**2
    if abs(share) >= _LEAST_SHARE:
        length = (across * abs(cosine) - down * abs(sine)) / share
        height = (down * abs(cosine) - across * abs(sine)) / share
    else:  # near 45 degrees, its box shows only the sum of both
        both = (across + down) / (abs(cosine) + abs(sine))
        length = both / (1 + _AS_HIGH / len(word.text))
        height = both - length
    length, height = max(1.0, length) / 2, max(1.0, height) / 2
    x, y = (word.left + word.right) / 2, (word.top + word.bottom) / 2

    def corner(along: float, below: float) -> Point:
        return round(x + along * cosine - below * sine, 1), round(y + along * sine + below * cosine, 1)

    return corner(-length, -height), corner(length, -height), corner(length, height), corner(-length, height)
