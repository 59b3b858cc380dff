"""Exact mode: the windows of `whisper.transcribe`, each with the text before it; the voice detector decides where a
window is skipped, and impossible text is decoded again."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from whisper.audio import CHUNK_LENGTH, N_SAMPLES, SAMPLE_RATE
from whisper.decoding import DecodingResult
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from processors.whisper.audio import vad
from processors.whisper.engines.seek_loop import RejectReason, SeekLoop, WindowCheck
from processors.whisper.engines.spectrogram import log_mel
from processors.whisper.engines.timestamps import split_at_timestamps
from processors.whisper.engines.window import Decoding
from processors.whisper.track import hallucinations
from processors.whisper.track.engine import PartRequest
from processors.whisper.track.segment import Segment

_SHORTEST_SAMPLES = 1600  # the mel transform needs 201 samples, and 0.1 s contains no word anyway


def transcribe(model: Whisper, request: PartRequest, language: str) -> Decoding[list[Segment]]:
    """Decode one part, whose language is `language`, into segments."""
    return seek_loop(model, request, language).run()


def seek_loop(model: Whisper, request: PartRequest, language: str, clips: Sequence[tuple[int, int]] = ()) -> SeekLoop:
    samples = request.samples
    if len(samples) < _SHORTEST_SAMPLES:
        samples = np.pad(samples, (0, _SHORTEST_SAMPLES - len(samples)))
    seconds = len(samples) / SAMPLE_RATE
    on_device = torch.from_numpy(samples).to(model.device)  # where the spectrogram is computed, then
    return SeekLoop(
        model,
        log_mel(on_device, model.dims.n_mels, padding=N_SAMPLES),
        request.options,
        language=language,
        precision=torch.float16 if model.device.type == "cuda" else torch.float32,
        prompt=request.prompt,
        clips=clips,
        check=SpeechCheck(model, request, seconds),
        report=_until(seconds, request.report),
    )


class SpeechCheck(WindowCheck):
    """Checks windows against the speech that the voice detector found."""

    def __init__(self, model: Whisper, request: PartRequest, seconds: float):
        """seconds: of the sound."""
        self._spoken, self._seconds = request.spoken, seconds
        self._tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)

    def is_silent(self, start: float) -> bool:
        return self._spoken_seconds(start, start + CHUNK_LENGTH) == 0

    def reject_reason(self, result: DecodingResult, start: float) -> RejectReason | None:
        if hallucinations.window_problem(result.text, self._spoken_seconds(start, start + CHUNK_LENGTH)):
            return RejectReason.IMPOSSIBLE
        return RejectReason.HALLUCINATION if self._ends_in_hallucination(result, start) else None

    def _ends_in_hallucination(self, result: DecodingResult, start: float) -> bool:
        """True if the last segment of the last window is a known hallucination of Whisper."""
        closed, _ = split_at_timestamps(result.tokens, self._tokenizer)
        if self._spoken is None or not closed:
            return False
        last = closed[-1]
        text = self._tokenizer.decode([token for token in last.tokens if token < self._tokenizer.eot])
        spoken = self._spoken_seconds(start + last.start, start + last.end)
        is_last = start + CHUNK_LENGTH >= self._seconds
        return hallucinations.is_known_hallucination(text, last.end - last.start, spoken, is_last)

    def _spoken_seconds(self, start: float, end: float) -> float:
        """The seconds of speech between two times; if speech was not detected, the length of the interval."""
        end = min(self._seconds, end)
        return max(0.0, end - start) if self._spoken is None else vad.seconds_within(self._spoken, start, end)


def _until(end: float, report: Callable[[float], None]) -> Callable[[float], None]:
    return lambda seconds: report(min(seconds, end))
