"""Stretches of a transcript whose words the model was unsure of. Pure.

Where a voice is distorted, hurried, or one of several, Whisper still writes fluent sentences; its probabilities tell.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from processors.whisper.track.segment import Segment

# With tiny.en, the tokens of clear speech have a mean log-probability of -0.2 to -0.45, those of a text with every
# fourth word wrong -0.45 to -1. A few tokens vary more, so the sum of what is missing counts: of 48 clear recordings no
# window misses 2.3, and of 147 bad transcripts 125 miss more than 3.
_CLEAR_LOGPROB, _MISSING_LOGPROB = -0.5, 3.0
_BYTES_PER_TOKEN = 4  # of text, where the tokens are not known
_LONGEST_GAP_SECONDS = 1.0  # between windows that are reported as one stretch


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A stretch of a track, in seconds."""

    start: float
    end: float


def uncertain(segments: Sequence[Segment], threshold: float | None, *, is_translation: bool) -> list[Stretch]:
    """The stretches of windows whose text is uncertain, in order of time.

    threshold: a mean log-probability below it is uncertain, however short the text is; NaN always is.
    is_translation: only the threshold counts, because a sentence has many correct translations.
    """
    windows: dict[tuple[int | None, int], list[Segment]] = defaultdict(list)
    for segment in segments:
        windows[segment.channel, segment.seek].append(segment)
    least = -math.inf if threshold is None else threshold
    found = [
        Stretch(start=window[0].start, end=max(segment.end for segment in window))
        for window in windows.values()
        if not -math.inf < window[0].avg_logprob >= least or (not is_translation and _misses_much(window))
    ]
    return joined(found)


def _misses_much(window: Sequence[Segment]) -> bool:
    """True if the tokens of a window are less probable than those of clear speech, by more than chance."""
    tokens = sum(len(segment.tokens) or len(segment.text.encode()) / _BYTES_PER_TOKEN for segment in window)
    return tokens * (_CLEAR_LOGPROB - window[0].avg_logprob) > _MISSING_LOGPROB


def joined(stretches: Sequence[Stretch]) -> list[Stretch]:
    """The stretches in order of time, joined if there is hardly a gap between them."""
    found: list[Stretch] = []
    for each in sorted(stretches, key=lambda stretch: stretch.start):
        if found and each.start - found[-1].end <= _LONGEST_GAP_SECONDS:
            found[-1] = Stretch(start=found[-1].start, end=max(found[-1].end, each.end))
        else:
            found.append(each)
    return found
