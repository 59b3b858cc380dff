"""Runs RapidOCR's models once on each image, for all tests that share an engine: many read the same pages."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from processors.ocr.engine import RapidOcrEngine


def recognize_once(engine: RapidOcrEngine) -> RapidOcrEngine:
    """Save what the two models of a loaded engine return; all other steps run each time."""
    models = engine._rapidocr
    models.text_det, models.text_rec = _Model(models.text_det), _Model(models.text_rec)
    return engine


class _Model:
    """A detection or recognition model that saves its results."""

    def __init__(self, model: Any):
        self._model, self._saved = model, dict[bytes, Any]()

    def __call__(self, given: Any) -> Any:
        """given: an image, or a TextRecInput of the images of several lines, which the model pads to one width."""
        images = getattr(given, "img", given)
        key = _digest(images if isinstance(images, list) else [images], getattr(given, "return_word_box", None))
        if key not in self._saved:
            self._saved[key] = self._model(given)
        return copy.deepcopy(self._saved[key])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _digest(images: list[np.ndarray], *options: object) -> bytes:
    digest = hashlib.blake2b(repr(options).encode())
    for image in images:
        digest.update(repr((image.shape, image.dtype)).encode())
        digest.update(image.tobytes())
    return digest.digest()
