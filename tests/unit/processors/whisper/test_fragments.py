"""Fragmented MP4 files, as phones, cameras and streaming programs write them, that are cut off."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from recordings import RATE_HZ, tone

from processors.whisper.audio import reader

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    """Six seconds in fragments of one second."""
    path, samples = tmp_path_factory.mktemp("fragments") / "live.mp4", tone(6.0)[None]
    with av.open(str(path), "w", options=FRAGMENTED) as live:
        track = live.add_stream("aac", rate=RATE_HZ, layout="mono")
        for at in range(0, samples.shape[1] - 1023, 1024):
            piece = np.ascontiguousarray(samples[:, at : at + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE_HZ, Fraction(1, RATE_HZ), at
            live.mux(track.encode(frame))
        live.mux(track.encode(None))
    return path.read_bytes()


def boxes(content: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(content):
        found.append((at, content[at + 4 : at + 8]))
        at += struct.unpack_from(">I", content, at)[0]
    return found


@pytest.mark.parametrize("into", [1, 7, 9, 60, 200])
def test_recording_cut_off_within_the_list_of_a_fragment_is_read_up_to_it(tmp_path: Path, content: bytes, into: int):
    fourth = [at for at, name in boxes(content) if name == b"moof"][3]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: fourth + into])
    with reader.open_track(cut) as track:
        seconds = sum(map(len, track.blocks())) / 16_000
    assert seconds == pytest.approx(3.0, abs=0.15)
    assert track.lacks_end or into < 8, "so few bytes are no box"


def test_recording_cut_off_within_the_sound_of_a_fragment_keeps_that_sound(tmp_path: Path, content: bytes):
    fourth = [at for at, name in boxes(content) if name == b"mdat"][3]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: fourth + 4000])
    with reader.open_track(cut) as track:
        seconds = sum(map(len, track.blocks())) / 16_000
    assert 3.1 < seconds < 4.0 and track.lacks_end
