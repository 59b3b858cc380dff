"""One model, listened to by several transcriptions: their windows are decoded together.

A `Window` is one `DecodingOptions` and the sound it is for; `Decoding` decodes batches of them, which `rounds` forms
out of what all transcriptions ask for; a `Listener` is the model as `whisper.transcribe` sees it.
"""

import hashlib
import logging
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import whisper
from torch import Tensor
from whisper.audio import CHUNK_LENGTH, FRAMES_PER_SECOND
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

from processors.whisper.audio import vad
from processors.whisper.decoder.cuda_graphs import capture_on
from processors.whisper.decoder.decoding import BatchDecoder
from processors.whisper.decoder.graphed_greedy import most_rows
from processors.whisper.track import hallucinations
from processors.whisper.track.segment import Segment
from processors.whisper.track.transcriber import Question

# Decoded at once, and the bytes of the keys and values they attend to. On a CPU 16 windows gain nothing over 8, and the
# largest model decodes single ones. A GPU (not measured) waits for the weights, whatever the number of rows; the memory
# there is kept, and beams take as much again.
_MOST_ON_CPU, _MOST_ELSEWHERE = (8, 512 << 20), 64
_SHARE_ELSEWHERE = 4  # one part of so many of the GPU's memory
_SECONDS_PER_TIME = 0.02  # of Whisper's time tokens
_KEPT_FIELDS = ("language", "tokens", "text", "avg_logprob", "no_speech_prob", "temperature", "compression_ratio")
_WORSE_THAN_ANY = 1e3  # a compression ratio that makes `transcribe` try the next temperature


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """What is to be decoded once."""

    mel: Tensor  # its spectrogram (n_mels, 3000)
    options: DecodingOptions
    positions: int | None = None  # of the encoder; None: all, as the model was trained
    is_rough: bool = False  # encoded in bfloat16; see `Decoding.knows_rough`
    features: Tensor | None = None  # what the encoder made of it (positions, width), if it was asked already

    @property
    def kind(self) -> str:
        """Windows of one kind may be decoded together."""
        return repr(replace(self.options, prompt=None))

    def digest(self) -> bytes:
        """See `kept.Asked`."""
        digest = hashlib.blake2b(self.mel.float().cpu().contiguous().numpy().tobytes())
        how = {"positions": self.positions, "is_rough": self.is_rough}
        digest.update(repr(sorted((asdict(self.options) | how).items())).encode())
        return digest.digest()

    def pack(self, result: DecodingResult) -> dict[str, Any] | None:
        if not (math.isfinite(result.avg_logprob) and math.isfinite(result.no_speech_prob)):
            return None
        return {field: getattr(result, field) for field in _KEPT_FIELDS}

    def unpack(self, kept: dict[str, Any]) -> DecodingResult:
        return DecodingResult(audio_features=self.features, **{field: kept[field] for field in _KEPT_FIELDS})


class Decoding:
    """Batches of windows through one model."""

    def __init__(self, model: Whisper, dtype: torch.dtype, in_8_bits: bool = False):
        self._decoder = BatchDecoder(model, dtype, in_8_bits, capture_on(model.device))
        self.most = _most_windows(model, dtype)

    @property
    def knows_rough(self) -> bool:
        """Is it faster here to encode windows in bfloat16 than in the numbers chosen? Takes memory once it is asked."""
        return self._decoder.rough_encoder is not None

    def checked(self, windows: Sequence[Window]) -> Sequence[Window]:
        """The same windows. Whose asks for the impossible is told so here, beside nobody else's.

        Raises:
            Exception: what whisper raises for options that it can do nothing with.
        """
        for window in windows:
            self._decoder.check(window.options)
        return windows

    def decode(self, batch: Sequence[Window]) -> list[DecodingResult]:
        """Windows of one kind, one result each; `most` at a time. Where memory ends, fewer are decoded at once, from
        then on, too.

        Raises:
            torch.OutOfMemoryError: a single window does not fit.
        """
        results: list[DecodingResult] = []
        while len(results) < len(batch):
            asked = batch[len(results) : len(results) + self.most]
            results += self._try(asked) or []
        return results

    def _try(self, batch: Sequence[Window]) -> list[DecodingResult] | None:
        """The results; None if memory ended, and fewer are to be decoded at once."""
        try:
            return self._decoder.decode(self._features(batch), [window.options for window in batch])
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        self._decoder.forget()  # only here, behind the except, which holds tensors
        self.most = len(batch) // 2
        log.warning("memory ended with %d windows of speech at once; going on with %d", len(batch), self.most)
        return None

    def _features(self, batch: Sequence[Window]) -> list[Tensor]:
        made: dict[bool, Iterator[Tensor]] = {}
        for roughly in (False, True):
            new = [window for window in batch if window.features is None and window.is_rough == roughly]
            mels, positions = [each.mel for each in new], [each.positions for each in new]
            made[roughly] = iter(self._decoder.encode_all(mels, positions, roughly) if new else ())
        return [next(made[each.is_rough]) if each.features is None else each.features for each in batch]


