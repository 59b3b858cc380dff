"""Fixtures for tests of the vision-language model: its tiny stand-in, drawings with their answers, and jobs."""

import json
from pathlib import Path

import numpy as np
from paths import ROOT
from PIL import Image
from works import work_on

from processors import contract
from processors.contract import Failed, Finished, Kind, Outcome, Work
from processors.vlm import AskOptions

TINY = ROOT / "tests" / "data" / "tiny-vlm"
DRAWINGS = ROOT / "tests" / "data" / "drawings"
STATEMENT_SCHEMA = ROOT / "tests" / "data" / "schemas" / "statement.json"
ANSWERS = json.loads((DRAWINGS / "answers.json").read_text(encoding="utf-8"))
DESCRIBE, READ = "Describe this image.", "Extract all text from this image."
STATEMENT = "Extract the bank statement transactions as JSON."


class Asked:
    """The outcome and files of one job."""

    def __init__(self, outcome: Outcome, work: Work, reports: list[contract.WorkProgress]):
        self.outcome, self.work = outcome, work
        self.reports = [report for report in reports if report.job == work.job]

    @property
    def finished(self) -> Finished:
        assert isinstance(self.outcome, Finished), self.outcome
        return self.outcome

    @property
    def failed(self) -> Failed:
        assert isinstance(self.outcome, Failed), self.outcome
        return self.outcome

    @property
    def text(self) -> str:
        return (self.work.outputs / "drop.md").read_text(encoding="utf-8").removesuffix("\n")

    @property
    def pages(self) -> list[dict]:
        return json.loads((self.work.outputs / "drop.json").read_text(encoding="utf-8"))["pages"]

    @property
    def data(self) -> dict:
        """The extracted data."""
        return json.loads((self.work.outputs / "drop.json").read_text(encoding="utf-8"))

    @property
    def about_pages(self) -> list[dict]:
        """The pages that the data comes from."""
        return json.loads((self.work.outputs / "drop.pages.json").read_text(encoding="utf-8"))["pages"]

    @property
    def review(self) -> str:
        return "\n".join(self.finished.review)


def a_work(
    source: Path,
    folder: Path,
    options: AskOptions,
    sidecars: dict[str, Path] | None = None,
    checkpoints: Path | None = None,
) -> Work:
    job = f"job-{len(list(folder.glob('job-*')))}"
    (folder / job).mkdir()
    return work_on(
        source,
        outputs=folder / job,
        job=job,
        kind=Kind.IMAGE,
        media_type="application/pdf" if source.suffix == ".pdf" else "application/octet-stream",
        stem="drop",
        recipe="ask",
        options=options,
        sidecars=sidecars or {},
        checkpoints=checkpoints,
    )


def drawing(name: str) -> Image.Image:
    return Image.open(DRAWINGS / f"{name}.png").convert("RGB")


def answer(name: str) -> str:
    return ANSWERS[f"{name}.png"]["answer"]


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
