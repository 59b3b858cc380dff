"""Speech models of transformers: windows of sound to tokens, with their times where the model has them.

This module owns the differences between the architectures; `transformers_models` makes segments of the tokens.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import transformers
from transformers import (
    BatchFeature,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PretrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.processing_auto import AutoProcessor

from processors.whisper.audio.parts import SAMPLE_RATE_HZ
from processors.whisper.speech_families import Head, SpeechFamily
from processors.whisper.track.segment import Word

_TOKENS_PER_SECOND = 6.5  # maximum per second of speech for Moonshine; more is a loop (see its model card)
_LEAST_TOKENS = 16

Batch = Sequence[np.ndarray]  # float32 each, mono, 16 kHz


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token of a window."""

    number: int
    probability: float
    start: float | None = None  # seconds in the window; None: the model does not know
    end: float | None = None


class _Model(Protocol):
    """What the models of `SpeechFamily` have in common."""

    config: PretrainedConfig
    generation_config: GenerationConfig
    device: torch.device
    dtype: torch.dtype
    max_symbols_per_step: int  # of a transducer

    def generate(self, **inputs: object) -> Any: ...  # tokens, or an output of the model's own class


class _Extractor(Protocol):
    hop_length: int  # samples between frames
    sampling_rate: int


class _Processor(Protocol):
    """What their processors have in common."""

    tokenizer: PreTrainedTokenizerBase
    feature_extractor: _Extractor

    def __call__(self, audio: list[npt.NDArray[np.float32]], **options: object) -> BatchFeature: ...

    def apply_transcription_request(self, audio: list[npt.NDArray[np.float32]], **options: object) -> BatchFeature: ...


