"""The spectrogram of a sound of any length, as `whisper.log_mel_spectrogram` computes it, but piece by piece.

whisper transforms all of a sound at once: 250 MB for ten minutes, of which 20 MB are the result.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters

_FRAMES_AT_ONCE = 3000
_MARGIN = N_FFT // 2  # samples of a frame on each side of its middle
_LEAST_POWER = 1e-10
_RANGE = 8.0  # powers of ten below the loudest place: the minimum, to which quieter values are raised


def log_mel(sound: Tensor, n_mels: int, padding: int = 0) -> Tensor:
    """Samples (n,), at least as many as `_MARGIN` after the padding -> float32, (n_mels, frames), on their device.

    padding: zeros after the sound, in samples.
    """
    total = len(sound) + padding
    count = total // HOP_LENGTH
    window, filters = torch.hann_window(N_FFT).to(sound.device), mel_filters(sound.device, n_mels)
    found = torch.empty(n_mels, count, device=sound.device)
    sounding = min(count, -(-(len(sound) + _MARGIN) // HOP_LENGTH))  # all later frames contain only zeros
    if total - len(sound) < N_FFT:  # the mirrored end contains sound
        sounding = count
    found[:, sounding:] = math.log10(_LEAST_POWER)
    for first in range(0, sounding, _FRAMES_AT_ONCE):
        last = min(sounding, first + _FRAMES_AT_ONCE)
        piece = _stretch(sound, total, first * HOP_LENGTH - _MARGIN, (last - 1) * HOP_LENGTH + _MARGIN)
        transformed = torch.stft(piece, N_FFT, HOP_LENGTH, window=window, center=False, return_complex=True)
        found[:, first:last] = (filters @ transformed.abs() ** 2).clamp(min=_LEAST_POWER).log10()
    torch.maximum(found, found.max() - _RANGE, out=found)
    return found.add_(4.0).div_(4.0)


def _stretch(sound: Tensor, total: int, start: int, end: int) -> Tensor:
    """Samples from `start` to `end` of a sound followed by zeros, `total` together, and mirrored at both its ends."""
    inner = sound[max(0, start) : max(0, min(end, len(sound)))]
    zeros = min(end, total) - max(0, start) - len(inner)
    return F.pad(F.pad(inner, (0, zeros))[None], (max(0, -start), max(0, end - total)), mode="reflect")[0]
