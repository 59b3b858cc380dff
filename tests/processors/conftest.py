"""Real weights for the processors' tests (fetched once, kept outside the repository), and Whisper loaded with them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from processors.base import Finished, Kind, Progress, Work, WorkProgress
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "data" / "audio"
GREEDY = {"beam_size": None, "best_of": None}  # half the time of the default


@pytest.fixture(scope="session")
def models() -> Path:
    """A folder of models with whisper/tiny.en.pt in it: INBOXD_TEST_MODELS, else below the user's cache."""
    folder = Path(os.environ.get("INBOXD_TEST_MODELS") or Path.home() / ".cache/inboxd-tests/models")
    fetched = subprocess.run(
        [sys.executable, "-m", "processors.models", "--models", str(folder), "fetch", "tiny.en"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if fetched.returncode:
        pytest.fail(f"tiny.en cannot be fetched: {fetched.stderr or fetched.stdout}")
    return folder


class Heard:
    """One transcription: the outcome, its files and what was told on the way."""

    def __init__(self, finished: Finished, outputs: Path, told: list[WorkProgress]):
        self.finished, self.outputs, self.told = finished, outputs, told
        self.text = (outputs / "talk.txt").read_text(encoding="utf-8") if (outputs / "talk.txt").exists() else ""
        self.review = " ".join(finished.review)

    def json(self) -> dict:
        return json.loads((self.outputs / "talk.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def whisper(models: Path) -> Whisper:
    """tiny.en on one thread of the CPU."""
    processor = Whisper()
    processor.load(WhisperOptions(model="tiny.en", device="cpu", threads=1), models, Progress(lambda message: None))
    return processor


@pytest.fixture
def make_work() -> Callable[..., Work]:
    """Makes the work of one recording; greedy unless the options say otherwise."""

    def make(source: Path, outputs: Path, stem: str = "talk", **options: object) -> Work:
        return Work(
            job="6f1e",
            attempt=1,
            source=source,
            kind=Kind.AUDIO,
            media_type="application/octet-stream",
            outputs=outputs,
            stem=stem,
            recipe="transcribe",
            options=TranscribeOptions(**{**GREEDY, **options}),
        )

    return make


@pytest.fixture
def hear(whisper: Whisper, make_work: Callable[..., Work], tmp_path: Path) -> Callable[..., Heard]:
    """Transcribes a sample, or any path."""

    def hear(source: Path | str, *, by: Whisper = whisper, **options: object) -> Heard:
        outputs = tmp_path / f"outputs{len(list(tmp_path.glob('outputs*')))}"
        outputs.mkdir()
        told: list[WorkProgress] = []
        work = make_work(SAMPLES / source, outputs, **options)
        return Heard(by.process_one(work, Progress(told.append)), outputs, told)

    return hear
