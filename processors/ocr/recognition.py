"""Runs the recognition model on lines of text: their text, and the share of their ink that became characters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from processors import bidi
from processors.ocr import ink
from processors.ocr.boxes import Quad, bounds_of, height_of, width_of
from processors.ocr.text_lines import TextBox

if TYPE_CHECKING:
    from rapidocr.ch_ppocr_rec import TextRecognizer

_UPRIGHT, _TURNED = 1.5, 2.2  # times as high as wide; between these values, a box as high as a line is upright
_AT = 0.15  # box heights between a glyph and its character
_LEAST_WIDTH = 0.2  # box heights; a narrower glyph is a stroke of another glyph, or a speck
_MARGIN = 0.05  # box heights above and below; with little of it, the model, which scales lines to one height, is faster
_CERTAIN = 0.95  # confidence
# The model was trained on lines padded to 320 x 48 pixels. Padding takes as long as text, so short lines get less of it
# at first, and all of it if the model is then not certain.
_LEAST_RATIO, _AFTER = 160 / 48, 24 / 48  # minimum width, and padding on the right, in line heights
_CERTAIN_SHORT = 0.97  # confidence
_LONGEST = 150  # box heights: a longer line is compressed, because the model needs memory for each pixel of its length
_DOWN, _UP = (1, 2, 3, 0), (3, 0, 1, 2)  # corners of text that runs down or up, clockwise from its own upper left


@dataclass(frozen=True)
class Recognized:
    box: TextBox
    glyphs: int  # found in the ink of the line; 0 if it was not measured
    unread: int  # of these, without a character
    is_built_in: bool = True  # read by the model of RapidOCR's wheel


def recognize(
    models: "Sequence[TextRecognizer]",
    image: np.ndarray,
    quads: Sequence[Quad],
    found: ink.Ink,
    line_height: float | None = None,
) -> list[Recognized]:
    """The text in each box of a BGR image. If the first model is unsure of a line, all models read it.

    `line_height`: of the page, in pixels; None: the median of the boxes.
    """
    first, *others = models
    height = _median_height(quads) if line_height is None else line_height
    read = _recognize(first, image, quads, found, height)
    doubtful = [number for number, each in enumerate(read) if others and _is_doubtful(each)]
    for model in others:
        again = _recognize(model, image, [quads[number] for number in doubtful], found, height)
        for number, other in zip(doubtful, again, strict=True):
            logical = replace(other.box, text=bidi.from_visual(other.box.text))
            read[number] = max(read[number], replace(other, box=logical, is_built_in=False), key=_certainty)
    return read


def _is_doubtful(line: Recognized) -> bool:
    return not line.box.confidence >= _CERTAIN or line.unread > 0 or not line.box.text.strip()


def _certainty(line: Recognized) -> float:
    """The characters, weighted so that a guess counts for little."""
    return len(line.box.text.strip()) * line.box.confidence**4


def _median_height(quads: Sequence[Quad]) -> float:
    return float(np.median([height_of(quad) for quad in quads])) if quads else 0.0


def _recognize(
    model: "TextRecognizer", image: np.ndarray, quads: Sequence[Quad], found: ink.Ink, height: float
) -> list[Recognized]:
    tried = [[quad] if not is_turned(quad, height) else [_corners(quad, _DOWN), _corners(quad, _UP)] for quad in quads]
    read = [[measure(quad, *read_line(model, crop_of(image, quad)), found) for quad in each] for each in tried]
    return [max(each, key=_certainty) for each in read]


def read_line(model: "TextRecognizer", crop: np.ndarray) -> tuple[str, float, list[float]]:
    """The text of a line, its confidence, and the positions of its characters: from 0 at the left to 1."""
    usual = _padded_ratio(model, crop.shape[1] / crop.shape[0])
    shorter = line_ratio(model, crop.shape[1] / crop.shape[0])
    if shorter < usual:
        read = read_padded(model, crop, shorter)
        if read[1] >= _CERTAIN_SHORT:
            return read
    return read_padded(model, crop, usual)


def line_ratio(model: "TextRecognizer", ratio: float) -> float:
    """The ratio of width to height to which a line is padded at first."""
    return min(_padded_ratio(model, ratio), max(ratio, _LEAST_RATIO) + _AFTER)


def _padded_ratio(model: "TextRecognizer", ratio: float) -> float:
    _, height, width = model.rec_image_shape
    return float(max(ratio, width / height))


def read_padded(model: "TextRecognizer", crop: np.ndarray, ratio: float) -> tuple[str, float, list[float]]:
    """See `read_line`. ratio: of width to height, to which the line is padded on its right."""
    found = model.session(model.resize_norm_img(crop, ratio)[np.newaxis])
    own_ratio = crop.shape[1] / crop.shape[0]
    lines, words = model.postprocess_op(found, return_word_box=True, wh_ratio_list=[own_ratio], max_wh_ratio=ratio)
    text, confidence = lines[0]
    steps = max(1.0, words[0].line_txt_len)
    places = [(column + 0.5) / steps for columns in words[0].word_cols or () for column in columns]
    return text, float(confidence), places


def measure(quad: Quad, text: str, confidence: float, places: Sequence[float], found: ink.Ink) -> Recognized:
    """The line in a box, with the number of its glyphs that have no character. `places`: see `read_line`."""
    first, second, third, fourth = ((round(float(x), 1), round(float(y), 1)) for x, y in quad)
    corners = first, second, third, fourth
    box = TextBox(text=text, confidence=confidence, corners=corners)
    if corners[0][0] >= corners[1][0]:  # it runs down, up or backwards
        return Recognized(box, 0, 0)
    bounds, height = bounds_of(quad), height_of(quad)
    glyphs = ink.glyphs_in(found.letters, bounds)
    glyphs = glyphs[glyphs[:, 1] - glyphs[:, 0] >= _LEAST_WIDTH * height]
    at = bounds[0] + np.asarray(places) * (bounds[2] - bounds[0])
    near = [bool(np.any((at > left - _AT * height) & (at < right + _AT * height))) for left, right in glyphs]
    return Recognized(box, len(glyphs), near.count(False))


def is_turned(quad: Quad, line_height: float) -> bool:
    """True if the text in a box may run down or up."""
    ratio = height_of(quad) / max(1.0, width_of(quad))
    return ratio > _TURNED or ratio > _UPRIGHT and height_of(quad) > 1.6 * line_height


def _corners(quad: Quad, numbers: Sequence[int]) -> Quad:
    return [quad[number] for number in numbers]


def crop_of(image: np.ndarray, quad: Quad) -> np.ndarray:
    """The image of one line, level."""
    height = max(1, round(height_of(quad)))
    width = max(1, min(round(width_of(quad)), _LONGEST * height))
    margin = round(_MARGIN * height)
    target = np.array([[0, margin], [width, margin], [width, margin + height], [0, margin + height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.array(quad, np.float32), target)
    size = width, height + 2 * margin
    return cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
