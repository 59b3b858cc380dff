"""Removes the steady faults that equipment adds to a sound: a constant offset, and tones such as hum. Pure.

Whisper's spectrogram is relative to the loudest frequency, so a loud tone can hide a voice from the model although a
person still understands it. Sound without such a fault is returned unchanged.

"Sound" is that of `reader`: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from processors.whisper.audio.parts import SAMPLE_RATE_HZ, Sound, added

_OFFSET = 0.1  # of full scale; a smaller one costs no words, and 1 in 50 recordings has one
_OFFSET_STEP = SAMPLE_RATE_HZ // 10
_OFFSET_STEPS = 31  # 3 s: the median of as many means follows a sudden change of the offset, but not rumble
_VARIATION = 0.2  # of the means, relative to a constant offset; with wind, about 1
_FEWEST_OFFSETS = 20  # 2 s; a shorter one is a bump against the microphone

_FRAME = _HOP = 4096  # samples for each spectrum; its frequencies are 3.9 Hz apart
_STEADY_FRAMES = 12  # 3 s: no voice holds a tone for so long
_BATCH = 64  # spectra computed at once
_LINE = 5  # frequencies of a spectrum that a single tone takes
_LOWEST_HZ = 75.0  # the model and the voice detector tolerate lower ones
_STEADINESS = 0.5  # lowest power of a tone, relative to its mean; that of noise falls below a quarter
_LEAST_SHARE = 0.02  # of one tone in the power of all sound
_HARMFUL_SHARE = 0.3  # of all tones; Whisper begins to misunderstand words at half
_BLOCK = 200  # samples that share an amplitude when a tone is removed
_SMOOTHED_BLOCKS = 40
_MARGIN_BLOCKS = _FRAME // _BLOCK + 1  # before and after a tone, whose times are those of its frames
_SEARCH_HZ = 6.0  # from the frequency of a spectrum to that of a tone


@dataclass(frozen=True, kw_only=True)
class Tone:
    """A steady tone. Times in seconds of the sound."""

    hertz: float
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What was removed from a sound."""

    offset: float = 0.0  # the largest, -1 to 1
    offset_seconds: float = 0.0
    tones: tuple[Tone, ...] = ()

    def moved(self, seconds: float) -> "Faults":
        """The faults of a part that starts at this second."""
        moved = (replace(tone, start=tone.start + seconds, end=tone.end + seconds) for tone in self.tones)
        return replace(self, tones=tuple(moved))

    def __add__(self, other: "Faults") -> "Faults":
        return Faults(
            offset=max(self.offset, other.offset, key=abs),
            offset_seconds=self.offset_seconds + other.offset_seconds,
            tones=self.tones + other.tones,
        )


def repaired(sound: Sound) -> tuple[Sound, Faults]:
    """The sound without its faults: the same array if it has none."""
    samples, offsets = sound, _offsets(sound)
    large = offsets[np.abs(offsets) >= _OFFSET]
    if len(large) < _FEWEST_OFFSETS:
        large = large[:0]
    else:
        samples = added(sound, -offsets, _OFFSET_STEP)
    tones = tuple(replace(tone, hertz=_exact_hertz(samples, tone)) for tone in _tones(samples))
    if tones and samples is sound:
        samples = sound.copy()
    for tone in tones:
        _remove(samples, tone)
    offset, offset_seconds = max(large, key=abs, default=0.0), len(large) * _OFFSET_STEP / SAMPLE_RATE_HZ
    return samples, Faults(offset=float(offset), offset_seconds=offset_seconds, tones=tones)


