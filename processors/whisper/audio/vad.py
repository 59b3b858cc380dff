"""Voice activity detection by Silero, whose package includes its ONNX weights. Independent of Whisper.

"Sound" is that of `reader`: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import torch
from numpy.typing import NDArray

from processors.whisper.audio.parts import SAMPLE_RATE_HZ, Sound, added, levels

THRESHOLD = 0.35  # below Silero's 0.5: a false positive costs a decoded window, a false negative costs words
PAD_SECONDS = 0.2  # added before and after speech, for soft first and last sounds
PAUSE_SECONDS = 0.3  # a shorter silence does not end a span
LONGEST_SECONDS = 29.0  # a longer stretch is cut at its last short pause
_SHORTEST_MS = 100
_WEIGHTS = "silero_vad_16k_sequence.onnx"

_LOUD_DB = -30.0  # the loudest 0.1 s of speech as quiet as the detector finds reliably; quieter speech is amplified
# Enough for speech recorded 40 dB too quietly, but too little to turn the hiss of a silent room into a voice.
_MAX_GAIN_DB = 45.0
_STEP_SECONDS = 0.1
_STRETCH_STEPS = 31  # 3 s: a pause up to this long keeps the gain of the speech around it
_PEAK = 0.99
_AT_ONCE = 30 * SAMPLE_RATE_HZ  # samples

_LOWEST_VOICE_HZ = 75.0
_HUM_SHARE = 0.5  # of the power of all sound
_HUM_STEP = 40  # samples; a rate of 400 Hz suffices for frequencies below 75 Hz
_HUM_MARGIN = 400  # steps before and after the sound, against ringing at its ends


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

    def spans(self, sound: Sound) -> list[Span]:
        """The speech in order, without overlap, no span longer than `LONGEST_SECONDS` plus its padding."""
        if not len(sound):
            return []
        with self._lock:
            found = self._find(
                _amplified(_without_hum(sound)),
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


def _without_hum(sound: Sound) -> Sound:
    """The sound without frequencies below any voice, if these are most of it: hum of the mains, rumble, an offset.

    Whisper recognizes a voice in such hum, but the detector does not.
    """
    steps = len(sound) // _HUM_STEP
    low = sound[: steps * _HUM_STEP].reshape(-1, _HUM_STEP).mean(axis=1, dtype=np.float64)
    margin = min(_HUM_MARGIN, steps - 1)
    if margin <= 0:
        return sound
    padded = np.pad(low, margin, mode="reflect")
    spectrum, hertz = np.fft.rfft(padded), np.fft.rfftfreq(len(padded), _HUM_STEP / SAMPLE_RATE_HZ)
    # A mean weakens higher frequencies, and so does linear interpolation between the means, twice as much.
    spectrum /= np.sinc(hertz * _HUM_STEP / SAMPLE_RATE_HZ) ** 3
    spectrum[hertz > _LOWEST_VOICE_HZ] = 0
    hum = np.fft.irfft(spectrum, len(padded))[margin : margin + steps]
    if np.mean(hum**2) <= _HUM_SHARE * np.vdot(sound, sound) / len(sound):
        return sound
    return added(sound, -hum, _HUM_STEP)


def _amplified(sound: Sound) -> Sound:
    """Amplify every stretch of some seconds to the level of speech, so that a loud voice does not hide a quiet one.

    The level of a stretch is the morphological closing of the levels of its steps: a single click has no influence on
    the steps beside it. No sample exceeds full scale.
    """
    loudness = levels(sound, _STEP_SECONDS)
    level = -_dilated(-_dilated(loudness, _STRETCH_STEPS), _STRETCH_STEPS)
    gain_db = np.clip(_LOUD_DB - level, 0, _MAX_GAIN_DB)
    gain = np.minimum(10 ** (gain_db / 20), _PEAK / np.maximum(_dilated(_peaks(sound), 3), 1e-9))
    step = round(_STEP_SECONDS * SAMPLE_RATE_HZ)
    middles = np.arange(len(gain)) * step + step / 2
    louder = np.empty_like(sound)
    for start in range(0, len(sound), _AT_ONCE):  # interpolation takes 16 bytes a sample
        piece = sound[start : start + _AT_ONCE]
        louder[start : start + len(piece)] = piece * np.interp(np.arange(start, start + len(piece)), middles, gain)
    return np.clip(louder, -1, 1, out=louder)


def _dilated(values: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """The maximum of the `width` values around each value."""
    padded = np.pad(values, width // 2, mode="edge")
    largest: NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(padded, width).max(axis=1)
    return largest


def _peaks(sound: Sound) -> NDArray[np.float32]:
    """The largest magnitude of each step; shape as that of `levels`."""
    step = round(_STEP_SECONDS * SAMPLE_RATE_HZ)
    steps = np.pad(sound, (0, -len(sound) % step)).reshape(-1, step)
    peaks: NDArray[np.float32] = np.maximum(steps.max(axis=1), -steps.min(axis=1))
    return peaks
