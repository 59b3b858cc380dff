"""The loop of `whisper.transcribe` over the windows of a sound, as a generator that asks for each decoded window.

After openai-whisper 20250625, whisper/transcribe.py (MIT License, Copyright 2022 OpenAI): the same windows, prompts,
temperatures and seeks give the same segments. `whisper.transcribe` calls its model itself; this loop yields windows, so
that several transcriptions share one decoder. A test compares both.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum, auto

from torch import Tensor, dtype
from whisper.audio import FRAMES_PER_SECOND, HOP_LENGTH, N_FRAMES, SAMPLE_RATE, pad_or_trim
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from processors.whisper.engines import anomalies, silence
from processors.whisper.engines.anomalies import Place
from processors.whisper.engines.timestamps import SECONDS_PER_TIMESTAMP
from processors.whisper.engines.window import Decoding, Window
from processors.whisper.engines.word_timestamps import time_words
from processors.whisper.options import TranscribeOptions
from processors.whisper.track.segment import Segment

_FRAMES_PER_TIMESTAMP = round(SECONDS_PER_TIMESTAMP * FRAMES_PER_SECOND)
_RESET_TEMPERATURE = 0.5  # the text of a window sampled above it is not the next one's prompt


class RejectReason(Enum):
    """The reason why a window's text is wrong, regardless of the model's probabilities."""

    IMPOSSIBLE = auto()  # decode it again at the next temperature
    HALLUCINATION = auto()  # the same; if no temperature helps, the first text is used


class WindowCheck:
    """Checks windows against knowledge of the sound, beyond the model's probabilities. This base class accepts every
    window, as whisper's own loop does."""

    def is_silent(self, start: float) -> bool:
        """True if the window that starts at `start` seconds has no speech: it is skipped without being decoded."""
        return False

    def reject_reason(self, result: DecodingResult, start: float) -> RejectReason | None:
        """Return why the text of the window that starts at `start` seconds is wrong; None if it is acceptable."""
        return None


