"""RapidOCR on one image, which is rotated first if it is not upright."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps, ImageStat
from rapidocr.ch_ppocr_rec.typings import TextRecOutput

from processors.ocr import check_boxes, large_type, orientation, stamps
from processors.ocr.boxes import Quad, bounds_of, padded, separate
from processors.ocr.bundled_models import find_model, model_name
from processors.ocr.cells import join_cells
from processors.ocr.ink import Ink, find_ink, find_lines_outside
from processors.ocr.lone_letters import find_lone_letters, is_letter
from processors.ocr.recognition import Recognized, recognize
from processors.ocr.regions import shift
from processors.ocr.results import Found, OcrResult, only_certain, sort
from processors.ocr.sessions import open_rapidocr
from processors.ocr.struck import mark_struck
from processors.ocr.text_lines import TextBox
from processors.pages.check_boxes import Square

if TYPE_CHECKING:
    from PIL import Image
    from rapidocr import RapidOCR
    from rapidocr.ch_ppocr_det import TextDetector
    from rapidocr.ch_ppocr_rec import TextRecognizer

_MAX_PIXELS = 3_500_000  # in which lines are detected: 1.8 s on one thread and 1 GB
_SHORT_SIDE = 736  # pixels; detection was trained on images that are not smaller
_DETECTED_LETTERS = 9.0  # pixels high: detection finds as many lines as with letters of any other height up to 40
_DETECTED_LETTERS_OF_PART = (
    20.0  # the same, if all ink is on less than `_SHORT_SIDE`: boxes around large type are tighter
)
_LARGE_LETTERS = 40.0
_LEAST_SCALE = 0.35
_MARGIN = 64  # pixels around all ink: on a large white page, detection overlooks a single line
_LONGEST_SHAPE = 25  # ratio of the long to the short side of the image for detection
_MAX_PADDED_PIXELS = 4_000_000  # including the padding for `_LONGEST_SHAPE`
_AGAIN_SCALE = 0.7  # of the size of the first reading
_SURE = 0.8  # of a line that detection overlooked
_MOST_MISSED = 40  # lines
_LINES_AT_ONCE = 500  # between two pulses: some seconds; a dense table has thousands of cells
_DARK = 80  # of 255: the median of a dark background
_BLANK = np.full((64, 64, 3), 255, np.uint8)

Area = tuple[int, int, int, int]  # left, top, right, bottom in pixels


class RapidOcrEngine:
    """The detection and recognition models, loaded."""

    def __init__(self, engine: "RapidOCR", threads: int | None):
        self._rapidocr, self._threads = engine, threads
        self._recognizer = _recognizer(engine)
        self._detector = cast("TextDetector", engine.text_det)  # loaded, see `_recognizer`
        self.model_name = model_name()
        self._loaded: dict[Path, TextRecognizer] = {}
        self._others: list[TextRecognizer] = []
        self.pulse: Callable[[], object] = lambda: None  # called while a page is read

    @classmethod
    def load(cls, threads: int | None) -> "RapidOcrEngine":
        """Open both models now, instead of at the first page, as rapidocr would; download nothing.

        `threads`: None for OMP_NUM_THREADS, which onnxruntime itself ignores.

        Raises:
            Unavailable: rapidocr was installed without its models.
        """
        opened = open_rapidocr(threads, find_model("rec"), find_model("det"))
        opened(_BLANK, use_det=True)
        opened(_BLANK, use_det=False)
        return cls(opened, threads)

    def use(self, models: Sequence[Path]) -> None:
        """From now on, also use these recognition models, for lines of which the built-in one is unsure."""
        for path in models:
            if path not in self._loaded:
                opened = open_rapidocr(self._threads, path)
                opened(_BLANK, use_det=False)
                self._loaded[path] = _recognizer(opened)
        self._others = [self._loaded[path] for path in models]

    def read_upright(self, image: "Image.Image", *, may_be_rotated: bool = False) -> OcrResult:
        """Read an RGB image, rotated upright.

        `may_be_rotated`: find its rotation before reading it, because the previous page was rotated. This is always
        done for a page that is wider than high; for any other page, only if reading it as it is gives poor results,
        which is rare.
        """
        if may_be_rotated or image.width > image.height:
            return self._read_turned(image, self._find_rotation(image))
        upright = self._read_rotated(image, 0)
        if orientation.is_poor(upright.boxes) and (rotation := self._find_rotation(image)):
            return self._read_turned(image, rotation)
        return upright

    def _read_turned(self, image: "Image.Image", rotation: int) -> OcrResult:
        """Of an alphabet that the model does not know, the rotation is not known, and only numbers can be read."""
        found = self._read_rotated(image, rotation)
        if not found.is_foreign or rotation < 180:
            return found
        return only_certain(self._read_rotated(image, rotation - 180), found)

    def read_again(self, image: "Image.Image", rotation: int | None) -> list[TextBox]:
        """Read an image a second time, as independently of the first reading as the same models permit.

        `rotation`: by which the first reading rotated it; None if that was not OCR. The image is reduced, as detection
        misses other lines and recognition mistakes other digits at another size.
        """
        if rotation is None:
            return self.read_upright(image).boxes
        image = orientation.rotate(image, rotation)
        smaller = (math.ceil(image.width * _AGAIN_SCALE), math.ceil(image.height * _AGAIN_SCALE))
        return self._read(image.resize(smaller), scale=1.0).boxes

    def _find_rotation(self, image: "Image.Image") -> int:
        return orientation.find_rotation(image, self._detect, self.recognize)

    def _read_rotated(self, image: "Image.Image", rotation: int) -> OcrResult:
        image = orientation.rotate(image, rotation)
        found = self._read_layers(image)
        return OcrResult(image=image, rotation=rotation, **vars(found))

    def _read_layers(self, image: "Image.Image") -> Found:
        """The text of an upright image, and that of stamps over it."""
        layers = stamps.separate(image)
        if layers is None:
            return self._read(image)
        text = self._read(layers.text)
        if layers.stamps is None:
            return text
        stamped = self._read(layers.stamps)
        return Found(
            text.boxes + [shift(box, *layers.place) for box in stamped.boxes],
            text.uncertain + [shift(box, *layers.place) for box in stamped.uncertain],
            text.unread + stamped.unread,
            text.unknown + stamped.unknown,
            is_stamped=layers.covers_text,
        )

    def _detect(self, image: "Image.Image") -> Sequence[orientation.Box]:
        return self._detect_in(image, (0, 0, *image.size), _SHORT_SIDE / min(image.size))

    def recognize(self, image: "Image.Image") -> tuple[str, float]:
        """The text of the image of one line, and its confidence."""
        self._rapidocr.max_side_len = max(image.size)
        found = self._rapidocr(_bgr(image), use_det=False, use_rec=True)
        if not isinstance(found, TextRecOutput) or not found.txts:
            return "", 0.0
        return found.txts[0], float(found.scores[0])

    def read_part(self, image: "Image.Image") -> OcrResult:
        """Read an RGB image as it is: a part of a page, which is upright."""
        return self._read_rotated(image, 0)

    def read(self, image: "Image.Image") -> tuple[list[TextBox], list[TextBox]]:
        """The text of an RGB image as it is, and text that is too uncertain to use; in no particular order."""
        found = self._read(image)
        return found.boxes, found.uncertain

    def _read(self, image: "Image.Image", scale: float | None = None, *, with_check_boxes: bool = True) -> Found:
        """`scale`: of the image in which lines are detected; None: chosen by the size of the letters."""
        image = original = _on_light_ground(image)
        ink = drawn = find_ink(image)
        if squares := check_boxes.find_boxes(ink) if with_check_boxes else []:
            image = check_boxes.take_out(image, squares)
            ink = find_ink(image)
        area = _area(ink, image.size)
        if area is None:
            return Found([], [])
        boxes = separate(self._detect_all(image, area, scale or _scale(ink, area), ink), ink)
        pixels = _bgr(image)
        models = [self._recognizer, *self._others]
        read: list[Recognized] = []
        for start in range(0, len(boxes), _LINES_AT_ONCE):
            if start:
                self.pulse()
            read += recognize(models, pixels, boxes[start : start + _LINES_AT_ONCE], ink)
        outside = find_lines_outside(ink, [bounds_of(box) for box in boxes])[:_MOST_MISSED]
        missed = [padded(line, image.size) for line in outside]
        second = recognize(models, pixels, missed, ink)
        read += [each for each in second if each.box.confidence >= _SURE and each.box.text.strip()]
        unread = [each for each in second if not (each.box.confidence >= _SURE and each.box.text.strip())]
        lone = [padded(letter, image.size) for letter in find_lone_letters(ink, [*boxes, *missed])]
        read += [each for each in recognize(models, pixels, lone, ink) if is_letter(each)]
        found = sort(read, unread)
        found = replace(found, boxes=mark_struck(join_cells(found.boxes, drawn), drawn))
        if squares and check_boxes.may_be_letters(found.boxes):
            return self._read(original, scale, with_check_boxes=False)
        return self._with_check_boxes(found, squares, original, ink) if squares else found

    def _with_check_boxes(self, found: Found, squares: Sequence[Square], image: "Image.Image", ink: Ink) -> Found:
        def recognize_all(quads: Sequence[Quad]) -> list[TextBox]:
            return [each.box for each in recognize([self._recognizer], pixels, quads, ink)]

        pixels = _bgr(image)
        settled = check_boxes.settle(squares, found.boxes, recognize_all)
        boxes = [*found.boxes, *settled.marks, *settled.texts]
        return replace(found, boxes=boxes, unread=found.unread + settled.unread)

    def _detect_all(self, image: "Image.Image", area: Area, scale: float, ink: Ink) -> list[Quad]:
        """The boxes of lines in a part of the image, also those of very large type."""
        boxes = self._detect_in(image, area, scale)
        smaller = large_type.find_smaller_scale(ink, scale)
        return large_type.merge(boxes, self._detect_in(image, area, smaller), ink, scale) if smaller else boxes

    def _detect_in(self, image: "Image.Image", area: Area, scale: float) -> list[Quad]:
        """The boxes of lines in a part of the image."""
        prepared, factor = _prepared(image, area, scale)
        found = self._detector(prepared)
        if found.boxes is None:
            return []
        return [[(x + area[0], y + area[1]) for x, y in np.asarray(box) * factor] for box in found.boxes]


def _recognizer(opened: "RapidOCR") -> "TextRecognizer":
    """The recognition model of a RapidOCR that has read something. It is annotated as it is before: None."""
    return cast("TextRecognizer", opened.text_rec)


def _on_light_ground(image: "Image.Image") -> "Image.Image":
    """The image, inverted if it has light text on a dark background."""
    return ImageOps.invert(image) if ImageStat.Stat(image.convert("L")).median[0] < _DARK else image


def _prepared(image: "Image.Image", area: Area, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Convert a part of an image for OpenCV, with a shape and size that bound the memory of detection.

    Also return the factors from (x, y) in the result to (x, y) in the part.
    """
    part = image.crop(area)
    scale = min(scale, math.sqrt(_MAX_PIXELS / (part.width * part.height)))
    size = max(1, round(part.width * scale)), max(1, round(part.height * scale))
    resample = PillowImage.Resampling.BOX if scale < 1 else PillowImage.Resampling.BICUBIC
    shaped, factor = _in_shape(part.resize(size, resample))
    return _bgr(shaped), factor * np.asarray(part.size) / size


