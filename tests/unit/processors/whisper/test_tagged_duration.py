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
def test_length_in_a_tag_is_the_declared_duration(tmp_path, tags, seconds):
    assert declared(write_mp3(tmp_path / "sound.mp3", tags)) == seconds


def test_count_of_frames_takes_precedence(tmp_path):
    path = write_mp3(tmp_path / "sound.mp3", {"TLEN": "9000"}, has_count=True)
    assert declared(path) == pytest.approx(3.0, abs=0.2)


def test_recordings_joined_to_one_file_do_not_seem_cut_off(tmp_path):
    """The count is that of the first one; FFmpeg then guesses a length by the bit rate."""
    parts = [write_mp3(tmp_path / "part.mp3", {}, has_count=True).read_bytes() for _ in range(3)]
    (tmp_path / "joined.mp3").write_bytes(b"".join(parts))
    with reader.open_track(tmp_path / "joined.mp3") as track:
        seconds = sum(map(len, track.blocks())) / 16_000
        assert seconds == pytest.approx(9.0, abs=0.5)
        assert track.declared_seconds == pytest.approx(3.0, abs=0.2)


def test_count_in_a_vbri_header_is_the_declared_duration(tmp_path):
    content = write_mp3(tmp_path / "sound.mp3", {}).read_bytes()
    frame = content.index(b"\xff\xf3")
    header = b"VBRI" + bytes(10) + (250).to_bytes(4) + bytes(8)
    length = content.index(b"\xff\xf3", frame + 4) - frame
    first = content[frame : frame + 4] + bytes(32) + header
    (tmp_path / "vbri.mp3").write_bytes(first.ljust(length, b"\0") + content[frame:])
    assert declared(tmp_path / "vbri.mp3") == pytest.approx(9.0)
