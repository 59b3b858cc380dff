"""The times of segments, compared with the speech that the voice detector found."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from processors.whisper.audio import vad
from processors.whisper.track import hallucinations
from processors.whisper.track.segment import FRAMES_PER_SECOND, Segment

SILENCE_DB = (
    -60.0
)  # a sound with no 0.1 s above this level is silence. Speech recorded 45 dB too quietly still reached -53
LEVELS_PER_SECOND = 10  # of `parts.levels`
_LATE_SECONDS = 0.5  # by which Whisper may end a segment too early
_SPOKEN_SHARE = 0.5  # of a segment
_WINDOW_SECONDS = 30.0
_FAST_CHARACTERS_PER_SECOND = 25  # of English: longer text cannot be that speech


def move_to_speech(segments: Sequence[Segment], spoken: Sequence[vad.Span], seconds: float) -> list[Segment]:
    """The segments; one that Whisper placed in the silence before its speech is moved to that speech.

    The speech is in the same window, and no other segment covers it. Times of words are right in any case.
    """
    left = vad.outside(spoken, [(segment.start, segment.end) for segment in segments])
    ends = [*(segment.start for segment in segments[1:]), seconds]  # the end of the time available to each
    placed = []
    for segment, end in zip(segments, ends, strict=False):  # no segment at all: the model wrote nothing
        until = min(end, segment.seek / FRAMES_PER_SECOND + _WINDOW_SECONDS)
        here = [span for span in left if segment.end <= span.start < until]
        speech_seconds = sum(span.end - span.start for span in here)
        fits = here and len(segment.text) <= _FAST_CHARACTERS_PER_SECOND * speech_seconds
        is_misplaced = fits and segment.words is None and not _speech_within(segment, spoken)
        if is_misplaced and not hallucinations.is_known_hallucination(segment.text, speech_seconds, 0.0, is_last=True):
            segment = replace(segment, start=here[0].start, end=here[-1].end)
        placed.append(segment)
    return placed


def start_at_speech(segment: Segment, spoken: Sequence[vad.Span], lead_seconds: float) -> Segment:
    """The segment from its first speech, if that is later by more than `lead_seconds`: Whisper starts the first segment
    of a window with the silence before it, when another channel may speak."""
    start = next((max(span.start, segment.start) for span in spoken if span.end > segment.start), segment.end)
    if start >= segment.end or start - segment.start <= lead_seconds:
        return segment
    words = segment.words and tuple(replace(w, start=min(max(w.start, start), w.end)) for w in segment.words)
    return replace(segment, start=start, words=words)


def is_hallucination(
    segment: Segment,
    segments: Sequence[Segment],
    seconds: float,
    loudness: NDArray[np.float32],
    spoken: Sequence[vad.Span] | None,
) -> bool:
    """True if no speech corresponds to the text: Whisper writes "you" for silence, and continues after the end of a
    sound."""
    if spoken is not None and not _speech_within(segment, spoken):
        return True
    levels = loudness[int(segment.start * LEVELS_PER_SECOND) : int(segment.end * LEVELS_PER_SECOND) + 1]
    if (not len(levels) or float(levels.max()) < SILENCE_DB) and not _is_spoken(segment, spoken):
        return True
    window = sum(len(other.text) for other in segments if other.seek == segment.seek)
    return not hallucinations.has_room(window, seconds - segment.seek / FRAMES_PER_SECOND)


def _is_spoken(segment: Segment, spoken: Sequence[vad.Span] | None) -> bool:
    """True if the voice detector, which amplifies, found speech in most of a segment, however quiet it is."""
    seconds = vad.seconds_within(spoken or (), segment.start, segment.end)
    return seconds > _SPOKEN_SHARE * (segment.end - segment.start)


def _speech_within(segment: Segment, spoken: Sequence[vad.Span]) -> float:
    return vad.seconds_within(spoken, segment.start, segment.end + _LATE_SECONDS)
