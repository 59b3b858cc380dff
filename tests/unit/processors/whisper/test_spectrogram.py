"""A spectrogram that is computed in pieces is whisper's."""

import pytest
import torch
from whisper.audio import N_SAMPLES, log_mel_spectrogram

from processors.whisper.engines import spectrogram


@pytest.mark.parametrize("padding", [0, N_SAMPLES])
@pytest.mark.parametrize("samples", [1600, 15_999, 48_000, 48_001, 48_119, 48_120, 48_160, 100_123])
def test_pieces_join_to_whispers_spectrogram(samples, padding, monkeypatch):
    monkeypatch.setattr(spectrogram, "_FRAMES_AT_ONCE", 100)
    sound = torch.randn(samples, generator=torch.Generator().manual_seed(samples)) * 0.1
    sound[samples // 2 :] *= 1e-4  # below the range of what is louder
    wanted = log_mel_spectrogram(sound, 80, padding=padding)
    assert torch.allclose(spectrogram.log_mel(sound, 80, padding), wanted, atol=1e-5)


def test_sound_is_not_changed():
    sound = torch.linspace(-1, 1, 20_000)
    before = sound.clone()
    spectrogram.log_mel(sound, 80)
    assert torch.equal(sound, before)
