"""An MP3 without a count of its frames may have its length in a tag: then a cut between two frames shows."""

from pathlib import Path

import av
import pytest
from recordings import tone

from processors.whisper.audio import reader


def write_mp3(path: Path, tags: dict[str, str], has_count: bool = False) -> Path:
    """Three seconds. has_count: of the frames."""
    options = {"write_xing": str(int(has_count)), "id3v2_version": "4"}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(tags)
        stream = container.add_stream("libmp3lame", rate=16_000, layout="mono")
        sound = (tone(3.0, rate_hz=16_000) * 32767).astype("int16")
        frame = av.AudioFrame.from_ndarray(sound[None], format="s16p", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def declared(path: Path) -> float | None:
    with reader.open_track(path) as track:
        return track.declared_seconds


@pytest.mark.parametrize(
    ("tags", "seconds"),
    [
        ({"TLEN": "4000"}, 4.0),
        ({"iTunSMPB": " 00000000 00000210 00000A2C 000000000000FA00 00000000", "TLEN": "9000"}, 4.0),
        ({}, None),
        ({"TLEN": "four"}, None),
        ({"TLEN": "0"}, None),
        ({"iTunSMPB": " 0 0 0 0 0", "TLEN": "4000"}, 4.0),
    ],
    ids=str,
)
def test_length_in_a_tag_is_what_the_file_declares(tmp_path, tags, seconds):
    assert declared(write_mp3(tmp_path / "sound.mp3", tags)) == seconds


def test_count_of_frames_takes_precedence(tmp_path):
    path = write_mp3(tmp_path / "sound.mp3", {"TLEN": "9000"}, has_count=True)
    assert declared(path) == pytest.approx(3.0, abs=0.2)
