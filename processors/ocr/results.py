"""What OCR found in an image. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from processors.ocr.check_boxes import CHECKED, EMPTY
from processors.ocr.coverage import DOUBTFUL, count_unknown, count_unread, find_foreign
from processors.ocr.recognition import Recognized
from processors.ocr.text_lines import TextBox

if TYPE_CHECKING:
    from PIL import Image

_LEAST_CONFIDENCE = 0.5  # text with less is mostly dirt and pictures: inboxd reports it, but does not use it


@dataclass(frozen=True)
class Found:
    boxes: list[TextBox]
    uncertain: list[TextBox]  # confidence too low to use
    unread: int = 0  # lines of ink that did not become text
    unknown: int = 0  # lines with characters that the model does not know
    is_stamped: bool = False  # a colored stamp covers text
    is_by_small_models: bool = False  # the small models read at least a part of it
    is_foreign: bool = False  # most text is in an alphabet that the model does not know


@dataclass(frozen=True, kw_only=True)
class OcrResult(Found):
    """The text of an upright image."""

    image: "Image.Image"  # upright, as OCR read it
    rotation: int  # degrees clockwise by which it was rotated


def sort(read: Sequence[Recognized], missed: Sequence[Recognized]) -> Found:
    """missed: possible writing outside all boxes."""
    boxes = [each.box for each in read if each.box.text.strip()]
    foreign = {id(each.box) for each in find_foreign(read)}
    used = [box for box in boxes if box.confidence >= _LEAST_CONFIDENCE and id(box) not in foreign]  # not NaN
    certain = {id(box) for box in used}
    uncertain = [box for box in boxes if id(box) not in certain]
    unknown = max(count_unknown(read), len(foreign))
    return Found(used, uncertain, count_unread(read, missed), unknown, is_foreign=bool(foreign))


def only_certain(result: OcrResult, other: Found) -> OcrResult:
    """The result without the doubtful text of a page in an unknown alphabet. other: the page read upside down."""
    squares = (CHECKED, EMPTY)  # some letters are squares
    certain = [box for box in result.boxes if box.confidence >= DOUBTFUL and box.text not in squares]
    kept = {id(box) for box in certain}
    doubtful = [box for box in result.boxes if id(box) not in kept]
    unknown = max(result.unknown, other.unknown)
    return replace(result, boxes=certain, uncertain=[*result.uncertain, *doubtful], unknown=unknown, is_foreign=True)
