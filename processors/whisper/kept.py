"""Decoded windows, kept across the attempts at a job (see `processors.parts`): a crash costs the windows it came in."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict

from whisper.decoding import DecodingResult

from processors.parts import Parts
from processors.whisper.listening import Window
from processors.whisper.together import Ask

VERSION = 2  # of what is kept, and of how windows are decoded; another one is not read
_FIELDS = ("language", "tokens", "text", "avg_logprob", "no_speech_prob", "temperature", "compression_ratio")
_DIGITS = 24


def keeping(parts: Parts, ask: Ask) -> Ask:
    """`ask`, which is not asked for what an earlier attempt decoded."""

    def answer(windows: Sequence[Window]) -> list[DecodingResult]:
        names = [f"window-{_digest(window)}" for window in windows]
        found = [_read(parts.get(name), window) for name, window in zip(names, windows, strict=True)]
        missing = [number for number, result in enumerate(found) if result is None]
        if missing:
            for number, result in zip(missing, ask([windows[number] for number in missing]), strict=True):
                found[number] = result
                if math.isfinite(result.avg_logprob) and math.isfinite(result.no_speech_prob):
                    parts.put(names[number], {field: getattr(result, field) for field in _FIELDS})
        return found

    return answer


def _read(kept: object, window: Window) -> DecodingResult | None:
    if not isinstance(kept, dict) or set(kept) != set(_FIELDS):
        return None
    return DecodingResult(audio_features=window.features, **kept)


def _digest(window: Window) -> str:
    """Of all that decides a window's text: its sound, what is told before it, how it is decoded."""
    digest = hashlib.blake2b(window.mel.float().cpu().contiguous().numpy().tobytes())
    digest.update(repr(sorted((asdict(window.options) | {"positions": window.positions}).items())).encode())
    return digest.hexdigest()[:_DIGITS]