class SpeechModel:
    """One loaded model."""

    def __init__(self, model: _Model, processor: _Processor, family: SpeechFamily):
        self._model, self._processor, self._family = model, processor, family
        self._tokenizer = processor.tokenizer
        self._special = set(self._tokenizer.all_special_ids)

    @classmethod
    def load(cls, folder: Path, family: SpeechFamily, device: torch.device, dtype: torch.dtype) -> "SpeechModel":
        """The model in `folder`.

        Raises:
            Exception: many kinds, if its files are damaged or do not fit into memory.
        """
        head = {Head.CTC: "CTC", Head.ENCODER_DECODER: "SpeechSeq2Seq"}.get(family.head)
        head = head or family.model_type.removeprefix("parakeet_").upper()
        kind = getattr(transformers, f"AutoModelFor{head}")
        where = {} if device.type == "cpu" else {"device_map": {"": device}}
        model = kind.from_pretrained(folder, dtype=dtype, local_files_only=True, **where)
        return cls(model.eval(), AutoProcessor.from_pretrained(folder, local_files_only=True), family)

    @property
    def device(self) -> torch.device:
        return self._model.device

    @torch.inference_mode()
    def tokens(self, windows: Batch, language: str | None, task: str) -> list[list[Token]]:
        """The tokens of each window, without special ones. language: a code; task: "transcribe" or "translate"."""
        match self._family.head:
            case Head.ENCODER_DECODER if self._family.decodes_alone:
                found = [self._by_decoder([window], language, task)[0] for window in windows]
            case Head.CTC:
                found = self._by_frames(windows)
            case Head.TRANSDUCER:
                found = self._by_steps(windows)
            case Head.ENCODER_DECODER:
                found = self._by_decoder(windows, language, task)
        return [[token for token in tokens if token.number not in self._special] for tokens in found]

    def text(self, tokens: Sequence[Token]) -> str:
        pieces = [str(self._tokenizer.convert_ids_to_tokens(token.number)) for token in tokens]
        return str(self._tokenizer.convert_tokens_to_string(pieces)).strip() if pieces else ""

    def words(self, tokens: Sequence[Token]) -> list[Word]:
        """The tokens with times, joined to words, as the text is written."""
        words: list[Word] = []
        before = ""
        for number, token in enumerate(tokens, 1):
            text = self.text(tokens[:number])
            piece, before = text[len(before) :], text
            if not piece or token.start is None or token.end is None:
                continue
            word = Word(word=piece, start=token.start, end=token.end, probability=token.probability)
            if words and not piece[0].isspace():
                words[-1] = _joined(words[-1], word)
            else:
                words.append(word)
        return [_spaced(word) for word in words]

    # ------------------------------------------------------------------------------------------ architectures

    @property
    def _frame_seconds(self) -> float:
        extractor = self._processor.feature_extractor
        return float(
            extractor.hop_length / extractor.sampling_rate * self._model.config.encoder_config.subsampling_factor
        )

    def _by_frames(self, windows: Batch) -> list[list[Token]]:
        """CTC: equal neighbors are one token, and blanks separate them."""
        output = self._model.generate(**self._features(windows), return_dict_in_generate=True)
        certain = output.logits.float().softmax(-1).amax(-1).tolist()
        return [list(self._runs(frames, certain[row])) for row, frames in enumerate(output.sequences.tolist())]

    def _runs(self, frames: Sequence[int], certain: Sequence[float]) -> Iterator[Token]:
        at, blank, seconds = 0, self._model.config.pad_token_id, self._frame_seconds
        for number, group in itertools.groupby(frames):
            end = at + len(list(group))
            if number != blank:
                probability = max(certain[at:end])
                yield Token(number=number, probability=probability, start=at * seconds, end=end * seconds)
            at = end

    def _by_steps(self, windows: Batch) -> list[list[Token]]:
        """Transducers: each step writes a token or a blank, and moves on by some frames (RNN-T: by none or one)."""
        recorder, ends = _Recorder(self._model.config.vocab_size), self._frames(windows)
        output = self._model.generate(
            **self._features(windows),
            return_dict_in_generate=True,
            max_new_tokens=self._model.max_symbols_per_step * max(ends),
            decoder_start_token_id=self._model.config.blank_token_id,
            logits_processor=LogitsProcessorList([recorder]),
        )
        starts = (output.durations.cumsum(-1) - output.durations).tolist()
        lengths = output.durations.tolist()
        skipped = {self._model.config.blank_token_id, self._model.config.pad_token_id}
        certain, seconds = recorder.table(), self._frame_seconds
        return [
            [
                Token(
                    number=number,
                    probability=certain[row][step - 1],
                    start=starts[row][step] * seconds,
                    end=min(starts[row][step] + max(1, lengths[row][step]), ends[row]) * seconds,
                )
                for step, number in enumerate(numbers)
                if step and number not in skipped and starts[row][step] < ends[row]
            ]
            for row, numbers in enumerate(output.sequences.tolist())
        ]

    def _frames(self, windows: Batch) -> list[int]:
        """The frames of each window: shorter ones than the longest are padded."""
        return [math.ceil(len(window) / SAMPLE_RATE_HZ / self._frame_seconds) for window in windows]

    def _by_decoder(self, windows: Batch, language: str | None, task: str) -> list[list[Token]]:
        recorder = _Recorder()
        limits = [max(_LEAST_TOKENS, math.ceil(len(each) / SAMPLE_RATE_HZ * _TOKENS_PER_SECOND)) for each in windows]
        inputs = self._prompted(windows, language, task) if self._family.needs_language else self._features(windows)
        output = self._model.generate(
            **inputs,
            max_new_tokens=max(limits),
            do_sample=False,
            num_beams=1,
            logits_processor=LogitsProcessorList([recorder]),
        )
        certain = recorder.table()
        ends = _ends(self._model)
        return [
            list(_until_end(row[-len(certain[number]) :], certain[number], ends))[: limits[number]]
            for number, row in enumerate(output.tolist())
        ]

    def _features(self, windows: Batch) -> BatchFeature:
        made = self._processor(
            list(windows), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt", padding=True, return_attention_mask=True
        )
        return made.to(self._model.device, dtype=self._model.dtype)

    def _prompted(self, windows: Batch, language: str | None, task: str) -> BatchFeature:
        target = "en" if task == "translate" else language
        made = self._processor.apply_transcription_request(
            list(windows), source_language=[language] * len(windows), target_language=[target] * len(windows)
        )
        return made.to(self._model.device, dtype=self._model.dtype)


class _Recorder(LogitsProcessor):
    """Records the probability of each greedy token. The scores after the vocabulary are durations of a transducer,
    which are no tokens."""

    def __init__(self, vocabulary: int | None = None):
        self._vocabulary = vocabulary
        self._steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        known = scores[:, : self._vocabulary].float()
        self._steps.append((known.amax(-1) - known.logsumexp(-1)).exp())
        if self._vocabulary is not None and scores.shape[1] > self._vocabulary:
            scores = scores.clone()
            scores[:, self._vocabulary :] = float("-inf")
        return scores

    def table(self) -> list[list[float]]:
        """By row and step."""
        return torch.stack(self._steps, dim=1).tolist()


def _ends(model: _Model) -> set[int]:
    named = model.generation_config.eos_token_id
    return set(named if isinstance(named, list) else [named])


def _until_end(numbers: Sequence[int], certain: Sequence[float], ends: set[int]) -> Iterator[Token]:
    for number, probability in zip(numbers, certain, strict=True):
        if number in ends:
            return
        yield Token(number=number, probability=probability)


def _joined(one: Word, other: Word) -> Word:
    known = [each.probability for each in (one, other) if each.probability is not None]
    return Word(word=one.word + other.word, start=one.start, end=max(one.end, other.end), probability=min(known))


def _spaced(word: Word) -> Word:
    return Word(word=f" {word.word.strip()}", start=word.start, end=word.end, probability=word.probability)
