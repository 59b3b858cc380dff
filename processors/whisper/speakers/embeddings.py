"""Embeddings of voices: one vector for every window of speech, near each other for one speaker.

The network and its features are Resemblyzer's (GE2E, arXiv:1710.10467): 40 mel bands, a three-layer LSTM of 256 units.
"Sound" is that of `audio.reader`: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from processors.whisper.audio import vad
from processors.whisper.audio.parts import SAMPLE_RATE_HZ, Sound

WINDOW_SECONDS, STEP_SECONDS = 1.6, 0.4  # the network was trained on windows of 1.6 s
_SHORTEST_SECONDS = 0.4  # of speech from which a voice can be recognized
_BANDS, _UNITS, _LAYERS = 40, 256, 3
_FFT, _HOP = 400, 160  # 25 and 10 ms
_LEVEL = 10 ** (-30 / 20)  # RMS to which quieter speech is amplified, as in training
_AT_ONCE = 64


Embedding = NDArray[np.float32]  # shape (256,), of length 1


@dataclass(frozen=True, kw_only=True)
class Voice:
    """The voice in one window."""

    start: float  # seconds of the file
    end: float
    embedding: Embedding


class VoiceEncoder(nn.Module):
    """Resemblyzer's network, for evaluation only."""

    def __init__(self, state: Mapping[str, Tensor]):
        """state: the network's weights.

        Raises:
            RuntimeError: they are of another network.
        """
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, _UNITS, _LAYERS, batch_first=True)
        self.linear = nn.Linear(_UNITS, _UNITS)
        own = ("lstm.", "linear.")
        self.load_state_dict({name: value for name, value in state.items() if name.startswith(own)})
        self.eval()

    @torch.inference_mode()
    def embed(self, mels: Tensor) -> Tensor:
        """mels: (n_windows, n_frames, 40) -> (n_windows, 256), each of length 1."""
        _, (hidden, _) = self.lstm(mels)
        raw = torch.relu(self.linear(hidden[-1]))
        lengths: Tensor = raw.norm(dim=1, keepdim=True)
        return raw / lengths.clamp_min(1e-9)

    def voices(self, sound: Sound, spoken: Sequence[vad.Span], at_seconds: float) -> list[Voice]:
        """The voices in the speech of one part, which starts at `at_seconds` of the file."""
        windows = [window for span in spoken for window in _windows(span)]
        found: list[Voice] = []
        for first in range(0, len(windows), _AT_ONCE):
            some = windows[first : first + _AT_ONCE]
            mels = torch.stack([mel_spectrogram(_window_sound(sound, window)) for window in some])
            for window, embedding in zip(some, self.embed(mels).numpy(), strict=True):
                start, end = at_seconds + window.start, at_seconds + window.end
                found.append(Voice(start=start, end=end, embedding=embedding))
        return found


def _windows(span: vad.Span) -> list[vad.Span]:
    """Overlapping windows that cover a span of speech."""
    seconds = span.end - span.start
    if seconds < _SHORTEST_SECONDS:
        return []
    if seconds <= WINDOW_SECONDS:
        return [span]
    steps = max(1, round((seconds - WINDOW_SECONDS) / STEP_SECONDS))
    starts = [span.start + (seconds - WINDOW_SECONDS) * number / steps for number in range(steps + 1)]
    return [vad.Span(start, start + WINDOW_SECONDS) for start in starts]


def _window_sound(sound: Sound, window: vad.Span) -> Sound:
    """1.6 s of sound; shorter speech is repeated."""
    length = round(WINDOW_SECONDS * SAMPLE_RATE_HZ)
    first = max(0, round(window.start * SAMPLE_RATE_HZ))
    samples = sound[first : max(first + 1, round(window.end * SAMPLE_RATE_HZ))][:length]
    level = float(np.sqrt(np.mean(samples**2)))
    louder = samples * (_LEVEL / level) if 0 < level < _LEVEL else samples
    return np.resize(louder, length)


def mel_spectrogram(samples: Sound) -> Tensor:
    """librosa's `melspectrogram(n_fft=400, hop_length=160, n_mels=40)` of 16 kHz, transposed: (n_frames, 40)."""
    spectrum = torch.stft(
        torch.from_numpy(np.ascontiguousarray(samples, np.float32)),
        _FFT,
        _HOP,
        window=torch.hann_window(_FFT),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return (_mel_filters() @ spectrum.abs() ** 2).T[: round(WINDOW_SECONDS * SAMPLE_RATE_HZ) // _HOP]


@lru_cache
def _mel_filters() -> Tensor:
    """Slaney's triangular filters, of equal area: (40, 201)."""
    edges = _from_mel(np.linspace(0.0, _to_mel(SAMPLE_RATE_HZ / 2), _BANDS + 2))
    hertz = np.linspace(0, SAMPLE_RATE_HZ / 2, _FFT // 2 + 1)
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(filters.astype(np.float32))


_LINEAR_HERTZ, _LINEAR_STEP, _LOG_STEP = 1000.0, 200 / 3, np.log(6.4) / 27.0  # of Slaney's mel scale


def _to_mel(hertz: float) -> float:
    return float(_LINEAR_HERTZ / _LINEAR_STEP + np.log(hertz / _LINEAR_HERTZ) / _LOG_STEP)


def _from_mel(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    border = _LINEAR_HERTZ / _LINEAR_STEP
    return np.where(mels < border, mels * _LINEAR_STEP, _LINEAR_HERTZ * np.exp(_LOG_STEP * (mels - border)))