def _most_windows(model: Whisper, dtype: torch.dtype) -> int:
    dims, device = model.dims, model.device
    width = dims.n_text_state * dims.n_text_layer * 2 * torch.finfo(dtype).bits // 8
    if device.type == "cpu":
        most, most_bytes = _MOST_ON_CPU
        return max(1, min(most, most_bytes // (width * dims.n_audio_ctx)))
    most_bytes = torch.cuda.get_device_properties(device).total_memory // _SHARE_ELSEWHERE
    return min(_MOST_ELSEWHERE, most_rows(width * (dims.n_audio_ctx + dims.n_text_ctx), most_bytes))


class Listener:
    """The model as `whisper.transcribe` sees it: asks for each window, judges the answer, and tells how far it is."""

    def __init__(self, model: Whisper, question: Question, seconds: float):
        """`seconds`: of the sound."""
        self._model, self._seconds = model, seconds
        self._options, self._spoken = question.options, question.spoken
        self._ask, self._tell = question.ask, question.tell
        self._done_seconds = 0.0
        self._encoded: tuple[Tensor | None, Tensor | None] = (None, None)  # the last spectrogram, and its features
        self._first: DecodingResult | None = None  # of this window, at the coldest temperature
        self._ratios: dict[tuple[float, float], float] = {}  # of results that were made to look worse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, *arguments: Any) -> Any:  # the word timestamps run the model itself
        return self._model(*arguments)

    def decode(self, mel: Tensor, options: DecodingOptions) -> DecodingResult:
        is_first = options.temperature == self._options.temperatures[0]
        self._done_seconds = (_frames_passed() or 0) / FRAMES_PER_SECOND
        self._tell(min(self._done_seconds, self._seconds))
        if self._options.no_speech_threshold is not None and self._spoken_seconds(0, CHUNK_LENGTH) == 0:
            return _nothing(mel, options)
        known, features = self._encoded  # another temperature is tried on the same sound
        ((result,)) = self._ask([Window(mel, options, features=features if known is mel else None)])
        self._encoded = (mel, result.audio_features)
        if is_first:
            self._first = result
        return self._judged(result)

    def with_its_own_ratio(self, segment: Mapping[str, Any]) -> Segment:
        """A segment with the compression ratio that its text has."""
        made_worse = (segment["temperature"], segment["avg_logprob"])
        ratio = self._ratios.get(made_worse, segment["compression_ratio"])
        return Segment.from_json({**segment, "compression_ratio": ratio})

    def _judged(self, result: DecodingResult) -> DecodingResult:
        """The result; if it cannot be right, as one that makes `transcribe` try the next temperature."""
        problem = hallucinations.window_problem(result.text, self._spoken_seconds(0, CHUNK_LENGTH))
        if not problem and self._ends_in_phantom(result):
            if result.temperature == self._options.temperatures[-1] and self._first is not None:
                return self._first  # it stays at every temperature: a person is told, of the surest text
            problem = "known to be made up"
        if not problem:
            return result
        self._ratios[result.temperature, result.avg_logprob] = result.compression_ratio
        return replace(result, compression_ratio=max(result.compression_ratio, _WORSE_THAN_ANY))

    def _ends_in_phantom(self, result: DecodingResult) -> bool:
        """Is the last segment of the last window one that Whisper makes up?"""
        tokenizer = get_tokenizer(self._model.is_multilingual, num_languages=self._model.num_languages)
        pairs, _, _ = timed(result.tokens, tokenizer)
        if self._spoken is None or not pairs:
            return False
        tokens, start, end = pairs[-1]
        text = tokenizer.decode([token for token in tokens if token < tokenizer.eot])
        is_last = self._done_seconds + CHUNK_LENGTH >= self._seconds
        return hallucinations.is_phantom(text, end - start, self._spoken_seconds(start, end), is_last)

    def _spoken_seconds(self, start: float, end: float) -> float:
        """Of this window, from `start` to `end`; if it is not known, all of it."""
        start, end = self._done_seconds + start, min(self._seconds, self._done_seconds + end)
        return max(0.0, end - start) if self._spoken is None else vad.seconds_within(self._spoken, start, end)


def timed(
    tokens: Sequence[int], tokenizer: Tokenizer
) -> tuple[list[tuple[list[int], float, float]], tuple[list[int], float] | None, float]:
    """A window's tokens as closed segments (tokens, start, end), the text behind the last of them with its start, if
    any, and the last closed time; in seconds of the window."""
    pairs, held, start, last = [], [], 0.0, 0.0
    for token in tokens:
        if token < tokenizer.timestamp_begin:
            held.append(token)
            continue
        time = (token - tokenizer.timestamp_begin) * _SECONDS_PER_TIME
        if any(each < tokenizer.eot for each in held):
            pairs.append(([*held, token], start, time))
            last, held = time, []
        else:
            start, held = time, [token]
    is_open = any(token < tokenizer.eot for token in held)
    return pairs, (held, start) if is_open else None, last


def _nothing(mel: Tensor, options: DecodingOptions) -> DecodingResult:
    """What makes `whisper.transcribe` pass over a window in which nobody speaks."""
    return DecodingResult(
        audio_features=mel,
        language=options.language or "en",
        avg_logprob=float("-inf"),
        no_speech_prob=1.0,
        temperature=options.temperature,
        compression_ratio=0.0,
    )


def _frames_passed() -> int | None:
    """Where the `whisper.transcribe` that called is in its sound; None: it was not called by that.

    It tells nobody: a progress bar moves behind windows with text only, and not over what is skipped as a silence. So
    its local variable is read.
    """
    frame = sys._getframe(1)
    while frame and frame.f_code is not whisper.transcribe.__code__:
        frame = frame.f_back
    return frame and frame.f_locals["seek"]
