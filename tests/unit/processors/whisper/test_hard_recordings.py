"""Recordings as people make them, transcribed by tiny.en: no word lost, no time wrong."""

import jiwer
import numpy as np
import pytest
from av.stream import Disposition

from tests.unit.processors.whisper.recordings import write_film, write_wave
from tests.unit.processors.whisper.test_whisper import KENNEDY, SPOKEN, read_sound, words

WAYS = ["exact", "fast"]
BLOCK = "LJ001-0004.flac"


@pytest.fixture(scope="module")
def kennedy() -> np.ndarray:
    return read_sound("jfk.flac")


@pytest.fixture(scope="module")
def at_48k(kennedy) -> np.ndarray:
    """The same for films."""
    return np.interp(np.arange(len(kennedy) * 3) / 3, np.arange(len(kennedy)), kennedy).astype(np.float32)


def level(samples: np.ndarray, decibels: float) -> np.ndarray:
    return samples * np.float32(10 ** (decibels / 20) / np.abs(samples).max())


def errors(expected: str, text: str) -> float:
    return jiwer.wer(words(expected), words(text) or "-")


@pytest.mark.parametrize("way", WAYS)
def test_quiet_speaker_between_loud_ones_is_transcribed_or_reported(transcribe, tmp_path, kennedy, way):
    """`exact` has openai-whisper's text, in which the quiet speaker may be missing."""
    loud, pause = level(read_sound(BLOCK), -6), np.zeros(8000, np.float32)
    talk = np.concatenate([loud, pause, level(kennedy, -42), pause, loud])
    found = transcribe(write_wave(tmp_path / "talk.wav", (talk * 32767).astype("<i2")), way=way)
    is_complete = errors(f"{SPOKEN[BLOCK]} {KENNEDY} {SPOKEN[BLOCK]}", found.text) <= 0.12
    assert is_complete or (way == "exact" and "no words were recognized for 8 s, at 0:07" in found.review), found.text


def test_all_words_of_a_recording_at_the_limit_of_silence_are_kept(transcribe, tmp_path, kennedy):
    """Its second sentence is nowhere louder than -60 dB, where Whisper invents text; but somebody speaks there."""
    quiet = write_wave(tmp_path / "quiet.wav", (kennedy * 10 ** (-50 / 20) * 32767).round().astype("<i2"))
    found = transcribe(quiet, way="exact")
    assert words(found.text) == words(KENNEDY) and found.finished.review == ()


@pytest.mark.parametrize("way", WAYS)
def test_text_after_a_long_silence_is_at_its_time(transcribe, tmp_path, kennedy, way):
    """Whisper's segment starts with the window, up to half a minute early."""
    talk = np.concatenate([np.zeros(50 * 16_000, np.float32), kennedy])
    found = transcribe(write_wave(tmp_path / "talk.wav", (talk * 32767).astype("<i2")), way=way)
    assert words(found.text) == words(KENNEDY)
    assert found.json()["segments"][0]["start"] == pytest.approx(50.3, abs=0.5)


def test_first_words_in_a_window_that_the_model_takes_for_silence_are_reported(transcribe, tmp_path, kennedy):
    """Half a minute, and speech in its last two seconds: openai-whisper omits these."""
    talk = np.concatenate([np.zeros(round(28.3 * 16_000), np.float32), kennedy])
    found = transcribe(write_wave(tmp_path / "talk.wav", (talk * 32767).astype("<i2")))
    is_complete = words(found.text) == words(KENNEDY)
    assert is_complete or "no words were recognized for 2 s, at 0:28" in found.review, found.text


@pytest.mark.parametrize("way", WAYS)
def test_quiet_speaker_directly_between_loud_ones_is_transcribed_or_reported(transcribe, tmp_path, way):
    loud, quiet = read_sound(BLOCK) * 0.9, read_sound("LJ001-0005.opus") * 0.01
    talk = np.concatenate([loud, quiet, read_sound("LJ001-0007.mp4") * 0.9])
    found = transcribe(write_wave(tmp_path / "talk.wav", (talk * 32767).astype("<i2")), way=way)
    assert "movable metal letters" in found.text or "is short for so much speech" in found.review, found.text


@pytest.mark.parametrize("noise", [0.0, 0.0003], ids=["silence", "hiss"])
def test_speech_before_a_long_silence_keeps_its_first_words(transcribe, tmp_path, kennedy, noise):
    rest = np.random.default_rng(3).standard_normal(100 * 16_000).astype(np.float32) * noise
    talk = (np.concatenate([kennedy, rest]) * 32767).astype("<i2")
    found = transcribe(write_wave(tmp_path / "talk.wav", talk), way="fast")
    assert words(found.text) == words(KENNEDY) and found.finished.review == ()


@pytest.mark.parametrize("way", WAYS)
def test_subtitles_of_a_film_whose_sound_starts_late_fit(transcribe, tmp_path, at_48k, way):
    film = write_film(tmp_path / "film.mkv", [(4.0, at_48k)], picture_seconds=16)
    found = transcribe(film, way=way)
    segments = found.json()["segments"]
    assert 4.0 <= segments[0]["start"] < 4.5 and 14.0 < segments[-1]["end"] <= 15.1
    assert words(found.text) == words(KENNEDY) and found.finished.review == ()


