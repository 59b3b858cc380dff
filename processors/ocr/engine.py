"""RapidOCR on one image; finds out which way up a page is when it reads poorly as it lies."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rapidocr
from rapidocr import RapidOCR

from processors.base import Unavailable
from processors.ocr.layout import Piece
from processors.pages.page import fit, reduce

if TYPE_CHECKING:
    from PIL import Image

_TRIAL_PIXELS = 1_000_000  # of the image on which the four ways up are tried
_GOOD_CONFIDENCE = 0.85  # upright text is read with 0.95 and more; turned by a half, with 0.5 to 0.8
_FEW_CHARACTERS = 20  # too few to judge by
_MOST_PIXELS = 4_000_000  # A4 at 200 dpi: 5 s on one thread and 1.1 GB; more is reduced
_LEAST_CONFIDENCE = 0.5  # what is read with less is mostly dirt and pictures: counted, not taken
_CLEARLY_BETTER = 1.3  # a turn must give so many times the certain characters


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
        engine._rapidocr.use_det = True  # rapidocr keeps the arguments of the last call
        return engine

    def read_upright(self, image: "Image.Image") -> "Upright":
        pieces, faint = self.read(image)
        if not _is_poor(pieces):
            return Upright(pieces, faint, image, 0)
        small = reduce(image, _TRIAL_PIXELS)
        trials = {degrees: _certainty(self.read(_turned(small, degrees))[0]) for degrees in (0, 90, 180, 270)}
        best = max(trials, key=trials.get)
        if best == 0 or trials[best] < _CLEARLY_BETTER * trials[0]:
            return Upright(pieces, faint, image, 0)
        turned = _turned(image, best)
        return Upright(*self.read(turned), turned, best)

    def read(self, image: "Image.Image") -> tuple[list[Piece], list[Piece]]:
        """What stands in an RGB image as it lies, and what is too uncertain to be taken; no order is promised."""
        # by area: rapidocr's own bound, 2000 pixels a side, makes a tall receipt or screenshot illegible
        self._rapidocr.max_side_len = max(fit(image.size, _MOST_PIXELS))
        found = self._rapidocr(np.asarray(image)[:, :, ::-1].copy())  # it expects BGR, as OpenCV has it
        if not found.txts:
            return [], []
        pieces = [
            Piece(
                text=text, confidence=float(score), box=tuple((round(float(x), 1), round(float(y), 1)) for x, y in box)
            )
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
            if text.strip()
        ]
        faint = [piece for piece in pieces if piece.confidence < _LEAST_CONFIDENCE]
        return [piece for piece in pieces if piece.confidence >= _LEAST_CONFIDENCE], faint


def _model(task: str) -> Path:
    folder = Path(rapidocr.__file__).parent / "models"
    found = sorted(folder.glob(f"*_{task}_*.onnx"))
    if not found:
        raise Unavailable(
            f"RapidOCR's models are not in {folder}: reinstall it, pip install --force-reinstall rapidocr"
        )
    return found[-1]


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