def _area(ink: Ink, size: tuple[int, int]) -> Area | None:
    """The part of the image that contains ink, with a margin; None if there is none."""
    bounds = ink.bounds
    if bounds is None:
        return None
    left, top, right, bottom = bounds
    return (
        max(0, math.floor(left) - _MARGIN),
        max(0, math.floor(top) - _MARGIN),
        min(size[0], math.ceil(right) + _MARGIN),
        min(size[1], math.ceil(bottom) + _MARGIN),
    )


def _scale(ink: Ink, area: Area) -> float:
    """The factor by which to scale the image for detection."""
    width, height = area[2] - area[0], area[3] - area[1]
    letters = ink.letter_height or _DETECTED_LETTERS
    for_part = min(_SHORT_SIDE / min(width, height), _DETECTED_LETTERS_OF_PART / letters)
    return min(max(_LEAST_SCALE, min(1.0, _DETECTED_LETTERS / letters), for_part), _LARGE_LETTERS / letters)


def _in_shape(image: "Image.Image") -> tuple["Image.Image", np.ndarray]:
    """Pad an image that is too elongated with white at the bottom or right, reduced first if that would be too large.

    Also return the factors from its coordinates to those of `image`.
    """
    if min(image.size) >= math.ceil(max(image.size) / _LONGEST_SHAPE):
        return image, np.ones(2)
    share = min(1.0, math.sqrt(_MAX_PADDED_PIXELS * _LONGEST_SHAPE) / max(image.size))
    reduced = image.resize((max(1, int(image.width * share)), max(1, int(image.height * share))))
    least = math.ceil(max(reduced.size) / _LONGEST_SHAPE)
    padding = (0, 0, max(0, least - reduced.width), max(0, least - reduced.height))
    return ImageOps.expand(reduced, padding, fill="white"), np.asarray(image.size) / reduced.size


def _bgr(image: "Image.Image") -> np.ndarray:
    """Convert to OpenCV's channel order: uint8, shape (height, width, 3)."""
    return np.asarray(image)[:, :, ::-1].copy()
