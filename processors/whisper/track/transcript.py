"""The transcript of one file, and its result files."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

from whisper.utils import SubtitlesWriter, WriteSRT, WriteTSV, WriteTXT, WriteVTT

from processors import wellformed
from processors.whisper.audio import steady
from processors.whisper.audio.reader import Interval
from processors.whisper.options import TranscribeOptions
from processors.whisper.track import subtitle_files
from processors.whisper.track.languages import PartLanguage
from processors.whisper.track.markdown import LABEL, labeled, markdown, voice
from processors.whisper.track.segment import Segment

_SUBTITLES = ("srt", "vtt")


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The text of one sound track, with the times of openai-whisper's segments."""

    segments: tuple[Segment, ...]  # in order of time
    dropped: tuple[Segment, ...] = ()  # invented: over silence, or too much text for the time
    language: str | None  # a code; None: there is no sound, and none was set
    language_probability: float | None = None  # None: it was not detected
    language_parts: tuple[PartLanguage, ...] = ()  # detected in each part of ten minutes, if there are several
    speakers: tuple[str, ...] = ()  # in order of appearance; empty if inboxd did not distinguish them
    alike: tuple[tuple[str, str], ...] = ()  # pairs of them that sound alike
    speaker_doubts: tuple[str, ...] = ()  # about their names
    spoken_seconds: float = 0.0  # speech that the voice detector found; without it, all of the sound
    model_knows_english_only: bool = False
    languages: Mapping[str, float] = field(default_factory=dict)  # seconds of speech in each language, if it may change
    seconds: float  # decoded, including gaps
    declared_seconds: float | None = None  # by the file itself
    gaps: tuple[Interval, ...] = ()  # places that could not be decoded
    not_numbers: int = 0  # samples that are NaN or infinite
    passed_over: tuple[Interval, ...] = ()  # speech that the voice detector found, without text
    lacks_end: bool = False  # the file ends within its data, or without its end mark
    ends_unread: bool = False  # FFmpeg cannot read the rest of the file, such as a second one joined to it
    exceeds_header: bool = False  # a WAV file with more sound than its header declares
    clock_resets: tuple[float, ...] = ()  # seconds where the file's timestamps jump
    opposite_seconds: float = 0.0  # of two channels in opposite phase
    faults: steady.Faults = steady.Faults()  # of the sound, which inboxd removed
    tracks: int = 1  # sound tracks in the file
    track: int = 1  # the number of the one that was transcribed
    track_label: str = ""  # its language and title by the file's tags
    track_language: str | None = None  # a code, by the file's tags
    channels: int = 1  # of that track
    # by channel: speech in places where the mix of all channels has no text
    hidden: Mapping[int, tuple[Interval, ...]] = field(default_factory=dict)
    at_once: tuple[Interval, ...] = ()  # two people speak in different channels
    rate_hz: int = 0  # its samples per second; 0: not known
    is_clipped: bool = False  # only clips of it were requested

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()

    def facts(self) -> dict[str, object]:
        """Facts about the sound and its language."""
        return {
            "language": self.language,
            "language_probability": self.language_probability,
            **({"languages": self.languages} if self.languages else {}),
            **({"language_parts": [vars(each) for each in self.language_parts]} if self.language_parts else {}),
            **({"speakers": list(self.speakers)} if self.speakers else {}),
            "declared_seconds": self.declared_seconds,
            "gaps": [vars(gap) for gap in self.gaps],
            **({"not_numbers": self.not_numbers} if self.not_numbers else {}),
            **({"track": self.track} if self.tracks > 1 else {}),
            **({"opposite_phase_seconds": self.opposite_seconds} if self.opposite_seconds else {}),
            **({"offset_seconds": round(self.faults.offset_seconds, 1)} if self.faults.offset_seconds else {}),
            **({"tones": [vars(tone) for tone in self.faults.tones]} if self.faults.tones else {}),
            "passed_over": [vars(gap) for gap in self.passed_over],
        }

    @property
    def has_words(self) -> bool:
        """Whisper writes " ." or "♪" where it recognizes no words."""
        return any(map(str.isalnum, self.text))