@pytest.mark.parametrize("way", WAYS)
def test_text_after_a_gap_is_at_its_time(transcribe, tmp_path, at_48k, way):
    cut = 48_000 * 5
    film = write_film(tmp_path / "film.mp4", [(0.0, at_48k[:cut]), (15.0, at_48k[cut:])], picture_seconds=22)
    found = transcribe(film, way=way)
    before = [each for each in found.json()["segments"] if each["start"] < 10]
    after = [each for each in found.json()["segments"] if each["start"] >= 10]
    assert max(each["end"] for each in before) <= 5.1 and min(each["start"] for each in after) >= 15
    assert errors(KENNEDY, found.text) <= 0.1, found.text


def test_float_sound_over_full_scale_is_transcribed(transcribe, tmp_path, kennedy):
    found = transcribe(write_wave(tmp_path / "loud.wav", (level(kennedy, 18)).astype("<f4")), way="fast")
    assert words(found.text) == words(KENNEDY)


@pytest.mark.parametrize("way", WAYS)
def test_words_under_a_steady_tone_are_transcribed(transcribe, tmp_path, kennedy, way):
    whistle = 0.3 * np.sin(2 * np.pi * 3000 * np.arange(len(kennedy)) / 16_000)
    sound = kennedy * 0.35 + whistle
    found = transcribe(write_wave(tmp_path / "tone.wav", (sound * 32767).astype("<i2")), way=way)
    assert errors(KENNEDY, found.text) <= 0.1, found.text
    assert found.review == "A steady tone (3000 Hz) covers the sound at 0:00-0:11; inboxd removed it. Listen there."


def test_sound_with_a_constant_offset_is_transcribed_and_reported(transcribe, tmp_path, kennedy):
    found = transcribe(write_wave(tmp_path / "offset.wav", ((kennedy * 0.35 + 0.6) * 32767).astype("<i2")))
    assert words(found.text) == words(KENNEDY) and found.review.startswith(
        "The sound has a constant offset of up to 60%"
    )


@pytest.mark.parametrize("way", WAYS)
def test_channel_that_noise_hides_in_the_mix_is_named(transcribe, tmp_path, kennedy, way):
    noise = np.random.default_rng(1).standard_normal(len(kennedy)) * 0.25
    sound = np.stack([noise, kennedy * 0.3], 1)
    found = transcribe(write_wave(tmp_path / "call.wav", (sound * 32767).astype("<i2")), way=way)
    assert "Somebody speaks in channel 2 for " in found.review


def test_channels_in_opposite_phase_are_transcribed_and_reported(transcribe, tmp_path, kennedy):
    pair = (np.stack([kennedy, -kennedy], 1) * 32767).astype("<i2")
    found = transcribe(write_wave(tmp_path / "pair.wav", pair))
    assert words(found.text) == words(KENNEDY) and "opposite phase for 11 s" in found.review


def test_main_track_is_transcribed_and_named(transcribe, tmp_path, at_48k):
    flags = [Disposition.comment.value, Disposition.default.value]
    tags = [{"title": "Commentary"}, {"language": "eng", "title": "Main"}]
    quiet = np.zeros(48_000, np.float32)
    film = write_film(tmp_path / "film.mkv", [(0.0, quiet)], [(0.0, at_48k)], flags=flags, tags=tags)
    found = transcribe(film)
    assert words(found.text) == words(KENNEDY)
    assert found.review.startswith("inboxd transcribed sound track 2 of 2 (eng, Main).")


def test_all_tracks_are_transcribed_and_numbered(transcribe, tmp_path, at_48k):
    late = np.concatenate([np.zeros(48_000 * 12, np.float32), at_48k])
    film = write_film(tmp_path / "call.mkv", [(0.0, at_48k)], [(0.0, late)])
    found = transcribe(film, track="all")
    assert sorted({segment["channel"] for segment in found.json()["segments"]}) == [1, 2]
    assert found.text.startswith("[1] And so") and "\n[2] And so" in found.text and found.finished.review == ()


def test_sound_beyond_a_stale_header_is_transcribed_and_reported(transcribe, tmp_path, kennedy):
    path = write_wave(tmp_path / "talk.wav", (kennedy * 32767).astype("<i2"), data_bytes=64_000)
    found = transcribe(path)
    assert words(found.text) == words(KENNEDY)
    assert found.review == (
        "The header of this WAV file declares 0:02 of sound, but inboxd read 0:11, to the end of the file. Check the "
        "end of the transcript."
    )


def test_words_that_a_low_sample_rate_makes_unclear_are_reported(transcribe, tmp_path, kennedy):
    places = np.arange(0, len(kennedy), 4)
    found = transcribe(write_wave(tmp_path / "low.wav", (kennedy[places] * 32767).astype("<i2"), rate_hz=4000))
    assert words(found.text) != words(KENNEDY) and "only 4000 samples per second" in found.review, found.text
