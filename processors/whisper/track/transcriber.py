"""One sound track, from its samples to a transcript: where somebody speaks, in which language, part by part.

Knows no engine: that makes segments of one part. What cannot have been said is sorted out here, for all engines alike.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from processors.whisper.audio import reader, vad
from processors.whisper.options import TranscribeOptions
from processors.whisper.track import hallucinations, interleaving, languages
from processors.whisper.track.interleaving import Ask, Job
from processors.whisper.track.segment import FRAMES_PER_SECOND, Segment
from processors.whisper.track.transcript import Transcript

SILENCE_DB = -60.0  # no 0.1 s louder than this: silence. Speech recorded 45 dB too quietly still reached -53
_LEVELS_PER_SECOND = 10  # of sound.levels
_LATE_SECONDS = 0.5  # by which Whisper may end a segment too early
_WINDOW_SECONDS = 30.0
_FAST_CHARACTERS_PER_SECOND = 25  # of English: text that is longer than what is spoken then is not that
_PASSED_OVER_SECONDS = 4.0  # of speech without a word of text: worth a look. Less is a breath, a laugh, a late time
_RESET_TEMPERATURE = 0.5  # whisper.transcribe forgets the text before a window sampled hotter than this
_PROMPT_SEGMENTS = 20  # more than fit into a prompt


@dataclass(frozen=True, kw_only=True)
class Question:
    """One part of a track, for an engine."""

    samples: np.ndarray  # see `sound`
    spoken: Sequence[vad.Span] | None  # where somebody speaks in it; None: not known
    language: str | None  # None: to be heard by the engine, on the way
    prompt: str | None  # what is told before it
    options: TranscribeOptions
    ask: Ask  # of the engine's own run: for windows, or for its turn
    tell: Callable[[float], None]  # called on the way with the seconds done


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an engine heard in one part."""

    segments: list[Segment]  # times in seconds of the part; in order
    language: str | None = None  # that it heard on the way


class Engine(Protocol):
    """A loaded model, or a server."""

    name: str
    device_name: str
    is_elsewhere: bool  # on a GPU or a server: meanwhile this CPU is free to get the next part ready
    made_by: Mapping[str, Any]  # what decides its answers

    joins: bool  # see `base.Loaded`

    def run(
        self, jobs: Iterable[Job], more: Callable[[], Iterable[Job]] = tuple
    ) -> Iterator[tuple[int, Any | Exception]]:
        """Run jobs that pass on, in a `Question`, what they are given, and those of `more`, which is asked on the way;
        yields the number of each and what it returned or raised, as soon as it ends."""

    def detect(self, samples: np.ndarray) -> tuple[str | None, float | None]:
        """The language at the start of a sound, and how probable it is; (None, None): heard on the way."""

    def hear(self, question: Question) -> Answer: ...


