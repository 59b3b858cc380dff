"""Real speech through real Whisper (tiny.en): the words, the files, and the review reasons."""

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
        return np.concatenate([block.samples for block in track.blocks()])


# ---------------------------------------------------------------------------------------------- the words


def test_kennedy_is_transcribed_word_for_word(transcribe):
    found = transcribe("jfk.flac", beam_size=5, best_of=5)
    assert words(found.text) == words(KENNEDY)
    assert found.finished.review == ()
    assert words(found.finished.excerpt) == words(KENNEDY)[:200]
    assert found.finished.media_seconds == pytest.approx(11, abs=0.01)


def test_every_container_and_codec_is_transcribed(transcribe):
    found = {name: transcribe(name, formats=["txt"], way="fast") for name in SPOKEN}
    wrong = {name: jiwer.wer(words(said), words(found[name].text)) for name, said in SPOKEN.items()}
    assert max(wrong.values()) <= 0.15, wrong
    assert jiwer.wer([words(said) for said in SPOKEN.values()], [words(h.text) for h in found.values()]) <= 0.04, wrong
    assert {name: h.finished.review for name, h in found.items() if h.finished.review} == {}


def test_file_name_without_an_extension_does_not_matter(transcribe, tmp_path):
    copy = tmp_path / "voice"
    copy.write_bytes((SAMPLES / "LJ001-0002.mp3").read_bytes())
    assert words(transcribe(copy).text) == words(SPOKEN["LJ001-0002.mp3"])


def test_segment_placed_in_the_silence_before_its_speech_is_moved(transcribe, tmp_path):
    name, silence = "LJ001-0002.mp3", np.zeros(16_000 * 9, np.float32)
    found = transcribe(write_wav(tmp_path / "late.wav", np.concatenate([silence, read_sound(name), silence[:32_000]])))
    assert words(found.text) == words(SPOKEN[name]) and found.finished.review == ()
    assert 8.5 < found.json()["segments"][0]["start"] < 9.5


@pytest.mark.parametrize("is_elsewhere", [False, True])  # True: the next part is prefetched
def test_sound_longer_than_a_part_loses_no_word_or_time(transcribe, whisper, tmp_path, monkeypatch, is_elsewhere):
    from processors.whisper.audio import parts

    monkeypatch.setattr(whisper._engine, "is_elsewhere", is_elsewhere)

    pause = np.zeros(16_000, np.float32)
    joined = [read_sound("jfk.flac"), pause, read_sound("LJ001-0004.flac"), pause, read_sound("LJ001-0002.mp3")]
    path = write_wav(tmp_path / "long.wav", np.concatenate(joined))
    monkeypatch.setattr(parts, "PART_SECONDS", 12.0)
    monkeypatch.setattr(parts, "CUT_SECONDS", 2.0)
    found = transcribe(path)
    said = f"{KENNEDY} {SPOKEN['LJ001-0004.flac']} {SPOKEN['LJ001-0002.mp3']}"
    assert jiwer.wer(words(said), words(found.text)) <= 0.05, found.text
    segments = found.json()["segments"]
    block = next(segment for segment in segments if "block" in segment["text"])
    assert 11 <= block["start"] <= 13.5
    assert [segment["id"] for segment in segments] == list(range(len(segments)))


# ---------------------------------------------------------------------------------------------- the files


def test_all_formats_are_written_in_the_requested_order(transcribe):
    found = transcribe("LJ001-0002.mp3", formats=["srt", "txt", "vtt", "tsv", "json"])
    assert found.finished.files == ("talk.srt", "talk.txt", "talk.vtt", "talk.tsv", "talk.json")
    srt = (found.outputs / "talk.srt").read_text().splitlines()
    assert srt[0] == "1" and srt[1].startswith("00:00:00,000 --> 00:00:0")
    assert (found.outputs / "talk.vtt").read_text().startswith("WEBVTT\n")
    assert (found.outputs / "talk.tsv").read_text().startswith("start\tend\ttext\n0\t")
    assert found.json()["text"] == found.text.strip() and found.json()["language"] == "en"


def test_no_segment_ends_after_the_sound(transcribe):
    segments = transcribe("LJ001-0008.8k.wav").json()["segments"]
    assert segments and all(0 <= s["start"] <= s["end"] <= 1.8 for s in segments)


