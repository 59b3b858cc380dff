"""Fast mode: only speech is decoded, in windows that end at pauses, all windows of a part at once.

Unlike in `whisper.transcribe`, a window does not get the text before it as its prompt. As there, the last timestamp of
a window shows up to where the model understood it. If the voice detector finds speech after that, the rest becomes a
window of its own, so that no speech is lost; its prompt is the text before it, and it starts a little earlier, as a
timestamp may cut off the first sound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from whisper.audio import (
    FRAMES_PER_SECOND,
    HOP_LENGTH,
    N_FFT,
    N_FRAMES,
    N_SAMPLES,
    SAMPLE_RATE,
    pad_or_trim,
)
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from processors.whisper.audio import vad
from processors.whisper.engines import silence
from processors.whisper.engines.spectrogram import log_mel
from processors.whisper.engines.timestamps import TimedTokens, split_at_timestamps
from processors.whisper.engines.window import Decoding, Window
from processors.whisper.engines.word_timestamps import time_words
from processors.whisper.track import hallucinations
from processors.whisper.track.engine import PartRequest
from processors.whisper.track.segment import Segment

_REQUESTED_AT_ONCE = {"cpu": 10, "cuda": 64}  # those of two batches on a CPU: each takes 3 MB until it is decoded
_SECONDS_PER_POSITION = 0.02
_POSITIONS_STEP, _POSITIONS_STEP_FOR_BEAMS = 125, 250  # contexts are cut to multiples of this
_LONGEST_SECONDS = 18.0  # neighboring spans are joined up to this length; the time of attention grows with its square
# Of context after the end of a window, because Whisper expects silence there. With beams, less means more wrong words.
_SPARE_SECONDS, _SPARE_SECONDS_FOR_BEAMS = 2.0, 8.0
_MIN_REST_SECONDS = 0.5  # speech after a window's last timestamp that is worth a window
_MIN_PROGRESS_SECONDS = 1.0  # a window with less understood text would repeat forever
_MIN_PROMPTED_SECONDS = 1.0  # speech; a shorter rest gets no prompt, because it would repeat it
_OVERLAP_SECONDS = 0.5  # by which a rest with a prompt starts before the last timestamp
_MAX_RESTS = 6


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A stretch of speech for one window."""

    start: float  # seconds of the part, on a frame
    end: float
    rests: int = 0  # windows before it in the same stretch of speech
    known_until: float = 0.0  # seconds of the part: up to here, the text is known
    text_before: str = ""  # that text

    @property
    def seconds(self) -> float:
        return self.end - self.start


