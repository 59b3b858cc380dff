"""Tracks, channels and clips to transcribe, output formats, and checkpoints of an interrupted attempt."""

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from processors.contract import BadInput, Progress
from processors.whisper import TranscribeOptions
from processors.whisper.audio import parts
from processors.whisper.track.segment import Segment, Word
from processors.whisper.track.transcript import Transcript, write
from tests.unit.processors.whisper.test_review import a_segment
from tests.unit.processors.whisper.test_whisper import SPOKEN, read_sound, words, write_wav

FIRST, SECOND = "LJ001-0002.mp3", "LJ001-0008.8k.wav"  # of two seconds each


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Two speakers with a microphone each, one after the other."""
    first, second = read_sound(FIRST), read_sound(SECOND)
    pause = np.zeros(16_000, np.float32)
    left = np.concatenate([first, pause, np.zeros_like(second)])
    right = np.concatenate([np.zeros_like(first), pause, second])
    return write_stereo(tmp_path_factory.mktemp("talk") / "stereo.wav", left, right)


def write_stereo(path: Path, left: np.ndarray, right: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2), file.setsampwidth(2), file.setframerate(16_000)
        file.writeframes((np.stack([left, right], 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("way", ["exact", "fast"])
def test_name_in_the_vocabulary_is_recognized(transcribe, way):
    assert "Gutenberg" not in transcribe("LJ001-0007.mp4", way=way).text
    assert "Gutenberg" in transcribe("LJ001-0007.mp4", way=way, vocabulary=["Gutenberg"]).text


def test_vocabulary_with_too_many_tokens_is_refused(transcribe):
    """In some scripts a letter is more than one token. Whisper would silently drop the first ones."""
    with pytest.raises(BadInput, match=r"has \d+ tokens, more than Whisper's limit of 223\. .*Leave out"):
        transcribe("LJ001-0002.mp3", vocabulary=["საქართველო"] * 30)


def test_one_channel_is_transcribed_alone(transcribe, talk):
    assert words(transcribe(talk, channel=2).text) == words(SPOKEN[SECOND])


def test_each_channel_is_transcribed_and_labeled(transcribe, talk):
    found = transcribe(talk, channel="each", formats=["txt", "md", "json"])
    assert found.text.splitlines()[0].startswith("[1] in being") and "\n[2] " in found.text
    assert [segment["channel"] for segment in found.json()["segments"]] == [1, 2]
    assert "**0:00** [1]" in (found.outputs / "talk.md").read_text()
    done = [report.done for report in found.reports]
    assert done == sorted(done) and done[-1] == pytest.approx(found.finished.media_seconds, abs=0.1)


@pytest.mark.parametrize("options", [{"channel": "each"}, {"track": "all"}])
def test_only_channel_or_track_has_no_label(transcribe, options):
    found = transcribe(SECOND, **options, formats=["txt", "json"])
    assert words(found.text) == words(SPOKEN[SECOND]) and "[1]" not in found.text
    assert "channel" not in found.json()["segments"][0]
    assert transcribe(SECOND, **options, speakers=["Anna"]).text.startswith("[Anna] ")


@pytest.mark.parametrize("options", [{}, {"word_timestamps": True}])
def test_channels_are_in_order_of_speech(transcribe, tmp_path, options):
    first, second = read_sound("jfk.flac"), read_sound("LJ001-0004.flac")
    right = np.concatenate([np.zeros(16_000 * 9, np.float32), second])
    left = np.concatenate([first, np.zeros(len(right) - len(first), np.float32)])
    found = transcribe(write_stereo(tmp_path / "talk.wav", left, right), channel="each", **options)
    assert [segment["channel"] for segment in found.json()["segments"]] == [1, 1, 2]
    later = found.json()["segments"][-1]
    assert 8.5 < later["start"] < 9.5 and all(word["start"] >= later["start"] for word in later.get("words", ()))


def test_joined_subtitles_never_join_channels(tmp_path):
    def a_turn(channel: int, start: float, *words: str) -> Segment:
        timed = tuple(
            Word(word=f" {word}", start=start + at, end=start + at + 1, probability=1.0)
            for at, word in enumerate(words)
        )
        return a_segment("".join(word.word for word in timed), start, channel=channel, words=timed)

    turns = (a_turn(1, 0, "Ask", "not,"), a_turn(1, 2, "ask"), a_turn(2, 2.5, "Never."), a_turn(1, 3, "what"))
    options = TranscribeOptions(formats="srt, txt", word_timestamps=True, max_line_width=32, max_line_count=2)
    write(Transcript(segments=turns, language="en", seconds=9.0), tmp_path, "talk", options)
    cues = [cue.splitlines()[2] for cue in (tmp_path / "talk.srt").read_text().strip().split("\n\n")]
    assert cues == ["[1] Ask not, ask", "[2] Never.", "[1] what"]
    assert (tmp_path / "talk.txt").read_text().splitlines() == ["[1] Ask not,", "[1] ask", "[2] Never.", "[1] what"]


def test_only_clips_are_transcribed_at_their_times(transcribe, talk):
    found = transcribe(talk, clip_timestamps="2.5")
    assert words(found.text) == words(SPOKEN[SECOND]) and found.finished.review == ()
    assert found.json()["segments"][0]["start"] >= 2.5
    assert words(transcribe(talk, clip_timestamps="0,2.4", way="fast").text) == words(SPOKEN[FIRST])


@pytest.mark.parametrize(
    ("options", "says"), [({"track": 2}, "no sound track 2"), ({"channel": 3}, "no channel 3. Correct `channel`")]
)
def test_missing_track_or_channel_is_refused(transcribe, talk, options, says):
    with pytest.raises(BadInput, match=says):
        transcribe(talk, **options)


@pytest.mark.parametrize("clips", ["5,3", "-1,2", "soon", "1,inf", "nan"])
def test_impossible_clips_are_refused(clips):
    with pytest.raises(ValueError, match="second"):
        TranscribeOptions(clip_timestamps=clips)


def test_clips_are_independent_of_blocks():
    whole = np.arange(16_000 * 30, dtype=np.float32)
    blocks = [parts.Block(start, whole[start : start + 160_000]) for start in range(0, len(whole), 160_000)]
    found = list(parts.parts(iter(blocks), TranscribeOptions(clip_timestamps=(1, 2, 9.5, 10.5, 29)).clips))
    assert [(part.at_seconds, part.seconds) for part in found] == [(1, 1), (9.5, 1), (29, 1)]
    assert [part.samples[0] for part in found] == [16_000, 152_000, 464_000]


def test_markdown_starts_a_paragraph_after_a_pause_or_a_minute(tmp_path):
    starts = [0, 3, 10, *range(13, 80, 3)]
    found = Transcript(segments=tuple(a_segment(f" {n}.", n) for n in starts), language="en", seconds=90.0)
    assert write(found, tmp_path, "talk", TranscribeOptions(formats=["md"])) == ("talk.md",)
    paragraphs = (tmp_path / "talk.md").read_text().split("\n\n")
    assert paragraphs[0] == "**0:00** 0. 3." and paragraphs[1].startswith("**0:10** 10. 13.")
    assert paragraphs[2].startswith("**1:13** ") and len(paragraphs) == 3


@pytest.mark.parametrize("way", ["exact", "fast"])
def test_windows_of_an_interrupted_attempt_are_not_decoded_again(whisper, make_work, tmp_path, monkeypatch, way):
    joined = np.concatenate([read_sound(FIRST), np.zeros(16_000 * 30, np.float32), read_sound(SECOND)])
    source = write_wav(tmp_path / "two.wav", joined)
    decoded, decode = [], whisper._engine._runner.decode

    def counting(batch):
        decoded.extend(batch)
        return decode(batch)

    def attempt(number: int):
        outputs = tmp_path / str(number)
        outputs.mkdir()
        work = make_work(source, outputs, way=way, formats=["txt"])
        whisper.process_one(replace(work, attempt=number, checkpoints=tmp_path / "kept"), Progress(lambda report: None))
        return (outputs / "talk.txt").read_text()

    monkeypatch.setattr(whisper._engine._runner, "decode", counting)
    text = attempt(1)
    windows = sorted((tmp_path / "kept").rglob("decoded-*.json"))
    assert len(windows) == len(decoded) == 2
    windows[0].unlink()  # as if the attempt ended before
    assert attempt(2) == text and len(decoded) == 3
    assert words(SPOKEN[SECOND]) in words(text)