class Hearing:
    """One track being transcribed."""

    def __init__(
        self,
        engine: Engine,
        detector: vad.Detector,
        options: TranscribeOptions,
        ask: Ask,
        tell: Callable[[float], None],
    ):
        """`tell(seconds)` is called at every decoded window and before every attempt at one."""
        self._engine, self._detector, self._options, self._ask, self._tell = engine, detector, options, ask, tell
        self._language, self._probability = options.language, None
        self._spoken: Counter[str] = Counter()  # seconds by language, where that may change
        self._sure: dict[str, float] = {}  # the least probability each was guessed with
        self._kept: list[Segment] = []
        self._dropped: list[Segment] = []
        self._passed_over: list[reader.Gap] = []

    def transcribe(self, track: reader.Track) -> Transcript:
        """What is said in `track`.

        Raises:
            BadInput: nothing of the track can be decoded.
        """
        parts = self._found(reader.parts(track.blocks(), self._options.clips))
        for part, spoken in interleaving.ahead(parts) if self._engine.is_elsewhere else parts:
            if self._options.multilingual and spoken:
                self._hear_languages(part, spoken)
            else:
                self._hear(part, spoken)
            self._tell(part.at_seconds + part.seconds)
        language, probability = self._language, self._probability
        if self._spoken:
            ((language, _),) = self._spoken.most_common(1)
            probability = self._sure.get(language)
        return Transcript(
            segments=tuple(self._kept),
            dropped=tuple(self._dropped),
            language=language,
            language_probability=probability,
            languages={each: round(seconds, 2) for each, seconds in self._spoken.items()},
            seconds=round(track.decoded_seconds, 3),
            declared_seconds=track.declared_seconds and round(track.declared_seconds, 3),
            gaps=tuple(track.gaps),
            not_numbers=track.not_numbers,
            passed_over=tuple(self._passed_over),
            tracks=track.tracks,
            channels=track.channels,
            is_clipped=bool(self._options.clips),
        )

    def _found(self, parts: Iterator[reader.Part]) -> Iterator[tuple[reader.Part, list[vad.Span] | None]]:
        """Each part, and where somebody speaks in it; None: not asked."""
        for part in parts:
            yield part, self._detector.spans(part.samples) if self._options.vad else None

    def _hear_languages(self, part: reader.Part, spoken: list[vad.Span]) -> None:
        """As `_hear`, each stretch of a part in its own language."""

        def detect(span: vad.Span) -> tuple[str | None, float | None]:
            self._tell(part.at_seconds)  # nothing is done yet, but it goes on
            return self._engine.detect(part.samples[_sample(span.start) : _sample(span.end)])

        for stretch in languages.stretches(spoken, part.seconds, detect, self._language):
            samples = part.samples[_sample(stretch.start) : _sample(stretch.end)]
            has_changed = stretch.language != self._language
            self._language, kept = stretch.language, len(self._kept)
            at_seconds = part.at_seconds + stretch.start
            within = vad.within(spoken, stretch.start, stretch.end)
            self._hear(reader.Part(at_seconds=at_seconds, samples=samples), within, is_new=has_changed)
            if self._language is None:
                continue
            self._kept[kept:] = [replace(segment, language=self._language) for segment in self._kept[kept:]]
            self._spoken[self._language] += vad.seconds_within(spoken, stretch.start, stretch.end)
            if stretch.probability is not None:
                self._sure[self._language] = min(self._sure.get(self._language, 1.0), stretch.probability)

    def _hear(self, part: reader.Part, spoken: list[vad.Span] | None, is_new: bool = False) -> None:
        """`is_new`: what was said before is not told, it was in another language."""
        if not len(part.samples):
            return
        loudness = reader.levels(part.samples)
        if loudness.max() < SILENCE_DB or spoken == []:
            return
        if self._language is None and not self._options.multilingual:
            start = _first_sound(loudness, spoken)
            self._language, self._probability = self._engine.detect(part.samples[_sample(start) :])
        answer = self._engine.hear(
            Question(
                samples=part.samples,
                spoken=spoken,
                language=self._language,
                prompt=self._options.told if is_new else self._prompt(),
                options=self._options,
                ask=self._ask,
                tell=lambda seconds: self._tell(part.at_seconds + seconds),
            )
        )
        self._language = self._language or answer.language
        segments = [segment.within(part.seconds) for segment in answer.segments if segment.text.strip()]
        if spoken:
            segments = _placed(segments, spoken, part.seconds)
        for segment in segments:
            is_invented = _is_invented(segment, segments, part.seconds, loudness, spoken)
            if spoken is not None:
                said = vad.seconds_within(spoken, segment.start, segment.end)
                segment = replace(segment, speech_seconds=round(said, 2))
            if spoken and self._options.channel == "each":
                segment = _from_first_heard(segment, spoken)
            chosen = self._dropped if is_invented else self._kept
            chosen.append(replace(segment.moved(part.at_seconds), id=len(chosen)))
        if spoken:
            self._note_passed_over(part, spoken, segments)

    def _note_passed_over(self, part: reader.Part, spoken: list[vad.Span], segments: Sequence[Segment]) -> None:
        """Where somebody speaks, but nothing is written."""
        left = vad.outside(spoken, [(segment.start, segment.end) for segment in segments])
        for place in vad.windows(left, longest=part.seconds):
            seconds = vad.seconds_within(left, place.start, place.end)
            if seconds >= _PASSED_OVER_SECONDS:
                at_seconds = round(part.at_seconds + place.start, 2)
                self._passed_over.append(reader.Gap(at_seconds=at_seconds, seconds=round(seconds, 2)))

    def _prompt(self) -> str | None:
        """What is told before a part: what was said before it, as openai-whisper does from window to window."""
        options = self._options
        goes_on = options.way == "exact" and options.condition_on_previous_text and not options.carries
        if not self._kept or not goes_on:
            return options.told
        if self._kept[-1].temperature > _RESET_TEMPERATURE:
            return None
        return "".join(segment.text for segment in self._kept[-_PROMPT_SEGMENTS:]).strip()


