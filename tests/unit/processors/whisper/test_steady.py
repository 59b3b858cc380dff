"""Constant offsets and steady tones are removed; any other sound is returned unchanged."""

import numpy as np
import pytest

from processors.whisper.audio import steady
from processors.whisper.audio.parts import levels
from tests.unit.processors.whisper.test_whisper import read_sound


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return read_sound("jfk.flac") * np.float32(0.35)


def tone(hertz: float, level: float, samples: int) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(samples) / 16_000)).astype(np.float32)


def wind(samples: int) -> np.ndarray:
    """Noise whose power falls with the square of the frequency."""
    spectrum = np.fft.rfft(np.random.default_rng(7).standard_normal(samples))
    sound = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))), samples)
    return 0.8 * sound / np.abs(sound).max()


def error_db(sound: np.ndarray, voice: np.ndarray) -> float:
    return float(10 * np.log10(np.mean((sound - voice) ** 2) / np.mean(voice**2)))


@pytest.mark.parametrize("offset", [-0.6, 0.2, 0.6])
def test_offset_is_removed(voice, offset):
    found, faults = steady.repaired(voice + np.float32(offset))
    assert error_db(found, voice) < -50
    assert faults.offset == pytest.approx(offset, abs=0.01) and faults.offset_seconds == pytest.approx(11.0)


def test_offset_that_begins_suddenly_is_removed_from_there(voice):
    late = np.where(np.arange(len(voice)) < 80_500, 0, 0.5).astype(np.float32)
    found, faults = steady.repaired(voice + late)
    assert faults.offset_seconds == pytest.approx(6.0, abs=0.2)
    away = np.abs(np.arange(len(voice)) - 80_500) > 3200
    assert np.abs(found - voice)[away].max() < 0.001


@pytest.mark.parametrize("hertz", [100.0, 440.0, 997.3, 3000.0])
@pytest.mark.parametrize("level", [0.1, 0.3])
def test_tone_is_removed_up_to_both_ends(voice, hertz, level):
    found, faults = steady.repaired(voice + tone(hertz, level, len(voice)))
    assert error_db(found, voice) < -25
    assert [round(each.hertz, 1) for each in faults.tones] == [hertz]
    (only,) = faults.tones
    assert only.start == 0 and only.end == pytest.approx(11.0, abs=0.3)


def test_tone_in_the_middle_is_removed_there(voice):
    some = tone(1000, 0.2, len(voice))
    some[:48_000] = some[144_000:] = 0
    found, faults = steady.repaired(voice + some)
    (only,) = faults.tones
    assert only.start == pytest.approx(3.0, abs=0.3) and only.end == pytest.approx(9.0, abs=0.3)
    assert (
        np.array_equal(found[:40_000], voice[:40_000]) and error_db(found[56_000:136_000], voice[56_000:136_000]) < -25
    )


def test_hum_with_its_harmonics_is_removed(voice):
    hum = sum(tone(50 * number, 0.25 / number, len(voice)) for number in range(2, 9))
    found, faults = steady.repaired(voice + hum)
    assert error_db(voice + hum, voice) > 5 and error_db(found, voice) < -12
    assert {100, 150, 200, 250} <= {round(each.hertz) for each in faults.tones}


def test_tone_in_a_long_sound_is_removed():
    """It is examined in several batches."""
    hiss = np.random.default_rng(1).standard_normal(60 * 16_000).astype(np.float32) * 0.01
    found, faults = steady.repaired(hiss + tone(700, 0.2, len(hiss)))
    (only,) = faults.tones
    assert only.end == pytest.approx(60.0, abs=0.3) and levels(found).max() < -38


def test_tone_without_any_other_sound_leaves_silence():
    found, _ = steady.repaired(tone(440, 0.3, 160_000))
    assert levels(found).max() < -60


@pytest.mark.parametrize("name", ["jfk.flac", "LJ001-0004.flac", "LJ001-0008.8k.wav", "LJ001-0007.mp4"])
def test_speech_is_returned_unchanged(name):
    sound = read_sound(name)
    found, faults = steady.repaired(sound)
    assert found is sound and faults == steady.Faults()


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(0),
        np.zeros(100),
        np.zeros(160_000),
        np.random.default_rng(7).standard_normal(160_000) * 0.1,
        np.random.default_rng(7).standard_normal(160_000) * 0.1 + 0.05,
        wind(160_000),
        tone(880, 0.3, 160_000) * (np.arange(160_000) % 16_000 < 5_000),
        np.concatenate([tone(440, 0.3, 32_000), tone(550, 0.3, 32_000), tone(660, 0.3, 32_000)]),
    ],
    ids=["nothing", "short", "silence", "noise", "small-offset", "wind", "beeps", "melody"],
)
def test_sound_without_a_fault_is_returned_unchanged(sound):
    given = sound.astype(np.float32)
    assert steady.repaired(given)[0] is given


def test_faults_of_parts_are_joined():
    one = steady.Faults(offset=0.1, offset_seconds=4.0)
    other = steady.Faults(offset=-0.3, offset_seconds=2.0, tones=(steady.Tone(hertz=50.0, start=1.0, end=5.0),))
    both = one + other.moved(600.0)
    assert (both.offset, both.offset_seconds, both.tones[0].start, both.tones[0].end) == (-0.3, 6.0, 601.0, 605.0)
