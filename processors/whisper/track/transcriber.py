"""Transcribe one sound track part by part: find its speech and its language, and place the engine's segments.

Works with any engine, which transcribes one part at a time. Hallucinations are dropped here.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from processors.whisper.audio import parts, reader, steady, vad
from processors.whisper.audio.prefetch import prefetch
from processors.whisper.options import TranscribeOptions
from processors.whisper.speakers import samples
from processors.whisper.speakers.clustering import Count
from processors.whisper.speakers.embeddings import Voice, VoiceEncoder
from processors.whisper.track import languages, turns
from processors.whisper.track.engine import Engine, PartRequest
from processors.whisper.track.interleaving import Task
from processors.whisper.track.segment import FRAMES_PER_SECOND, Segment
from processors.whisper.track.speech_times import (
    LEVELS_PER_SECOND,
    SILENCE_DB,
    is_hallucination,
    move_to_speech,
    start_at_speech,
)
from processors.whisper.track.transcript import Transcript

_LEAD_SECONDS = 1.0  # of silence before its speech that a segment may keep
_UNTRANSCRIBED_SECONDS = 4.0  # of speech without text that is reported; less is a breath, a laugh, or a late timestamp
_SKIPPED_SECONDS = 1.2  # the same, in a window of half a minute that the model took for silence
_RESET_TEMPERATURE = 0.5  # whisper.transcribe drops the text before a window sampled above this
_SAME_SECONDS = 0.1
_PROMPT_SEGMENTS = 20  # more than fit into a prompt

PartAndSpeech = tuple[parts.Part, list[vad.Span] | None]  # None: the voice detector is off


class TrackTranscriber:
    """One track being transcribed."""

    def __init__(
        self,
        engine: Engine,
        detector: vad.Detector,
        options: TranscribeOptions,
        report: Callable[[float], None],
        encoder: VoiceEncoder | None = None,
        known: samples.KnownVoices | None = None,
    ):
        """report: called with the seconds done, before every attempt at a window. encoder: distinguishes
        speakers. known: gives them names."""
        self._encoder, self._known = encoder, known
        self._voices: list[Voice] = []
        self._engine, self._detector, self._options, self._report = engine, detector, options, report
        self._language = options.only_language
        self._probability: float | None = None  # of the language
        self._found_languages: list[languages.PartLanguage] = []
        self._spoken_seconds = 0.0
        self._spoken: dict[str, float] = defaultdict(float)  # seconds by language, where that may change
        self._lowest: dict[str, float] = {}  # probability of each language
        self._segments: list[Segment] = []
        self._dropped: list[Segment] = []
        self._untranscribed: list[reader.Interval] = []
        self._faults = steady.Faults()

    def transcribe(self, track: reader.Track) -> Task[Transcript]:
        """The transcript of `track`.

        Raises:
            BadInput: no part of the track can be decoded.
        """
        prepared = self._prepared(parts.parts(track.blocks(), self._options.clips))
        with closing(prefetch(prepared) if self._engine.is_elsewhere else prepared) as prepared:
            for part, spoken in prepared:
                if self._options.multilingual and spoken:
                    yield from self._transcribe_languages(part, spoken)
                else:
                    yield from self._transcribe_part(part, spoken)
                if self._encoder is not None and spoken:
                    self._voices += self._encoder.voices(part.samples, spoken, part.at_seconds)
                self._report(part.at_seconds + part.seconds)
                del part  # before the next one is read
        language, probability = self._language, self._probability
        if self._spoken:
            language = max(self._spoken, key=self._spoken.__getitem__)
            probability = self._lowest.get(language)
        least, most = self._options.speaker_count
        diarization = turns.diarize(self._voices, Count(least=least, most=most))
        naming = samples.identify(diarization.voices, self._known) if self._known else samples.Naming()
        learned = [naming.names.get(number, "") for number in range(1, diarization.speakers + 1)]
        names = self._options.speaker_names or learned
        return Transcript(
            segments=tuple(turns.assign(self._segments, diarization.turns, names)),
            speakers=tuple(turns.name_of(number, names) for number in range(1, diarization.speakers + 1)),
            alike=tuple((turns.name_of(one, names), turns.name_of(other, names)) for one, other in diarization.alike),
            speaker_doubts=tuple(naming.doubts),
            dropped=tuple(self._dropped),
            language=language,
            language_probability=probability,
            languages={each: round(seconds, 2) for each, seconds in self._spoken.items()},
            language_parts=tuple(self._found_languages) if len(self._found_languages) > 1 else (),
            spoken_seconds=round(self._spoken_seconds, 2),
            model_knows_english_only=self._engine.knows_english_only,
            seconds=round(track.decoded_seconds, 3),
            declared_seconds=track.declared_seconds and round(track.declared_seconds, 3),
            gaps=tuple(track.gaps),
            not_numbers=track.not_numbers,
            passed_over=tuple(self._untranscribed),
            exceeds_header=track.exceeds_header,
            lacks_end=track.lacks_end,
            ends_unread=track.ends_unread,
            clock_resets=tuple(round(each, 2) for each in track.clock.resets),
            opposite_seconds=round(track.opposite_seconds, 1),
            faults=self._faults,
            tracks=track.tracks,
            track=track.number,
            track_label=track.label,
            track_language=track.language,
            channels=track.channels,
            rate_hz=track.rate_hz,
            is_clipped=bool(self._options.clips),
        )

    def _prepared(self, found: Iterator[parts.Part]) -> Generator[PartAndSpeech]:
        yield from map(self._with_speech, found)  # a loop would hold a part while the next one is read

    def _with_speech(self, part: parts.Part) -> PartAndSpeech:
        samples, faults = steady.repaired(part.samples)
        self._faults += faults.moved(part.at_seconds)
        part = replace(part, samples=samples)
        return part, self._detector.spans(samples) if self._options.vad else None

    def _transcribe_languages(self, part: parts.Part, spoken: list[vad.Span]) -> Task[None]:
        """Transcribe each stretch of a part in its own language."""

        def detect(span: vad.Span) -> tuple[str | None, float | None]:
            self._report(part.at_seconds)  # no progress, but restarts the timeout
            return self._guess(part.samples[_sample(span.start) : _sample(span.end)])

        for stretch in languages.stretches(spoken, part.seconds, detect, self._language):
            samples = part.samples[_sample(stretch.start) : _sample(stretch.end)]
            has_changed = stretch.language != self._language
            self._language, count = stretch.language, len(self._segments)
            at_seconds = part.at_seconds + stretch.start
            within = vad.within(spoken, stretch.start, stretch.end)
            yield from self._transcribe_part(parts.Part(at_seconds=at_seconds, samples=samples), within, has_changed)
            if self._language is None:
                continue
            self._segments[count:] = [replace(each, language=self._language) for each in self._segments[count:]]
            self._spoken[self._language] += vad.seconds_within(spoken, stretch.start, stretch.end)
            if stretch.probability is not None:
                self._lowest[self._language] = min(self._lowest.get(self._language, 1.0), stretch.probability)

    def _transcribe_part(
        self, part: parts.Part, spoken: list[vad.Span] | None, is_new_language: bool = False
    ) -> Task[None]:
        """is_new_language: the text before is not used as a prompt."""
        if not len(part.samples):
            return
        loudness = parts.levels(part.samples)
        if loudness.max() < SILENCE_DB or spoken == []:
            return
        self._spoken_seconds += part.seconds if spoken is None else vad.seconds_within(spoken, 0.0, part.seconds)
        if self._options.only_language is None and not self._options.multilingual:
            is_new_language = self._detect(part, spoken, loudness)
        request = PartRequest(
            samples=part.samples,
            spoken=spoken,
            language=self._language,
            prompt=self._options.fixed_prompt if is_new_language else self._prompt(),
            options=self._options,
            report=lambda seconds: self._report(part.at_seconds + seconds),
        )
        result = yield from self._engine.transcribe(request)
        count, self._language = len(self._segments), self._language or result.language
        segments = [segment.within(part.seconds) for segment in result.segments if segment.text.strip()]
        if spoken:
            segments = move_to_speech(segments, spoken, part.seconds)
        self._keep(part, spoken, loudness, segments)
        if len({each.language for each in self._found_languages}) > 1:
            self._segments[count:] = [replace(each, language=self._language) for each in self._segments[count:]]

    def _detect(self, part: parts.Part, spoken: list[vad.Span] | None, loudness: NDArray[np.float32]) -> bool:
        """Detect the language of a part; return True if it is another than before."""
        seconds = part.seconds if spoken is None else vad.seconds_within(spoken, 0.0, part.seconds)
        before = self._language
        if before is not None and not (self._found_languages and languages.may_change(seconds)):
            return False
        starts = languages.probe_starts(_first_sound(loudness, spoken), spoken or ())
        language, probability = languages.detect_first(
            starts, lambda start: self._guess(part.samples[_sample(start) :])
        )
        if language is None:  # by the engine, while it transcribes
            return False
        if before is None or languages.changes(before, (language, probability)):
            self._language = language
        if before is None:
            self._probability = probability
        at_seconds = round(part.at_seconds, 2)
        self._found_languages.append(
            languages.PartLanguage(at_seconds=at_seconds, language=language, probability=probability)
        )
        return before is not None and self._language != before

    def _guess(self, samples: parts.Sound) -> languages.Guess:
        among = self._options.languages
        return self._engine.detect_language(samples, among) if among else self._engine.detect_language(samples)

    def _keep(
        self,
        part: parts.Part,
        spoken: list[vad.Span] | None,
        loudness: NDArray[np.float32],
        segments: Sequence[Segment],
    ) -> None:
        for segment in segments:
            is_invented = is_hallucination(segment, segments, part.seconds, loudness, spoken)
            if spoken is not None:
                seconds = vad.seconds_within(spoken, segment.start, segment.end)
                stretches = [each for each in spoken if each.start < segment.end and each.end > segment.start]
                within = tuple((max(each.start, segment.start), min(each.end, segment.end)) for each in stretches)
                segment = replace(segment, speech_seconds=round(seconds, 2), spoken=within)
            if spoken and (self._options.is_labeled or segment.words is None):
                segment = start_at_speech(segment, spoken, 0.0 if self._options.is_labeled else _LEAD_SECONDS)
            chosen = self._dropped if is_invented else self._segments
            chosen.append(replace(segment.moved(part.at_seconds), id=len(chosen)))
        if spoken:
            self._note_untranscribed(part, spoken, segments)

    def _note_untranscribed(self, part: parts.Part, spoken: list[vad.Span], segments: Sequence[Segment]) -> None:
        """Note where there is speech, but no text."""
        left = vad.outside(spoken, [(segment.start, segment.end) for segment in segments])
        for place in vad.windows(left, longest=part.seconds):
            seconds = vad.seconds_within(left, place.start, place.end)
            is_skipped = self._options.way == "exact" and _is_in_skipped_window(place, segments)
            if seconds >= (_SKIPPED_SECONDS if is_skipped else _UNTRANSCRIBED_SECONDS):
                at_seconds = round(part.at_seconds + place.start, 2)
                self._untranscribed.append(reader.Interval(at_seconds=at_seconds, seconds=round(seconds, 2)))

    def _prompt(self) -> str | None:
        """The prompt of a part: the text before it, as in openai-whisper from window to window."""
        options = self._options
        continues = options.way == "exact" and options.condition_on_previous_text and not options.repeats_prompt
        if not self._segments or not continues:
            return options.fixed_prompt
        if self._segments[-1].temperature > _RESET_TEMPERATURE:
            return None
        return "".join(segment.text for segment in self._segments[-_PROMPT_SEGMENTS:]).strip()


def _sample(seconds: float) -> int:
    return round(seconds * parts.SAMPLE_RATE_HZ)


def _first_sound(loudness: NDArray[np.float32], spoken: Sequence[vad.Span] | None) -> float:
    """The start of a part's speech, or of its sound, in seconds."""
    return spoken[0].start if spoken else float(np.argmax(loudness >= SILENCE_DB)) / LEVELS_PER_SECOND


def _is_in_skipped_window(place: vad.Span, segments: Sequence[Segment]) -> bool:
    """True if the windows with this place have no text, because the next segment belongs to a later window."""
    following = next((segment for segment in segments if segment.start >= place.end - _SAME_SECONDS), None)
    return following is not None and following.seek / FRAMES_PER_SECOND >= place.end - _SAME_SECONDS
