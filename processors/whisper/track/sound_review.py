"""Reasons, independent of the text, for a person to check the file and its sound. Pure."""

from collections.abc import Callable, Iterable

from processors.whisper.options import TranscribeOptions
from processors.whisper.track import uncertainty
from processors.whisper.track.markdown import clock
from processors.whisper.track.places import MAX_PLACES, list_places, list_stretches
from processors.whisper.track.transcript import Transcript

_MISSING_SHARE, _MISSING_SECONDS = 0.02, 0.5  # both must be exceeded: encoders pad and trim by up to 0.1 s
_LOST_SECONDS = 0.1  # no word is shorter
_OPPOSITE_SECONDS = 0.5
_LOWEST_RATE_HZ = 8000  # of a telephone; fewer samples lose the consonants


def _cut_off(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    declared = found.declared_seconds
    if (
        not (found.is_clipped or found.exceeds_header)
        and declared is not None
        and found.seconds < declared * (1 - _MISSING_SHARE) - _MISSING_SECONDS
    ):
        yield (
            f"The file seems cut off: it declares {clock(declared)} of sound, but inboxd could read only "
            f"{clock(found.seconds)}. If you have the complete file, drop it."
        )
    elif found.lacks_end and not found.is_clipped:
        yield (
            f"The file ends within its data: it may be cut off at {clock(found.seconds)}. "
            "If you have the complete file, drop it."
        )


def _ends_unread(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.ends_unread:
        yield (
            f"The file continues after {clock(found.seconds)} with another recording or in another format, which "
            "inboxd did not transcribe: split the file there, or export it again, and submit the rest."
        )


def _gaps(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    lost = sum(gap.seconds for gap in found.gaps)
    if lost >= _LOST_SECONDS:
        places = list_places(gap.at_seconds for gap in found.gaps)
        yield (
            f"The file is damaged: inboxd could not read {lost:.1f} s, at {places}. "
            "If you have an intact copy, drop it."
        )


def _not_numbers(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.not_numbers:
        one, many = "1 sample that was not a number", f"{found.not_numbers} samples that were not numbers"
        yield (
            f"inboxd interpolated {one if found.not_numbers == 1 else many} (NaN or infinite). "
            "Export the sound again if words are missing."
        )


def _header(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.exceeds_header:
        declared = "less sound" if found.declared_seconds is None else f"{clock(found.declared_seconds)} of sound"
        yield (
            f"The header of this WAV file declares {declared}, but inboxd read {clock(found.seconds)}, to the end of "
            "the file. Check the end of the transcript."
        )


def _clock(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.clock_resets:
        yield f"The clock of the file jumps at {list_places(found.clock_resets)}; inboxd continues to count from there."


def _phase(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.opposite_seconds >= _OPPOSITE_SECONDS:
        yield (
            f"The two channels are in opposite phase for {found.opposite_seconds:.0f} s, so inboxd transcribed their "
            "difference there. If words are missing, set `channel = 1`."
        )


def _offset(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    faults = found.faults
    if faults.offset_seconds:
        yield (
            f"The sound has a constant offset of up to {abs(faults.offset):.0%} of full scale, which inboxd removed. "
            "Check the recorder, and check the transcript where the sound is distorted."
        )


def _tones(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if tones := sorted(found.faults.tones, key=lambda tone: tone.hertz):
        hertz = list(dict.fromkeys(f"{tone.hertz:.0f}" for tone in tones))
        names = ", ".join(hertz[:MAX_PLACES]) + (" …" if len(hertz) > MAX_PLACES else "")
        stretches = uncertainty.joined([uncertainty.Stretch(start=tone.start, end=tone.end) for tone in tones])
        places = list_stretches(stretches)
        yield f"A steady tone ({names} Hz) covers the sound at {places}; inboxd removed it. Listen there."


def _rate(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.has_words and 0 < found.rate_hz < _LOWEST_RATE_HZ:
        yield (
            f"The sound has only {found.rate_hz} samples per second, fewer than a telephone call: words may be wrong. "
            "If there is a better recording, submit it."
        )


def _tracks(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.tracks > 1 and options.track == "default" and found.has_words:
        label = f" ({found.track_label})" if found.track_label else ""
        yield (
            f"inboxd transcribed sound track {found.track} of {found.tracks}{label}. To transcribe another, set "
            '`track` to its number; "all" transcribes each one.'
        )


CHECKS: tuple[Callable[[Transcript, TranscribeOptions], Iterable[str]], ...] = (
    _cut_off,
    _ends_unread,
    _gaps,
    _header,
    _clock,
    _not_numbers,
    _phase,
    _offset,
    _tones,
    _rate,
    _tracks,
)
