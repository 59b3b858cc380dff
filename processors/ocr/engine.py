"""RapidOCR on one image, which is rotated first if it is not upright."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import ImageOps, ImageStat
from rapidocr.ch_ppocr_rec.typings import TextRecOutput

from processors.ocr import check_boxes, large_type, orientation, stamps
from processors.ocr.boxes import Quad, bounds_of, extended, padded, separate
from processors.ocr.bundled_models import find_model
from processors.ocr.cells import join_cells
from processors.ocr.detection import SHORT_SIDE, Area, area_of, prepare, scale_for, to_bgr
from processors.ocr.fast_recognition import FastRecognizer
from processors.ocr.ink import Ink, find_ink, find_lines_outside
from processors.ocr.lone_letters import find_lone_letters, is_letter
from processors.ocr.recognition import Recognized, recognize
from processors.ocr.regions import shift
from processors.ocr.results import Found, OcrResult, only_certain, sort
from processors.ocr.sessions import open_rapidocr
from processors.ocr.small_models import SmallModels
from processors.ocr.struck import mark_struck
from processors.ocr.text_lines import TextBox
from processors.pages.check_boxes import Square

if TYPE_CHECKING:
    from PIL import Image
    from rapidocr import RapidOCR
    from rapidocr.ch_ppocr_det import TextDetector
    from rapidocr.ch_ppocr_rec import TextRecognizer

_AGAIN_SCALE = 0.7  # of the size of the first reading
_SURE = 0.8  # of a line that detection overlooked
_MOST_MISSED = 40  # lines
_MOST_OVERLOOKED = 0.05  # share of all lines
_LINES_AT_ONCE = 500  # between two pulses: some seconds; a dense table has thousands of cells
_DARK = 80  # of 255: the median of a dark background
_Recognize = Callable[[np.ndarray, Sequence[Quad], Ink], list[Recognized]]
_BLANK = np.full((64, 64, 3), 255, np.uint8)


class RapidOcrEngine:
    """The detection and recognition models, loaded."""

    def __init__(self, engine: "RapidOCR", threads: int | None):
        self._rapidocr, self._threads = engine, threads
        self._recognizer = _recognizer(engine)
        self._detector = cast("TextDetector", engine.text_det)  # loaded, see `_recognizer`
        self._small_detector: TextDetector | None = None
        self._loaded: dict[tuple[Path, Path | None], RapidOCR] = {}
        self._others: list[TextRecognizer] = []
        self._fast: FastRecognizer | None = None
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

    def use(self, models: Sequence[Path], small: SmallModels | None = None) -> None:
        """From now on, also use these recognition models, for lines that the built-in one is unsure of.

        `small`: models that read a page before the built-in ones; ignored if there are `models`.
        """
        self._others = [_recognizer(self._load(path)) for path in models]
        self._fast, self._small_detector = None, None
        if small and not models:
            loaded = self._load(small.recognition, small.detection)
            self._fast = FastRecognizer(_recognizer(loaded), self._recognizer)
            if small.detection:
                self._small_detector = cast("TextDetector", loaded.text_det)

    def _load(self, recognition: Path, detection: Path | None = None) -> "RapidOCR":
        if (recognition, detection) not in self._loaded:
            opened = open_rapidocr(self._threads, recognition, detection)
            if detection:
                opened(_BLANK, use_det=True)
            opened(_BLANK, use_det=False)
            self._loaded[recognition, detection] = opened
        return self._loaded[recognition, detection]

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
        """Read a turned page; if the model does not know its alphabet, the rotation is uncertain: read only numbers."""
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
            is_by_small_models=text.is_by_small_models or stamped.is_by_small_models,
        )

    def _detect(self, image: "Image.Image") -> Sequence[orientation.Box]:
        return self._detect_in(image, (0, 0, *image.size), SHORT_SIDE / min(image.size))

    def recognize(self, image: "Image.Image") -> tuple[str, float]:
        """The text of the image of one line, and its confidence."""
        self._rapidocr.max_side_len = max(image.size)
        found = self._rapidocr(to_bgr(image), use_det=False, use_rec=True)
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
        area = area_of(ink, image.size)
        if area is None:
            return Found([], [])
        pixels = to_bgr(image)
        boxes, read, is_by_small_models = self._read_lines(image, pixels, area, ink, scale or scale_for(ink, area))
        outside = find_lines_outside(ink, [bounds_of(box) for box in boxes])[:_MOST_MISSED]
        missed = [padded(line, image.size) for line in outside]
        second = recognize(self._models, pixels, missed, ink)
        read += [each for each in second if each.box.confidence >= _SURE and each.box.text.strip()]
        unread = [each for each in second if not (each.box.confidence >= _SURE and each.box.text.strip())]
        lone = [padded(letter, image.size) for letter in find_lone_letters(ink, [*boxes, *missed])]
        read += [each for each in recognize(self._models, pixels, lone, ink) if is_letter(each)]
        found = sort(read, unread)
        boxes_of_text = mark_struck(join_cells(found.boxes, drawn), drawn)
        found = replace(found, boxes=boxes_of_text, is_by_small_models=is_by_small_models)
        if squares and check_boxes.may_be_letters(found.boxes):
            return self._read(original, scale, with_check_boxes=False)
        return self._with_check_boxes(found, squares, original, ink) if squares else found

    @property
    def _models(self) -> "list[TextRecognizer]":
        return [self._recognizer, *self._others]

    def _read_lines(
        self, image: "Image.Image", pixels: np.ndarray, area: Area, ink: Ink, scale: float
    ) -> tuple[list[Quad], list[Recognized], bool]:
        """The boxes of lines, their text, and whether the small models read it. pixels: the image for OpenCV."""
        boxes = separate(self._detect_all(image, area, scale, ink, self._small_detector or self._detector), ink)
        if self._small_detector:
            boxes = [extended(box, ink) for box in boxes]
        if self._fast and _covers(boxes, ink) and self._fast.suits(pixels, boxes):
            return boxes, self._in_parts(self._fast.recognize, pixels, boxes, ink), True
        if self._small_detector:
            boxes = separate(self._detect_all(image, area, scale, ink, self._detector), ink)
        return boxes, self._in_parts(partial(recognize, self._models), pixels, boxes, ink), False

    def _in_parts(self, recognize: _Recognize, pixels: np.ndarray, boxes: list[Quad], ink: Ink) -> list[Recognized]:
        read: list[Recognized] = []
        for start in range(0, len(boxes), _LINES_AT_ONCE):
            if start:
                self.pulse()
            read += recognize(pixels, boxes[start : start + _LINES_AT_ONCE], ink)
        return read

    def _with_check_boxes(self, found: Found, squares: Sequence[Square], image: "Image.Image", ink: Ink) -> Found:
        def recognize_all(quads: Sequence[Quad]) -> list[TextBox]:
            return [each.box for each in recognize([self._recognizer], pixels, quads, ink)]

        pixels = to_bgr(image)
        settled = check_boxes.settle(squares, found.boxes, recognize_all)
        boxes = [*found.boxes, *settled.marks, *settled.texts]
        return replace(found, boxes=boxes, unread=found.unread + settled.unread)

    def _detect_all(
        self, image: "Image.Image", area: Area, scale: float, ink: Ink, detector: "TextDetector"
    ) -> list[Quad]:
        """The boxes of lines in a part of the image, including those of very large type."""
        boxes = self._detect_in(image, area, scale, detector)
        smaller = large_type.find_smaller_scale(ink, scale)
        return (
            large_type.merge(boxes, self._detect_in(image, area, smaller, detector), ink, scale) if smaller else boxes
        )

    def _detect_in(
        self, image: "Image.Image", area: Area, scale: float, detector: "TextDetector | None" = None
    ) -> list[Quad]:
        """The boxes of lines in a part of the image. `detector`: None for the built-in one."""
        prepared, factor = prepare(image, area, scale)
        found = (detector or self._detector)(prepared)
        if found.boxes is None:
            return []
        return [[(x + area[0], y + area[1]) for x, y in np.asarray(box) * factor] for box in found.boxes]


def _recognizer(opened: "RapidOCR") -> "TextRecognizer":
    """The recognition model of a RapidOCR that has read something. It is annotated as it is before: None."""
    return cast("TextRecognizer", opened.text_rec)


def _covers(boxes: Sequence[Quad], ink: Ink) -> bool:
    """True if the boxes contain all but a few lines of ink; otherwise, the small detection model overlooked some."""
    overlooked = find_lines_outside(ink, [bounds_of(box) for box in boxes])
    return len(overlooked) <= max(1, _MOST_OVERLOOKED * len(boxes))


def _on_light_ground(image: "Image.Image") -> "Image.Image":
    """The image, inverted if it has light text on a dark background."""
    return ImageOps.invert(image) if ImageStat.Stat(image.convert("L")).median[0] < _DARK else image
