"""openai-whisper over one sound track: language, windows, fallback; tells at every step how far it got."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import whisper
from whisper.audio import N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.model import Whisper

from processors.base import Progress, Unavailable
from processors.whisper import TranscribeOptions, WhisperOptions, catalogue, sound, together, voice, weights
from processors.whisper.listening import Decoding, Listener, progress_bar
from processors.whisper.review import SILENCE_DB
from processors.whisper.transcript import Transcript
from processors.whisper.windows import Windows

_SHORTEST_SAMPLES = 1600  # the mel transform raises under 201 samples; 0.1 s holds no word anyway
_FRAMES_PER_SECOND = 100  # of openai-whisper's progress bar
_LEVELS_PER_SECOND = 10  # of sound.levels
_FASTEST_CHARACTERS_PER_SECOND = 60  # fast English reaches 25; a window with more than this has no room for it
_SHORTEST_SPEECH_SECONDS = 0.25
_LATE_SECONDS = 0.5  # by which Whisper may end a segment too early
_RESET_TEMPERATURE = 0.5  # whisper.transcribe forgets the text before a window sampled hotter than this
_OWN_OPTIONS = {"formats", "highlight_words", "max_line_width", "max_line_count", "max_words_per_line"}
_OWN_OPTIONS |= {"language", "vad", "way", "cut_context"}

log = logging.getLogger(__name__)


class Engine:
    """One loaded model."""

    def __init__(self, model: Whisper):
        self._model = model
        self._detector = voice.Detector()
        self._fp16 = model.device.type == "cuda"  # the CPU computes in float32 only
        self._decoding = Decoding(model, torch.float16 if self._fp16 else torch.float32)

    @classmethod
    def load(cls, options: WhisperOptions, models: Path, progress: Progress) -> "Engine":
        """The model of `options`, fetched first if need be.

        Raises:
            Unavailable: no such device; or the weights are not at hand, or damaged.
        """
        if options.threads:
            torch.set_num_threads(options.threads)
        device = _device(options.device)
        checkpoint = weights.load(options.model, models, progress)
        try:
            model = Whisper(whisper.ModelDimensions(**checkpoint["dims"]))
            model.load_state_dict(checkpoint["model_state_dict"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise Unavailable(f"{options.model} is no openai-whisper checkpoint: {error}") from error
        heads = whisper._ALIGNMENT_HEADS.get(catalogue.canonical(Path(options.model).name.removesuffix(".pt")))
        if heads:
            model.set_alignment_heads(heads)  # else: all heads of the later layers, which times words less well
        return cls(model.to(device).eval())

    @property
    def device_name(self) -> str:
        device = self._model.device
        return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)

    def run(self, jobs: Sequence[Callable[[together.Ask], Any]]) -> Iterator[tuple[int, Any | Exception]]:
        """Run jobs that call `transcribe` with what they are given, their windows decoded together; yields the number
        of each and what it returned or raised."""
        return together.run(jobs, self._decoding.answer)

    def transcribe(
        self, track: sound.Track, options: TranscribeOptions, ask: together.Ask, tell: Callable[[float], None]
    ) -> Transcript:
        """What is said in `track`; `tell(seconds)` is called at every decoded window and before every attempt at one.

        Raises:
            BadInput: nothing of the track can be decoded.
        """
        language, probability = options.language, None
        kept: list[dict[str, Any]] = []
        dropped: list[dict[str, Any]] = []
        offset = 0.0
        for part in sound.parts(track.blocks()):
            loudness = sound.levels(part)
            spoken = self._detector.spans(part) if options.vad else None
            if loudness.max() >= SILENCE_DB and spoken != []:
                if language is None:
                    language, probability = self._detect(part, _first_sound(loudness, spoken))
                told = partial(_tell_behind, tell, offset)
                if options.way == "fast":
                    segments = Windows(self._model, part, spoken, options).transcribe(language, ask, told)
                else:
                    segments = self._part(part, options, language, kept, ask, told)
                for segment in segments:
                    chosen = dropped if _is_invented(segment, segments, part, loudness, spoken) else kept
                    chosen.append(_moved(segment, offset, len(chosen)))
            offset += len(part) / sound.SAMPLE_RATE_HZ
            tell(offset)
        return Transcript(
            segments=tuple(kept),
            dropped=tuple(dropped),
            language=language,
            language_probability=probability,
            seconds=round(track.decoded_seconds, 3),
            declared_seconds=track.declared_seconds and round(track.declared_seconds, 3),
            gaps=tuple(track.gaps),
            tracks=track.tracks,
        )

    def _detect(self, part: np.ndarray, start: float) -> tuple[str, float | None]:
        """The language of the half minute from `start` (seconds), and how probable it is."""
        if not self._model.is_multilingual:
            return "en", None
        first = round(start * sound.SAMPLE_RATE_HZ)
        mel = log_mel_spectrogram(pad_or_trim(part[first : first + N_SAMPLES]), self._model.dims.n_mels)
        mel = mel.to(self._model.device, torch.float16 if self._fp16 else torch.float32)
        _, probabilities = self._model.detect_language(mel)
        language = max(probabilities, key=probabilities.get)
        return language, round(probabilities[language], 4)

    def _part(
        self,
        part: np.ndarray,
        options: TranscribeOptions,
        language: str,
        before: list[dict[str, Any]],
        ask: together.Ask,
        tell: Callable[[float], None],
    ) -> list[dict[str, Any]]:
        """openai-whisper's segments of one part, which goes on with the text `before` it."""
        arguments = options.model_dump(exclude=_OWN_OPTIONS)
        if before and options.condition_on_previous_text and not options.carry_initial_prompt:
            cool = before[-1]["temperature"] <= _RESET_TEMPERATURE
            arguments["initial_prompt"] = "".join(s["text"] for s in before[-20:]).strip() if cool else None
        if len(part) < _SHORTEST_SAMPLES:
            part = np.pad(part, (0, _SHORTEST_SAMPLES - len(part)))
        seconds = len(part) / sound.SAMPLE_RATE_HZ
        listener = Listener(self._model, ask, tell)
        with progress_bar(listener.advance):
            result = whisper.transcribe(listener, part, language=language, fp16=self._fp16, **arguments)
        return [_within(segment, seconds) for segment in result["segments"] if segment["text"].strip()]


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise Unavailable(f'There is no CUDA device "{wanted}" here: set device = "auto", or look at the driver.')
    return device


