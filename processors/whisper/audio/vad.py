"""Where somebody speaks: Silero's voice detector (its ONNX weights come inside its package). Knows nothing of Whisper.

"Sound" is that of `sound`: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import torch

from processors.whisper.audio.reader import SAMPLE_RATE_HZ, levels

THRESHOLD = 0.35  # below Silero's 0.5: a false alarm costs a decoded window, a miss costs words
PAD_SECONDS = 0.2  # kept before and behind what was detected: soft first and last sounds
PAUSE_SECONDS = 0.3  # a shorter silence does not end what is said
LONGEST_SECONDS = 29.0  # a longer stretch is cut at its last short pause
_SHORTEST_MS = 100
_WEIGHTS = "silero_vad_16k_sequence.onnx"

_LOUD_DB = -30.0  # the detector was trained on speech of about this level; what is quieter is amplified to it
_MOST_GAIN_DB = 45.0  # speech recorded 40 dB too quietly is found; the hiss of silent rooms is not made a voice
_LOUDEST_SHARE = 95  # the level of a recording is this percentile of its 0.1 s steps: one click does not count


@dataclass(frozen=True)
class Span:
    """A stretch of sound in which somebody speaks."""

    start: float  # seconds
    end: float


class Detector:
    """Silero's network, loaded once; one thread, a few CPU milliseconds a second of sound."""

    def __init__(self) -> None:
        threads = torch.get_num_threads()
        from silero_vad import SileroVADSequence, get_speech_timestamps_sequence

        torch.set_num_threads(threads)  # the import of silero_vad sets it to 1
        self._network = SileroVADSequence(str(files("silero_vad.data") / _WEIGHTS))
        self._find = get_speech_timestamps_sequence
        self._lock = threading.Lock()  # several tracks may get their next parts ready at once

    def spans(self, sound: np.ndarray) -> list[Span]:
        """The stretches of speech in order, not overlapping, none longer than `LONGEST_SECONDS` and its pads."""
        if not len(sound):
            return []
        with self._lock:
            found = self._find(
                _amplified(sound),
                self._network,
                threshold=THRESHOLD,
                min_speech_duration_ms=_SHORTEST_MS,
                max_speech_duration_s=LONGEST_SECONDS,
                min_silence_duration_ms=round(PAUSE_SECONDS * 1000),
                speech_pad_ms=round(PAD_SECONDS * 1000),
            )
        return [Span(place["start"] / SAMPLE_RATE_HZ, place["end"] / SAMPLE_RATE_HZ) for place in found]


def seconds_within(spans: Iterable[Span], start: float, end: float) -> float:
    """How much is spoken between two times."""
    return sum(max(0.0, min(span.end, end) - max(span.start, start)) for span in spans)


def within(spans: Iterable[Span], start: float, end: float) -> list[Span]:
    """What of `spans` lies between two times, counted from the first of them."""
    return [
        Span(max(span.start, start) - start, min(span.end, end) - start)
        for span in spans
        if span.start < end and span.end > start
    ]


def outside(spans: Sequence[Span], others: Iterable[tuple[float, float]]) -> list[Span]:
    """What of `spans` lies in none of the `others`, each a start and an end; in order."""
    left, others = [], sorted(others)
    for span in spans:
        start = span.start
        for from_, to in others:
            if from_ < span.end and to > start:
                if from_ > start:
                    left.append(Span(start, from_))
                start = max(start, to)
        if start < span.end:
            left.append(Span(start, span.end))
    return left


def windows(spans: Sequence[Span], longest: float = LONGEST_SECONDS, widest_gap: float = 5.0) -> list[Span]:
    """Neighbouring spans joined, as far as they fit into `longest` seconds and no gap is wider than `widest_gap`."""
    joined: list[Span] = []
    for span in spans:
        fits = joined and span.end - joined[-1].start <= longest and span.start - joined[-1].end <= widest_gap
        if fits:
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


def _amplified(sound: np.ndarray) -> np.ndarray:
    level = float(np.percentile(levels(sound), _LOUDEST_SHARE))
    gain = min(max(0.0, _LOUD_DB - level), _MOST_GAIN_DB)
    louder = sound * np.float32(10 ** (gain / 20))
    return np.clip(louder, -1, 1, out=louder)
