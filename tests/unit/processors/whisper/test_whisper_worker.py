"""Refused files, loading of models, and transcription in a real worker process."""

import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT, TESTS

from processors import contract, protocol
from processors.contract import BadInput, Progress, Unavailable
from processors.whisper import Whisper, WhisperOptions
from processors.whisper.weights import catalog
from tests.unit.processors.whisper.test_whisper import read_sound, write_wav

SAMPLES = TESTS / "data" / "audio"


# ---------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("text.mp3", "Cannot read this as a sound or video file"),
        ("header-only.wav", "Cannot read this as a sound or video file"),
        ("video-no-audio.mp4", "This video has no sound track"),
        ("SOURCES.md", "Cannot read this as a sound or video file"),
    ],
)
def test_file_without_sound_is_refused_with_the_reason(transcribe, name, says):
    with pytest.raises(BadInput, match=says):
        transcribe(name)


def test_empty_file_is_refused(transcribe, tmp_path):
    (tmp_path / "zero.mp3").touch()
    with pytest.raises(BadInput, match="empty"):
        transcribe(tmp_path / "zero.mp3")


def test_mp4_without_its_index_is_refused(transcribe, tmp_path):
    half = tmp_path / "half.m4a"
    half.write_bytes((SAMPLES / "LJ001-0003.m4a").read_bytes()[:20_000])
    with pytest.raises(BadInput, match="cut off"):
        transcribe(half)


def test_random_bytes_are_refused(transcribe, tmp_path):
    junk = tmp_path / "junk.wav"
    junk.write_bytes(random.Random(3).randbytes(40_000))
    with pytest.raises(BadInput):
        transcribe(junk)


def test_playlist_cannot_read_other_files(transcribe, tmp_path):
    secret = tmp_path / "secret.mp3"
    secret.write_bytes((SAMPLES / "LJ001-0002.mp3").read_bytes())
    playlist = tmp_path / "list.mp3"
    playlist.write_text("ffconcat version 1.0\nfile secret.mp3\n")
    with pytest.raises(BadInput):
        transcribe(playlist)


# ---------------------------------------------------------------------------------------------- loading


def write_blank_model(path: Path) -> Path:
    """A multilingual Whisper of the real layout, tiny and untrained: all languages are about equally probable."""
    import torch
    from whisper.model import ModelDimensions
    from whisper.model import Whisper as Model

    torch.manual_seed(1)
    dims = ModelDimensions(80, 1500, 64, 1, 1, 51865, 448, 64, 1, 1)
    state = Model(dims).state_dict()
    state["decoder.token_embedding.weight"] *= 0.001
    state["decoder.positional_embedding"].zero_()  # the library leaves it uninitialized
    torch.save({"dims": vars(dims), "model_state_dict": state}, path)
    return path


def test_checkpoint_loaded_by_path_reports_the_language_probability(transcribe, tmp_path):
    blank = write_blank_model(tmp_path / "blank.pt")
    processor = Whisper()
    loaded = processor.load(WhisperOptions(model=str(blank), device="cpu"), tmp_path, Progress(lambda message: None))
    assert (loaded.engine, loaded.model, loaded.device) == ("openai-whisper", str(blank), "cpu")
    found = transcribe("LJ001-0008.8k.wav", by=processor, temperature=0.0)
    assert found.json()["language"] in catalog.LANGUAGES
    assert 0 < found.json()["language_probability"] < 0.5
    assert found.finished.review


def test_damaged_checkpoint_is_unavailable(tmp_path):
    (tmp_path / "whisper").mkdir()
    (tmp_path / "whisper" / "tiny.en.pt").write_bytes(b"PK not a checkpoint")
    with pytest.raises(Unavailable, match="inboxd models fetch tiny.en"):
        Whisper().load(WhisperOptions(model="tiny.en"), tmp_path, Progress(lambda message: None))


def test_missing_device_is_unavailable(models):
    with pytest.raises(Unavailable, match="auto"):
        options = WhisperOptions(model="tiny.en", device="cuda:99")
        Whisper().load(options, models, Progress(lambda message: None))


# ---------------------------------------------------------------------------------------------- a worker process


class WorkerClient:
    """Talks to a worker process that has loaded tiny.en."""

    def __init__(self, child: subprocess.Popen, models: Path):
        self._child = child
        options = WhisperOptions(model="tiny.en", device="cpu", threads=1)
        self.send(protocol.Load(options=options.load_options(), models=str(models)))
        assert self.until(protocol.WorkerLoaded)[-1].device == "cpu"

    def send(self, message: object) -> None:
        self._child.stdin.write(protocol.encode(message))
        self._child.stdin.flush()

    def give(self, work: contract.Work) -> None:
        self.send(protocol.Batch(works=[protocol.work_to_wire(work)]))

    def until(self, kind: type) -> list:
        """All messages up to the first one of a kind."""
        got = []
        for line in self._child.stdout:
            got.append(protocol.decode(line))
            if isinstance(got[-1], kind):
                return got
        pytest.fail(f"the worker ended: {self._child.stderr.read().decode()}")


@pytest.fixture(scope="module")
def talk(models: Path) -> Iterator[WorkerClient]:
    """One worker for all tests, which must exit with 0 after them."""
    command = [sys.executable, "-m", "processors.worker", "whisper"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        try:
            yield WorkerClient(child, models)
            child.stdin.close()
            assert child.wait(30) == 0
        finally:
            child.kill()


@pytest.fixture
def make_job(make_work, tmp_path):
    def make(source: str | Path, **options: object) -> contract.Work:
        outputs = tmp_path / f"of {Path(source).name}"
        outputs.mkdir()
        return replace(make_work(SAMPLES / source, outputs, **options), job=str(source))

    return make


def test_worker_process_transcribes_sound_and_refuses_the_rest(talk, make_job):
    for source in ("LJ001-0002.mp3", "text.mp3"):
        talk.give(make_job(source))
    said = talk.until(protocol.BatchDone) + talk.until(protocol.BatchDone)
    (finished,) = [message for message in said if isinstance(message, protocol.WorkFinished)]
    assert finished.excerpt.strip(".").lower() == "in being comparatively modern"
    assert {file["name"] for file in finished.files} == {
        f"talk.{form}" for form in ("txt", "srt", "vtt", "tsv", "json")
    }
    (failed,) = [message for message in said if isinstance(message, protocol.WorkFailed)]
    assert failed.kind == contract.FailureKind.BAD_INPUT
    assert any(isinstance(message, contract.WorkProgress) for message in said)


@pytest.mark.parametrize(("way", "times"), [("exact", 6), ("fast", 14)])  # fast mode decodes eight windows at once
def test_short_file_that_joins_a_long_one_is_done_first(talk, make_job, tmp_path, way, times):
    long = write_wav(tmp_path / "long.wav", np.concatenate([read_sound("jfk.flac")] * times))
    options = {"way": way, "temperature": 0.0, "condition_on_previous_text": False}
    talk.give(make_job(long, **options))
    talk.until(contract.WorkProgress)
    talk.give(make_job("LJ001-0002.mp3", **options))
    first, second = (talk.until(protocol.WorkFinished)[-1] for _ in range(2))
    assert (first.job, second.job) == ("LJ001-0002.mp3", str(long))
    assert first.excerpt.strip(".").lower() == "in being comparatively modern"
    assert second.media_seconds == pytest.approx(11 * times, abs=0.1) and "fellow Americans" in second.excerpt
    assert [type(message) for message in talk.until(protocol.BatchDone)] == [protocol.BatchDone]
    talk.until(protocol.BatchDone)  # one for each
