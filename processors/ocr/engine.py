"""RapidOCR on one image; finds out which way up a page is when it reads poorly as it lies."""

import importlib.metadata
import os
from typing import TYPE_CHECKING

import numpy as np
from rapidocr import RapidOCR

from processors.ocr.layout import Piece
from processors.pages.page import reduce

if TYPE_CHECKING:
    from PIL import Image

_TRIAL_PIXELS = 1_000_000  # of the image on which the four ways up are tried
_GOOD_CONFIDENCE = 0.85  # upright text is read with 0.95 and more; turned by a half, with 0.5 to 0.8
_FEW_CHARACTERS = 20  # too few to judge by
_CLEARLY_BETTER = 1.3  # a turn must give so many times the certain characters


class Engine:
    """The detection and recognition models, loaded."""

    def __init__(self, rapidocr: RapidOCR):
        self._rapidocr = rapidocr

    @classmethod
    def load(cls, threads: int | None) -> "Engine":
        """`threads`: None for OMP_NUM_THREADS, which onnxruntime itself does not heed."""
        threads = threads or int(os.environ.get("OMP_NUM_THREADS", "0")) or -1
        parameters = {
            "Global.log_level": "error",
            "Global.use_cls": False,  # of single lines; pages are turned as a whole, see read_upright
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        }
        return cls(RapidOCR(params=parameters))

    @property
    def model_name(self) -> str:
        return f"PP-OCR of rapidocr {importlib.metadata.version('rapidocr')}"

    def read_upright(self, image: "Image.Image") -> tuple[list[Piece], "Image.Image", int]:
        """The pieces of an RGB image, that image as it was read, and by how many degrees clockwise it was turned."""
        pieces = self.read(image)
        if not _is_poor(pieces):
            return pieces, image, 0
        small = reduce(image, _TRIAL_PIXELS)
        trials = {degrees: _certainty(self.read(_turned(small, degrees))) for degrees in (0, 90, 180, 270)}
        best = max(trials, key=trials.get)
        if best == 0 or trials[best] < _CLEARLY_BETTER * trials[0]:
            return pieces, image, 0
        turned = _turned(image, best)
        return self.read(turned), turned, best

    def read(self, image: "Image.Image") -> list[Piece]:
        """What stands in an RGB image as it lies; no order is promised."""
        found = self._rapidocr(np.asarray(image)[:, :, ::-1].copy())  # it expects BGR, as OpenCV has it
        if not found.txts:
            return []
        return [
            Piece(
                text=text, confidence=float(score), box=tuple((round(float(x), 1), round(float(y), 1)) for x, y in box)
            )
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
            if text.strip()
        ]


def _turned(image: "Image.Image", degrees: int) -> "Image.Image":
    return image.rotate(-degrees, expand=True) if degrees else image


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


def _certainty(pieces: list[Piece]) -> float:
    """How much was read, and how surely: characters, weighted so that a guess counts for little. RapidOCR reads lines
    that run upwards, too; on a page that lies upright they are few."""
    return sum(len(piece.text) * piece.confidence**4 for piece in pieces if not _is_upended(piece))
