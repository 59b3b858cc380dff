"""A job log and an outbox whose results are searched."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from factories import make_job

from daemon.core.job import Job, JobState
from daemon.queue.store import Store
from daemon.search import hits


@dataclass(frozen=True)
class Folders:
    outbox: Path
    state: Path


class Archive:
    """The folders of a daemon that is not running."""

    def __init__(self, home: Path):
        self.folders = Folders(outbox=home / "outbox", state=home / "state")
        for folder in (self.folders.outbox, self.folders.state):
            folder.mkdir()
        self.store = Store(self.folders.state / "jobs.db")

    def add(self, name: str, content: object, **fields: Any) -> Job:
        """A done job and its result: a text file, or a JSON file."""
        job = make_job(**{"name": name, "state": JobState.DONE, "result_path": name, **fields})
        self.store.insert([job])
        self.write(job, content)
        return job

    def write(self, job: Job, content: object) -> None:
        folder = self.folders.outbox / str(job.result_path)
        folder.mkdir(parents=True, exist_ok=True)
        is_text = isinstance(content, str)
        file = f"{job.name}.{'txt' if is_text else 'json'}"
        (folder / file).write_text(str(content) if is_text else json.dumps(content))
        facts = {"job": job.id, "files": [{"name": file, "size_bytes": 1}], "original": {"path": None}}
        (folder / "result.json").write_text(json.dumps(facts))

    def search(self, text: str, **options: Any) -> hits.Found:
        return hits.search(self.folders.state, self.folders.outbox, text, **options)

    def names(self, text: str, **options: Any) -> list[str]:
        return [result.row["file"] for result in self.search(text, **options).results]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)
