"""The timeline: a late start, gaps and resets of the clock, in every container that has one."""

import numpy as np
import pytest

from processors.whisper.audio import parts, reader
from processors.whisper.audio.clock import Clock
from tests.unit.processors.whisper.recordings import tone, write_film

CONTAINERS = [
    ("film.mkv", "aac"),
    ("film.webm", "libopus"),
    ("film.mp4", "aac"),
    ("film.mov", "aac"),
    ("film.ts", "mp2"),
    ("film.mkv", "flac"),
    ("film.mkv", "ac3"),
    ("film.wmv", "mp2"),
    ("film.wtv", "mp2"),
]


def sounding(path) -> tuple[list[tuple[float, float]], reader.Track]:
    """Starts and ends of the stretches that are not silent, in seconds of the file."""
    with reader.open_track(path) as track:
        blocks = list(track.blocks())
    samples = np.zeros(blocks[-1].at + len(blocks[-1]), np.float32)
    for block in blocks:
        samples[block.at : block.at + len(block)] = block.samples
    is_loud = np.concatenate([[False], parts.levels(samples) > -40, [False]])
    edges = np.flatnonzero(np.diff(is_loud.astype(int)))
    return [(start / 10, end / 10) for start, end in edges.reshape(-1, 2)], track


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_sound_that_starts_after_the_picture_keeps_its_time(tmp_path, name, codec):
    path = write_film(tmp_path / name, [(4.0, tone(2))], codec=codec, picture_seconds=7)
    (stretch,), track = sounding(path)
    assert stretch == pytest.approx((4.0, 6.0), abs=0.11) and track.decoded_seconds == pytest.approx(6.0, abs=0.1)
    assert track.gaps == [] and track.clock.resets == []
    assert (track.declared_seconds or 6.0) == pytest.approx(6.0, abs=0.1), "not that of the picture"


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
@pytest.mark.parametrize("gap_seconds", [1.0, 20.0])
def test_gap_in_the_recording_does_not_shift_later_times(tmp_path, name, codec, gap_seconds):
    stretches = [(0.0, tone(2)), (2.0 + gap_seconds, tone(2))]
    path = write_film(tmp_path / name, stretches, codec=codec, picture_seconds=5 + gap_seconds)
    (first, second), track = sounding(path)
    assert first == pytest.approx((0.0, 2.0), abs=0.15)
    assert second == pytest.approx((2.0 + gap_seconds, 4.0 + gap_seconds), abs=0.15)
    assert track.gaps == []


def test_long_gap_separates_parts(tmp_path):
    path = write_film(tmp_path / "film.mkv", [(0.0, tone(2)), (30.0, tone(2))], picture_seconds=33)
    with reader.open_track(path) as track:
        found = [(part.at_seconds, part.seconds) for part in parts.parts(track.blocks())]
    assert found == [(0.0, pytest.approx(2.0, abs=0.1)), (pytest.approx(30.0, abs=0.1), pytest.approx(2.0, abs=0.1))]


@pytest.mark.parametrize(("name", "codec"), [("film.mkv", "aac"), ("film.mp4", "aac"), ("film.webm", "libopus")])
def test_complete_film_with_a_late_start_does_not_seem_cut_off(tmp_path, name, codec):
    _, track = sounding(write_film(tmp_path / name, [(4.0, tone(8))], codec=codec, picture_seconds=12))
    assert track.declared_seconds is None or track.decoded_seconds == pytest.approx(track.declared_seconds, abs=0.2)


def test_transport_stream_counts_from_its_first_timestamp(tmp_path):
    (stretch,), _ = sounding(write_film(tmp_path / "talk.ts", [(5000.0, tone(2))], codec="mp2"))
    assert stretch == pytest.approx((0.0, 2.0), abs=0.15)


def test_second_recording_appended_to_a_stream_follows_the_first(tmp_path):
    first = write_film(tmp_path / "a.ts", [(100.0, tone(3))], codec="mp2").read_bytes()
    second = write_film(tmp_path / "b.ts", [(0.0, tone(2))], codec="mp2").read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(first + second)
    (stretch,), track = sounding(path)
    assert stretch == pytest.approx((0.0, 5.0), abs=0.3)
    assert track.clock.resets == [pytest.approx(3.0, abs=0.2)]


def test_drift_of_the_sample_rate_is_filled_before_it_is_noticed():
    clock, position = Clock("matroska", 0.0), 0.0
    for number in range(3000):  # frames of 20 ms, whose samples last 19.9 ms
        position += clock.gap(number * 0.02, 0.0199, position) + 0.0199
        assert abs(number * 0.02 - position) < 0.6
    assert clock.resets == []


def test_rounded_timestamps_cause_no_gaps():
    clock, position = Clock("matroska", 0.0), 0.0
    for number in range(500):
        assert clock.gap(round(number * 1024 / 48_000, 3), 1024 / 48_000, position) == 0.0
        position += 1024 / 48_000


def test_clock_of_a_live_stream_counts_from_its_start():
    assert Clock("matroska", 7200.0).origin == 7200.0 and Clock("matroska", 4.0).origin == 0.0


@pytest.mark.parametrize("form", ["wav", "mp3", "aac", "flac"])
def test_formats_that_only_count_samples_have_no_gaps(form):
    clock = Clock(form, 0.0)
    assert clock.gap(5.0, 1.0, 0.0) == 0.0 and clock.gap(99.0, 1.0, 1.0) == 0.0


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.m4a", "aac"),
        ("a.mp3", "libmp3lame"),
        ("a.opus", "libopus"),
        ("a.flac", "flac"),
        ("a.m4a", "alac"),
        ("a.wv", "wavpack"),
        ("a.tta", "tta"),
        ("a.ac3", "ac3"),
        ("a.eac3", "eac3"),
        ("a.mka", "libopus"),
        ("a.mov", "pcm_s16le"),
        ("a.caf", "pcm_s16le"),
        ("a.w64", "pcm_s16le"),
        ("a.au", "pcm_s16be"),
        ("a.aiff", "pcm_s16be"),
        ("a.ts", "aac"),
        ("a.flv", "aac"),
        ("a.avi", "mp2"),
        ("a.3gp", "aac"),
        ("a.mpg", "mp2"),
        ("a.nut", "flac"),
        ("a.aac", "aac"),
        ("a.mp4", "libmp3lame"),
        ("a.mp4", "ac3"),
        ("a.mp4", "flac"),
        ("a.oga", "flac"),
        ("a.mkv", "pcm_f32le"),
    ],
)
def test_every_format_keeps_its_sound_at_its_time(tmp_path, name, codec):
    sound = np.concatenate([tone(1), np.zeros(48_000, np.float32), tone(2)])
    stretches, track = sounding(write_film(tmp_path / name, [(0.0, sound)], codec=codec))
    assert stretches == [pytest.approx((0.0, 1.0), abs=0.15), pytest.approx((2.0, 4.0), abs=0.15)]
    assert track.gaps == [] and track.clock.resets == [] and track.declared_seconds in (None, pytest.approx(4, abs=0.1))