def merge(channels: Sequence[Transcript], names: Sequence[str] = ()) -> Transcript:
    """One transcript of the channels of a track, or of several tracks, each segment with its number as `channel`; in
    order of time. names: of the channels."""

    return replace(
        channels[0],
        segments=_by_time([of.segments for of in channels], names),
        dropped=_by_time([of.dropped for of in channels], names),
        speakers=tuple(names[: len(channels)]),
        language=next((of.language for of in channels if of.has_words), channels[0].language),
        language_probability=next((of.language_probability for of in channels if of.has_words), None),
        passed_over=tuple(gap for of in channels for gap in of.passed_over),
        gaps=tuple(dict.fromkeys(gap for of in channels for gap in of.gaps)),
        track_language=next((of.track_language for of in channels if _is_foreign(of)), channels[0].track_language),
        clock_resets=tuple(dict.fromkeys(at for of in channels for at in of.clock_resets)),
        not_numbers=max(of.not_numbers for of in channels),
        opposite_seconds=max(of.opposite_seconds for of in channels),
        faults=sum((of.faults for of in channels), steady.Faults()),
        seconds=max(of.seconds for of in channels),
        declared_seconds=max((of.declared_seconds for of in channels if of.declared_seconds), default=None),
        languages=dict(sum((Counter(of.languages) for of in channels), Counter())),
    )


def _is_foreign(track: Transcript) -> bool:
    """True if its text is wrong with a model that knows only English."""
    return track.has_words and track.track_language not in (None, "en")


def _by_time(channels: Sequence[Sequence[Segment]], names: Sequence[str]) -> tuple[Segment, ...]:
    named = dict(enumerate(names, 1))
    found = [
        replace(one, channel=number, speaker=named.get(number))
        for number, segments in enumerate(channels, 1)
        for one in segments
    ]
    return tuple(replace(one, id=number) for number, one in enumerate(sorted(found, key=lambda one: one.start)))


def write(transcript: Transcript, outputs: Path, stem: str, options: TranscribeOptions) -> tuple[str, ...]:
    """Write one file for each format, named `stem` with its format; return the names in the order of `formats`."""
    names = []
    for form in dict.fromkeys(options.formats):
        language = "en" if options.task == "translate" else transcript.language
        has_language = options.language_in_name and form in _SUBTITLES and language
        name = f"{stem}.{language}.{form}" if has_language else f"{stem}.{form}"
        with (outputs / name).open("w", encoding="utf-8", newline="\n") as file:
            _write(transcript, file, form, options)
        names.append(name)
    return tuple(names)


def _write(transcript: Transcript, file: TextIO, form: str, options: TranscribeOptions) -> None:
    if form == "json":
        file.write(wellformed.dumps(_as_json(transcript), indent=1) + "\n")
    elif form == "md":
        file.write(markdown(transcript.segments))
    elif form == "srt" and options.has_readable_subtitles:
        file.write(subtitle_files.srt(transcript.segments, LABEL, options.highlight_words))
    elif form == "vtt" and options.has_readable_subtitles:
        file.write(subtitle_files.vtt(transcript.segments, options.highlight_words))
    else:
        # The writer's own naming would cut "talk.part 1" at the dot.
        _WRITERS[form](os.devnull).write_result(
            {"segments": [segment.as_json() for segment in _all_labeled(transcript, form, options)]},
            file,
            _subtitle_options(options),
        )


class _ByChannel(SubtitlesWriter):
    """Mixin for subtitle writers that may join segments: no subtitle has words of two channels."""

    def iterate_result(
        self, result: dict[str, Any], options: dict[str, object] | None = None, **subtitles: Any
    ) -> Iterator[tuple[str, str, str]]:
        for _, segments in groupby(
            result["segments"], key=lambda segment: (segment.get("channel"), segment.get("speaker"))
        ):
            yield from super().iterate_result({**result, "segments": list(segments)}, options, **subtitles)


class _Srt(_ByChannel, WriteSRT):
    pass


class _Vtt(_ByChannel, WriteVTT):
    pass


_WRITERS = {"txt": WriteTXT, "srt": _Srt, "vtt": _Vtt, "tsv": WriteTSV}


def _all_labeled(transcript: Transcript, form: str, options: TranscribeOptions) -> list[Segment]:
    """Every segment with its label; where subtitles join segments, only those after another channel's."""
    joins = form in ("srt", "vtt") and options.max_line_width and options.max_line_count
    before = [None, *transcript.segments]
    return [
        segment if joins and last and voice(last) == voice(segment) else labeled(segment)
        for last, segment in zip(before, transcript.segments, strict=False)
    ]


def _subtitle_options(options: TranscribeOptions) -> dict[str, object]:
    names = ("highlight_words", "max_line_width", "max_line_count", "max_words_per_line")
    return {name: getattr(options, name) for name in names}


def _as_json(transcript: Transcript) -> dict[str, object]:
    """openai-whisper's three keys, and more facts."""
    return {
        "text": transcript.text,
        "segments": [segment.as_json() for segment in transcript.segments],
        **transcript.facts(),
        "seconds": transcript.seconds,
        "dropped": [segment.as_json() for segment in transcript.dropped],
    }
