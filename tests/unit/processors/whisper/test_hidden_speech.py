"""Speech in one channel that the mix of all channels hides."""

from pathlib import Path

import numpy as np
import pytest

from processors.whisper import TranscribeOptions
from processors.whisper.audio import reader, vad
from processors.whisper.track import hidden_speech, review
from processors.whisper.track.transcript import Transcript
from tests.unit.processors.whisper.recordings import write_wave
from tests.unit.processors.whisper.test_review import a_segment
from tests.unit.processors.whisper.test_whisper import read_sound


@pytest.fixture(scope="module")
def detector() -> vad.Detector:
    return vad.Detector()


@pytest.fixture(scope="module")
def kennedy() -> np.ndarray:
    return read_sound("jfk.flac")


@pytest.fixture(scope="module")
def reader_voice(kennedy) -> np.ndarray:
    """Another voice of the same length."""
    return np.concatenate([read_sound("LJ001-0004.flac"), read_sound("LJ001-0005.opus")])[: len(kennedy)]


def written(path: Path, *channels: np.ndarray) -> Path:
    return write_wave(path, (np.clip(np.stack(channels, 1), -1, 1) * 32767).astype("<i2"))


def noted(path: Path, detector: vad.Detector, *texts: tuple[float, float], seconds: float = 11.0) -> Transcript:
    segments = tuple(a_segment(start=start, end=end) for start, end in texts)
    found = Transcript(segments=segments, language="en", seconds=seconds, channels=2)
    return hidden_speech.noted(found, path, TranscribeOptions(), detector, lambda seconds: None)


def has_different_channels(path: Path) -> bool:
    with reader.open_track(path) as track:
        for _ in track.blocks():
            pass
        return track.repair.has_different_channels


def test_channel_with_speech_beside_noise_is_named(tmp_path, detector, kennedy):
    noise = np.random.default_rng(1).standard_normal(len(kennedy)) * 0.25
    path = written(tmp_path / "call.wav", noise, kennedy * 0.3)
    found = noted(path, detector)
    assert list(found.hidden) == [2] and found.hidden[2][0].seconds == pytest.approx(9.5, abs=1.0)
    said = " ".join(review.reasons(found, TranscribeOptions()))
    assert said.startswith("No speech was found. Somebody speaks in channel 2 for ") and "set `channel = 2`" in said
    assert has_different_channels(path)


def test_no_channel_is_named_if_all_have_the_same_voice(tmp_path, detector, kennedy):
    assert noted(written(tmp_path / "same.wav", kennedy, kennedy * 0.9), detector).hidden == {}


def test_speech_that_the_mix_has_is_not_reported(tmp_path, detector, kennedy):
    found = noted(written(tmp_path / "call.wav", kennedy, np.zeros_like(kennedy)), detector, (0.0, 11.0))
    assert (found.hidden, found.at_once) == ({}, ())


def test_noise_in_both_channels_is_not_speech(tmp_path, detector):
    noise = np.random.default_rng(1).standard_normal((2, 80_000)) * 0.25
    assert noted(written(tmp_path / "noise.wav", *noise), detector).hidden == {}


def test_two_people_who_speak_at_once_are_reported(tmp_path, detector, kennedy, reader_voice):
    path = written(tmp_path / "talk.wav", kennedy * 0.7, reader_voice * 0.7)
    found = noted(path, detector, (0.0, 11.0))
    assert [round(place.seconds) for place in found.at_once] == [10] and found.hidden == {}
    assert "Two people speak at once in different channels for 10 s" in " ".join(
        review.reasons(found, TranscribeOptions())
    )


def test_two_people_who_take_turns_are_not_reported(tmp_path, detector, kennedy, reader_voice):
    """Each microphone records both, which is not two people at once."""
    silence = np.zeros_like(kennedy)
    one, other = np.concatenate([kennedy, silence]), np.concatenate([silence, reader_voice])
    path = written(tmp_path / "call.wav", one + 0.1 * other, other + 0.1 * one)
    found = noted(path, detector, (0.0, 22.0), seconds=22.0)
    assert (found.hidden, found.at_once) == ({}, ()) and has_different_channels(path)


def test_one_voice_in_two_microphones_of_a_room_is_not_two_people(tmp_path, detector, kennedy):
    later = np.roll(kennedy, 90) * 0.4 + np.random.default_rng(1).standard_normal(len(kennedy)) * 0.02
    assert noted(written(tmp_path / "room.wav", kennedy * 0.8, later), detector, (0.0, 11.0)).at_once == ()


def test_channels_with_the_same_sound_are_not_examined(tmp_path, kennedy):
    assert not has_different_channels(written(tmp_path / "same.wav", kennedy, kennedy))
    assert not has_different_channels(written(tmp_path / "dead.wav", kennedy, np.zeros_like(kennedy)))
