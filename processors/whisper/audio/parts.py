"""Cut a track's sound into parts of a few minutes, at quiet places. Independent of files.

"Sound" is that of `reader`: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
SAMPLE_RATE_HZ = 16_000
PART_SECONDS = 600.0  # the longest part in memory: 38 MB of samples, about 250 MB while its spectrogram is computed
CUT_SECONDS = 30.0  # a part is cut at the quietest place within its last seconds
PROBE_SECONDS = 0.2  # length of a quiet place
_AT_ONCE = 30 * SAMPLE_RATE_HZ  # samples


@dataclass(frozen=True)
class Block:
    """Some seconds of sound. The track has no sound between two blocks."""

    at: int  # its first sample, counted from the file's time 0
    samples: Sound

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a track, at most `PART_SECONDS` long."""

    at_seconds: float  # in the track
    samples: Sound

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


def parts(blocks: Iterator[Block], clips: Sequence[tuple[float, float]] = ()) -> Iterator[Part]:
    """Join blocks to parts of at most `PART_SECONDS`, cut where it is quiet and where a block does not follow the one
    before; only within `clips`, if there are any.

    `clips`: starts and ends in seconds, in order.
    """
    longest = round(PART_SECONDS * SAMPLE_RATE_HZ)
    held: list[Sound] = []
    start, count = 0, 0  # of the collected samples
    for at, block in _within(blocks, clips):
        if held and at != start + count:  # another clip, or after a gap
            yield Part(at_seconds=start / SAMPLE_RATE_HZ, samples=_joined(held))
            count = 0
        start = start if held else at
        held.append(block)
        count += len(block)
        while count > longest:
            cut = _cut(held, longest)
            yield Part(at_seconds=start / SAMPLE_RATE_HZ, samples=held.pop(0))
            start, count = start + cut, count - cut
    if held:
        yield Part(at_seconds=start / SAMPLE_RATE_HZ, samples=_joined(held))


# A part is 38 MB. While it is transcribed, or the next one is read, nothing here may hold it, as a variable would.
def _joined(held: list[Sound]) -> Sound:
    """All that is held, as one sound. It is held no longer."""
    sound = np.concatenate(held)
    held.clear()
    return sound


def _cut(held: list[Sound], longest: int) -> int:
    """Join what is held, and cut it in two before `longest` samples. Return the number of samples of the first."""
    sound = _joined(held)
    cut = _quietest(sound[:longest])
    held += sound[:cut], sound[cut:].copy()  # a copy: a view would keep all of it in memory
    return cut


def _within(blocks: Iterator[Block], clips: Sequence[tuple[float, float]]) -> Iterator[tuple[int, Sound]]:
    """Yield the sound within the clips as blocks, each with the number of its first sample."""
    ranges = [(round(start * SAMPLE_RATE_HZ), end * SAMPLE_RATE_HZ) for start, end in clips] or [(0, float("inf"))]
    for block in blocks:
        end_of_block = block.at + len(block)
        for start, end in ranges:
            first, last = max(start, block.at), int(min(end, end_of_block))
            if first < last:
                yield first, block.samples[first - block.at : last - block.at]
        if end_of_block >= ranges[-1][1]:
            return


def levels(sound: Sound, step_seconds: float = 0.1) -> NDArray[np.float32]:
    """The loudness of each step: float32, shape (ceil(n_samples / step),), RMS in dB of full scale, at least -120."""
    step = round(step_seconds * SAMPLE_RATE_HZ)
    whole = len(sound) // step * step
    steps, rest = sound[:whole].reshape(-1, step), sound[whole:]  # apart: avoids a second copy of ten minutes
    power = np.einsum("ij,ij->i", steps, steps) / step
    if len(rest):
        power = np.append(power, rest @ rest / step)
    decibels: NDArray[np.float32] = 10 * np.log10(np.maximum(power, 1e-12))
    return decibels


def added(sound: Sound, values: NDArray[np.float64], step: int) -> Sound:
    """Add `values` to the sound: one to the middle of each `step` samples, and interpolated values between them."""
    middles, found = np.arange(len(values)) * step + (step - 1) / 2, np.empty_like(sound)
    for start in range(0, len(sound), _AT_ONCE):  # interpolation takes 16 bytes a sample
        piece = sound[start : start + _AT_ONCE]
        found[start : start + len(piece)] = piece + np.interp(np.arange(start, start + len(piece)), middles, values)
    return found


def _quietest(sound: Sound) -> int:
    """The sample to cut at: the middle of the quietest place within the last `CUT_SECONDS`."""
    start = max(0, len(sound) - round(CUT_SECONDS * SAMPLE_RATE_HZ))
    place = int(np.argmin(levels(sound[start:], PROBE_SECONDS)))
    return min(len(sound), start + round((place + 0.5) * PROBE_SECONDS * SAMPLE_RATE_HZ))
