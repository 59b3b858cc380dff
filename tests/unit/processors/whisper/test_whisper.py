"""Real speech through real Whisper (tiny.en): the words, the files, and what a person is told to look at."""

import wave
from pathlib import Path

import jiwer
import numpy as np
import pytest
from paths import TESTS
from whisper.normalizers import EnglishTextNormalizer

from processors.contract import Progress
from processors.whisper import Whisper, WhisperOptions

SAMPLES = TESTS / "data" / "audio"
KENNEDY = "And so my fellow Americans ask not what your country can do for you ask what you can do for your country"
SPOKEN = {
    "LJ001-0001.wav": "Printing, in the only sense with which we are at present concerned, differs from most if not "
    "from all the arts and crafts represented in the Exhibition",
    "LJ001-0002.mp3": "in being comparatively modern.",
    "LJ001-0003.m4a": "For although the Chinese took impressions from wood blocks engraved in relief for centuries "
    "before the woodcutters of the Netherlands, by a similar process",
    "LJ001-0004.flac": "produced the block books, which were the immediate predecessors of the true printed book,",
    "LJ001-0005.opus": "the invention of movable metal letters in the middle of the fifteenth century may justly be "
    "considered as the invention of the art of printing.",
    "LJ001-0006.ogg": "And it is worth mention in passing that, as an example of fine typography,",
    "LJ001-0007.mp4": 'the earliest book printed with movable types, the Gutenberg, or "forty-two line Bible" of about '
    "fourteen fifty-five,",
    "LJ001-0008.8k.wav": "has never been surpassed.",
}

words = EnglishTextNormalizer()