def _tell_behind(tell: Callable[[float], None], offset: float, done: float) -> None:
    tell(offset + done)


def _first_sound(loudness: np.ndarray, spoken: list[voice.Span] | None) -> float:
    """Where a part begins to be worth hearing, in seconds."""
    return spoken[0].start if spoken else float(np.argmax(loudness >= SILENCE_DB)) / _LEVELS_PER_SECOND


def _is_invented(
    segment: dict[str, Any],
    segments: list[dict[str, Any]],
    part: np.ndarray,
    loudness: np.ndarray,
    spoken: list[voice.Span] | None,
) -> bool:
    """Can the segment not have been said? (Whisper writes "you" on silence, and goes on inventing behind the end.)"""
    if spoken is not None and not voice.seconds_within(spoken, segment["start"], segment["end"] + _LATE_SECONDS):
        return True
    heard = loudness[int(segment["start"] * _LEVELS_PER_SECOND) : int(segment["end"] * _LEVELS_PER_SECOND) + 1]
    if not len(heard) or float(heard.max()) < SILENCE_DB:
        return True
    window = sum(len(other["text"]) for other in segments if other["seek"] == segment["seek"])
    seconds = len(part) / sound.SAMPLE_RATE_HZ - segment["seek"] / _FRAMES_PER_SECOND
    return window > _FASTEST_CHARACTERS_PER_SECOND * max(seconds, _SHORTEST_SPEECH_SECONDS)


def _within(segment: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The segment cut at the end of the sound: its window was filled up with silence."""
    return {**segment, "start": min(segment["start"], seconds), "end": min(segment["end"], seconds)}


def _moved(segment: dict[str, Any], offset: float, number: int) -> dict[str, Any]:
    """The segment at its time in the whole file, numbered anew."""
    moved = {**segment, "id": number, "start": segment["start"] + offset, "end": segment["end"] + offset}
    moved["seek"] = segment["seek"] + round(offset * _FRAMES_PER_SECOND)
    if "words" in segment:
        moved["words"] = [{**w, "start": w["start"] + offset, "end": w["end"] + offset} for w in segment["words"]]
    return moved