class FastMode:
    """One part being transcribed."""

    def __init__(self, model: Whisper, request: PartRequest, language: str, in_bfloat16: bool):
        """in_bfloat16: windows are encoded in bfloat16; those with doubtful text again in float32."""
        self._model, self._request, self._language, self._in_bfloat16 = model, request, language, in_bfloat16
        self._spoken, self._options = list(request.spoken or ()), request.options
        self._segments: list[Segment] = []
        self._tokenizer = get_tokenizer(
            model.is_multilingual, num_languages=model.num_languages, language=language, task=request.options.task
        )

    def transcribe(self) -> Decoding[list[Segment]]:
        """Segments like those of `whisper.transcribe`, in order."""
        todo = [
            _Piece(start=_on_frame(each.start), end=each.end) for each in vad.windows(self._spoken, _LONGEST_SECONDS)
        ]
        total, done = sum(piece.seconds for piece in todo), 0.0
        at_once = _REQUESTED_AT_ONCE[self._model.device.type]
        while todo:
            todo.sort(key=lambda piece: piece.seconds, reverse=True)
            pieces, todo = todo[:at_once], todo[at_once:]
            self._request.report(len(self._request.samples) / SAMPLE_RATE * done / total)
            mels = [self._mel(piece) for piece in pieces]
            results = yield from self._decode(pieces, mels)
            for piece, mel, result in zip(pieces, mels, results, strict=True):
                rest = self._take(piece, mel, result)
                todo += rest
                done += piece.seconds - sum(each.seconds for each in rest)
        return sorted(self._segments, key=lambda segment: segment.start)

    def _mel(self, piece: _Piece) -> Tensor:
        samples = self._request.samples[round(piece.start * SAMPLE_RATE) : round(piece.end * SAMPLE_RATE)]
        # The same as with whisper's 30 s of padding, but faster.
        padding = max(0, N_SAMPLES + N_FFT - len(samples))  # samples of silence
        on_device = torch.from_numpy(np.ascontiguousarray(samples)).to(self._model.device)
        mel: Tensor = pad_or_trim(log_mel(on_device, self._model.dims.n_mels, padding), N_FRAMES)
        return mel

    # ------------------------------------------------------------------------------------------ decoding

    def _decode(self, pieces: Sequence[_Piece], mels: Sequence[Tensor]) -> Decoding[list[DecodingResult]]:
        """Decode each window until a result is good enough; return that one, or else the last."""
        coldest, *hotter = self._options.temperatures
        options = self._decoding_options(coldest)
        windows = [
            Window(
                mel,
                replace(options, prompt=self._prompt(piece)),
                positions=self._positions(piece),
                in_bfloat16=self._in_bfloat16,
            )
            for piece, mel in zip(pieces, mels, strict=True)
        ]
        results = list((yield windows))
        in_full = [n for n in self._doubtful(pieces, results) if windows[n].positions or self._in_bfloat16]
        found = yield from _request([replace(windows[n], positions=None, in_bfloat16=False) for n in in_full])
        _update(results, in_full, found)
        for temperature in hotter:
            doubtful = self._doubtful(pieces, results)
            options = self._decoding_options(temperature)
            found = yield from self._again(pieces, mels, results, doubtful, options)
            _update(results, doubtful, found)
        if self._options.beams:
            yield from self._decode_repeated_ends(pieces, mels, results)
        return results

    def _decode_repeated_ends(
        self, pieces: Sequence[_Piece], mels: Sequence[Tensor], results: list[DecodingResult]
    ) -> Decoding[None]:
        """Decode windows greedily whose last words are repeated. Of beams that have ended, whisper takes the one with
        the best mean probability of its tokens: a repetition improves that."""
        repeated = [number for number, result in enumerate(results) if hallucinations.ends_twice(result.text)]
        found = yield from self._again(pieces, mels, results, repeated, self._decoding_options(0.0, is_greedy=True))
        for number, result in zip(repeated, found, strict=True):
            if not hallucinations.ends_twice(result.text) and not self._is_doubtful(result, pieces[number]):
                results[number] = result

    def _again(
        self,
        pieces: Sequence[_Piece],
        mels: Sequence[Tensor],
        results: Sequence[DecodingResult],
        numbers: Sequence[int],
        options: DecodingOptions,
    ) -> Decoding[list[DecodingResult]]:
        """Decode some of the windows again with other options, without encoding them again."""
        return (
            yield from _request(
                [
                    Window(
                        mels[number],
                        replace(options, prompt=self._prompt(pieces[number])),
                        features=results[number].audio_features,
                    )
                    for number in numbers
                ]
            )
        )

    def _prompt(self, piece: _Piece) -> str | None:
        return " ".join(filter(None, (self._request.prompt, piece.text_before))) or None

    def _positions(self, piece: _Piece) -> int | None:
        if not self._options.cut_context:
            return None
        spare, step = _SPARE_SECONDS, _POSITIONS_STEP
        if self._options.beams:
            spare, step = _SPARE_SECONDS_FOR_BEAMS, _POSITIONS_STEP_FOR_BEAMS
        wanted = (piece.seconds + spare) / _SECONDS_PER_POSITION
        positions = math.ceil(wanted / step) * step
        return positions if positions < self._model.dims.n_audio_ctx else None

    def _decoding_options(self, temperature: float, is_greedy: bool = False) -> DecodingOptions:
        options, is_cold = self._options, temperature == 0
        beams = options.beams if is_cold and not is_greedy else None
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

    def _doubtful(self, pieces: Sequence[_Piece], results: Sequence[DecodingResult]) -> list[int]:
        return [number for number, piece in enumerate(pieces) if self._is_doubtful(results[number], piece)]

    def _is_doubtful(self, result: DecodingResult, piece: _Piece) -> bool:
        options = self._options
        if hallucinations.window_problem(result.text, vad.seconds_within(self._spoken, piece.start, piece.end)):
            return True
        repeats = options.compression_ratio_threshold and result.compression_ratio > options.compression_ratio_threshold
        unsure = silence.is_unsure(result, options)
        return bool(repeats or unsure) and not (unsure and silence.is_silence(result, options))

    def _is_invented_rest(self, piece: _Piece, result: DecodingResult) -> bool:
        """True if the rest of a window became "You" or the like, and the model doubts that anybody speaks: the end of a
        slow word, or a breath. In the complete window, the model recognized nothing there."""
        is_doubtful = silence.doubts_speech(result, self._options)
        return piece.rests > 0 and is_doubtful and hallucinations.is_polite(result.text)

    # ------------------------------------------------------------------------------------------ segments

    def _take(self, piece: _Piece, mel: Tensor, result: DecodingResult) -> list[_Piece]:
        """Keep the segments of a window; return the rest of the window after them, if it contains speech."""
        if silence.is_silence(result, self._options) or self._is_invented_rest(piece, result):
            return []
        is_cut = len(result.tokens) >= self._model.dims.n_text_ctx // 2  # the token limit: the last words are missing
        closed, open_text = split_at_timestamps(result.tokens, self._tokenizer)
        if open_text and is_cut and closed:
            open_text = None
        last = closed[-1].end if closed else 0.0
        left = 0.0
        if last > _MIN_PROGRESS_SECONDS and not open_text:
            left = vad.seconds_within(self._spoken, piece.start + last, piece.end)
        if open_text:  # it has no timestamp after it; the window ends at a pause, and so do its last words
            closed.append(replace(open_text, end=piece.seconds))
        segments = [self._segment(piece, result, timed) for timed in closed]
        segments = [segment for segment in segments if segment.text.strip()]
        if self._options.word_timestamps and segments:
            segments = self._with_words(segments, piece, mel)
        self._segments += segments
        if left <= _MIN_REST_SECONDS or piece.rests >= _MAX_RESTS:
            return []
        return [_rest(piece, last, left, "".join(segment.text for segment in segments))]

    def _segment(self, piece: _Piece, result: DecodingResult, timed: TimedTokens) -> Segment:
        start, end = min(timed.start, piece.seconds), min(max(timed.start, timed.end), piece.seconds)
        return Segment(
            seek=round(piece.start * FRAMES_PER_SECOND),
            start=max(piece.known_until, piece.start + start),
            end=max(piece.known_until, piece.start + end),
            text=self._tokenizer.decode([token for token in timed.tokens if token < self._tokenizer.eot]),
            tokens=timed.tokens,
            temperature=result.temperature,
            avg_logprob=result.avg_logprob,
            compression_ratio=result.compression_ratio,
            no_speech_prob=result.no_speech_prob,
        )

    def _with_words(self, segments: Sequence[Segment], piece: _Piece, mel: Tensor) -> list[Segment]:
        timed = time_words(
            segments,
            self._model,
            self._tokenizer,
            mel.to(self._model.device, torch.float16 if self._model.device.type == "cuda" else torch.float32),
            min(N_FRAMES, math.ceil(piece.seconds * FRAMES_PER_SECOND)),
            piece.start,
        )
        return [segment.not_before(piece.known_until) for segment in timed]


def _request(windows: list[Window]) -> Decoding[list[DecodingResult]]:
    return list((yield windows)) if windows else []


def _update(results: list[DecodingResult], numbers: Sequence[int], found: Sequence[DecodingResult]) -> None:
    for number, result in zip(numbers, found, strict=True):
        results[number] = result


def _rest(piece: _Piece, last: float, left: float, text: str) -> _Piece:
    """The rest of a window after its last timestamp, with `left` seconds of speech."""
    known = piece.start + last
    rest = replace(piece, start=_on_frame(known), rests=piece.rests + 1, known_until=known, text_before="")
    if left < _MIN_PROMPTED_SECONDS:
        return rest
    start = _on_frame(known - min(last, _OVERLAP_SECONDS))
    return replace(rest, start=start, text_before=f"{piece.text_before} {text}".strip())


def _on_frame(seconds: float) -> float:
    return float(HOP_LENGTH / SAMPLE_RATE * math.floor(seconds * FRAMES_PER_SECOND))
