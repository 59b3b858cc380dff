"""Decoding: every sample, at its time, in bounded memory; what cannot be decoded is noted, not passed over."""

import struct
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from paths import TESTS

from processors.whisper.audio import parts, reader
from tests.unit.processors.whisper.recordings import tone, write_film

SAMPLES = TESTS / "data" / "audio"


def read(path: Path) -> tuple[np.ndarray, reader.Track]:
    with reader.open_track(path) as track:
        return np.concatenate([block.samples for block in track.blocks()]), track


def test_sound_equals_that_of_openai_whisper():
    samples, track = read(SAMPLES / "jfk.flac")
    assert samples.dtype == np.float32 and samples.ndim == 1 and len(samples) == 11 * 16_000
    assert -1 <= samples.min() < -0.3 and 0.3 < samples.max() <= 1
    assert track.declared_seconds == pytest.approx(11) and track.decoded_seconds == pytest.approx(11)


def test_silence_replaces_each_bad_packet(tmp_path):
    damaged = tmp_path / "damaged.m4a"
    content = bytearray((SAMPLES / "LJ001-0003.m4a").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    damaged.write_bytes(content)
    whole, _ = read(SAMPLES / "LJ001-0003.m4a")
    samples, track = read(damaged)
    lost = sum(gap.seconds for gap in track.gaps)
    assert 0.1 < lost < 1.5
    assert len(samples) == pytest.approx(len(whole), abs=16_000 // 10)
    late = slice(len(whole) - 32_000, len(whole) - 16_000)
    assert np.corrcoef(samples[late], whole[late])[0, 1] > 0.9  # at the same time as before
    assert abs(np.corrcoef(samples[late], np.roll(whole, 160)[late])[0, 1]) < 0.9  # which this would notice


@pytest.mark.parametrize("name", ["LJ001-0001.wav", "LJ001-0004.flac"])
def test_truncated_file_decodes_to_less_than_it_declares(tmp_path, name):
    half = tmp_path / name
    content = (SAMPLES / name).read_bytes()
    half.write_bytes(content[: len(content) // 2])
    _, track = read(half)
    assert track.decoded_seconds < 0.6 * track.declared_seconds


@pytest.mark.parametrize("name", ["LJ001-0005.opus", "LJ001-0006.ogg"])
def test_truncated_ogg_lacks_its_end_mark(tmp_path, name):
    content = (SAMPLES / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    assert read(tmp_path / name)[1].lacks_end and not read(SAMPLES / name)[1].lacks_end


@pytest.mark.parametrize(("name", "codec"), [("talk.wv", "wavpack"), ("talk.tta", "tta"), ("talk.au", "pcm_s16be")])
def test_truncated_file_of_other_formats_declares_more_than_it_has(tmp_path, name, codec):
    path = write_film(tmp_path / name, [(0.0, tone(6))], codec=codec)
    assert read(path)[1].decoded_seconds == pytest.approx(read(path)[1].declared_seconds, abs=0.1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    _, track = read(path)
    assert track.declared_seconds == pytest.approx(6, abs=0.1) and track.decoded_seconds < 5


@pytest.mark.parametrize(
    "name", ["LJ001-0001.wav", "LJ001-0002.mp3", "LJ001-0003.m4a", "LJ001-0004.flac", "LJ001-0007.mp4"]
)
def test_complete_file_has_its_declared_duration(name):
    _, track = read(SAMPLES / name)
    assert track.decoded_seconds == pytest.approx(track.declared_seconds, abs=0.1)
    assert track.gaps == []


def test_mp3_without_a_frame_count_declares_no_duration(tmp_path):
    bare = tmp_path / "bare.mp3"
    content = (SAMPLES / "LJ001-0002.mp3").read_bytes()
    for mark in (b"Xing", b"Info"):
        content = content.replace(mark, b"\0\0\0\0")
    bare.write_bytes(content)
    _, track = read(bare)
    assert track.declared_seconds is None and track.decoded_seconds == pytest.approx(1.9, abs=0.1)


def test_matroska_declares_the_duration_of_the_track(tmp_path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as film:
        track = film.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*track.encode(frame), *track.encode(None)]:
            film.mux(packet)
    _, track = read(path)
    assert track.declared_seconds == pytest.approx(1, abs=0.05)


def test_requested_track_is_decoded(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as film:
        tracks = [film.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(2)]
        for track, level in zip(tracks, (8000, 0), strict=True):
            frame = av.AudioFrame.from_ndarray(np.full((1, 16_000), level, np.int16), format="s16", layout="mono")
            frame.sample_rate = 16_000
            for packet in [*track.encode(frame), *track.encode(None)]:
                film.mux(packet)
    samples, track = read(path)
    assert track.tracks == 2 and samples.mean() == pytest.approx(8000 / 32768, abs=0.01)
    with reader.open_track(path, track=2) as track:
        assert not np.concatenate([block.samples for block in track.blocks()]).any()


def test_sample_rate_may_change_within_a_track(tmp_path):
    """Two MP3s of other rates joined byte by byte, as people do with `cat`."""
    joined = tmp_path / "joined.mp3"
    pieces = []
    for rate in (44_100, 22_050):
        path = tmp_path / f"{rate}.mp3"
        with av.open(str(path), "w") as file:
            track = file.add_stream("mp3", rate=rate, layout="mono")
            tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(tone[None], format="s16p", layout="mono")
            frame.sample_rate = rate
            for packet in [*track.encode(frame), *track.encode(None)]:
                file.mux(packet)
        pieces.append(path.read_bytes())
    joined.write_bytes(b"".join(pieces))
    samples, track = read(joined)
    assert track.decoded_seconds == pytest.approx(4, abs=0.3)
    assert parts.levels(samples[48_000:60_000]).min() > -30


def test_parts_are_cut_where_it_is_quiet_and_lose_nothing(monkeypatch):
    monkeypatch.setattr(parts, "PART_SECONDS", 10.0)
    monkeypatch.setattr(parts, "CUT_SECONDS", 4.0)
    rng = np.random.default_rng(5)
    whole = rng.uniform(-0.5, 0.5, 25 * 16_000).astype(np.float32)
    whole[8 * 16_000 : 9 * 16_000] = 0  # the only pause
    places = np.array_split(np.arange(len(whole)), 7)
    blocks = (parts.Block(int(place[0]), whole[place]) for place in places)
    found = [part.samples for part in parts.parts(blocks)]
    assert np.array_equal(np.concatenate(found), whole)
    assert all(len(part) <= 10 * 16_000 for part in found)
    assert 8 * 16_000 <= len(found[0]) <= 9 * 16_000


def test_levels_are_decibels_of_full_scale():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    assert parts.levels(tone) == pytest.approx(np.full(10, -3.01), abs=0.01)
    assert parts.levels(np.zeros(100, np.float32)) == pytest.approx([-120])


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 12, 16])
def test_each_of_many_channels_is_decoded_separately(tmp_path, channels):
    """As frames of planes, PyAV crashes with eight, twelve and sixteen."""
    time = np.arange(16_000) / 16_000
    tones = [0.5 * np.sin(2 * np.pi * 200 * (number + 1) * time) for number in range(channels)]
    with wave.open(str(tmp_path / "many.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.stack(tones, 1) * 32767).astype("<i2").tobytes())
    for number in range(1, channels + 1):
        with reader.open_track(tmp_path / "many.wav", channel=number) as track:
            found = np.concatenate([block.samples for block in track.blocks()])
        assert int(np.argmax(np.abs(np.fft.rfft(found)))) == 200 * number


@pytest.mark.parametrize("channels", [2, 9, 63, 96])
def test_channels_without_a_layout_in_ffmpeg_are_mixed(tmp_path, channels):
    time = np.arange(16_000) / 16_000
    tones = [0.9 * np.sin(2 * np.pi * 50 * (number + 1) * time) for number in range(channels)]
    with wave.open(str(tmp_path / "many.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.stack(tones, 1) * 32767).astype("<i2").tobytes())
    samples, track = read(tmp_path / "many.wav")
    assert track.gaps == [] and len(samples) == 16_000 and np.abs(samples).max() <= 1
    spectrum = np.abs(np.fft.rfft(samples))
    assert set(np.argsort(spectrum)[-channels:]) >= {50, 50 * min(channels, 63)}


def test_nan_and_infinite_samples_are_interpolated_and_counted(tmp_path):
    time = np.arange(16_000) / 16_000
    tone = (0.5 * np.sin(2 * np.pi * 200 * time)).astype("<f4")
    broken = np.full(16_000, np.nan, "<f4")
    broken[:100] = np.inf
    _write_floats(tmp_path / "stereo.wav", np.stack([tone, broken], 1))
    samples, track = read(tmp_path / "stereo.wav")
    assert track.not_numbers == 16_000 and track.gaps == []
    assert np.abs(samples).max() == pytest.approx(0.25, abs=0.02)
    _write_floats(tmp_path / "mono.wav", np.where(np.arange(16_000) == 7, np.nan, tone)[:, None].astype("<f4"))
    samples, track = read(tmp_path / "mono.wav")
    assert track.not_numbers == 1 and np.abs(samples).max() == pytest.approx(0.5, abs=0.02)
    assert np.abs(samples - tone).max() < 0.001  # the missing sample is that of a line between its neighbors


def test_long_gap_takes_no_memory(tmp_path):
    with reader.open_track(SAMPLES / "LJ001-0001.wav") as track:
        assert list(track._gap(1.0)) == [] and track.decoded_seconds == 1  # at the start: only a place
        assert [(block.at, len(block)) for block in track._gap(2.0)] == [(16_000, 32_000)]
        assert list(track._gap(1e300)) == [] and track.decoded_seconds == 3 + 86_400


def _write_floats(path: Path, samples: np.ndarray) -> None:
    """A WAV of 32-bit floats (format 3), 16 kHz."""
    channels, data = samples.shape[1], samples.tobytes()
    form = struct.pack("<HHIIHH", 3, channels, 16_000, 16_000 * channels * 4, channels * 4, 32)
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + form
    path.write_bytes(head + b"data" + struct.pack("<I", len(data)) + data)


def test_rest_in_a_format_that_ffmpeg_cannot_change_to_is_noted(tmp_path):
    """The recording of a radio stream whose next program has another codec."""
    first = write_film(tmp_path / "one.ogg", [(0.0, tone(2))], codec="libopus").read_bytes()
    second = write_film(tmp_path / "two.ogg", [(0.0, tone(2))], codec="flac").read_bytes()
    (tmp_path / "both.ogg").write_bytes(first + second)
    samples, track = read(tmp_path / "both.ogg")
    assert len(samples) >= 1.9 * 16_000 and track.ends_unread
    assert not read(tmp_path / "one.ogg")[1].ends_unread


def written_with_layout(path: Path, layout: str, number: int, samples: np.ndarray) -> Path:
    """A FLAC file with these samples in one channel, counted from 0; the others are silent."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("flac", rate=48_000, layout=layout)
        for start in range(0, len(samples), 4096):
            piece = samples[start : start + 4096]
            channels = np.zeros((len(piece), stream.codec_context.layout.nb_channels), np.int16)
            channels[:, number] = piece * 32767
            frame = av.AudioFrame.from_ndarray(channels.reshape(1, -1), format="s16", layout=layout)
            frame.sample_rate = 48_000
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("layout", "number"), [("2.1", 2), ("5.1", 3), ("7.1", 3)])
def test_microphone_in_the_place_of_the_low_frequency_channel_is_mixed_in(tmp_path, layout, number):
    samples, _ = read(written_with_layout(tmp_path / "field.flac", layout, number, tone(2, hertz=500.0)))
    assert parts.levels(samples[3200:]).min() > -30


def test_low_frequencies_of_a_film_stay_out_of_the_mix(tmp_path):
    samples, _ = read(written_with_layout(tmp_path / "film.flac", "5.1", 3, tone(2, hertz=60.0)))
    assert parts.levels(samples).max() < -60


@pytest.mark.parametrize("suffix", ["m4a", "flac"])
def test_eight_channels_are_mixed(tmp_path, suffix):
    """Eight planes crash PyAV."""
    with av.open(str(tmp_path / f"many.{suffix}"), "w") as file:
        stream = file.add_stream("aac" if suffix == "m4a" else "flac", rate=48_000, layout="7.1")
        form = stream.codec_context.format.packed.name
        for start in range(0, 96_000, 1024):
            piece = tone(2)[start : start + 1024, None].repeat(8, 1)
            scaled = piece if form == "flt" else (piece * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(scaled.reshape(1, -1), format=form, layout="7.1")
            frame.sample_rate, frame.pts = 48_000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    samples, _ = read(tmp_path / f"many.{suffix}")
    assert parts.levels(samples[3200:25_600]).min() > -20
