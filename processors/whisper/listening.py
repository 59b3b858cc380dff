"""One model, listened to by several transcriptions: their windows are decoded together.

A `Window` is one `DecodingOptions` and the sound it is for; `Decoding.answer` takes what all transcriptions ask for and
forms batches of it; a `Listener` is the model as `whisper.transcribe` sees it.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from whisper.audio import CHUNK_LENGTH
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper

from processors.whisper.decoding import BatchDecoder
from processors.whisper.together import Ask

_MOST_WINDOWS = 16  # decoded at once; more gain little on a CPU
_MOST_BYTES = 512 << 20  # of cross-attention keys and values: the largest model decodes single windows on a CPU
_FRAMES_PER_SECOND = 100  # of openai-whisper's progress bar


@dataclass(frozen=True)
class Window:
    """What is to be decoded once."""

    sound: Tensor  # a mel spectrogram (n_mels, 3000), or what the encoder made of it (positions, width)
    options: DecodingOptions
    positions: int | None = None  # of the encoder; None: all, as the model was trained


class Decoding:
    """Batches of windows through one model."""

    def __init__(self, model: Whisper, dtype: torch.dtype):
        self._decoder = BatchDecoder(model, dtype)
        dims = model.dims
        width = dims.n_text_state * dims.n_text_layer * 2 * torch.finfo(dtype).bits // 8
        self._most = max(1, min(_MOST_WINDOWS, _MOST_BYTES // (width * dims.n_audio_ctx)))

    def answer(self, questions: Sequence[Sequence[Window]]) -> list[list[DecodingResult]]:
        """One result a window."""
        windows = [window for question in questions for window in question]
        groups: dict[Any, list[int]] = defaultdict(list)
        for number, window in enumerate(windows):
            groups[repr(replace(window.options, prompt=None)), window.positions].append(number)
        results: list[Any] = [None] * len(windows)
        for members in groups.values():
            for start in range(0, len(members), self._most):
                batch = members[start : start + self._most]
                for number, result in zip(batch, self._decode([windows[each] for each in batch]), strict=True):
                    results[number] = result
        ordered = iter(results)
        return [[next(ordered) for _ in question] for question in questions]

    def _decode(self, batch: list[Window]) -> list[DecodingResult]:
        # One window at a time: encoding is arithmetic enough, and several at once take several times the memory.
        features = [self._features(window) for window in batch]
        return self._decoder.decode(torch.stack(features), [window.options for window in batch])

    def _features(self, window: Window) -> Tensor:
        is_mel = window.sound.shape[-2] == self._decoder.network.dims.n_mels
        return self._decoder.encode(window.sound, window.positions) if is_mel else window.sound


class Listener:
    """The model as `whisper.transcribe` sees it: asks for each window, and tells of it.

    The progress bar of `whisper.transcribe` moves only behind a window that had text. So the windows are counted here,
    too: a first attempt that follows another without the bar having moved means that a window of silence was passed.
    """

    def __init__(self, model: Whisper, ask: Ask, tell: Callable[[float], None]):
        self._model, self._ask, self._tell = model, ask, tell
        self._done_seconds = 0.0
        self._first_temperature: float | None = None
        self._is_behind_bar = False  # a window was tried since the bar last moved
        self._encoded: tuple[Tensor | None, Tensor | None] = (None, None)  # the last mel spectrogram, and its features

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, *arguments: Any) -> Any:  # the word timestamps run the model itself
        return self._model(*arguments)

    def decode(self, mel: Tensor, options: DecodingOptions) -> DecodingResult:
        if self._first_temperature is None:
            self._first_temperature = options.temperature
        if options.temperature == self._first_temperature:
            if self._is_behind_bar:
                self._done_seconds += CHUNK_LENGTH
            self._is_behind_bar = True
        self._tell(self._done_seconds)
        known, features = self._encoded  # another temperature is tried on the same sound
        ((result,)) = self._ask([Window(features if known is mel else mel, options)])
        self._encoded = (mel, result.audio_features)
        return result

    def advance(self, frames: int) -> None:
        self._done_seconds += frames / _FRAMES_PER_SECOND
        self._is_behind_bar = False
        self._tell(self._done_seconds)


@contextmanager
def progress_bar(advance: Callable[[int], None]) -> Iterator[None]:
    """Stand in for the tqdm bar of `whisper.transcribe`: the only place where it tells how far it got.

    The bar is made before the first window is asked for, so transcriptions that take turns do not mix up theirs.
    """

    class Bar:
        def __init__(self, **_: Any):
            self.update = advance
            module.tqdm = theirs

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: Any) -> None:
            pass

    module = sys.modules["whisper.transcribe"]  # the attribute `whisper.transcribe` is the function
    theirs = module.tqdm
    module.tqdm = SimpleNamespace(tqdm=Bar)
    try:
        yield
    finally:
        if module.tqdm is not theirs and getattr(module.tqdm, "tqdm", None) is Bar:
            module.tqdm = theirs
