"""The audio encoder gives the features of whisper's own, though it computes the silence after a sound only once."""

import pytest
import torch
import torch.nn.functional as F
import whisper.model

from processors.whisper.decoder import audio_encoder as module
from processors.whisper.decoder import kernels
from processors.whisper.decoder.audio_encoder import AudioEncoder

POSITIONS = 150
FRAMES = (0, 1, 2, 3, 95, 96, 97, 98, 99, 100, 201, 299, 300)  # of sound: also on both sides of a step


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    encoder = whisper.model.AudioEncoder(n_mels=8, n_ctx=POSITIONS, n_state=32, n_head=2, n_layer=2).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return encoder


@pytest.fixture
def ours(theirs):
    return AudioEncoder(theirs, torch.float32, kernels.plain, F.scaled_dot_product_attention)


def sound(frames: int) -> torch.Tensor:
    mel = torch.randn(1, 8, 2 * POSITIONS, generator=torch.Generator().manual_seed(frames))
    mel[:, :, frames:] = 0
    return mel


def is_near(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return torch.allclose(found, wanted, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("frames", FRAMES)
def test_features_are_those_of_whispers_encoder(ours, theirs, frames):
    assert is_near(ours.encode(sound(frames)), theirs(sound(frames)))


@torch.inference_mode()
def test_silence_of_a_pass_starts_after_its_longest_sound(ours, theirs):
    mels = torch.cat([sound(97), sound(200), sound(0)])
    assert is_near(ours.encode(mels), theirs(mels))


@torch.inference_mode()
def test_silence_that_starts_too_early_changes_the_features(ours, theirs, monkeypatch):
    monkeypatch.setattr(module, "_SOUNDING_STEP", 1)
    assert is_near(ours.encode(sound(99)), theirs(sound(99)))
    monkeypatch.setattr(module, "_REACH", 1)
    assert not is_near(ours.encode(sound(99)), theirs(sound(99)))


@torch.inference_mode()
def test_stored_silence_is_used(ours, theirs):
    ours._silence = tuple(torch.zeros_like(kept) for kept in ours._silence)
    assert not is_near(ours.encode(sound(97)), theirs(sound(97)))
    assert is_near(ours.encode(sound(300)), theirs(sound(300)))