class SeekLoop:
    """One sound being transcribed."""

    def __init__(
        self,
        model: Whisper,
        mel: Tensor,
        options: TranscribeOptions,
        *,
        language: str,
        precision: dtype,
        prompt: str | None = None,
        clips: Sequence[tuple[int, int]] = (),
        check: WindowCheck | None = None,
        report: Callable[[float], None] = lambda seconds: None,
    ):
        """mel: spectrogram of the sound and half a minute of silence after it, (n_mels, frames + 3000).
        language: a code. precision: of the windows' spectrograms. prompt: the text before the sound.
        clips: starts and ends, in frames; all of the sound if there are none. Ends after the sound are cut.
        report: called with the start of a window, in seconds, before every attempt at it.
        """
        self._model, self._mel, self._options, self._language = model, mel, options, language
        self._precision, self._check, self._report = precision, check or WindowCheck(), report
        self._tokenizer = get_tokenizer(
            model.is_multilingual, num_languages=model.num_languages, language=language, task=options.task
        )
        self._frames = mel.shape[-1] - N_FRAMES
        self._clips = [(start, min(end, self._frames)) for start, end in clips] or [(0, self._frames)]
        self._seek = 0
        self._segments: list[Segment] = []
        self._prompt = self._tokenizer.encode(f" {prompt.strip()}") if prompt is not None else []
        self._tokens = list(self._prompt)  # of all text so far
        self._prompt_reset = 0  # the number of tokens that are no longer part of the prompt
        self._last_speech = 0.0  # end of the last word, in seconds

    def run(self) -> Decoding[list[Segment]]:
        """Return the segments, including those without text."""
        for start, end in self._clips:
            self._seek = start
            while self._seek < end:
                yield from self._transcribe(self._place(end))
        return self._segments

    def _place(self, clip_end: int) -> Place:
        frames = min(N_FRAMES, self._frames - self._seek, clip_end - self._seek)
        return Place(seek=self._seek, frames=frames)

    def _window_mel(self, place: Place) -> Tensor:
        """Its spectrogram, (n_mels, 3000)."""
        mel: Tensor = pad_or_trim(self._mel[:, place.seek : place.seek + place.frames], N_FRAMES)
        return mel.to(self._model.device).to(self._precision)

    def _transcribe(self, place: Place) -> Decoding[None]:
        """Decode a window, keep its segments, and set `_seek` to the next one."""
        self._seek += place.frames
        if self._options.no_speech_threshold is not None and self._check.is_silent(place.start):
            self._report(place.start)
            return
        mel = self._window_mel(place)
        result = yield from self._decode_with_fallback(place, mel)
        if silence.is_silence(result, self._options):
            return
        segments, next_seek = self._cut(place, result)
        is_complete = next_seek is None
        if next_seek is not None:
            self._seek = next_seek
        if self._options.word_timestamps:
            timed = self._with_words(place, mel, segments, is_complete)
            if timed is None:
                return
            segments = timed
        self._keep(segments)
        if not self._options.condition_on_previous_text or result.temperature > _RESET_TEMPERATURE:
            self._prompt_reset = len(self._tokens)

    # ------------------------------------------------------------------------------------------ one window's text

    def _decode_with_fallback(self, place: Place, mel: Tensor) -> Decoding[DecodingResult]:
        """The first result that is good enough, else the last one."""
        prompt, features = self._window_prompt(), None
        result: DecodingResult
        first: DecodingResult | None = None
        *_, last_temperature = self._options.temperatures
        for temperature in self._options.temperatures:
            self._report(place.start)
            options = self._decoding_options(temperature, prompt)
            (result,) = yield [Window(mel, options, features=features)]
            features, first = result.audio_features, first or result
            reject_reason = self._check.reject_reason(result, place.start)
            if reject_reason is RejectReason.HALLUCINATION and temperature == last_temperature:
                return first
            if not self._needs_fallback(result, reject_reason):
                return result
        return result

    def _window_prompt(self) -> list[int]:
        if not self._options.repeats_prompt:
            return self._tokens[self._prompt_reset :]
        room = self._model.dims.n_text_ctx // 2 - 1 - len(self._prompt)
        ignored = max(len(self._prompt), self._prompt_reset)
        return self._prompt + self._tokens[ignored:][-room:]

    def _decoding_options(self, temperature: float, prompt: list[int]) -> DecodingOptions:
        options, is_sampling = self._options, temperature > 0
        beams = None if is_sampling else options.beams
        return DecodingOptions(
            task=options.task,
            language=self._language,
            temperature=temperature,
            best_of=options.best_of if is_sampling else None,
            beam_size=beams,
            patience=options.patience if beams else None,
            length_penalty=options.length_penalty,
            prompt=prompt,
            suppress_tokens=options.suppress_tokens,
            fp16=self._precision.itemsize == 2,
        )

    def _needs_fallback(self, result: DecodingResult, reject_reason: RejectReason | None) -> bool:
        is_unsure = silence.is_unsure(result, self._options)
        if is_unsure and silence.doubts_speech(result, self._options):
            return False  # silence
        limit = self._options.compression_ratio_threshold  # None: neither it nor `_check` asks for another temperature
        is_wrong = limit is not None and (reject_reason is not None or result.compression_ratio > limit)
        return is_wrong or is_unsure

    # ------------------------------------------------------------------------------------------ its segments

    def _cut(self, place: Place, result: DecodingResult) -> tuple[list[Segment], int | None]:
        """The segments between timestamps, and the frame to continue from. None: continue after the window, because no
        speech follows its last timestamp, or because it has none."""
        tokens, begin = result.tokens, self._tokenizer.timestamp_begin
        is_time = [token >= begin for token in tokens]
        is_complete = is_time[-2:] == [False, True]
        ends = [number for number in range(1, len(tokens)) if is_time[number - 1] and is_time[number]]
        if not ends:
            times = [token for token in tokens if token >= begin]
            has_end = bool(times) and times[-1] != begin
            seconds = (times[-1] - begin) * SECONDS_PER_TIMESTAMP if has_end else place.seconds
            segment = self._segment(place, result, tokens, place.start, place.start + seconds)
            return [segment], None if is_complete else place.seek + place.frames
        if is_complete:
            ends.append(len(tokens))
        segments = []
        for first, end in zip([0, *ends], ends, strict=False):
            since, until = (place.start + (tokens[at] - begin) * SECONDS_PER_TIMESTAMP for at in (first, end - 1))
            segments.append(self._segment(place, result, tokens[first:end], since, until))
        last = tokens[ends[-1] - 1] - begin
        return segments, None if is_complete else place.seek + last * _FRAMES_PER_TIMESTAMP

    def _segment(
        self, place: Place, result: DecodingResult, tokens: Sequence[int], start: float, end: float
    ) -> Segment:
        return Segment(
            seek=place.seek,
            start=start,
            end=end,
            text=self._tokenizer.decode([token for token in tokens if token < self._tokenizer.eot]),
            tokens=tuple(tokens),
            temperature=result.temperature,
            avg_logprob=result.avg_logprob,
            compression_ratio=result.compression_ratio,
            no_speech_prob=result.no_speech_prob,
        )

    def _keep(self, segments: Sequence[Segment]) -> None:
        """A segment without text or duration is cleared, but counted."""
        for number, segment in enumerate(segments, start=len(self._segments)):
            if segment.start == segment.end or not segment.text.strip():
                segment = replace(segment, text="", tokens=(), words=())
            self._segments.append(replace(segment, id=number))
            self._tokens += segment.tokens

    # ------------------------------------------------------------------------------------------ their words

    def _with_words(
        self, place: Place, mel: Tensor, segments: list[Segment], is_complete: bool
    ) -> list[Segment] | None:
        """The segments with their words, without hallucinations; None: transcribe again from `_seek`, after the silence
        in front of a hallucination."""
        segments = time_words(segments, self._model, self._tokenizer, mel, place.frames, self._last_speech)
        end, threshold = anomalies.last_word_end(segments), self._options.hallucination_silence_threshold
        if not is_complete and end is not None and end > place.start:
            is_silent_after = threshold is None or place.window_end - end > threshold
            self._seek = round(end * FRAMES_PER_SECOND) if is_silent_after else place.seek + place.frames
        if threshold is not None:
            gap = anomalies.silence_before_anomaly(place, segments)
            if gap > threshold:
                self._seek = place.seek + round(gap * FRAMES_PER_SECOND)
                return None
            segments = self._without_hallucinations(place, segments, threshold)
            end = anomalies.last_word_end(segments)
        if end is not None:
            self._last_speech = end
        return segments

    def _without_hallucinations(self, place: Place, segments: list[Segment], threshold: float) -> list[Segment]:
        """The segments before the first hallucination; if there is one, transcription continues from it."""
        found = anomalies.first_hallucination(place, segments, self._last_speech, threshold)
        if found is None:
            return segments
        segment, duration = segments[found], self._frames * HOP_LENGTH / SAMPLE_RATE
        self._seek = round(max(place.start + 1, segment.start) * FRAMES_PER_SECOND)
        if duration - segment.end < threshold:
            self._seek = self._frames
        return segments[:found]
