"""The other engines: a transcription server, a real process here, and faster-whisper if it is installed."""

import importlib.util
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_servers import KEY, FakeServer

from processors.contract import FailureKind, Progress, Unavailable
from processors.remote import client
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions
from tests.unit.processors.whisper.test_whisper import KENNEDY, read_sound, words, write_wav


@pytest.fixture(scope="module")
def server():
    server = FakeServer("speech_server")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def remote(server) -> Whisper:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_KEY", KEY)
        return load(f"{server.root}/v1")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests need no pauses between retries."""
    monkeypatch.setattr(client, "_FIRST_PAUSE_SECONDS", 0.001)


def load(url: str, **options: object) -> Whisper:
    processor = Whisper()
    given = WhisperOptions(
        **{"engine": "openai", "base_url": url, "model": "tiny", "api_key_env": "TEST_KEY"} | options
    )
    loaded = processor.load(given, Path(), Progress(lambda message: None))
    assert (loaded.engine, loaded.device) == ("openai", url)
    return processor


def a_word(word: str, at_seconds: float, **more: object) -> dict:
    return {"word": word, "start": at_seconds, "end": at_seconds + 0.5} | more


def test_server_receives_the_sound_and_the_options_it_supports(transcribe, remote, server):
    found = transcribe("jfk.flac", by=remote, initial_prompt="Kennedy", language="en", word_timestamps=True)
    assert found.text == "I was sent 11 seconds.\n"
    assert [reason.startswith("The text at 0:00 is short") for reason in found.finished.review] == [True]
    asked = server.asked()[-1]
    assert asked["path"] == "/v1/audio/transcriptions" and asked["form"] == [1, 2, 16_000]
    assert (asked["model"], asked["language"], asked["prompt"]) == ("tiny", "en", "Kennedy")
    assert [word["word"] for word in found.json()["segments"][0]["words"]] == [" seconds"]
    assert transcribe("jfk.flac", by=remote).json()["language"] == "en"  # as the server found it
    transcribe("jfk.flac", by=remote, task="translate")
    assert server.asked()[-1]["path"] == "/v1/audio/translations"


def test_finished_part_is_not_sent_again_after_a_crash(remote, server, make_work, tmp_path):
    source = write_wav(tmp_path / "talk.wav", read_sound("LJ001-0002.mp3"))

    def attempt(number: int) -> None:
        work = replace(make_work(source, tmp_path), attempt=number, checkpoints=tmp_path / "kept")
        ((_, outcome),) = remote.process([work], Progress(lambda report: None))
        assert outcome.excerpt == "I was sent 2 seconds."

    before = len(server.asked())
    attempt(1), attempt(2)
    assert len(server.asked()) == before + 1


def test_silence_is_not_sent(transcribe, remote, server, tmp_path):
    before = len(server.asked())
    silence = write_wav(tmp_path / "silence.wav", np.zeros(16_000 * 5, np.float32))
    assert transcribe(silence, by=remote).finished.review == ("No speech was found.",)
    assert len(server.asked()) == before


@pytest.mark.parametrize(
    ("text", "own", "are"),
    [
        ("Ask not", [a_word("Ask", 0), a_word("not", 1)], [" Ask", " not"]),
        ("Ask not", [a_word(" Ask", 0), a_word(" n", 1), a_word("ot", 2)], [" Ask", " n", "ot"]),
        ("そして私は", [a_word("そして", 0), a_word("私は", 1)], [" そして", "私は"]),
        ("Ask not", [{"word": "Ask"}, {"word": "not"}], [" Ask not"]),
        ("Ask not", [a_word("Ask", math.nan)], [" Ask not"]),
        ("Ask not", "Ask not", [" Ask not"]),
        ("Ask not", [a_word("Ask", 0, probability=None)], [" Ask"]),
    ],
)
def test_words_of_a_server_match_its_text(transcribe, remote, server, text, own, are):
    segment = {"text": text, "start": 0, "end": 10, "words": own, "avg_logprob": math.nan, "temperature": "cold"}
    server.behave({"answer": {"text": text, "segments": [segment]}})
    found = transcribe("jfk.flac", by=remote, word_timestamps=True)
    (written,) = found.json()["segments"]
    assert [word["word"] for word in written["words"]] == are
    assert (written["avg_logprob"], written["temperature"]) == (None, 0)
    assert "is uncertain" in found.review, "NaN is no certainty"
    assert "".join(are).strip() in (found.outputs / "talk.srt").read_text()


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [("In being modern.", True), ("Thank you for watching.", False), ("More than two seconds hold. " * 4, False)],
)
def test_text_over_silence_is_kept_only_if_it_fits_later_speech(transcribe, remote, server, tmp_path, text, is_kept):
    source = np.concatenate([np.zeros(16_000 * 9, np.float32), read_sound("LJ001-0002.mp3")])
    server.behave({"answer": {"text": text, "segments": [{"text": text, "start": 0, "end": 7}]}})
    found = transcribe(write_wav(tmp_path / "late.wav", source), by=remote).json()
    assert [segment["start"] > 8.5 for segment in found["segments"]] == [True] * is_kept
    assert len(found["dropped"]) == (not is_kept)


def test_server_without_timestamps_gives_one_segment(transcribe, remote, server):
    server.behave({"status": 400, "says": "verbose_json is not supported"})
    (segment,) = transcribe("jfk.flac", by=remote).json()["segments"]
    assert segment["text"] == " I was sent 11 seconds." and segment["end"] > 10


def test_busy_server_is_retried(transcribe, remote, server):
    server.behave({"status": 503}, {"status": 429})
    assert transcribe("jfk.flac", by=remote).text


def test_every_retry_is_reported_as_progress(transcribe, remote, server):
    once = [report.done for report in transcribe("jfk.flac", by=remote).reports].count(0)
    server.behave({"status": 503}, {"status": 503}, {"status": 503})
    assert [report.done for report in transcribe("jfk.flac", by=remote).reports].count(0) == once + 3


def test_jobs_wait_for_a_server_that_hangs(server, make_work, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    remote, before = load(f"{server.root}/v1", request_timeout=0.2), len(server.asked())
    server.behave({"hang": True})
    source = write_wav(tmp_path / "talk.wav", read_sound("LJ001-0002.mp3"))
    ((_, outcome),) = remote.process([make_work(source, tmp_path)], Progress(lambda report: None))
    assert outcome.kind is FailureKind.UNAVAILABLE
    assert f"{server.root}/v1 did not respond within 0.2 s" in outcome.message
    assert "raise `request_timeout` in [processors.whisper]" in outcome.message
    assert len(server.asked()) == before + 1, "it may still be at work on it"


def test_timeout_must_exceed_the_request_timeout():
    with pytest.raises(ValueError, match="raise `timeout`"):
        WhisperOptions(engine="openai", base_url="http://a/v1", request_timeout="10m")
    assert WhisperOptions(engine="openai", base_url="http://a/v1", request_timeout="10m", timeout="11m")


@pytest.mark.parametrize(
    ("behaviors", "kind", "says"),
    [
        ([{"status": 503}] * 4, FailureKind.UNAVAILABLE, "the jobs wait"),
        ([{"status": 401, "says": "wrong key"}], FailureKind.UNAVAILABLE, "rejects the API key"),
        ([{"status": 404}], FailureKind.UNAVAILABLE, "does not know tiny"),
        ([{"status": 413, "says": None}], FailureKind.ERROR, "rejected the sound: 413"),
        ([{"status": 413, "says": ["too", "large"]}], FailureKind.ERROR, "rejected the sound: 413"),
        ([{"status": 413, "says": "too large"}], FailureKind.ERROR, "413 too large"),
        ([{"answer": {"segments": 7}}], FailureKind.ERROR, "not a transcription"),
        ([{"answer": {}}], FailureKind.ERROR, "not a transcription"),
        ([{"answer": []}], FailureKind.ERROR, "not a transcription"),
        ([{"answer": {"text": 7}}], FailureKind.ERROR, "not a transcription"),
        ([{"answer": {"text": "A", "segments": ["A"]}}], FailureKind.ERROR, "not a transcription"),
        (
            [{"answer": {"segments": [{"text": "A", "start": 0, "end": 10**400}]}}],
            FailureKind.ERROR,
            "not a transcription",
        ),
        (
            [{"answer": {"segments": [{"text": "A", "start": math.nan, "end": 2}]}}],
            FailureKind.ERROR,
            "has no times",
        ),
        ([{"answer": {"segments": [{"text": "A", "start": 0}]}}], FailureKind.ERROR, "speech server http://127.0.0.1"),
    ],
)
def test_rejection_by_a_server_parks_or_fails_the_job(remote, server, make_work, tmp_path, behaviors, kind, says):
    server.behave(*behaviors)
    source = write_wav(tmp_path / "talk.wav", read_sound("LJ001-0002.mp3"))
    ((_, outcome),) = remote.process([make_work(source, tmp_path)], Progress(lambda report: None))
    assert outcome.kind is kind and says in outcome.message
    assert "Error" not in outcome.message, "messages contain no exception names"
    server.behave()


NOTHING_SAID = [
    {"text": ""},
    {"text": None},
    {"text": None, "segments": None},
    {"segments": []},
    {"segments": None},
    {"text": " ", "segments": [], "words": None, "language": None},
    {"text": "", "segments": [{"text": None, "start": None, "end": None}]},
    {"text": "", "segments": [{"text": " ", "start": 0, "end": 1}]},
    {"text": None, "segments": [{"start": 0, "end": 1}], "language": 7},
]


@pytest.mark.parametrize("word_timestamps", [False, True])
@pytest.mark.parametrize("way", ["exact", "fast"])
@pytest.mark.parametrize("answer", NOTHING_SAID)
def test_empty_response_results_in_no_speech(transcribe, remote, server, answer, way, word_timestamps):
    server.behave({"answer": answer})
    found = transcribe("LJ001-0002.mp3", by=remote, way=way, word_timestamps=word_timestamps)
    assert found.finished.review == ("No speech was found.",) and found.text == ""


def test_empty_response_for_a_clip_leaves_the_others(transcribe, remote, server):
    server.behave({"answer": {"text": None}})
    found = transcribe("jfk.flac", by=remote, clip_timestamps="0,3,5,11")
    assert found.text == "I was sent 6 seconds.\n"


def test_text_of_a_response_replaces_segments_without_text(transcribe, remote, server):
    server.behave({"answer": {"text": "Ask not.", "segments": [{"text": None, "start": 0, "end": 1}]}})
    assert transcribe("jfk.flac", by=remote).text == "Ask not.\n"


def test_lone_surrogate_of_a_server_is_replaced(transcribe, remote, server):
    word = a_word("not \ud83d", 1)
    segment = {"text": "Ask not \ud83d", "start": 0, "end": 10, "words": [a_word("Ask", 0), word]}
    server.behave({"answer": {"text": "Ask not \ud83d", "segments": [segment]}})
    found = transcribe("jfk.flac", by=remote, word_timestamps=True, formats=["txt", "srt", "vtt", "tsv", "json", "md"])
    assert found.text == "Ask not \ufffd\n" and found.finished.excerpt == "Ask not \ufffd"


def test_server_that_is_down_or_rejects_the_key_is_unavailable(server, monkeypatch):
    monkeypatch.setenv("TEST_KEY", "another")
    with pytest.raises(Unavailable, match="rejects the API key"):
        load(f"{server.root}/v1")
    with pytest.raises(Unavailable, match="does not respond"):
        load("http://127.0.0.1:9/v1")
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(Unavailable, match="TEST_KEY"):
        load(f"{server.root}/v1")


@pytest.mark.parametrize(
    "options", [{"engine": "openai"}, {"base_url": "http://a/v1"}, {"engine": "openai", "base_url": "file:///a"}]
)
def test_base_url_belongs_to_the_server_engine(options):
    with pytest.raises(ValueError, match="base_url"):
        WhisperOptions(**options)


def test_server_needs_no_weights_and_no_memory(tmp_path):
    options = WhisperOptions(engine="openai", base_url="http://localhost:8000/v1", model="whisper-1")
    assert Whisper.weights_to_fetch(options, tmp_path) == "" and Whisper.memory_needed(options, tmp_path) == 0
    assert type(Whisper.plan(options, TranscribeOptions(language="de"), tmp_path)).__name__ == "Runnable"


# ---------------------------------------------------------------------------------------------- faster-whisper


is_installed = importlib.util.find_spec("faster_whisper") is not None


@pytest.mark.skipif(is_installed, reason="faster-whisper is installed")
def test_missing_extra_is_named():
    with pytest.raises(Unavailable, match=r"inboxd\[faster-whisper\]"):
        Whisper().load(WhisperOptions(engine="faster-whisper"), Path(), Progress(lambda message: None))


@pytest.fixture(scope="module")
def faster() -> Whisper:
    weights = os.environ.get("INBOXD_TEST_FASTER")
    if not is_installed or not weights:
        pytest.skip("faster-whisper is not installed, or INBOXD_TEST_FASTER names no folder with its tiny.en")
    processor = Whisper()
    options = WhisperOptions(engine="faster-whisper", model=weights, device="cpu", threads=1)
    assert processor.load(options, Path(), Progress(lambda message: None)).engine == "faster-whisper"
    return processor


@pytest.mark.parametrize("way", ["exact", "fast"])
def test_faster_whisper_transcribes_kennedy(transcribe, faster, way):
    found = transcribe("jfk.flac", by=faster, way=way, word_timestamps=True)
    assert words(found.text) == words(KENNEDY) and found.json()["segments"][0]["words"]
    assert found.reports[-1].done == pytest.approx(11, abs=0.1)


@pytest.mark.parametrize("way", ["exact", "fast"])
def test_speech_skipped_by_faster_whisper_is_transcribed(transcribe, faster, way):
    """Without that, it ends in "of about": the library takes the last timestamp of the window for its end."""
    found = transcribe("LJ001-0007.mp4", by=faster, way=way, vocabulary=["Gutenberg"])
    assert "Gutenberg" in found.text and found.text.rstrip(".\n").endswith("1455")
