"""Repairs of decoded sound: samples over full scale, samples that are no numbers, channels in opposite phase."""

import numpy as np
import pytest

from processors.whisper.audio import parts, reader
from tests.unit.processors.whisper.recordings import tone, write_wave

SOUND = tone(3, rate_hz=16_000)


def read(path, **options) -> tuple[np.ndarray, reader.Track]:
    with reader.open_track(path, **options) as track:
        return np.concatenate([block.samples for block in track.blocks()]), track


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    length = min(len(one), len(other))
    return abs(float(np.corrcoef(one[:length], other[:length])[0, 1]))


@pytest.mark.parametrize("gain", [4.0, 16.0, 32768.0, 2.0**31], ids=["+6dB", "+18dB", "int16", "int32"])
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_sound_over_full_scale_keeps_its_form(tmp_path, gain, dtype):
    samples, track = read(write_wave(tmp_path / "loud.wav", (SOUND * gain).astype(dtype)))
    assert similarity(samples, SOUND) > 0.995 and 0.5 < np.abs(samples).max() <= 1 and track.not_numbers == 0


def test_overshoot_of_a_codec_is_clipped_as_by_openai_whisper(tmp_path):
    samples, _ = read(write_wave(tmp_path / "loud.wav", (SOUND * 2.5).astype("<f4")))
    assert np.array_equal(samples, np.clip(np.rint(SOUND * 2.5 * 32768), -32768, 32767).astype(np.float32) / 32768)


def test_one_click_does_not_silence_the_rest(tmp_path):
    clicked = SOUND.copy()
    clicked[8000:8010] = 1e6
    samples, _ = read(write_wave(tmp_path / "click.wav", clicked.astype("<f4")))
    assert parts.levels(samples[16_000:]).min() > -25


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_not_numbers_are_interpolated(tmp_path, bad):
    broken = SOUND.copy()
    broken[1000::50] = bad
    samples, track = read(write_wave(tmp_path / "broken.wav", broken.astype("<f4")))
    assert track.not_numbers == len(SOUND[1000::50]) and similarity(samples, SOUND) > 0.999


@pytest.mark.parametrize("channels", [8, 12])
def test_many_channels_are_repaired_too(tmp_path, channels):
    many = np.repeat(SOUND[:, None], channels, axis=1)
    many[100, :] = np.nan
    samples, track = read(write_wave(tmp_path / "many.wav", many.astype("<f4")))
    assert track.not_numbers == channels and similarity(samples, SOUND) > 0.999


@pytest.mark.parametrize("dtype", ["<i2", "<i4", "<f4"])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_channels_in_opposite_phase_do_not_cancel(tmp_path, dtype, noise):
    rng = np.random.default_rng(3)
    pair = np.stack([SOUND, -SOUND], 1) + noise * rng.standard_normal((len(SOUND), 2))
    scale = {"<i2": 32767, "<i4": 2**31 - 1, "<f4": 1}[dtype]
    samples, track = read(write_wave(tmp_path / "pair.wav", (pair * scale).astype(dtype)))
    assert similarity(samples, SOUND) > 0.99 and np.abs(samples).max() > 0.4
    assert track.opposite_seconds == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    "right", [SOUND, SOUND * 0, SOUND * -0.2, tone(3, 600, rate_hz=16_000)], ids=["same", "none", "weak", "other"]
)
def test_other_pairs_of_channels_are_mixed_unchanged(tmp_path, right):
    pair = (np.stack([SOUND, right], 1) * 32767).astype("<i2")
    samples, track = read(write_wave(tmp_path / "pair.wav", pair))
    assert track.opposite_seconds == 0 and np.abs(samples - (SOUND + right) / 2).max() < 0.001


def test_single_channel_of_an_opposite_pair_is_left_alone(tmp_path):
    pair = (np.stack([SOUND, -SOUND], 1) * 32767).astype("<i2")
    samples, track = read(write_wave(tmp_path / "pair.wav", pair), channel=2)
    assert np.abs(samples + SOUND).max() < 0.001 and track.opposite_seconds == 0


def test_opposite_phase_may_begin_in_the_middle(tmp_path):
    late = np.concatenate([SOUND, -SOUND])
    pair = (np.stack([np.tile(SOUND, 2), late], 1) * 32767).astype("<i2")
    samples, _ = read(write_wave(tmp_path / "pair.wav", pair))
    assert parts.levels(samples[16_000 * 6 - 24_000 :]).min() > -15  # after 1.5 s at the latest
