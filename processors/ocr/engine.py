"""RapidOCR on one image, which is rotated first if it is not upright."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import ImageOps
from rapidocr import RapidOCR

from processors.ocr import orientation
from processors.ocr.layout import TextBox
from processors.ocr.models import find_model, model_name
from processors.pages.page import fit

if TYPE_CHECKING:
    from PIL import Image

_GOOD_CONFIDENCE = 0.85  # of upright text: 0.95 and more; upside down: 0.5 to 0.8
_FEW_CHARACTERS = 20  # too few to judge the orientation
_MAX_PIXELS = 4_000_000  # A4 at 200 dpi: 5 s on one thread and 1.3 GB; a larger page is reduced
_LONGEST_SHAPE = 25  # long to short side; rapidocr enlarges the short side to 736 pixels, whatever the long one is
_MAX_PADDED_PIXELS = 12_000_000  # including the padding for `_LONGEST_SHAPE`
_PADDED_SHAPE = 8  # rapidocr's own: a page that is wider for its height is padded to a quarter of its width,
_WIDEST_PADDED = 7000  # which beyond this is more than 12 megapixels
_AGAIN_SCALE = 0.7  # of the size of the first reading
_LEAST_CONFIDENCE = 0.5  # what has less is mostly dirt and pictures: reported, not used


@dataclass(frozen=True)
class OcrResult:
    """The text of an upright image."""

    boxes: list[TextBox]
    uncertain: list[TextBox]  # confidence too low to use
    image: "Image.Image"  # as it was read, upright
    rotation: int  # degrees clockwise by which it was rotated


class RapidOcrEngine:
    """The detection and recognition models, loaded."""

    def __init__(self, engine: RapidOCR, model_name: str):
        self._rapidocr = engine
        self.model_name = model_name

    @classmethod
    def load(cls, threads: int | None) -> "RapidOcrEngine":
        """Open both models, which rapidocr itself would do at the first page; download nothing.

        `threads`: None for OMP_NUM_THREADS, which onnxruntime itself ignores.

        Raises:
            Unavailable: rapidocr was installed without its models.
        """
        threads = threads or int(os.environ.get("OMP_NUM_THREADS", "0")) or -1
        detection, recognition = (find_model(task) for task in ("det", "rec"))
        parameters = {
            "Global.log_level": "error",
            "Global.text_score": 0.0,  # rapidocr silently drops text below it
            "Global.use_cls": False,  # of single lines; read_upright rotates pages
            "Det.model_path": str(detection),  # named, as rapidocr would download what it does not find
            "Rec.model_path": str(recognition),
            # above the number of cores rapidocr ignores it, and uses them all
            "EngineConfig.onnxruntime.intra_op_num_threads": min(threads, os.cpu_count() or 1),
        }
        engine = cls(RapidOCR(params=parameters), model_name())
        engine._rapidocr(np.full((64, 64, 3), 255, np.uint8))
        engine._rapidocr(np.full((64, 64, 3), 255, np.uint8), use_det=False)
        return engine

    def read_upright(self, image: "Image.Image", *, may_be_rotated: bool = False) -> "OcrResult":
        """Read an RGB image, rotated upright.

        `may_be_rotated`: find its rotation before reading it, as the page before was rotated. A page that is wider than
        high is always treated so; any other one only if it reads poorly as it is, which few do.
        """
        if may_be_rotated or image.width > image.height:
            return self._read_rotated(image, self._find_rotation(image))
        upright = self._read_rotated(image, 0)
        if _is_poor(upright.boxes) and (rotation := self._find_rotation(image)):
            return self._read_rotated(image, rotation)
        return upright

    def read_again(self, image: "Image.Image", rotation: int | None) -> list[TextBox]:
        """Read it a second time, as independently of the first as the same models permit.

        `rotation`: by which the first reading rotated it; None if that was not OCR. The image is reduced, as detection
        misses other lines and recognition mistakes other digits at another size.
        """
        if rotation is None:
            return self.read_upright(image).boxes
        image = orientation.rotate(image, rotation)
        smaller = (math.ceil(image.width * _AGAIN_SCALE), math.ceil(image.height * _AGAIN_SCALE))
        boxes, _ = self.read(image.resize(smaller))
        return boxes

    def _find_rotation(self, image: "Image.Image") -> int:
        return orientation.find_rotation(image, self._detect, self.recognize)

    def _read_rotated(self, image: "Image.Image", rotation: int) -> OcrResult:
        image = orientation.rotate(image, rotation)
        return OcrResult(*self.read(image), image, rotation)

    def _detect(self, image: "Image.Image") -> Sequence[orientation.Box]:
        prepared, scale = self._prepared(image, max(image.size))
        found = self._rapidocr(prepared, use_det=True, use_rec=False)
        return [] if found.boxes is None else np.asarray(found.boxes) * scale

    def recognize(self, image: "Image.Image") -> tuple[str, float]:
        """The text of the image of one line, and its confidence."""
        self._rapidocr.max_side_len = max(image.size)
        found = self._rapidocr(_bgr(image), use_det=False, use_rec=True)
        return (found.txts[0], float(found.scores[0])) if found.txts else ("", 0.0)

    def _prepared(self, image: "Image.Image", longest_side: int) -> tuple[np.ndarray, np.ndarray]:
        """Convert the image for OpenCV, with a shape and limits that bound the memory rapidocr uses.

        Also return the factors from (x, y) in the result to (x, y) in the image.
        """
        shaped, scale = _in_shape(image)
        self._rapidocr.max_side_len = min(longest_side, max(fit(shaped.size, _MAX_PADDED_PIXELS)))
        wide = self._rapidocr.max_side_len > _WIDEST_PADDED and image.width > image.height
        self._rapidocr.width_height_ratio = -1 if wide else _PADDED_SHAPE
        return _bgr(shaped), scale

    def read(self, image: "Image.Image") -> tuple[list[TextBox], list[TextBox]]:
        """The text of an RGB image as it is, and what is too uncertain to use; in no particular order."""
        # by area: rapidocr's own limit, 2000 pixels a side, makes a tall receipt or screenshot illegible
        prepared, scale = self._prepared(image, max(fit(image.size, _MAX_PIXELS)))
        found = self._rapidocr(prepared, use_det=True, use_rec=True)  # it remembers the arguments of the last call
        if not found.txts:
            return [], []
        boxes = [
            TextBox(
                text=text,
                confidence=float(score),
                corners=tuple((round(float(x), 1), round(float(y), 1)) for x, y in np.asarray(corners) * scale),
            )
            for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True)
            if text.strip()
        ]
        uncertain = [box for box in boxes if not box.confidence >= _LEAST_CONFIDENCE]  # also NaN
        return [box for box in boxes if box.confidence >= _LEAST_CONFIDENCE], uncertain


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


def _is_poor(boxes: list[TextBox]) -> bool:
    """True if the page may not be upright; an upright page costs nothing."""
    characters = sum(len(box.text) for box in boxes)
    if characters < _FEW_CHARACTERS:
        return True
    vertical = sum(_is_vertical(box) for box in boxes) > len(boxes) / 2
    return vertical or sum(box.confidence * len(box.text) for box in boxes) / characters < _GOOD_CONFIDENCE


def _is_vertical(box: TextBox) -> bool:
    xs, ys = [x for x, _ in box.corners], [y for _, y in box.corners]
    return max(ys) - min(ys) > 1.5 * (max(xs) - min(xs))
