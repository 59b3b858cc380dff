"""Runs RapidOCR's models once on each image, for all tests that share an engine: many read the same pages."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from processors.ocr.engine import RapidOcrEngine


def recognize_once(engine: RapidOcrEngine) -> RapidOcrEngine:
    """Save what the two models of a loaded engine return; all other steps run each time."""
    models: Any = engine._rapidocr
    engine._detector = models.text_det = _Detector(models.text_det)
    models.text_rec.session = _RecognitionSession(models.text_rec.session)
    return engine


class _Saved:
    def __init__(self, model: Any):
        self._model, self._saved = model, dict[bytes, Any]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class _Detector(_Saved):
    """A detection model that saves the boxes."""

    def __call__(self, image: np.ndarray) -> Any:
        key = _digest(image)
        if key not in self._saved:
            self._saved[key] = self._model(image)
        return copy.deepcopy(self._saved[key])


class _RecognitionSession(_Saved):
    """The session of a recognition model that saves the best class of each step: the decoder uses no other."""

    def __call__(self, lines: np.ndarray) -> np.ndarray:
        """lines: float32, shape (lines, 3, height, width). Returns float32, shape (lines, steps, classes)."""
        key = _digest(lines)
        if key not in self._saved:
            found = self._model(lines)
            best = found.argmax(axis=2)[..., np.newaxis]
            self._saved[key] = found.shape, best, np.take_along_axis(found, best, axis=2)
        shape, best, certainty = self._saved[key]
        certainties = np.zeros(shape, np.float32)
        np.put_along_axis(certainties, best, certainty, axis=2)
        return certainties


def _digest(image: np.ndarray) -> bytes:
    digest = hashlib.blake2b(repr((image.shape, image.dtype)).encode())
    digest.update(image.tobytes())
    return digest.digest()
