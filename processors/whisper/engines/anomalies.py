"""Words that are likely invented because their times or probabilities are anomalous, next to silence.

After openai-whisper 20250625, whisper/transcribe.py: `word_anomaly_score`, `is_segment_anomaly` and what
`hallucination_silence_threshold` does with them. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whisper.audio import HOP_LENGTH, N_FRAMES, SAMPLE_RATE

from processors.whisper.engines.word_timestamps import APPENDED_PUNCTUATION, PREPENDED_PUNCTUATION
from processors.whisper.track.segment import Segment, Word

_IMPROBABLE = 0.15
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.133, 2.0
_SHORTNESS_WEIGHT = 15
_SCORED_WORDS, _ANOMALOUS_SCORE = 8, 3
_NEAR_EDGE_SECONDS = 2.0  # from the start or end of a window
_PUNCTUATION = PREPENDED_PUNCTUATION + APPENDED_PUNCTUATION


@dataclass(frozen=True, kw_only=True)
class Place:
    """The position of a window in the sound."""

    seek: int  # start, in frames of 0.01 s
    frames: int  # of sound; the rest of the window is zeros

    @property
    def start(self) -> float:
        """Start in seconds."""
        return self.seek * HOP_LENGTH / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        return self.frames * HOP_LENGTH / SAMPLE_RATE

    @property
    def window_end(self) -> float:
        """End of the window in seconds, including padding."""
        return float((self.seek + N_FRAMES) * HOP_LENGTH / SAMPLE_RATE)


def first_hallucination(place: Place, segments: Sequence[Segment], last_speech: float, threshold: float) -> int | None:
    """The number of the first anomalous segment between silences, or other anomalous segments."""
    for number, segment in enumerate(segments):
        if not segment.words:
            continue
        if _is_anomalous(segment):
            following = next(_with_any_words(segments[number + 1 :]), None)
            next_start = following.words[0].start if following and following.words else place.start + place.seconds
            is_after_silence = (
                segment.start - last_speech > threshold
                or segment.start < threshold
                or segment.start - place.start < _NEAR_EDGE_SECONDS
            )
            is_before_silence = (
                next_start - segment.end > threshold
                or (following is not None and _is_anomalous(following))
                or place.window_end - segment.end < _NEAR_EDGE_SECONDS
            )
            if is_after_silence and is_before_silence:
                return number
        last_speech = segment.end
    return None


def silence_before_anomaly(place: Place, segments: Sequence[Segment]) -> float:
    """Seconds from the start of a window to its first words, if these are anomalous; else 0."""
    first = next(_with_any_words(segments), None)
    return first.start - place.start if first is not None and _is_anomalous(first) else 0.0


def _is_anomalous(segment: Segment) -> bool:
    words = [word for word in segment.words or () if word.word not in _PUNCTUATION][:_SCORED_WORDS]
    if not segment.words:
        return False
    score = sum(map(_anomaly_score, words))
    return score >= _ANOMALOUS_SCORE or score + 0.01 >= len(words)


def _anomaly_score(word: Word) -> float:
    """A score for how anomalous a word is: very long, very short and improbable words score high."""
    seconds, score = word.end - word.start, 0.0
    if (word.probability or 0.0) < _IMPROBABLE:
        score += 1.0
    if seconds < _SHORTEST_SECONDS:
        score += (_SHORTEST_SECONDS - seconds) * _SHORTNESS_WEIGHT
    if seconds > _LONGEST_SECONDS:
        score += seconds - _LONGEST_SECONDS
    return score


def last_word_end(segments: Sequence[Segment]) -> float | None:
    """`whisper.utils.get_end`: without words, the end of the last segment."""
    ends = (word.end for segment in reversed(segments) for word in reversed(segment.words or ()))
    return next(ends, segments[-1].end if segments else None)


def _with_any_words(segments: Sequence[Segment]) -> Iterator[Segment]:
    return (segment for segment in segments if segment.words)
