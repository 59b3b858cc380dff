"""The fast way: only what is spoken is decoded, in windows that end at pauses, all windows of a part at once.

Unlike `whisper.transcribe`, no window knows the text before it. As there, a window's last time tells how far it was
understood; where the voice detector still hears speech behind it, the rest becomes a window of its own, so that no
speech is lost. Such a rest is told the text before it, and begins a little earlier: times may cut off a first sound.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from whisper.audio import (
    FRAMES_PER_SECOND,
    HOP_LENGTH,
    N_FFT,
    N_FRAMES,
    N_SAMPLES,
    SAMPLE_RATE,
    log_mel_spectrogram,
    pad_or_trim,
)
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from processors.whisper.audio import vad
from processors.whisper.engines.batch_runner import Window, timed
from processors.whisper.engines.word_timestamps import time_words
from processors.whisper.track import hallucinations
from processors.whisper.track.segment import Segment
from processors.whisper.track.transcriber import Question

_ASKED_AT_ONCE = {"cpu": 16, "cuda": 64}  # all that are decoded together there, and some to choose those of like length
_SECONDS_PER_POSITION = 0.02
_POSITIONS_STEP = 250  # contexts are cut to multiples of this
_LONGEST_SECONDS = 18.0  # to which neighbouring spans are joined: attention takes time by the square of it
_SPARE_SECONDS = 2.0  # of context behind the end of a window: Whisper expects silence at the end
_LEAST_LEFT_SECONDS = 0.5  # of speech behind a window's last time, that are worth a window
_LEAST_DONE_SECONDS = 1.0  # a window understood no further than this would go on forever
_TOLD_SECONDS = 1.0  # of speech: a rest shorter than this is not told what was said. It would say it again
_EARLIER_SECONDS = 0.5  # by which a rest that is told begins before the last time
_MOST_SPLITS = 6


@dataclass(frozen=True, kw_only=True)
class _Piece:
    start: float  # seconds of the part, on a frame
    end: float
    splits: int = 0  # windows before it in the same stretch of speech
    known: float = 0.0  # up to this time of the part it is known what was said,
    said: str = ""  # which is this

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Windows:
    """One part's way through the model."""

    def __init__(self, model: Whisper, question: Question, roughly: bool):
        """`roughly`: windows are encoded in bfloat16; those whose text is doubtful, again in float32."""
        self._model, self._question, self._roughly = model, question, roughly
        self._part, self._spoken, self._options = question.samples, list(question.spoken or ()), question.options
        self._language = question.language
        self._segments: list[Segment] = []

    def transcribe(self) -> list[Segment]:
        """Segments like those of `whisper.transcribe`, in order."""
        self._tokenizer = get_tokenizer(
            self._model.is_multilingual,
            num_languages=self._model.num_languages,
            language=self._language,
            task=self._options.task,
        )
        todo = [
            _Piece(start=_on_frame(each.start), end=each.end) for each in vad.windows(self._spoken, _LONGEST_SECONDS)
        ]
        total, done = sum(piece.seconds for piece in todo), 0.0
        at_once = _ASKED_AT_ONCE[self._model.device.type]
        while todo:
            todo.sort(key=lambda piece: piece.seconds, reverse=True)
            asked, todo = todo[:at_once], todo[at_once:]
            self._question.tell(len(self._part) / SAMPLE_RATE * done / total)
            mels = [self._mel(piece) for piece in asked]
            for piece, mel, result in zip(asked, mels, self._decode(asked, mels), strict=True):
                rest = self._take(piece, mel, result)
                todo += rest
                done += piece.seconds - sum(each.seconds for each in rest)
        return sorted(self._segments, key=lambda segment: segment.start)

    def _mel(self, piece: _Piece) -> torch.Tensor:
        samples = self._part[round(piece.start * SAMPLE_RATE) : round(piece.end * SAMPLE_RATE)]
        silence = max(0, N_SAMPLES + N_FFT - len(samples))  # the same as whisper's whole half minute more, but quicker
        moved = torch.from_numpy(np.ascontiguousarray(samples)).to(self._model.device)
        return pad_or_trim(log_mel_spectrogram(moved, self._model.dims.n_mels, padding=silence), N_FRAMES)

    def _decode(self, pieces: list[_Piece], mels: list[torch.Tensor]) -> list[DecodingResult]:
        """Each window's first result that is good enough, else its last."""
        results: list[Any] = [None] * len(pieces)

        def ask(
            numbers: list[int], options: DecodingOptions, positions: list[int | None] | None, roughly: bool = False
        ) -> Iterator[tuple[int, DecodingResult]]:
            """`positions`: how much of each window is encoded; None: it was, what came of it is decoded again."""
            asked = []
            for number in numbers:
                told = " ".join(filter(None, (self._question.prompt, pieces[number].said)))
                asked.append(
                    Window(
                        mels[number],
                        replace(options, prompt=told or None),
                        positions=positions[number] if positions else None,
                        is_rough=roughly,
                        features=None if positions else results[number].audio_features,
                    )
                )
            return zip(numbers, self._question.ask(asked) if asked else [], strict=True)

        def attempt(
            numbers: list[int], temperature: float, positions: list[int | None] | None = None, roughly: bool = False
        ) -> None:
            for number, result in ask(numbers, self._decoding(temperature), positions, roughly):
                results[number] = result

        def doubtful() -> list[int]:
            return [number for number, piece in enumerate(pieces) if self._is_doubtful(results[number], piece)]

        coldest, *hotter = self._options.temperatures
        cut, whole = [self._positions(piece) for piece in pieces], [None] * len(pieces)
        attempt(list(range(len(pieces))), coldest, cut, self._roughly)
        attempt([number for number in doubtful() if cut[number] or self._roughly], coldest, whole)
        for temperature in hotter:
            attempt(doubtful(), temperature)
        # Of beams that have ended, whisper takes the likeliest by token: said twice, a window's end is likelier.
        twice = [
            n for n, result in enumerate(results) if self._options.beams and hallucinations.ends_twice(result.text)
        ]
        for number, result in ask(twice, self._decoding(0.0, greedy=True), None):
            if not hallucinations.ends_twice(result.text) and not self._is_doubtful(result, pieces[number]):
                results[number] = result
        return results

    def _positions(self, piece: _Piece) -> int | None:
        if not self._options.cut_context:
            return None
        wanted = (piece.seconds + _SPARE_SECONDS) / _SECONDS_PER_POSITION
        positions = math.ceil(wanted / _POSITIONS_STEP) * _POSITIONS_STEP
        return positions if positions < self._model.dims.n_audio_ctx else None

    def _decoding(self, temperature: float, greedy: bool = False) -> DecodingOptions:
        options, is_cold = self._options, temperature == 0
        beams = options.beams if is_cold and not greedy else None
        return DecodingOptions(
            task=options.task,
            language=self._language,
            temperature=temperature,
            beam_size=beams,
            patience=options.patience if beams else None,
            best_of=None if is_cold else options.best_of,
            length_penalty=options.length_penalty,
            suppress_tokens=options.suppress_tokens,
            fp16=False,
        )

    def _is_doubtful(self, result: DecodingResult, piece: _Piece) -> bool:
        options = self._options
        if hallucinations.window_problem(result.text, vad.seconds_within(self._spoken, piece.start, piece.end)):
            return True
        repeats = options.compression_ratio_threshold and result.compression_ratio > options.compression_ratio_threshold
        unsure = options.logprob_threshold is not None and result.avg_logprob < options.logprob_threshold
        return bool(repeats or unsure) and not (unsure and self._is_silent(result))

    def _is_silent(self, result: DecodingResult) -> bool:
        options = self._options
        if options.no_speech_threshold is None or result.no_speech_prob <= options.no_speech_threshold:
            return False
        return options.logprob_threshold is None or result.avg_logprob <= options.logprob_threshold

    def _take(self, piece: _Piece, mel: torch.Tensor, result: DecodingResult) -> list[_Piece]:
        """Keep what was understood of a window; returns what is left of it, if that is spoken."""
        if self._is_silent(result):
            return []
        is_cut = len(result.tokens) >= self._model.dims.n_text_ctx // 2  # no room for more: the last words are missing
        pairs, open_text, last = timed(result.tokens, self._tokenizer)
        if open_text and is_cut and pairs:
            open_text = None
        left = _left(self._spoken, piece, last) if last > _LEAST_DONE_SECONDS and not open_text else 0.0
        goes_on = left > _LEAST_LEFT_SECONDS and piece.splits < _MOST_SPLITS
        if open_text:  # it has no time behind it; the window ends at a pause, and so do its last words
            pairs.append((*open_text, piece.seconds))
        segments = [self._segment(piece, result, *pair) for pair in pairs]
        segments = [segment for segment in segments if segment.text.strip()]
        if self._options.word_timestamps and segments:
            segments = self._time_words(segments, piece, mel)
        self._segments += segments
        if not goes_on:
            return []
        return [self._rest(piece, last, left, "".join(segment.text for segment in segments))]

    def _rest(self, piece: _Piece, last: float, left: float, text: str) -> _Piece:
        """What is left of a window behind its last time, in which there is so much speech."""
        known = piece.start + last
        rest = replace(piece, start=_on_frame(known), splits=piece.splits + 1, known=known, said="")
        if left < _TOLD_SECONDS:
            return rest
        return replace(rest, start=_on_frame(known - min(last, _EARLIER_SECONDS)), said=f"{piece.said} {text}".strip())

    def _segment(self, piece: _Piece, result: DecodingResult, tokens: list[int], start: float, end: float) -> Segment:
        return Segment(
            seek=round(piece.start * FRAMES_PER_SECOND),
            start=max(piece.known, piece.start + min(start, piece.seconds)),
            end=max(piece.known, piece.start + min(max(start, end), piece.seconds)),
            text=self._tokenizer.decode([token for token in tokens if token < self._tokenizer.eot]),
            tokens=tuple(tokens),
            temperature=result.temperature,
            avg_logprob=result.avg_logprob,
            compression_ratio=result.compression_ratio,
            no_speech_prob=result.no_speech_prob,
        )

    def _time_words(self, segments: list[Segment], piece: _Piece, mel: torch.Tensor) -> list[Segment]:
        timed = time_words(
            segments,
            self._model,
            self._tokenizer,
            mel.to(self._model.device, torch.float16 if self._model.device.type == "cuda" else torch.float32),
            min(N_FRAMES, math.ceil(piece.seconds * FRAMES_PER_SECOND)),
            piece.start,
        )
        return [segment.not_before(piece.known) for segment in timed]


def _left(spoken: list[vad.Span], piece: _Piece, last: float) -> float:
    """Seconds of speech behind a time of a window."""
    return vad.seconds_within(spoken, piece.start + last, piece.end)


def _on_frame(seconds: float) -> float:
    return HOP_LENGTH / SAMPLE_RATE * math.floor(seconds * FRAMES_PER_SECOND)
