"""RapidOCR on one image; finds out which way up a page is when it reads poorly as it lies."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rapidocr
from PIL import ImageOps
from rapidocr import RapidOCR

from processors.contract import Unavailable
from processors.ocr import orientation
from processors.ocr.layout import Piece
from processors.pages.page import fit

if TYPE_CHECKING:
    from PIL import Image

_GOOD_CONFIDENCE = 0.85  # upright text is read with 0.95 and more; turned by a half, with 0.5 to 0.8
_FEW_CHARACTERS = 20  # too few to judge by
_MOST_PIXELS = 4_000_000  # A4 at 200 dpi: 5 s on one thread and 1.3 GB; more is reduced
_LONGEST_SHAPE = 25  # long to short side; rapidocr enlarges the short side to 736 pixels, whatever the long one is
_MOST_PADDED_PIXELS = 12_000_000  # including the padding for `_LONGEST_SHAPE`
_PADDED_SHAPE = 8  # rapidocr's own: a page that is wider for its height is padded to a quarter of its width,
_WIDEST_PADDED = 7000  # which beyond this is more than 12 megapixels
_AGAIN_SCALE = 0.7  # of the size at which a page was read first
_LEAST_CONFIDENCE = 0.5  # what is read with less is mostly dirt and pictures: counted, not taken


@dataclass(frozen=True)
class Upright:
    """What was read of an image, once it lay upright."""

    pieces: list[Piece]
    faint: list[Piece]  # too uncertain to be taken
    image: "Image.Image"  # as it was read
    turned: int  # degrees clockwise


class Engine:
    """The detection and recognition models, loaded."""

    def __init__(self, engine: RapidOCR, model_name: str):
        self._rapidocr = engine
        self.model_name = model_name

    @classmethod
    def load(cls, threads: int | None) -> "Engine":
        """Open both models, which rapidocr itself would do at the first page; downloads nothing.

        `threads`: None for OMP_NUM_THREADS, which onnxruntime itself does not heed.

        Raises:
            Unavailable: rapidocr was installed without its models.
        """
        threads = threads or int(os.environ.get("OMP_NUM_THREADS", "0")) or -1
        detection, recognition = (_model(task) for task in ("det", "rec"))
        parameters = {
            "Global.log_level": "error",
            "Global.text_score": 0.0,  # rapidocr drops in silence what is below
            "Global.use_cls": False,  # of single lines; pages are turned as a whole, see read_upright
            "Det.model_path": str(detection),  # named, as rapidocr would fetch what it does not find
            "Rec.model_path": str(recognition),
            # above the number of cores rapidocr ignores it, and takes them all
            "EngineConfig.onnxruntime.intra_op_num_threads": min(threads, os.cpu_count() or 1),
        }
        engine = cls(RapidOCR(params=parameters), f"{detection.stem} + {recognition.stem}")
        engine._rapidocr(np.full((64, 64, 3), 255, np.uint8))
        engine._rapidocr(np.full((64, 64, 3), 255, np.uint8), use_det=False)
        return engine

    def read_upright(self, image: "Image.Image", *, doubt: bool = False) -> "Upright":
        """Read an RGB image the right way up.

        `doubt`: it may well be turned, as the page before was, so look before reading it. A page that is wider than
        high is looked at in any case; another one when it reads poorly as it lies, for those are few.
        """
        if doubt or image.width > image.height:
            turned = self._find_turn(image)
            return self._read_turned(image, turned)
        upright = self._read_turned(image, 0)
        if _is_poor(upright.pieces) and (turned := self._find_turn(image)):
            return self._read_turned(image, turned)
        return upright

    def read_again(self, image: "Image.Image", turned: int | None) -> list[Piece]:
        """A second reading, as independent of the first as the same models give.

        `turned`: by how many degrees clockwise the first turned it; None if the first was no OCR. Smaller, as
        the lines that detection misses and the digits that recognition mistakes are other ones at another size.
        """
        if turned is None:
            return self.read_upright(image).pieces
        image = orientation.turn(image, turned)
        smaller = (math.ceil(image.width * _AGAIN_SCALE), math.ceil(image.height * _AGAIN_SCALE))
        pieces, _ = self.read(image.resize(smaller))
        return pieces

    def _find_turn(self, image: "Image.Image") -> int:
        return orientation.find_turn(image, self._detect, self._recognize)

    def _read_turned(self, image: "Image.Image", turned: int) -> Upright:
        image = orientation.turn(image, turned)
        return Upright(*self.read(image), image, turned)

    def _detect(self, image: "Image.Image") -> Sequence[orientation.Box]:
        prepared, scale = self._prepared(image, max(image.size))
        found = self._rapidocr(prepared, use_det=True, use_rec=False)
        return [] if found.boxes is None else np.asarray(found.boxes) * scale

    def _recognize(self, image: "Image.Image") -> tuple[str, float]:
        self._rapidocr.max_side_len = max(image.size)
        found = self._rapidocr(_bgr(image), use_det=False, use_rec=True)
        return (found.txts[0], float(found.scores[0])) if found.txts else ("", 0.0)

    def _prepared(self, image: "Image.Image", longest_side: int) -> tuple[np.ndarray, np.ndarray]:
        """Convert the image for OpenCV, with a shape and limits that bound the memory rapidocr uses.

        Also returns by what (x, y) in the result must be multiplied to be that in the image.
        """
        shaped, scale = _in_shape(image)
        self._rapidocr.max_side_len = min(longest_side, max(fit(shaped.size, _MOST_PADDED_PIXELS)))
        wide = self._rapidocr.max_side_len > _WIDEST_PADDED and image.width > image.height
        self._rapidocr.width_height_ratio = -1 if wide else _PADDED_SHAPE
        return _bgr(shaped), scale

    def read(self, image: "Image.Image") -> tuple[list[Piece], list[Piece]]:
        """What stands in an RGB image as it lies, and what is too uncertain to be taken; no order is promised."""
        # by area: rapidocr's own bound, 2000 pixels a side, makes a tall receipt or screenshot illegible
        prepared, scale = self._prepared(image, max(fit(image.size, _MOST_PIXELS)))
        found = self._rapidocr(prepared, use_det=True, use_rec=True)  # it remembers the arguments of the last call
        if not found.txts:
            return [], []
        pieces = [
            Piece(
                text=text,
                confidence=float(score),
                box=tuple((round(float(x), 1), round(float(y), 1)) for x, y in np.asarray(box) * scale),
            )
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
            if text.strip()
        ]
        faint = [piece for piece in pieces if not piece.confidence >= _LEAST_CONFIDENCE]  # NaN, too
        return [piece for piece in pieces if piece.confidence >= _LEAST_CONFIDENCE], faint


def _in_shape(image: "Image.Image") -> tuple["Image.Image", np.ndarray]:
    """Pad an image that is too elongated with white at the bottom or right, reduced first if that would be too large.

    Also returns by what coordinates must be multiplied to be those of `image`.
    """
    if min(image.size) >= math.ceil(max(image.size) / _LONGEST_SHAPE):
        return image, np.ones(2)
    share = min(1.0, math.sqrt(_MOST_PADDED_PIXELS * _LONGEST_SHAPE) / max(image.size))
    reduced = image.resize((max(1, int(image.width * share)), max(1, int(image.height * share))))
    least = math.ceil(max(reduced.size) / _LONGEST_SHAPE)
    padding = (0, 0, max(0, least - reduced.width), max(0, least - reduced.height))
    return ImageOps.expand(reduced, padding, fill="white"), np.asarray(image.size) / reduced.size


def _model(task: str) -> Path:
    folder = Path(rapidocr.__file__).parent / "models"
    found = sorted(folder.glob(f"*_{task}_*.onnx"))
    if not found:
        raise Unavailable(
            f"RapidOCR's models are not in {folder}: reinstall it, pip install --force-reinstall rapidocr"
        )
    return found[-1]


def _bgr(image: "Image.Image") -> np.ndarray:
    """As OpenCV has it: uint8, shape (height, width, 3)."""
    return np.asarray(image)[:, :, ::-1].copy()


def _is_poor(pieces: list[Piece]) -> bool:
    """Could this be a page that does not lie upright? Costs nothing on one that does."""
    characters = sum(len(piece.text) for piece in pieces)
    if characters < _FEW_CHARACTERS:
        return True
    upended = sum(_is_upended(piece) for piece in pieces) > len(pieces) / 2
    return upended or sum(piece.confidence * len(piece.text) for piece in pieces) / characters < _GOOD_CONFIDENCE


def _is_upended(piece: Piece) -> bool:
    xs, ys = [x for x, _ in piece.box], [y for _, y in piece.box]
    return max(ys) - min(ys) > 1.5 * (max(xs) - min(xs))