def test_stem_with_dots_stays_complete(whisper, make_work, tmp_path):
    work = make_work(SAMPLES / "LJ001-0002.mp3", tmp_path, stem="talk.part 1")
    assert whisper.process_one(work, Progress(lambda message: None)).files[0] == "talk.part 1.txt"


def test_word_timestamps_are_within_the_sound_and_in_order(transcribe):
    segments = transcribe("LJ001-0002.mp3", word_timestamps=True).json()["segments"]
    timed = [word for segment in segments for word in segment["words"]]
    assert words("".join(word["word"] for word in timed)) == words(SPOKEN["LJ001-0002.mp3"])
    starts = [word["start"] for word in timed]
    assert starts == sorted(starts) and timed[-1]["end"] <= 2.1


# ---------------------------------------------------------------------------------------------- review


def test_silence_results_in_no_text_and_a_review_reason(transcribe, tmp_path):
    found = transcribe(write_wav(tmp_path / "silence.wav", np.zeros(16_000 * 45, np.float32)))
    assert found.text == "" and found.finished.review == ("No speech was found.",)


def test_noise_results_in_no_text_and_a_review_reason(transcribe, tmp_path):
    noise = np.random.default_rng(7).standard_normal(16_000 * 10).astype(np.float32) * 0.01
    assert transcribe(write_wav(tmp_path / "noise.wav", noise)).finished.review == ("No speech was found.",)


def test_silence_after_speech_adds_no_text(transcribe, tmp_path):
    talk = np.concatenate([read_sound("jfk.flac"), np.zeros(16_000 * 40, np.float32)])
    found = transcribe(write_wav(tmp_path / "talk.wav", talk))
    assert words(found.text) == words(KENNEDY)


def test_very_quiet_speech_is_transcribed(transcribe, tmp_path):
    quiet = write_wav(tmp_path / "quiet.wav", read_sound("jfk.flac") * 10 ** (-40 / 20))
    assert words(transcribe(quiet).text) == words(KENNEDY)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_lower_precision_works_on_the_cpu(transcribe, models, dtype):
    small, options = Whisper(), WhisperOptions(model="tiny.en", device="cpu", threads=1, dtype=dtype)
    small.load(options, models, Progress(lambda message: None))
    assert words(transcribe("jfk.flac", by=small).text) == words(KENNEDY)
    assert words(transcribe("jfk.flac", by=small, way="fast").text) == words(KENNEDY)
    assert small._engine.made_by["dtype"] == dtype


def test_fifty_milliseconds_contain_no_speech(transcribe):
    assert transcribe("fifty-ms.wav").finished.review == ("No speech was found.",)


def test_damaged_place_is_reported_and_costs_nothing_else(transcribe):
    found = transcribe("corrupt-middle.mp3", clip_timestamps="0,6,44,54")  # before and after it
    assert "damaged" in found.review and "0:02" in found.review
    assert found.finished.media_seconds == pytest.approx(53.3, abs=0.3)  # what follows has its own times
    assert "glutton" in found.text and "grave" in found.text  # its last line


@pytest.mark.parametrize("name", ["LJ001-0001.wav", "LJ001-0004.flac"])
def test_truncated_file_is_transcribed_and_reported(transcribe, tmp_path, name):
    half = tmp_path / name
    content = (SAMPLES / name).read_bytes()
    half.write_bytes(content[: len(content) // 2])
    found = transcribe(half)
    assert "cut off" in found.review
    assert words(found.text).split()[:2] == words(SPOKEN[name]).split()[:2]


def test_good_speech_has_no_review_reasons(transcribe):
    assert transcribe("LJ001-0004.flac").finished.review == ()


# ---------------------------------------------------------------------------------------------- progress


def test_progress_increases_through_speech_and_silence(transcribe, tmp_path):
    noise = np.random.default_rng(7).standard_normal(16_000 * 65).astype(np.float32) * 0.003
    noise[: 11 * 16_000] += read_sound("jfk.flac")[: 11 * 16_000]
    found = transcribe(write_wav(tmp_path / "long.wav", noise), temperature=0.0)
    done = [report.done for report in found.reports]
    assert done == sorted(done) and done[0] == 0 and done[-1] == pytest.approx(65, abs=0.1)
    assert len({round(seconds) for seconds in done}) >= 3  # not only at its ends
    assert {report.unit for report in found.reports} == {"seconds"} and {report.total for report in found.reports} == {
        65.0
    }
