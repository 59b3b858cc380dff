"""Reasons for a person to check a transcript. Pure: judges the transcript and changes nothing."""

import math
from collections.abc import Callable, Iterable
from itertools import groupby

from processors.whisper.options import TranscribeOptions
from processors.whisper.track import hallucinations
from processors.whisper.track.segment import Segment
from processors.whisper.track.transcript import Transcript, clock
from processors.whisper.weights import catalog

_REPEATS = 4  # the same segment so many times in a row is a loop, not emphasis
_SURE_OF_LANGUAGE = 0.5
_MISSING_SHARE, _MISSING_SECONDS = 0.02, 0.5  # both must be exceeded: encoders pad and trim by up to 0.1 s
# Of the text: single windows of clear speech reach a no_speech_prob of 0.87 with small models.
_NO_VOICE_SHARE = 0.5
_VOICED_SHARE = 0.5  # of a segment
_MAX_PLACES = 5  # listed in one reason


def reasons(found: Transcript, options: TranscribeOptions) -> tuple[str, ...]:
    """One sentence for each, the most important first; empty if there is none."""
    return tuple(reason for check in _CHECKS for reason in check(found, options))


def _cut_off(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    declared = found.declared_seconds
    if (
        not found.is_clipped
        and declared is not None
        and found.seconds < declared * (1 - _MISSING_SHARE) - _MISSING_SECONDS
    ):
        have = clock(found.seconds)
        yield f"The file seems cut off: it declares {clock(declared)} of sound, but only {have} could be read."


def _gaps(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.gaps:
        lost = sum(gap.seconds for gap in found.gaps)
        places = _places(gap.at_seconds for gap in found.gaps)
        yield f"The file is damaged: {lost:.1f} s could not be read, at {places}."


def _not_numbers(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.not_numbers:
        what = "1 sample is not a number" if found.not_numbers == 1 else f"{found.not_numbers} samples are not numbers"
        yield f"{what} (NaN or infinite) and became silence. Export the sound again if words are missing."


def _empty(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.has_words:
        return
    yield "No speech was found."
    if options.clips and options.clips[0][0] >= found.seconds:
        yield f"The sound ends at {clock(found.seconds)}, before the first clip starts: correct `clip_timestamps`."
    elif found.tracks > 1:
        yield f"Only sound track {options.track} of {found.tracks} was transcribed: `track` selects another."
    elif options.channel == "mix" and found.channels > 2:  # FFmpeg's mix leaves one out: the low-frequency channel
        yield f'Its {found.channels} channels were mixed: `channel = "each"` transcribes each one separately.'


def _untranscribed(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.passed_over:
        seconds = sum(gap.seconds for gap in found.passed_over)
        places = _places(gap.at_seconds for gap in found.passed_over)
        another = "" if options.multilingual else " If that is another language, set `multilingual = true`."
        yield f"Somebody seems to speak, but no words were recognized for {seconds:.0f} s, at {places}.{another}"


def _language(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    probability = found.language_probability
    if found.has_words and probability is not None and not probability >= _SURE_OF_LANGUAGE:  # NaN is unsure
        sure = f" ({probability:.0%})" if math.isfinite(probability) else ""
        name = catalog.LANGUAGES.get(found.language or "", "unknown").title()
        yield f"The language is a guess: {name}{sure}. If it is another, set `language` in the recipe."


def _loops(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    threshold = options.compression_ratio_threshold
    places = [s.start for s in found.segments if threshold and s.compression_ratio > threshold]
    for words, run in groupby(found.segments, key=lambda segment: segment.text.strip().casefold()):
        same = list(run)
        if words and len(same) >= _REPEATS:
            places.append(same[0].start)
    places += [segment.start for segment in found.segments if hallucinations.is_loop(segment.text)]
    if places:
        yield f"The text repeats itself, at {_places(places)}: Whisper may have been in a loop there."


def _unsure(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    threshold = options.logprob_threshold
    if threshold is None:
        threshold = -math.inf
    places = [s.start for s in found.segments if not -math.inf < s.avg_logprob >= threshold]  # NaN is unsure
    if places:
        yield f"The words are uncertain, at {_places(places)}."


def _no_voice(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    threshold = options.no_speech_threshold
    doubted = [
        s for s in found.segments if threshold and s.no_speech_prob > threshold and s.text.strip() and not _is_voiced(s)
    ]
    if found.has_words and sum(len(s.text) for s in doubted) >= _NO_VOICE_SHARE * len(found.text):
        yield f"Perhaps nobody speaks, at {_places(s.start for s in doubted)}: the text there may be invented."


def _is_voiced(segment: Segment) -> bool:
    """True if the voice detector found speech in most of it."""
    return (segment.speech_seconds or 0.0) >= _VOICED_SHARE * (segment.end - segment.start)


def _known_hallucinations(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if doubted := list(hallucinations.known(found.segments)):
        texts = ", ".join(f'"{segment.text.strip()}"' for segment in doubted[:_MAX_PLACES])
        yield f"Whisper often invents this text, at {_places(s.start for s in doubted)}: {texts}."


def _dropped(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    worded = [segment for segment in found.dropped if any(map(str.isalnum, segment.text))]
    if found.has_words and worded:
        yield f"Text was dropped where nobody speaks, at {_places(s.start for s in worded)}: see the .json file."


_CHECKS: tuple[Callable[[Transcript, TranscribeOptions], Iterable[str]], ...] = (
    *(
        _cut_off,
        _gaps,
        _not_numbers,
        _empty,
        _untranscribed,
        _language,
        _loops,
        _unsure,
        _no_voice,
        _known_hallucinations,
        _dropped,
    ),
)


def _places(starts: Iterable[float]) -> str:
    places = list(dict.fromkeys(clock(start) for start in sorted(starts)))
    more = len(places) - _MAX_PLACES
    return ", ".join(places[:_MAX_PLACES]) + (f" and {more} more places" if more > 0 else "")