def _sample(seconds: float) -> int:
    return round(seconds * reader.SAMPLE_RATE_HZ)


def _first_sound(loudness: np.ndarray, spoken: Sequence[vad.Span] | None) -> float:
    """Where a part begins to be worth hearing, in seconds."""
    return spoken[0].start if spoken else float(np.argmax(loudness >= SILENCE_DB)) / _LEVELS_PER_SECOND


def _placed(segments: list[Segment], spoken: Sequence[vad.Span], seconds: float) -> list[Segment]:
    """The segments, those that Whisper set into the silence before what they say at the time at which it is said.

    It is in the same window, and no other segment tells of it. Times of words are right by themselves.
    """
    left = vad.outside(spoken, [(segment.start, segment.end) for segment in segments])
    ends = [*(segment.start for segment in segments[1:]), seconds]  # the end of the time available to each
    placed = []
    for segment, end in zip(segments, ends, strict=False):  # no segment at all: the model wrote nothing
        until = min(end, segment.seek / FRAMES_PER_SECOND + _WINDOW_SECONDS)
        here = [span for span in left if segment.end <= span.start < until]
        heard = sum(span.end - span.start for span in here)
        fits = here and len(segment.text) <= _FAST_CHARACTERS_PER_SECOND * heard
        is_misplaced = fits and segment.words is None and not _said_within(segment, spoken)
        if is_misplaced and not hallucinations.is_phantom(segment.text, heard, 0.0, is_last=True):
            segment = replace(segment, start=here[0].start, end=here[-1].end)
        placed.append(segment)
    return placed


def _said_within(segment: Segment, spoken: Sequence[vad.Span]) -> float:
    return vad.seconds_within(spoken, segment.start, segment.end + _LATE_SECONDS)


def _is_invented(
    segment: Segment,
    segments: list[Segment],
    seconds: float,
    loudness: np.ndarray,
    spoken: Sequence[vad.Span] | None,
) -> bool:
    """Can the segment not have been said? (Whisper writes "you" on silence, and goes on inventing behind the end.)"""
    if spoken is not None and not _said_within(segment, spoken):
        return True
    heard = loudness[int(segment.start * _LEVELS_PER_SECOND) : int(segment.end * _LEVELS_PER_SECOND) + 1]
    if not len(heard) or float(heard.max()) < SILENCE_DB:
        return True
    window = sum(len(other.text) for other in segments if other.seek == segment.seek)
    return not hallucinations.has_room(window, seconds - segment.seek / FRAMES_PER_SECOND)


def _from_first_heard(segment: Segment, spoken: Sequence[vad.Span]) -> Segment:
    """The segment from where somebody is heard: Whisper begins it with the silence before, while another may speak."""
    heard = next((max(span.start, segment.start) for span in spoken if span.end > segment.start), segment.end)
    if heard >= segment.end:
        return segment
    words = segment.words and tuple(replace(w, start=min(max(w.start, heard), w.end)) for w in segment.words)
    return replace(segment, start=heard, words=words)
