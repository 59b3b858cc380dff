"""The header of a WAV file: chunks around the data, and sizes that are stale."""

import struct

import numpy as np
import pytest

from processors.whisper.audio import reader
from tests.unit.processors.whisper.recordings import chunk, tone, write_film, write_wave

SOUND = (tone(3, rate_hz=16_000) * 32767).astype("<i2")
INFO = b"INFO" + chunk(b"ICMT", b"all data of the session")


def read(path) -> reader.Track:
    with reader.open_track(path) as track:
        for _ in track.blocks():
            pass
    return track


def sound_of(path) -> np.ndarray:
    with reader.open_track(path) as track:
        return np.concatenate([block.samples for block in track.blocks()])


@pytest.mark.parametrize(
    "before",
    [b"", chunk(b"LIST", INFO), chunk(b"bext", b"data" * 151), chunk(b"JUNK", bytes(8000)), chunk(b"iXML", b"<data/>")],
    ids=["none", "list", "bext", "large", "odd"],
)
def test_word_data_in_another_chunk_does_not_count_as_a_header(tmp_path, before):
    track = read(write_wave(tmp_path / "talk.wav", SOUND, before=before))
    assert (track.declared_seconds, track.decoded_seconds, track.exceeds_header) == (3.0, 3.0, False)


@pytest.mark.parametrize("after", [b"", chunk(b"LIST", INFO), chunk(b"id3 ", bytes(999)), bytes(100)])
def test_chunks_after_the_data_do_not_count_as_sound(tmp_path, after):
    track = read(write_wave(tmp_path / "talk.wav", SOUND, after=after))
    assert track.decoded_seconds == 3.0 and not track.exceeds_header


def unpadded(name: bytes, content: bytes) -> bytes:
    assert len(content) % 2
    return name + struct.pack("<I", len(content)) + content


@pytest.mark.parametrize(
    "before",
    [
        unpadded(b"LIST", INFO + b"!"),
        unpadded(b"bext", bytes(603)),
        unpadded(b"JUNK", b"x") + unpadded(b"iXML", b"<a/>!"),
    ],
    ids=["list", "bext", "two"],
)
def test_chunk_of_odd_size_without_its_padding_is_skipped(tmp_path, before):
    plain = write_wave(tmp_path / "plain.wav", SOUND)
    track = read(write_wave(tmp_path / "talk.wav", SOUND, before=before))
    assert (track.declared_seconds, track.decoded_seconds, track.exceeds_header) == (3.0, 3.0, False)
    assert np.array_equal(sound_of(tmp_path / "talk.wav"), sound_of(plain))


def test_chunk_after_odd_data_without_padding_is_not_read_as_sound(tmp_path):
    data = (SOUND[:24_001] // 256 + 128).astype(np.uint8)
    track = read(write_wave(tmp_path / "talk.wav", data, after=chunk(b"LIST", INFO * 20)))
    assert track.decoded_seconds == pytest.approx(1.5, abs=0.01) and not track.exceeds_header


def test_padding_that_is_not_zero_is_padding(tmp_path):
    before = unpadded(b"LIST", INFO + b"!") + b"x"
    track = read(write_wave(tmp_path / "talk.wav", SOUND, before=before))
    assert (track.declared_seconds, track.decoded_seconds) == (3.0, 3.0)


@pytest.mark.parametrize("data_bytes", [32_000, 2, SOUND.nbytes // 2])
def test_sound_beyond_a_stale_size_is_read(tmp_path, data_bytes):
    track = read(write_wave(tmp_path / "talk.wav", SOUND, data_bytes=data_bytes))
    assert track.decoded_seconds == pytest.approx(3.0, abs=0.01) and track.exceeds_header


@pytest.mark.parametrize("data_bytes", [0, 0xFFFF_FFFF, 0x7FFF_FFFF])
def test_unknown_size_declares_nothing(tmp_path, data_bytes):
    track = read(write_wave(tmp_path / "talk.wav", SOUND, data_bytes=data_bytes))
    assert track.decoded_seconds == pytest.approx(3.0, abs=0.01)
    assert track.declared_seconds is None and not track.exceeds_header


def test_second_file_appended_to_the_first_is_read(tmp_path):
    path = write_wave(tmp_path / "talk.wav", SOUND)
    path.write_bytes(path.read_bytes() * 2)
    track = read(path)
    assert track.decoded_seconds == pytest.approx(6.0, abs=0.01) and track.exceeds_header


def test_cut_file_declares_more_than_it_has(tmp_path):
    path = write_wave(tmp_path / "talk.wav", SOUND)
    path.write_bytes(path.read_bytes()[:50_000])
    track = read(path)
    assert track.declared_seconds == 3.0 and track.decoded_seconds < 1.6 and not track.exceeds_header


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav", "pcm_alaw", "pcm_u8", "pcm_s24le", "libmp3lame"])
def test_duration_of_other_codecs_is_that_of_their_samples(tmp_path, codec):
    path = write_film(tmp_path / "talk.wav", [(0.0, tone(3))], codec=codec)
    track = read(path)
    assert track.declared_seconds == pytest.approx(track.decoded_seconds, abs=0.06)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    track = read(path)
    assert track.declared_seconds == pytest.approx(3.0, abs=0.06) and track.decoded_seconds < 1.6


def test_size_of_a_large_file_is_in_ds64(tmp_path):
    path = write_wave(tmp_path / "talk.wav", SOUND, data_bytes=0xFFFF_FFFF)
    content = path.read_bytes()
    sizes = struct.pack("<QQQI", len(content), SOUND.nbytes, len(SOUND), 0)
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + chunk(b"ds64", sizes) + content[12:])
    track = read(path)
    assert (track.declared_seconds, track.decoded_seconds) == (3.0, 3.0)
    path.write_bytes(path.read_bytes() + np.zeros(32_000, "<i2").tobytes())
    assert read(path).exceeds_header
