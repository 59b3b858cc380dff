"""What [retention] removes: originals of jobs, and nothing that only resembles them."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import make_job

from daemon import config
from daemon.config.current import CurrentSettings
from daemon.core.job import Job, JobState
from daemon.files.folders import Folders
from daemon.queue.store import Store
from daemon.recovery.retention import Retention

HOUR_US = 3600 * 10**6
JOB = "0a1b2c3d-0000-4000-8000-00000000000a"
OTHER = "0a1b2c3d-0000-4000-8000-00000000000b"


class Archive:
    """Folders and a job log, at a time `later`, when their present contents are old."""

    def __init__(self, home: Path):
        self.folders = Folders(inbox=home / "inbox", outbox=home / "outbox", state=home / "state")
        self.folders.prepare()
        self.now_us = int(time.time() * 1e6)
        self.store = Store(home / "state" / "jobs.db", clock=lambda: self.now_us)
        rules = {"archive": "1h", "results": "1h", "failed": "1h"}
        settings = CurrentSettings(config.parse({"retention": rules}, source=None, home=home))
        self._retention = Retention(settings, self.store, self.folders)

    def put(self, path: str) -> Path:
        file = self.folders.outbox.archive / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("the original")
        return file

    def record(self, job_id: str, folder: str, *, state: JobState = JobState.DONE, **fields: Any) -> Job:
        job = make_job(id=job_id, folder=folder)
        self.store.insert([job])
        job = replace(job, state=state, finished_at=self.now_us if state.is_final else None, **fields)
        self.store.restore([job])
        return job

    def due(self) -> list[str]:
        found = []
        for removal in self._retention.due():
            found += [] if removal.why_not else [removal.path]
            self._retention.remove(removal)
        return found

    def reasons(self) -> list[str]:
        return [removal.why_not for removal in self._retention.due()]

    def later(self) -> None:
        self.now_us += 2 * HOUR_US


@pytest.fixture
def archive(tmp_path: Path):
    made = Archive(tmp_path)
    yield made
    made.store.close()


def test_old_archived_original_of_an_ended_job_is_removed(archive: Archive):
    archive.put(f"bank/{JOB}/x.txt")
    archive.record(JOB, "bank")
    assert archive.due() == []
    archive.later()
    assert archive.due() == [f"bank/{JOB}"]


def test_old_archived_original_without_a_row_is_removed(archive: Archive):
    file = archive.put(f"bank/{JOB}/x.txt")
    os.utime(file, (0, 0))  # as cp -p leaves it
    os.utime(file.parent, (0, 0))
    assert archive.due() == [], "it was put there just now"
    archive.later()
    assert archive.due() == [f"bank/{JOB}"]


@pytest.mark.parametrize("name", ["1" * 32, JOB, JOB.upper(), f"{{{JOB}}}", f"urn:uuid:{JOB}"])
def test_fresh_original_stays_in_an_inbox_folder_named_like_a_job(archive: Archive, name: str):
    archive.put(f"{name}/old")
    (archive.folders.outbox.archive / name / "old").unlink()
    os.utime(archive.folders.outbox.archive / name, (0, 0))
    archive.later()
    file = archive.put(f"{name}/{OTHER}/x.txt")
    archive.record(OTHER, name)
    os.utime(archive.folders.outbox.archive / name, (0, 0))
    assert archive.due() == [] and file.exists()


def test_inbox_folder_named_like_a_job_that_ended_elsewhere_stays(archive: Archive):
    archive.record(JOB, "bank")
    archive.later()
    file = archive.put(f"{JOB}/{OTHER}/x.txt")
    lone = archive.put(f"a/{JOB}/x.txt")
    assert archive.due() == [] and file.exists() and lone.exists()


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.PUBLISHING])
def test_archived_original_of_an_open_job_stays(archive: Archive, state: JobState):
    archive.put(f"{JOB}/x.txt")
    archive.record(JOB, "", state=state)
    archive.later()
    assert archive.due() == []


def test_link_below_the_archive_is_neither_followed_nor_removed(archive: Archive, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    archive.put(f"{JOB}/x.txt").unlink()
    (archive.folders.outbox.archive / JOB / "link").symlink_to(tmp_path / "elsewhere")
    archive.later()
    assert archive.due() == []


def test_corrected_result_is_removed_and_one_with_files_of_people_stays(archive: Archive):
    result = archive.folders.outbox.path / "x"
    (result / "corrected").mkdir(parents=True)
    (result / "result.json").write_text(json.dumps({"job": JOB, "files": []}))
    archive.record(JOB, "", result_path="x")
    archive.later()
    assert archive.reasons() == [""]
    (result / "mine.txt").write_text("notes")
    assert archive.reasons() == ["it contains files that inboxd did not publish: mine.txt"]


@pytest.mark.parametrize("name", ["corrected/mine.csv", "original/mine.txt", "attachments/mine.pdf", "corrected/a/b"])
@pytest.mark.parametrize("put", [Path.touch, Path.mkdir, lambda path: path.symlink_to("/etc")])
def test_what_a_person_adds_to_a_folder_of_a_result_stays(archive: Archive, name: str, put: Callable[[Path], None]):
    result = archive.folders.outbox.path / "x"
    files = [{"name": "attachments/a.pdf", "sha256": "0" * 64, "size_bytes": 0}]
    for path in ("corrected/x.csv", "attachments/a.pdf", "original/x.txt", "original/x.txt.toml"):
        (result / path).parent.mkdir(parents=True, exist_ok=True)
        (result / path).touch()
    facts = {"job": JOB, "files": files, "original": {"path": "original/x.txt"}}
    (result / "result.json").write_text(json.dumps(facts))
    record = {"job": JOB, "files": [{"name": "x.csv", "size_bytes": 0}]}
    (result / "corrected" / "corrections.json").write_text(json.dumps(record))
    archive.record(JOB, "", result_path="x")
    archive.later()
    assert archive.reasons() == [""]
    (result / name).parent.mkdir(exist_ok=True)
    put(result / name)
    shown = "corrected/a" if name == "corrected/a/b" else name
    assert archive.reasons() == [f"it contains files that inboxd did not publish: {shown}"]


def _rewrite(file: Path) -> None:
    file.write_text("another")


def _edit(file: Path) -> None:
    os.utime(file, (file.stat().st_mtime + 60,) * 2)


def _replace(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/hostname")


@pytest.mark.parametrize("name", ["x.csv", "attachments/a.pdf", "x.txt", "corrected/x.csv"])
@pytest.mark.parametrize("change", [_rewrite, _edit, _replace])
def test_result_in_which_a_person_has_changed_a_file_stays(archive: Archive, name: str, change: Callable[[Path], None]):
    result = archive.folders.outbox.path / "x"
    files = [{"name": each, "sha256": "0" * 64, "size_bytes": 4} for each in ("x.csv", "attachments/a.pdf")]
    for path in ("x.csv", "attachments/a.pdf", "x.txt", "corrected/x.csv"):
        (result / path).parent.mkdir(parents=True, exist_ok=True)
        (result / path).write_text("file")
    facts = {"job": JOB, "files": files, "original": {"path": "x.txt"}, "size_bytes": 4}
    (result / "result.json").write_text(json.dumps(facts))
    record = {"job": JOB, "files": [{"name": "x.csv", "size_bytes": 4}]}
    (result / "corrected" / "corrections.json").write_text(json.dumps(record))
    archive.record(JOB, "", result_path="x")
    archive.later()
    assert archive.reasons() == [""]
    change(result / name)
    assert archive.reasons() == [f"files have changed since inboxd published them: {name}"]
    (result / name).unlink()
    assert archive.reasons() == [""]


@pytest.mark.parametrize(
    "changes",
    [
        {"files": 5},
        {"files": [5]},
        {"files": [{}]},
        {"files": [{"name": "", "sha256": "", "size_bytes": 0}]},
        {"files": [{"name": "..", "sha256": "", "size_bytes": 0}]},
        {"original": "x"},
        {"original": {"path": 5}},
        {"original": {"path": "."}},
    ],
    ids=str,
)
def test_result_whose_document_was_changed_stays(archive: Archive, changes: dict[str, Any]):
    result = archive.folders.outbox.path / "x"
    result.mkdir()
    (result / "result.json").write_text(json.dumps({"job": JOB, **changes}))
    archive.record(JOB, "", result_path="x")
    archive.later()
    assert archive.reasons() == ["it has changed since inboxd published it"]
