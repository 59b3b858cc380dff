"""Speech that the model misunderstands: reported, while clear speech is not."""

from collections.abc import Callable

import jiwer
import numpy as np
import pytest

from processors.whisper.audio.parts import SAMPLE_RATE_HZ, Sound
from tests.unit.processors.whisper.recordings import write_wave
from tests.unit.processors.whisper.test_whisper import KENNEDY, SPOKEN, read_sound, words


def with_echo(sound: Sound) -> Sound:
    """In a hall whose echo falls by 60 dB in a second, far from the speaker."""
    echo = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ) * 10 ** (
        -3 * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    )
    size = len(sound) + len(echo)
    found = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(echo, size), size)
    return (0.9 * found / np.abs(found).max()).astype(np.float32)


def clipped(sound: Sound) -> Sound:
    """Recorded 40 dB too loud."""
    return np.clip(100 * sound / np.abs(sound).max(), -1, 1)


def in_noise(sound: Sound) -> Sound:
    """As loud as the speech."""
    noise = np.random.default_rng(1).standard_normal(len(sound)).astype(np.float32) * np.sqrt(np.mean(sound**2))
    return 0.3 * (sound + noise) / np.sqrt(np.mean(sound**2)) / 4


@pytest.mark.parametrize(("way", "distort"), [("exact", with_echo), ("exact", clipped), ("fast", clipped)])
def test_misunderstood_speech_is_reported(transcribe, tmp_path, way: str, distort: Callable[[Sound], Sound]):
    talk = (distort(read_sound("jfk.flac")) * 32767).astype("<i2")
    found = transcribe(write_wave(tmp_path / "talk.wav", talk), way=way)
    assert jiwer.wer(words(KENNEDY), words(found.text) or "-") > 0.25, "or else this test shows nothing"
    assert "is uncertain: words may be wrong or missing" in found.review, found.text


def test_words_in_loud_noise_are_reported(transcribe, tmp_path):
    name = "LJ001-0004.flac"
    found = transcribe(write_wave(tmp_path / "talk.wav", (in_noise(read_sound(name)) * 32767).astype("<i2")))
    assert jiwer.wer(words(SPOKEN[name]), words(found.text) or "-") > 0.25, "or else this test shows nothing"
    assert "is uncertain" in found.review, found.text


@pytest.mark.parametrize("name", ["LJ001-0002.mp3", "LJ001-0007.mp4", "LJ001-0008.8k.wav"])
@pytest.mark.parametrize("way", ["exact", "fast"])
def test_clear_speech_is_not_uncertain(transcribe, way: str, name: str):
    """Even if it is short, or has rare names."""
    assert transcribe(name, way=way).finished.review == ()