def write_wav(path: Path, samples: np.ndarray, channels: int = 1) -> Path:
    """float32 at 16 kHz, channels interleaved -> a 16-bit wav file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def read_sound(name: str) -> np.ndarray:
    from processors.whisper.audio import reader

    with reader.open_track(SAMPLES / name) as track:
        return np.concatenate(list(track.blocks()))


# ---------------------------------------------------------------------------------------------- the words


def test_kennedy_is_right_word_for_word(hear):
    heard = hear("jfk.flac", beam_size=5, best_of=5)
    assert words(heard.text) == words(KENNEDY)
    assert heard.finished.review == ()
    assert words(heard.finished.excerpt) == words(KENNEDY)[:200]
    assert heard.finished.media_seconds == pytest.approx(11, abs=0.01)


def test_every_container_and_codec_is_understood(hear):
    heard = {name: hear(name, formats=["txt"]) for name in SPOKEN}
    wrong = {name: jiwer.wer(words(said), words(heard[name].text)) for name, said in SPOKEN.items()}
    assert max(wrong.values()) <= 0.15, wrong
    assert jiwer.wer([words(said) for said in SPOKEN.values()], [words(h.text) for h in heard.values()]) <= 0.04, wrong
    assert {name: h.finished.review for name, h in heard.items() if h.finished.review} == {}


def test_a_name_that_says_nothing_does_not_matter(hear, tmp_path):
    copy = tmp_path / "voice"
    copy.write_bytes((SAMPLES / "LJ001-0002.mp3").read_bytes())
    assert words(hear(copy).text) == words(SPOKEN["LJ001-0002.mp3"])


def test_words_that_whisper_sets_into_the_silence_before_them_are_kept(hear, tmp_path):
    name, silence = "LJ001-0002.mp3", np.zeros(16_000 * 9, np.float32)
    heard = hear(write_wav(tmp_path / "late.wav", np.concatenate([silence, read_sound(name), silence[:32_000]])))
    assert words(heard.text) == words(SPOKEN[name]) and heard.finished.review == ()
    assert 8.5 < heard.json()["segments"][0]["start"] < 9.5


@pytest.mark.parametrize("is_elsewhere", [False, True])  # True: the next part is got ready while one is decoded
def test_sound_longer_than_a_part_loses_no_word_and_keeps_its_times(hear, whisper, tmp_path, monkeypatch, is_elsewhere):
    from processors.whisper.audio import reader

    monkeypatch.setattr(whisper._engine, "is_elsewhere", is_elsewhere)

    pause = np.zeros(16_000, np.float32)
    joined = [read_sound("jfk.flac"), pause, read_sound("LJ001-0004.flac"), pause, read_sound("LJ001-0002.mp3")]
    path = write_wav(tmp_path / "long.wav", np.concatenate(joined))
    monkeypatch.setattr(reader, "PART_SECONDS", 12.0)
    monkeypatch.setattr(reader, "CUT_SECONDS", 2.0)
    heard = hear(path)
    said = f"{KENNEDY} {SPOKEN['LJ001-0004.flac']} {SPOKEN['LJ001-0002.mp3']}"
    assert jiwer.wer(words(said), words(heard.text)) <= 0.05, heard.text
    segments = heard.json()["segments"]
    block = next(segment for segment in segments if "block" in segment["text"])
    assert 11 <= block["start"] <= 13.5
    assert [segment["id"] for segment in segments] == list(range(len(segments)))


# ---------------------------------------------------------------------------------------------- the files


def test_all_formats_are_written_in_the_order_asked_for(hear):
    heard = hear("LJ001-0002.mp3", formats=["srt", "txt", "vtt", "tsv", "json"])
    assert heard.finished.files == ("talk.srt", "talk.txt", "talk.vtt", "talk.tsv", "talk.json")
    srt = (heard.outputs / "talk.srt").read_text().splitlines()
    assert srt[0] == "1" and srt[1].startswith("00:00:00,000 --> 00:00:0")
    assert (heard.outputs / "talk.vtt").read_text().startswith("WEBVTT\n")
    assert (heard.outputs / "talk.tsv").read_text().startswith("start\tend\ttext\n0\t")
    assert heard.json()["text"] == heard.text.strip() and heard.json()["language"] == "en"


def test_no_time_lies_behind_the_end_of_the_sound(hear):
    segments = hear("LJ001-0008.8k.wav").json()["segments"]
    assert segments and all(0 <= s["start"] <= s["end"] <= 1.8 for s in segments)


def test_a_stem_with_dots_is_kept_whole(whisper, make_work, tmp_path):
    work = make_work(SAMPLES / "LJ001-0002.mp3", tmp_path, stem="talk.part 1")
    assert whisper.process_one(work, Progress(lambda message: None)).files[0] == "talk.part 1.txt"


def test_word_timestamps_lie_within_the_sound_and_in_order(hear):
    segments = hear("LJ001-0002.mp3", word_timestamps=True).json()["segments"]
    timed = [word for segment in segments for word in segment["words"]]
    assert words("".join(word["word"] for word in timed)) == words(SPOKEN["LJ001-0002.mp3"])
    starts = [word["start"] for word in timed]
    assert starts == sorted(starts) and timed[-1]["end"] <= 2.1


# ---------------------------------------------------------------------------------------------- what to look at


def test_silence_gives_no_text_and_says_so(hear, tmp_path):
    heard = hear(write_wav(tmp_path / "silence.wav", np.zeros(16_000 * 45, np.float32)))
    assert heard.text == "" and heard.finished.review == ("No speech was found.",)


def test_noise_gives_no_text_and_says_so(hear, tmp_path):
    noise = np.random.default_rng(7).standard_normal(16_000 * 10).astype(np.float32) * 0.01
    assert hear(write_wav(tmp_path / "noise.wav", noise)).finished.review == ("No speech was found.",)


def test_nothing_is_invented_in_the_silence_behind_speech(hear, tmp_path):
    talk = np.concatenate([read_sound("jfk.flac"), np.zeros(16_000 * 40, np.float32)])
    heard = hear(write_wav(tmp_path / "talk.wav", talk))
    assert words(heard.text) == words(KENNEDY)


def test_speech_recorded_far_too_quietly_is_still_heard(hear, tmp_path):
    quiet = write_wav(tmp_path / "quiet.wav", read_sound("jfk.flac") * 10 ** (-40 / 20))
    assert words(hear(quiet).text) == words(KENNEDY)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_smaller_numbers_serve_on_the_cpu_too(hear, models, dtype):
    small, options = Whisper(), WhisperOptions(model="tiny.en", device="cpu", threads=1, dtype=dtype)
    small.load(options, models, Progress(lambda message: None))
    assert words(hear("jfk.flac", by=small).text) == words(KENNEDY)
    assert words(hear("jfk.flac", by=small, way="fast").text) == words(KENNEDY)
    assert small._engine.made_by["dtype"] == dtype


def test_fifty_milliseconds_are_no_failure(hear):
    assert hear("fifty-ms.wav").finished.review == ("No speech was found.",)


def test_a_damaged_place_costs_only_itself_and_is_named(hear):
    heard = hear("corrupt-middle.mp3")
    assert "damaged" in heard.review and "0:02" in heard.review
    assert heard.finished.media_seconds == pytest.approx(53.3, abs=0.3)  # what follows keeps its time
    assert "glutton" in heard.text and "grave" in heard.text  # its last line


@pytest.mark.parametrize("name", ["LJ001-0001.wav", "LJ001-0004.flac"])
def test_a_truncated_file_is_transcribed_and_reported(hear, tmp_path, name):
    half = tmp_path / name
    content = (SAMPLES / name).read_bytes()
    half.write_bytes(content[: len(content) // 2])
    heard = hear(half)
    assert "cut off" in heard.review
    assert words(heard.text).split()[:2] == words(SPOKEN[name]).split()[:2]


def test_what_says_nothing_wrong_gives_no_reason_to_look(hear):
    assert hear("LJ001-0004.flac").finished.review == ()


# ---------------------------------------------------------------------------------------------- progress


def test_progress_moves_on_through_speech_and_silence(hear, tmp_path):
    noise = np.random.default_rng(7).standard_normal(16_000 * 65).astype(np.float32) * 0.003
    noise[: 11 * 16_000] += read_sound("jfk.flac")[: 11 * 16_000]
    heard = hear(write_wav(tmp_path / "long.wav", noise), temperature=0.0)
    done = [told.done for told in heard.told]
    assert done == sorted(done) and done[0] == 0 and done[-1] == pytest.approx(65, abs=0.1)
    assert len({round(seconds) for seconds in done}) >= 3  # not only at its ends
    assert {told.unit for told in heard.told} == {"seconds"} and {told.total for told in heard.told} == {65.0}
