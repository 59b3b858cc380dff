"""Detection of the rotation of a page, without reading all of it.

Detection alone, on a small image, shows the direction of the lines: on a page that is rotated by 90 degrees they are
vertical. Of the two remaining rotations, recognition of a few long lines in both directions shows the correct one,
because upside-down text is read as noise. This takes about a tenth of the time of reading the page.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from processors.ocr import check_boxes
from processors.ocr.boxes import bounds_of
from processors.ocr.text_lines import Point, TextBox
from processors.pages.page import reduce

if TYPE_CHECKING:
    from PIL import Image

Box = Sequence[Point]
Detect = Callable[["Image.Image"], Sequence[Box]]  # boxes of lines, in any order
Recognize = Callable[["Image.Image"], tuple[str, float]]  # the text of the image of one line, and its confidence

_GOOD_CONFIDENCE = 0.85  # of upright text: 0.95 and more; upside down: 0.5 to 0.8
_FEW_CHARACTERS = 20  # too few to judge the orientation
_TRIAL_PIXELS = 500_000  # lines are still separate: 8 point text is 8 pixels high on A4
_LINES = 8  # read both ways
_LEAST_LENGTH = 3.0  # times its height: a shorter line has no direction
_PADDING = 0.15  # of a line's height, so that a skewed line is within its level box
_CLEARLY_BETTER = 1.3  # factor by which the rotated lines must have more certain characters


def is_poor(boxes: Sequence[TextBox]) -> bool:
    """True if the page that was read may not be upright. This check costs nothing for an upright page."""
    boxes = [box for box in boxes if box.text not in (check_boxes.CHECKED, check_boxes.EMPTY)]
    characters = sum(len(box.text) for box in boxes)
    if characters < _FEW_CHARACTERS:
        return True
    vertical = sum(_is_high(box) for box in boxes) > len(boxes) / 2
    return vertical or sum(box.confidence * len(box.text) for box in boxes) / characters < _GOOD_CONFIDENCE


def _is_high(box: TextBox) -> bool:
    xs, ys = [x for x, _ in box.corners], [y for _, y in box.corners]
    return max(ys) - min(ys) > 1.5 * (max(xs) - min(xs))


def find_rotation(image: "Image.Image", detect: Detect, recognize: Recognize) -> int:
    """The degrees clockwise that turn an RGB image upright; 0 if they cannot be determined."""
    small = reduce(image, _TRIAL_PIXELS)
    scale = image.width / small.width
    boxes = [bounds_of(box) for box in detect(small)]
    long = [box for box in boxes if _length(box) > _LEAST_LENGTH]
    if not long:
        return 0
    are_vertical = sum(_is_vertical(box) for box in long) > len(long) / 2
    lines = sorted((box for box in long if _is_vertical(box) == are_vertical), key=_length, reverse=True)[:_LINES]
    crops = [_crop(image, box, scale) for box in lines]
    angles = (90, 270) if are_vertical else (0, 180)
    certain = {angle: sum(_certainty(*recognize(rotate(crop, angle))) for crop in crops) for angle in angles}
    if certain[angles[1]] > _CLEARLY_BETTER * certain[angles[0]]:
        return angles[1]
    return angles[0]


def rotate(image: "Image.Image", degrees: int) -> "Image.Image":
    """Rotate clockwise by a multiple of 90 degrees."""
    return image.rotate(-degrees, expand=True) if degrees else image


def _length(box: tuple[float, float, float, float]) -> float:
    """Its long side as a multiple of its short side."""
    sides = box[2] - box[0], box[3] - box[1]
    return max(sides) / max(1.0, min(sides))


def _is_vertical(box: tuple[float, float, float, float]) -> bool:
    return box[3] - box[1] > box[2] - box[0]


def _crop(image: "Image.Image", box: tuple[float, float, float, float], scale: float) -> "Image.Image":
    left, top, right, bottom = (side * scale for side in box)
    padding = _PADDING * min(right - left, bottom - top)
    return image.crop((int(left - padding), int(top - padding), int(right + padding) + 1, int(bottom + padding) + 1))


def _certainty(text: str, confidence: float) -> float:
    """Characters weighted so that a guess counts for little."""
    return len(text) * confidence**4
