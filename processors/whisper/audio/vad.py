"""Voice activity detection by Silero, whose package includes its ONNX weights. Knows nothing of Whisper.

"Sound" is that of `reader`: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import torch

from processors.whisper.audio.reader import SAMPLE_RATE_HZ, levels

THRESHOLD = 0.35  # below Silero's 0.5: a false positive costs a decoded window, a false negative costs words
PAD_SECONDS = 0.2  # added before and after speech, for soft first and last sounds
PAUSE_SECONDS = 0.3  # a shorter silence does not end a span
LONGEST_SECONDS = 29.0  # a longer stretch is cut at its last short pause
_SHORTEST_MS = 100
_WEIGHTS = "silero_vad_16k_sequence.onnx"

_LOUD_DB = -30.0  # the detector was trained on speech of about this level; quieter sound is amplified to it
_MAX_GAIN_DB = (
    45.0  # enough for speech recorded 40 dB too quietly, too little to turn a silent room's hiss into a voice
)
_LEVEL_PERCENTILE = 95  # of the 0.1 s steps, as the level of a recording: one click does not count


@dataclass(frozen=True)
class Span:
    """A stretch of speech."""

    start: float  # seconds
    end: float


class Detector:
    """Silero's network; takes one thread, and a few CPU milliseconds for each second of sound."""

    def __init__(self) -> None:
        threads = torch.get_num_threads()
        from silero_vad import SileroVADSequence, get_speech_timestamps_sequence

        torch.set_num_threads(threads)  # the import of silero_vad sets it to 1
        self._network = SileroVADSequence(str(files("silero_vad.data") / _WEIGHTS))
        self._find = get_speech_timestamps_sequence
        self._lock = threading.Lock()  # several tracks may prefetch their next parts at once

    def spans(self, sound: np.ndarray) -> list[Span]:
        """The speech in order, without overlap, no span longer than `LONGEST_SECONDS` plus its padding."""
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
    """Seconds of speech between two times."""
    return sum(max(0.0, min(span.end, end) - max(span.start, start)) for span in spans)


def within(spans: Iterable[Span], start: float, end: float) -> list[Span]:
    """The parts of `spans` between two times, relative to the first of these."""
    return [
        Span(max(span.start, start) - start, min(span.end, end) - start)
        for span in spans
        if span.start < end and span.end > start
    ]


def outside(spans: Sequence[Span], others: Iterable[tuple[float, float]]) -> list[Span]:
    """The parts of `spans` outside all `others`, each a start and an end; in order."""
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


def windows(spans: Sequence[Span], longest: float = LONGEST_SECONDS, longest_gap: float = 5.0) -> list[Span]:
    """Join neighboring spans while they fit into `longest` seconds and no gap is longer than `longest_gap`."""
    joined: list[Span] = []
    for span in spans:
        fits = joined and span.end - joined[-1].start <= longest and span.start - joined[-1].end <= longest_gap
        if fits:
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


def _amplified(sound: np.ndarray) -> np.ndarray:
    level = float(np.percentile(levels(sound), _LEVEL_PERCENTILE))
    gain = min(max(0.0, _LOUD_DB - level), _MAX_GAIN_DB)
    louder = sound * np.float32(10 ** (gain / 20))
    return np.clip(louder, -1, 1, out=louder)
