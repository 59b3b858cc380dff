"""Parakeet, Canary and Moonshine through transformers, for the parts of sound tracks. See `speech_families`.

The windows are stretches of speech between pauses, at most half a minute each, decoded in batches: these models
handle neither silence nor the text before.
"""

import importlib.metadata
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from whisper.utils import compression_ratio

from processors import torch_device
from processors.contract import JobError, Progress, Unavailable
from processors.device_errors import is_out_of_memory
from processors.torch_device import BatchLimit
from processors.vlm.engine import weights
from processors.whisper import speech_families
from processors.whisper.audio import vad
from processors.whisper.audio.parts import SAMPLE_RATE_HZ
from processors.whisper.engines.openai_whisper import choose_device
from processors.whisper.engines.speech_models import SpeechModel, Token
from processors.whisper.engines.whole_parts import WholePartEngine
from processors.whisper.options import WhisperOptions
from processors.whisper.speech_families import SpeechFamily
from processors.whisper.track.engine import PartRequest, PartResult
from processors.whisper.track.segment import FRAMES_PER_SECOND, Segment, Word

_WINDOWS_ON_CPU, _WINDOWS_ON_GPU = 4, 32
_SENTENCE_ENDS = tuple(".?!…。？！")
_PAUSE_SECONDS = 1.0  # between two words, after which a segment ends


class TransformersSpeechEngine(WholePartEngine):
    """One loaded model. See `track.engine.Engine`."""

    name = "transformers"

    def __init__(self, model: SpeechModel, family: SpeechFamily, name: str, dtype: torch.dtype):
        self._model, self._family, self._languages = model, family, family.languages(name)
        self.knows_english_only = self._languages == {"en"}
        self.is_elsewhere = model.device.type == "cuda"
        self.device_name = torch_device.device_name(model.device)
        most = _WINDOWS_ON_GPU if self.is_elsewhere else _WINDOWS_ON_CPU
        self._limit = BatchLimit(most, "windows of speech", partial(torch_device.release_cache, model.device))
        version = importlib.metadata.version("transformers")
        self.made_by = {"engine": self.name, "version": version, "model": name, "dtype": str(dtype)}

    @classmethod
    def load(cls, options: WhisperOptions, models: Path, progress: Progress) -> "TransformersSpeechEngine":
        """The model of `options`: a folder, or a name that `inboxd models fetch` has stored.

        Raises:
            Unavailable: there is no such device; or the weights are missing, damaged or too large.
        """
        if options.threads:
            torch.set_num_threads(options.threads)
        device = choose_device(options.device)
        dtype = choose_dtype(options.dtype, device)
        folder = weights.find(options.model, models)
        if folder is None:
            raise Unavailable(weights.why_missing(options.model, models))
        family = speech_families.family_of(folder)
        if family is None:
            raise Unavailable(speech_families.why_not_a_model(folder))
        progress.loading(0, weights.size_bytes(folder), "bytes")
        try:
            model = SpeechModel.load(folder, family, device, dtype)
        except Exception as error:  # transformers raises many types of exceptions
            raise Unavailable(_why_not_loaded(error, options.model, folder, models, device)) from error
        return cls(model, family, options.model, dtype)

    def detect_language(self, samples: np.ndarray, among: Sequence[str] = ()) -> tuple[str | None, float | None]:
        """The only language of the model. A model of several languages transcribes any of them, and does not report
        which."""
        return (next(iter(self._languages)), None) if len(self._languages) == 1 else (None, None)

    def transcribe_part(self, request: PartRequest) -> PartResult:
        """
        Raises:
            JobError: the model computed NaN.
        """
        seconds = len(request.samples) / SAMPLE_RATE_HZ
        windows = _windows(request.spoken, seconds)
        segments: list[Segment] = []
        done = 0
        while done < len(windows):
            batch = windows[done : done + self._limit.at_once]
            found = self._limit.attempt(batch, partial(self._tokens, request))
            if found is None:
                continue
            for window, tokens in zip(batch, found, strict=True):
                segments += self._segments(window, tokens, request.options.word_timestamps)
            done += len(batch)
            request.report(min(batch[-1].end, seconds))
        return PartResult(segments=[replace(each, id=number) for number, each in enumerate(segments)])

    def _tokens(self, request: PartRequest, windows: Sequence[vad.Span]) -> list[list[Token]]:
        sounds = [request.samples[_sample(window.start) : _sample(window.end)] for window in windows]
        return self._model.tokens(sounds, request.language, request.options.task)

    def _segments(self, window: vad.Span, tokens: Sequence[Token], with_words: bool) -> Iterator[Segment]:
        """The sentences of a window, or all of it as one segment if the model reports no times."""
        text = self._model.text(tokens)
        if not text:
            return
        logarithms = [math.log(max(token.probability, 1e-10)) for token in tokens]
        average = sum(logarithms) / len(logarithms)
        if math.isnan(average):
            raise JobError(
                "Unreliable transcription: the token probabilities are NaN. Set "
                'dtype = "float32" in [processors.whisper]; if that does not help, fetch the weights again.'
            )
        whole = Segment(
            seek=round(window.start * FRAMES_PER_SECOND),
            start=window.start,
            end=window.end,
            text=f" {text}",
            tokens=tuple(token.number for token in tokens),
            avg_logprob=average,
            compression_ratio=compression_ratio(text),
        )
        words = self._model.words(tokens) if self._family.times_words else []
        if not words:
            yield whole
        for sentence in sentences(words):
            moved = tuple(_moved(word, window) for word in sentence)
            text = "".join(word.word for word in moved)
            timed = replace(whole, start=moved[0].start, end=moved[-1].end, text=text, tokens=())
            yield replace(timed, words=moved if with_words else None)


def sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    """The words up to each full stop or long pause."""
    sentence: list[Word] = []
    for word in words:
        if sentence and word.start - sentence[-1].end > _PAUSE_SECONDS:
            yield sentence
            sentence = []
        sentence.append(word)
        if word.word.endswith(_SENTENCE_ENDS):
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """The number format named `wanted`; "auto" is bfloat16 on GPUs that have it, else float32: these models were
    trained in bfloat16, and may overflow float16.

    Raises:
        Unavailable: it is int8, which they cannot use.
    """
    if wanted == "int8":
        raise Unavailable('dtype = "int8" does not work with engine = "transformers": remove it.')
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]
    if device.type != "cuda":
        return torch.float32
    with torch.cuda.device(device):
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float32


def _why_not_loaded(error: Exception, name: str, folder: Path, models: Path, device: torch.device) -> str:
    if is_out_of_memory(error):
        return f"The speech model {name} does not fit into the memory of {device}: choose a smaller `model`."
    fix = weights.how_to_fix(name, folder, models)
    return f"The speech model in {folder} cannot be loaded. {fix} ({str(error).strip()[:200]})"


def _windows(spoken: Sequence[vad.Span] | None, seconds: float) -> list[vad.Span]:
    """The windows of a part; without the voice detector, all of it, half a minute each."""
    if spoken is not None:
        return vad.windows(spoken)
    count = max(1, math.ceil(seconds / vad.LONGEST_SECONDS))
    return [vad.Span(seconds * number / count, seconds * (number + 1) / count) for number in range(count)]


def _sample(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


def _moved(word: Word, window: vad.Span) -> Word:
    start = min(word.start + window.start, window.end)
    return replace(word, start=start, end=max(start, min(word.end + window.start, window.end)))
