"""Real weights for the processors' tests (fetched once, kept outside the repository), and Whisper loaded with them."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_vlm
from encoded_once import encode_once
from paths import ROOT
from recognized_once import recognize_once
from tiny_vlm import READ, Asked
from works import work_on

from processors import contract
from processors.contract import Finished, Kind, Progress, Work, WorkProgress
from processors.ocr import Ocr, OcrOptions, downloaded_models, fast_model
from processors.vlm import AskOptions, Vlm, VlmOptions
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions
from processors.whisper.weights import source as weights

SAMPLES = ROOT / "tests" / "data" / "audio"
GREEDY = {"beam_size": None, "best_of": None}  # half the time of the default
_REAL_MODELS = {"models", "whisper", "vlm", "ocr", "ocr_models"}  # the fixtures that load weights, or fetch them


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a real model as slow: `make test-slow` runs them."""
    for item in items:
        if _REAL_MODELS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def models() -> Path:
    """A folder of models with whisper/tiny.en.pt in it: INBOXD_TEST_MODELS, else below the user's cache."""
    folder = Path(os.environ.get("INBOXD_TEST_MODELS") or Path.home() / ".cache/inboxd-tests/models")
    weights.fetch("tiny.en", folder, lambda done, total, unit: None)
    return folder


@pytest.fixture(scope="session")
def ocr_models() -> Path:
    """The same folder, with the small models of OCR in it."""
    folder = Path(os.environ.get("INBOXD_TEST_MODELS") or Path.home() / ".cache/inboxd-tests/models")
    for name in fast_model.NAMES:
        downloaded_models.fetch(name, folder, lambda done, total, unit: None)
    return folder


class Transcription:
    """One transcription: the outcome, its files and the reported progress."""

    def __init__(self, finished: Finished, outputs: Path, reports: list[WorkProgress]):
        self.finished, self.outputs, self.reports = finished, outputs, reports
        self.text = (outputs / "talk.txt").read_text(encoding="utf-8") if (outputs / "talk.txt").exists() else ""
        self.review = " ".join(finished.review)

    def json(self) -> dict:
        return json.loads((self.outputs / "talk.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def whisper(models: Path) -> Whisper:
    """tiny.en on one thread of the CPU, which encodes each window once."""
    processor = Whisper()
    processor.load(WhisperOptions(model="tiny.en", device="cpu", threads=1), models, Progress(lambda message: None))
    encode_once(processor)
    return processor


@pytest.fixture
def make_work() -> Callable[..., Work]:
    """Makes the work of one recording; greedy unless the options say otherwise."""

    def make(source: Path, outputs: Path, stem: str = "talk", **options: object) -> Work:
        chosen = TranscribeOptions(**{**GREEDY, **options})
        fields = {"kind": Kind.AUDIO, "media_type": "application/octet-stream", "stem": stem, "recipe": "transcribe"}
        return work_on(source, outputs=outputs, options=chosen, **fields)

    return make


@pytest.fixture
def transcribe(whisper: Whisper, make_work: Callable[..., Work], tmp_path: Path) -> Callable[..., Transcription]:
    """Transcribes a sample, or any path."""

    def transcribe(source: Path | str, *, by: Whisper = whisper, **options: object) -> Transcription:
        outputs = tmp_path / f"outputs{len(list(tmp_path.glob('outputs*')))}"
        outputs.mkdir()
        reports: list[WorkProgress] = []
        work = make_work(SAMPLES / source, outputs, **options)
        return Transcription(by.process_one(work, Progress(reports.append)), outputs, reports)

    return transcribe


# ---------------------------------------------------------------------------------------------- OCR


@pytest.fixture(scope="session")
def ocr() -> Ocr:
    """The models of RapidOCR's wheel on one thread, which read each image once."""
    processor = Ocr()
    processor.load(OcrOptions(threads=1), Path("unused"), Progress(lambda message: None))
    recognize_once(processor._engine)
    return processor


# ---------------------------------------------------------------------------------------------- the VLM


@pytest.fixture(scope="session")
def vlm() -> Vlm:
    """The tiny model on one thread of the CPU."""
    processor = Vlm()
    options = VlmOptions(model=str(tiny_vlm.TINY), device="cpu", threads=1, pages_at_once=4)
    processor.load(options, tiny_vlm.TINY.parent, Progress(lambda message: None))
    return processor


@pytest.fixture
def ask_all(vlm: Vlm, tmp_path: Path) -> Callable[..., list[Asked]]:
    def ask_all(*jobs: tuple[Path, AskOptions], sidecars: dict[str, Path] | None = None) -> list[Asked]:
        works = [tiny_vlm.a_work(source, tmp_path, options, sidecars) for source, options in jobs]
        told: list[contract.WorkProgress] = []
        outcomes = {work.job: outcome for work, outcome in vlm.process(works, Progress(told.append))}
        assert len(outcomes) == len(works)
        return [Asked(outcomes[work.job], work, told) for work in works]

    return ask_all


@pytest.fixture
def ask(ask_all: Callable[..., list[Asked]]) -> Callable[..., Asked]:
    def ask(source: Path, prompt: str | None = READ, sidecars: dict[str, Path] | None = None, **options) -> Asked:
        return ask_all((source, AskOptions(prompt=prompt, **options)), sidecars=sidecars)[0]

    return ask
