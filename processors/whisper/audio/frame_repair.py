"""Repair decoded frames before they are mixed and converted to 16 bits, which would lose their sound.

Samples that are not numbers are interpolated, floating-point sound over full scale is turned down, and a channel in
opposite phase, which would cancel the other one in a mix, is inverted.

"Samples" are those of one frame in its own format, shape (n_channels, n_samples).
"""

import math

import av
import numpy as np

_FLOATS = {"flt", "fltp", "dbl", "dblp"}  # FFmpeg's sample formats that hold NaN, infinity and more than full scale
_SIGNED = {"s16", "s16p", "s32", "s32p"}
_MAX_PLANES = 7  # PyAV 18 crashes on frames of eight
_LARGEST = 1e10  # above 32-bit integers stored as floats: not a sample
_CLIPPED = 1.41  # +3 dB: lossy codecs overshoot, and openai-whisper clips that
_CREST = 4.0  # of speech, above the 99th percentile of 20 ms; a higher peak is a click, which may be clipped
_RECOVERY_DB_PER_SECOND = 0.5
_PHASE_SECONDS = 0.5  # time constant of the energies that are compared
_SAME_SOUND = 0.5  # correlation of two channels, -1 to 1
_SILENT_ENERGY = 1e-5  # of a channel, relative to that of full scale for a second: 10 s at -60 dB
_OPPOSITE = 10.0  # energy of the difference of two channels, as a multiple of that of their sum


class FrameRepair:
    """Repairs one track, frame by frame."""

    def __init__(self, mixes: bool):
        """mixes: the channels are mixed afterwards."""
        self._mixes = mixes
        self.not_numbers = 0  # samples, so far
        self.opposite_seconds = 0.0  # in which a channel was inverted, so far
        self._gain = 1.0
        self._sum_energy = self._difference_energy = 0.0
        self._energies = np.zeros(4)  # of two channels, their sum and their difference, times seconds; so far

    @property
    def has_different_channels(self) -> bool:
        """True if each of two channels has its own sound, such as the two sides of a telephone call."""
        left, right, both, difference = map(float, self._energies)
        return min(left, right) > _SILENT_ENERGY and abs(both - difference) < _SAME_SOUND * (both + difference)

    def repaired(self, frame: av.AudioFrame) -> av.AudioFrame:
        """The frame itself, or a repaired copy."""
        is_float, channels = frame.format.name in _FLOATS, frame.layout.nb_channels
        is_pair = self._mixes and channels == 2 and (is_float or frame.format.name in _SIGNED)
        if not frame.samples or not frame.sample_rate or not (is_float or is_pair):
            return frame
        if frame.format.is_planar and channels > _MAX_PLANES:
            frame = _packed(frame)
        given = repaired = by_channel(frame)
        seconds = frame.samples / frame.sample_rate
        if is_float:
            repaired = self._turned_down(self._numbers(repaired), seconds)
        if is_pair:
            repaired = self._in_phase(repaired, seconds)
        return frame if repaired is given else _copy(frame, repaired)

    def _numbers(self, samples: np.ndarray) -> np.ndarray:
        """Replace samples that are NaN or infinite by interpolating between their neighbors."""
        is_number = np.abs(samples) < _LARGEST  # False for NaN
        if is_number.all():
            return samples
        self.not_numbers += int(samples.size - is_number.sum())
        places, repaired = np.arange(samples.shape[1]), np.zeros_like(samples)
        for channel, known in enumerate(is_number):
            if known.any():
                repaired[channel] = np.interp(places, places[known], samples[channel, known])
        return repaired

    def _turned_down(self, samples: np.ndarray, seconds: float) -> np.ndarray:
        """Reduce the gain immediately where the sound clips; raise it slowly, so that a voice keeps its level."""
        self._gain = min(1.0, self._gain * 10 ** (_RECOVERY_DB_PER_SECOND * seconds / 20))
        peak = float(np.abs(samples).max())
        if peak > _CLIPPED:
            peak = min(peak, _CREST * float(np.percentile(np.abs(samples), 99)))
        if peak > _CLIPPED:
            self._gain = min(self._gain, 1 / peak)
        return samples if self._gain == 1.0 else samples * samples.dtype.type(self._gain)

    def _in_phase(self, samples: np.ndarray, seconds: float) -> np.ndarray:
        left, right = samples.astype(np.float32) if samples.dtype.kind == "i" else samples
        keep, energies = math.exp(-seconds / _PHASE_SECONDS), [*map(_energy, (left, right, left + right, left - right))]
        full_scale = float(np.iinfo(samples.dtype).max) if samples.dtype.kind == "i" else 1.0
        self._energies += np.multiply(energies, seconds / full_scale**2)
        self._sum_energy = keep * self._sum_energy + energies[2]
        self._difference_energy = keep * self._difference_energy + energies[3]
        if self._difference_energy <= _OPPOSITE * self._sum_energy:
            return samples
        self.opposite_seconds += seconds
        least = -np.iinfo(samples.dtype).max if samples.dtype.kind == "i" else -np.inf  # -32768 has no opposite
        return np.stack([samples[0], -np.maximum(samples[1], least)])


def _energy(samples: np.ndarray) -> float:
    """The mean square of one channel, (n_samples,)."""
    return float(samples @ samples) / len(samples)


def by_channel(frame: av.AudioFrame) -> np.ndarray:
    """The samples, shape (n_channels, n_samples)."""
    if frame.format.is_planar and frame.layout.nb_channels > _MAX_PLANES:
        frame = _packed(frame)
    samples = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T


def _copy(frame: av.AudioFrame, samples: np.ndarray) -> av.AudioFrame:
    laid_out = samples if frame.format.is_planar else samples.T.reshape(1, -1)
    copy = av.AudioFrame.from_ndarray(np.ascontiguousarray(laid_out), format=frame.format.name, layout=frame.layout)
    copy.sample_rate, copy.pts, copy.time_base = frame.sample_rate, frame.pts, frame.time_base
    return copy


def _packed(frame: av.AudioFrame) -> av.AudioFrame:
    """The same sound with its channels interleaved."""
    (packed,) = av.AudioResampler(format=frame.format.packed.name, layout=None, rate=frame.sample_rate).resample(frame)
    packed.pts, packed.time_base = frame.pts, frame.time_base
    return packed
