"""OCR of parts of a page: small ones together on one sheet, large ones each as a separate page."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from processors.ocr.text_lines import Point, TextBox
from processors.pages.page import Box

if TYPE_CHECKING:
    from PIL import Image

    from processors.ocr.engine import RapidOcrEngine

_LARGE = 400  # pixels, both sides: such a part may be a picture of a page, and may be rotated
_TALL, _LEAST_WIDTH = 3, 24  # ratio of height to width, and pixels: such a part may be a rotated line of text
_SHEET_WIDTH = 736  # rapidocr enlarges a narrower picture to this width, with its letters
_SHEET_HEIGHT = 2400
_GAP = 32  # pixels between two parts on a sheet


@dataclass
class Reading:
    """The text that OCR found."""

    boxes: list[TextBox] = field(default_factory=list)
    uncertain: list[TextBox] = field(default_factory=list)  # confidence too low to use
    unread: int = 0  # lines of ink that did not become text
    unknown: int = 0  # lines with characters that the model does not know
    is_by_small_models: bool = False


@dataclass(frozen=True)
class _Slot:
    """The place of a part on its sheet."""

    part: int
    top: int
    bottom: int


class RegionReader:
    """Reads parts of the pages of one job; reads identical parts, such as a logo, only once."""

    def __init__(self, engine: "Callable[[], RapidOcrEngine]"):
        self._engine = engine
        self._known: dict[tuple[tuple[int, int], bytes], Reading] = {}

    def read(self, image: "Image.Image", regions: Sequence[Box]) -> Reading:
        """The text in parts of an RGB image, with positions in the image."""
        parts = [image.crop(_whole(region)) for region in regions]
        keys = [(part.size, part.tobytes()) for part in parts]
        new = {key: part for key, part in zip(keys, parts, strict=True) if key not in self._known}
        small = {key: part for key, part in new.items() if not _may_be_rotated(part)}
        for key, part in new.items():
            if key not in small:
                self._known[key] = self._read_large(part)
        self._known.update(zip(small, self._read_small(list(small.values())), strict=True))
        reading = Reading()
        for key, region in zip(keys, regions, strict=True):
            found, across, down = self._known[key], round(region[0]), round(region[1])
            reading.boxes += [shift(box, across, down) for box in found.boxes]
            reading.uncertain += [shift(box, across, down) for box in found.uncertain]
            reading.unread += found.unread
            reading.unknown += found.unknown
            reading.is_by_small_models |= found.is_by_small_models
        return reading

    def _read_large(self, part: "Image.Image") -> Reading:
        found = self._engine().read_upright(part)
        back = (360 - found.rotation) % 360
        boxes, uncertain = (
            [rotate(box, found.image.size, back) for box in boxes] for boxes in (found.boxes, found.uncertain)
        )
        return Reading(boxes, uncertain, found.unread, found.unknown, found.is_by_small_models)

    def _read_small(self, parts: "Sequence[Image.Image]") -> list[Reading]:
        readings = [Reading() for _ in parts]
        for slots in _sheets(parts):
            found = self._engine().read_part(_sheet(parts, slots))
            for box in found.boxes:
                slot = _slot_of(box, slots)
                readings[slot.part].boxes.append(shift(box, 0, -slot.top))
            for box in found.uncertain:
                slot = _slot_of(box, slots)
                readings[slot.part].uncertain.append(shift(box, 0, -slot.top))
            readings[slots[0].part].unread += found.unread
            readings[slots[0].part].unknown += found.unknown
            readings[slots[0].part].is_by_small_models |= found.is_by_small_models
        return readings


def _may_be_rotated(part: "Image.Image") -> bool:
    return min(part.size) >= _LARGE or (part.height >= _TALL * part.width and part.width >= _LEAST_WIDTH)


def _slot_of(box: TextBox, slots: Sequence[_Slot]) -> _Slot:
    middle = sum(y for _, y in box.corners) / 4
    return min(slots, key=lambda each: abs((each.top + each.bottom) / 2 - middle))


def _sheets(parts: "Sequence[Image.Image]") -> list[list[_Slot]]:
    """The places of the parts, one below the other, on as many sheets as needed."""
    sheets: list[list[_Slot]] = []
    for number, part in enumerate(parts):
        top = sheets[-1][-1].bottom + _GAP if sheets else 0
        if not sheets or top + part.height > _SHEET_HEIGHT:
            sheets.append([])
            top = _GAP
        sheets[-1].append(_Slot(number, top, top + part.height))
    return sheets


def _sheet(parts: "Sequence[Image.Image]", slots: Sequence[_Slot]) -> "Image.Image":
    from PIL import Image

    width = max(_SHEET_WIDTH, *(parts[slot.part].width for slot in slots))
    sheet = Image.new("RGB", (width, max(_SHEET_WIDTH, slots[-1].bottom + _GAP)), "white")
    for slot in slots:
        sheet.paste(parts[slot.part], (0, slot.top))
    return sheet


def join(regions: Iterable[Box]) -> list[Box]:
    """The regions, with overlapping ones joined."""
    joined: list[Box] = []
    for region in regions:
        while touching := [other for other in joined if _overlap(region, other)]:
            lefts, tops, rights, bottoms = zip(region, *touching, strict=True)
            region = min(lefts), min(tops), max(rights), max(bottoms)
            joined = [other for other in joined if other not in touching]
        joined.append(region)
    return joined


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def clip(region: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The region in whole pixels within an image."""
    left, top = max(0, math.floor(region[0])), max(0, math.floor(region[1]))
    return left, top, min(size[0], math.ceil(region[2])), min(size[1], math.ceil(region[3]))


def _whole(region: Box) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(side) for side in region)
    return left, top, right, bottom


def shift(box: TextBox, across: float, down: float) -> TextBox:
    first, second, third, fourth = ((x + across, y + down) for x, y in box.corners)
    return replace(box, corners=(first, second, third, fourth))


def rotate(box: TextBox, size: tuple[int, int], degrees: int) -> TextBox:
    """The box after its image of this size was rotated clockwise by a multiple of 90 degrees."""
    width, height = size

    def rotated(point: Point) -> Point:
        x, y = point
        return {90: (height - y, x), 180: (width - x, height - y), 270: (y, width - x)}.get(degrees, point)

    first, second, third, fourth = (rotated(corner) for corner in box.corners)
    return replace(box, corners=(first, second, third, fourth))
