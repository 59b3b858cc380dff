"""Finds speech in one channel that the text of the mix lacks, because another channel hides it.

The other channel may contain noise, as in a telephone call, or a second person who speaks at the same time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from processors.whisper.audio import parts, reader, steady, vad
from processors.whisper.audio.reader import Interval
from processors.whisper.options import TranscribeOptions
from processors.whisper.track.transcript import Transcript

_LEAST_SECONDS, _LEAST_SECONDS_WITHOUT_TEXT = 4.0, 1.0  # of speech in a channel; less is a breath, or a laugh
_LONGEST_GAP_SECONDS = 5.0  # in one place
_STEP_SECONDS = 0.1  # of `parts.levels`
_SILENCE_DB = -70.0
_SMOOTHED_STEPS = 11
_SAME_VOICE = 0.35  # correlation of the changes in loudness: two people at once reach 0.15, one voice in noise 0.55


@dataclass(frozen=True)
class _Channel:
    spoken: list[vad.Span]
    loudness: NDArray[np.float32]  # in dB, of every `_STEP_SECONDS` from the start of the track


def noted(
    found: Transcript,
    path: Path,
    options: TranscribeOptions,
    detector: vad.Detector,
    report: Callable[[float], None],
) -> Transcript:
    """The transcript of a track's mix, with the speech in each channel that the text of the mix lacks.

    report: called only to restart the timeout, with the seconds done, which remain those of the transcript.
    """
    least = _LEAST_SECONDS if found.has_words else _LEAST_SECONDS_WITHOUT_TEXT
    texts = [(segment.start, segment.end) for segment in found.segments if any(map(str.isalnum, segment.text))]
    channels = []
    for number in range(1, found.channels + 1):
        with reader.open_track(path, found.track, number) as track:
            channels.append(_examined(track, options, detector, lambda: report(found.seconds)))
    hidden = {
        number: places
        for number, channel in enumerate(channels, 1)
        if (places := _places(vad.outside(channel.spoken, texts), found.seconds, least))
    }
    at_once = _at_once(channels[0], channels[1], found.seconds) if len(channels) == 2 else ()
    if not texts and len(hidden) == len(channels) and not at_once:
        hidden = {}  # all channels have the same voice, so that none of them alone is clearer
    return replace(found, hidden=hidden, at_once=at_once if texts else ())


def _examined(
    track: reader.Track, options: TranscribeOptions, detector: vad.Detector, report: Callable[[], None]
) -> _Channel:
    spoken: list[vad.Span] = []
    loudness: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    count = 0
    for part in parts.parts(track.blocks(), options.clips):
        report()
        samples, _ = steady.repaired(part.samples)
        spoken += [
            vad.Span(part.at_seconds + each.start, part.at_seconds + each.end) for each in detector.spans(samples)
        ]
        silent = max(0, round(part.at_seconds / _STEP_SECONDS) - count)
        loudness += [np.full(silent, _SILENCE_DB, np.float32), np.maximum(parts.levels(samples), _SILENCE_DB)]
        count += silent + len(loudness[-1])
    return _Channel(spoken, np.concatenate(loudness))


def _places(spans: Sequence[vad.Span], seconds: float, least: float) -> tuple[Interval, ...]:
    """The places with so much speech."""
    windows = vad.windows(spans, longest=seconds, longest_gap=_LONGEST_GAP_SECONDS)
    sums = [(window.start, vad.seconds_within(spans, window.start, window.end)) for window in windows]
    return tuple(Interval(at_seconds=round(at, 2), seconds=round(sum_, 2)) for at, sum_ in sums if sum_ >= least)


def _at_once(one: _Channel, other: _Channel, seconds: float) -> tuple[Interval, ...]:
    """The places where two people speak at once. If both microphones record one voice, their loudness is the same."""
    both = [
        vad.Span(span.start + within.start, span.start + within.end)
        for span in one.spoken
        for within in vad.within(other.spoken, span.start, span.end)
    ]
    found = []
    for window in vad.windows(both, longest=seconds, longest_gap=_LONGEST_GAP_SECONDS):
        spoken = vad.seconds_within(both, window.start, window.end)
        if spoken >= _LEAST_SECONDS and _correlation(one, other, window) < _SAME_VOICE:
            found.append(Interval(at_seconds=round(window.start, 2), seconds=round(spoken, 2)))
    return tuple(found)


def _correlation(one: _Channel, other: _Channel, window: vad.Span) -> float:
    """The correlation of the loudness of two channels from syllable to syllable, -1 to 1. Which channel is louder does
    not count: in a call, that changes with the speaker, whom the other microphone records, too."""
    steps = slice(round(window.start / _STEP_SECONDS), round(window.end / _STEP_SECONDS))
    changes = np.stack([each.loudness[steps] - _smooth(each.loudness[steps]) for each in (one, other)])
    return float(np.corrcoef(changes)[0, 1])


def _smooth(loudness: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the steps around each."""
    padded = np.pad(loudness, _SMOOTHED_STEPS // 2, mode="edge")
    means: NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(padded, _SMOOTHED_STEPS).mean(axis=1)
    return means
