"""Files that are cut off, in containers that PyAV writes."""

from pathlib import Path

import av
import pytest
from recordings import tone, write_film

from processors.whisper.audio import ending, frame_chain

FORMATS = [
    *(("ts", "aac"), ("flv", "libmp3lame"), ("avi", "pcm_s16le"), ("avi", "libmp3lame"), ("caf", "pcm_s16le")),
    *(("w64", "pcm_s16le"), ("aac", "aac"), ("ac3", "ac3"), ("mp3", "libmp3lame"), ("mp2", "mp2"), ("mpg", "mp2")),
    ("rm", "ac3"),
    *(
        ("mkv", "flac"),
        ("webm", "libopus"),
        ("mp4", "aac"),
        ("mov", "pcm_s16le"),
        ("ogg", "libopus"),
        ("voc", "pcm_u8"),
        ("wmv", "mp2"),
        ("latm", "aac"),
    ),
]


def _form(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.format.name.split(",")[0]


@pytest.mark.parametrize(("suffix", "codec"), FORMATS)
def test_cut_off_file_is_distinguished_from_a_complete_one(tmp_path: Path, suffix: str, codec: str):
    sound = write_film(tmp_path / f"sound.{suffix}", [(0.0, tone(3.0))], codec=codec)
    form, content = _form(sound), sound.read_bytes()
    assert not ending.lacks_end(form, sound)
    cut = tmp_path / f"cut.{suffix}"
    for share in (0.3, 0.61, 0.95):
        found = 0
        for more in range(3):
            cut.write_bytes(content[: int(len(content) * share) + more])
            found += ending.lacks_end(form, cut)
        assert found >= 2, "but a cut between two frames leaves a complete file"


@pytest.mark.parametrize(
    ("head", "length"),
    [
        ("7ffe8001fc3c7ff0a2c00138", 2048),  # as FFmpeg writes it
        ("6458202500000002600000000000", 20),  # an extension with a short header
        ("64582025002000222de000000000", 70_000),  # with a long one
        ("00000000000000000000000000", 0),
    ],
)
def test_frames_of_dts_have_the_length_in_their_header(head: str, length: int):
    assert frame_chain.SIZES["dts"](bytes.fromhex(head)) == length


@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("mp4", "aac"), ("mov", "aac"), ("aiff", "pcm_s16be")])
def test_file_joined_to_the_end_of_another_is_noticed(tmp_path: Path, suffix: str, codec: str):
    sound = write_film(tmp_path / f"sound.{suffix}", [(0.0, tone(1.0))], codec=codec)
    form, content = _form(sound), sound.read_bytes()
    assert not ending.is_followed_by_another(form, sound)
    sound.write_bytes(content + content)
    assert ending.is_followed_by_another(form, sound)


def test_transport_stream_cut_between_two_packets_ends_within_its_sound(tmp_path: Path):
    content = write_film(tmp_path / "film.ts", [(0.0, tone(3.0))]).read_bytes()
    cut = tmp_path / "cut.ts"
    packets = len(content) // 188
    found = []
    for count in range(packets // 2, packets // 2 + 16):
        cut.write_bytes(content[: 188 * count])
        found.append(ending.lacks_end("mpegts", cut))
    assert any(found) and not all(found), "some of these cuts are between two packets of sound"


def test_recording_whose_program_was_killed_is_not_complete(tmp_path: Path):
    """It leaves 0 as the size of an AVI file."""
    content = bytearray(write_film(tmp_path / "film.avi", [(0.0, tone(1.0))], codec="pcm_s16le").read_bytes())
    content[4:8] = bytes(4)
    (tmp_path / "killed.avi").write_bytes(content)
    assert ending.lacks_end("avi", tmp_path / "killed.avi")


def test_realmedia_cut_between_two_packets_is_not_complete(tmp_path: Path):
    content = write_film(tmp_path / "film.rm", [(0.0, tone(3.0))], codec="ac3").read_bytes()
    packet = b"\0\0" + content[content.index(b"DATA") + 20 :][:4]  # version, length and track of each
    ends = [at for at in range(len(content)) if content.startswith(packet, at)]
    assert len(ends) > 10
    cut = tmp_path / "cut.rm"
    for end in ends[1:]:
        cut.write_bytes(content[:end])
        assert ending.lacks_end("rm", cut)


def test_live_realmedia_declares_no_end(tmp_path: Path):
    content = bytearray(write_film(tmp_path / "film.rm", [(0.0, tone(1.0))], codec="ac3").read_bytes())
    at = content.index(b"DATA")
    content[at + 4 : at + 8] = bytes(4)
    (tmp_path / "live.rm").write_bytes(content)
    assert not ending.lacks_end("rm", tmp_path / "live.rm")


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"x" * 64 + b"APETAGEX" + b"\xd0\x07\0\0\x60\0\0\0" + bytes(16)])
def test_tag_after_the_sound_does_not_count_as_cut_off(tmp_path: Path, tag: bytes):
    sound = write_film(tmp_path / "sound.mp3", [(0.0, tone(1.0))], codec="libmp3lame")
    sound.write_bytes(sound.read_bytes() + tag)
    assert not ending.lacks_end("mp3", sound)


@pytest.mark.parametrize(
    "form", ["avi", "aac", "amr", "caf", "flv", "matroska", "mov", "mp3", "mpegts", "rm", "voc", "w64"]
)
@pytest.mark.parametrize("content", [b"", b"\0", b"\xff" * 50, b"RIFF", bytes(range(256)) * 3])
def test_any_content_has_an_answer(tmp_path: Path, form: str, content: bytes):
    (tmp_path / "file").write_bytes(content)
    assert ending.lacks_end(form, tmp_path / "file") in (True, False)
