"""The voice detector on real speech, and on sounds without any."""

import numpy as np
import pytest

from processors.whisper.audio import parts, reader, vad
from processors.whisper.audio.vad import Span
from tests.unit.processors.whisper.test_whisper import SAMPLES

SECONDS = np.arange(10 * 16_000) / 16_000


@pytest.fixture(scope="module")
def detector() -> vad.Detector:
    return vad.Detector()


def kennedy() -> np.ndarray:
    with reader.open_track(SAMPLES / "jfk.flac") as track:
        return np.concatenate([block.samples for block in track.blocks()])


def test_pauses_of_a_speech_are_found(detector):
    spans = detector.spans(kennedy())
    assert len(spans) == 4 and 8.5 < vad.seconds_within(spans, 0, 11) < 10.5
    assert vad.seconds_within(spans, 4.7, 5.1) == 0  # after "Americans"


def test_very_quiet_speech_is_found(detector):
    assert 8.5 < vad.seconds_within(detector.spans(kennedy() * 0.01), 0, 11) < 10.5


@pytest.mark.parametrize("hertz", [0, 16, 50, 60])
@pytest.mark.parametrize("level", [0.1, 0.5])
def test_speech_over_hum_is_found(detector, hertz, level):
    """Hum of the mains, rumble, or a constant offset, louder than the voice."""
    voice = kennedy() * 0.3
    hum = level * np.cos(2 * np.pi * hertz * np.arange(len(voice)) / 16_000)
    assert 8.0 < vad.seconds_within(detector.spans((voice + hum).astype(np.float32)), 0, 11) < 10.8


def test_hum_without_speech_has_no_spans(detector):
    hum = sum(0.5 / number * np.sin(2 * np.pi * 50 * number * SECONDS) for number in (1, 2, 3))
    noise = np.random.default_rng(7).standard_normal(160_000) * 0.003
    assert detector.spans((hum + noise).astype(np.float32)) == []


def test_speech_without_hum_reaches_the_detector_as_it_is():
    voice = kennedy()
    assert vad._without_hum(voice) is voice


@pytest.mark.parametrize(
    "nobody",
    [
        np.zeros(0),
        np.zeros(16_000),
        np.random.default_rng(7).standard_normal(160_000) * 0.01,
        0.3 * np.sin(2 * np.pi * 440 * SECONDS),
        0.3 * np.sin(2 * np.pi * 880 * SECONDS) * (SECONDS % 1 < 0.3),
        sum(0.1 * np.sin(2 * np.pi * tone * SECONDS) for tone in (220, 277, 330)),
    ],
    ids=["nothing", "silence", "noise", "tone", "beeps", "chord"],
)
def test_sounds_without_speech_have_no_spans(detector, nobody):
    assert detector.spans(nobody.astype(np.float32)) == []


def test_number_of_torch_threads_is_preserved():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    vad.Detector()
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_windows_contain_complete_spans_within_the_limit():
    spans = [Span(0, 9), Span(10, 19), Span(20, 29), Span(40, 41), Span(44, 70)]
    assert vad.windows(spans, longest=28.0) == [Span(0, 19), Span(20, 29), Span(40, 41), Span(44, 70)]
    assert vad.windows(spans, longest=31.0) == [Span(0, 29), Span(40, 70)]


def test_outside_returns_the_parts_that_no_other_span_covers():
    spans = [vad.Span(0.0, 4.0), vad.Span(6.0, 10.0), vad.Span(12.0, 13.0)]
    assert vad.outside(spans, []) == spans
    assert vad.outside(spans, [(11.0, 20.0), (1.0, 2.0), (3.0, 7.0)]) == [
        vad.Span(0.0, 1.0),
        vad.Span(2.0, 3.0),
        vad.Span(7.0, 10.0),
    ]
    assert vad.outside(spans, [(0.0, 13.0), (2.0, 3.0)]) == []


def test_every_stretch_is_amplified_by_its_own_level():
    loud, quiet = 0.3 * np.sin(2 * np.pi * 200 * SECONDS), 0.0003 * np.sin(2 * np.pi * 200 * SECONDS)
    sound = np.concatenate([loud, quiet, loud, quiet]).astype(np.float32)
    found = vad._amplified(sound)
    levels = parts.levels(found)
    assert np.abs(found).max() <= 1 and np.array_equal(found[:144_000], sound[:144_000])
    assert (
        levels[105:195].min() > -31 and levels[105:195].max() < -29 and levels[205:295] == pytest.approx(-13.5, abs=1)
    )


def test_click_does_not_hide_the_speech_around_it():
    quiet = (0.0003 * np.sin(2 * np.pi * 200 * SECONDS)).astype(np.float32)
    quiet[80_000] = 1.0
    found = vad._amplified(quiet)
    assert np.abs(found).max() <= 1 and parts.levels(found)[:45].min() > -31 and parts.levels(found)[55:].min() > -31