def _offsets(sound: Sound) -> NDArray[np.float64]:
    """The offset of each 0.1 s; 0 where it varies, as wind and rumble do."""
    steps = len(sound) // _OFFSET_STEP
    if not steps:
        return np.zeros(0)
    means = sound[: steps * _OFFSET_STEP].reshape(steps, -1).mean(axis=1, dtype=np.float64)
    offsets = _medians(means)
    return np.where(_medians(np.abs(means - offsets)) < _VARIATION * np.abs(offsets), offsets, 0.0)


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of the 3 s around each value."""
    padded = np.pad(values, _OFFSET_STEPS // 2, mode="edge")
    medians: NDArray[np.float64] = np.median(np.lib.stride_tricks.sliding_window_view(padded, _OFFSET_STEPS), axis=1)
    return medians


def _tones(sound: Sound) -> tuple[Tone, ...]:
    """The tones that hide speech, if there are any."""
    frames = (len(sound) - _FRAME) // _HOP + 1
    starts = range(0, frames - _STEADY_FRAMES + 1, _BATCH)  # of stretches; one starts at each frame
    found = [_are_tones(_power(sound, start, min(frames, start + _BATCH + _STEADY_FRAMES - 1))) for start in starts]
    if not any(map(np.any, found)):
        return ()
    is_tone = np.concatenate(found)
    numbers: list[int] = np.flatnonzero(is_tone.any(axis=0)).tolist()
    return tuple(tone for number in numbers for tone in _stretches(is_tone[:, number], number))


def _are_tones(power: NDArray[np.float32]) -> NDArray[np.bool_]:
    """True where a frequency has a tone for an entire stretch; shape (n_stretches, n_frequencies)."""
    power[:, : round(_LOWEST_HZ * _FRAME / SAMPLE_RATE_HZ)] = 0
    total = _means(power.sum(axis=1, keepdims=True))
    lines = _line_sums(power)
    least = _lowest(lines)
    is_tone = (least >= _STEADINESS * _means(lines)) & (least > _LEAST_SHARE * total)
    is_tone &= least == _largest_nearby(least)
    is_harmful = (least * is_tone).sum(axis=1, keepdims=True) > _HARMFUL_SHARE * total
    both: NDArray[np.bool_] = is_tone & is_harmful
    return both


def _power(sound: Sound, first: int, last: int) -> NDArray[np.float32]:
    """The spectra of some frames, shape (n_frames, n_frequencies)."""
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    samples = sound[first * _HOP : (last - 1) * _HOP + _FRAME].reshape(-1, _FRAME)
    spectra = np.fft.rfft(samples * window)
    return (spectra.real**2 + spectra.imag**2).astype(np.float32)


def _line_sums(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """The power of each frequency plus that of its neighbors, which count less, so that a tone has one maximum."""
    sums = power.copy()
    for shift in range(1, _LINE // 2 + 1):
        weight = np.float32(1 - 2 * shift / (_LINE + 1))
        sums[:, shift:] += weight * power[:, :-shift]
        sums[:, :-shift] += weight * power[:, shift:]
    return sums


def _lowest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The minimum of each stretch."""
    count = len(values) - _STEADY_FRAMES + 1
    lowest = values[:count].copy()
    for shift in range(1, _STEADY_FRAMES):
        np.minimum(lowest, values[shift : shift + count], out=lowest)
    return lowest


def _means(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each stretch."""
    count = len(values) - _STEADY_FRAMES + 1
    sums = values[:count].copy()
    for shift in range(1, _STEADY_FRAMES):
        sums += values[shift : shift + count]
    sums /= _STEADY_FRAMES
    return sums


def _largest_nearby(values: NDArray[np.float32]) -> NDArray[np.float32]:
    largest = values.copy()
    for shift in range(1, _LINE):
        np.maximum(largest[:, shift:], values[:, :-shift], out=largest[:, shift:])
        np.maximum(largest[:, :-shift], values[:, shift:], out=largest[:, :-shift])
    return largest


def _stretches(is_tone: NDArray[np.bool_], number: int) -> Iterator[Tone]:
    """The tones of one frequency, by the stretches in which it was found."""
    edges = np.flatnonzero(np.diff(is_tone, prepend=False, append=False))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        end = (last + _STEADY_FRAMES - 2) * _HOP + _FRAME
        yield Tone(
            hertz=number * SAMPLE_RATE_HZ / _FRAME,
            start=float(first * _HOP / SAMPLE_RATE_HZ),
            end=float(end / SAMPLE_RATE_HZ),
        )


def _remove(sound: Sound, tone: Tone) -> None:
    """Subtract a tone while it lasts: its amplitude and phase are those of half a second around each block."""
    blocks = len(sound) // _BLOCK
    first = max(0, round(tone.start * SAMPLE_RATE_HZ) // _BLOCK - _MARGIN_BLOCKS)
    last = min(blocks, round(tone.end * SAMPLE_RATE_HZ) // _BLOCK + _MARGIN_BLOCKS)
    turn = 2j * np.pi * tone.hertz / SAMPLE_RATE_HZ  # for each sample
    wave = np.exp(turn * np.arange(2 * _BLOCK)).astype(np.complex64)
    phases = np.exp(turn * _BLOCK * np.arange(last - first))
    pieces = sound[first * _BLOCK : last * _BLOCK].reshape(-1, _BLOCK)
    smoothing = np.hanning(_SMOOTHED_BLOCKS + 2)[1:-1]
    found = np.convolve(pieces @ wave[:_BLOCK].conj() * phases.conj(), smoothing, mode="same")
    found *= 2 / _BLOCK * phases / np.convolve(np.ones(last - first), smoothing, mode="same")
    for start in range(0, last - first, _BATCH):
        pieces[start : start + _BATCH] -= np.outer(found[start : start + _BATCH], wave[:_BLOCK]).real
    if last == blocks:
        rest = sound[blocks * _BLOCK :]
        rest -= (found[-1] * wave[_BLOCK : _BLOCK + len(rest)]).real


def _exact_hertz(sound: Sound, tone: Tone) -> float:
    """The frequency of a tone, from its first seconds: the maximum of a parabola through its spectrum."""
    start = round(tone.start * SAMPLE_RATE_HZ)
    samples = sound[start : start + _STEADY_FRAMES * _FRAME]
    power = np.log(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) + 1e-12)
    lowest = round((tone.hertz - _SEARCH_HZ) * len(samples) / SAMPLE_RATE_HZ)
    highest = round((tone.hertz + _SEARCH_HZ) * len(samples) / SAMPLE_RATE_HZ)
    peak = lowest + int(np.argmax(power[lowest : highest + 1]))
    before, here, after = power[peak - 1 : peak + 2]
    return float((peak + (before - after) / (2 * (before - 2 * here + after))) * SAMPLE_RATE_HZ / len(samples))
