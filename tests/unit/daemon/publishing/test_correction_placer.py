"""The daemon places corrected files beside a result: all of one correction, durably, and never over anything else."""

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from factories import make_job

from daemon.core.job import Job, JobState
from daemon.files.folders import Folders
from daemon.publishing import correction_placer
from daemon.publishing.correction_placer import CorrectionPlacer, CorrectionRefused
from daemon.queue.store import Store


class Desk:
    """A done job with a result, and corrections that a client prepares."""

    def __init__(self, home: Path):
        self.folders = Folders(inbox=home / "inbox", outbox=home / "outbox", state=home / "state")
        self.folders.prepare()
        self.folders.lock()
        self.store = Store(home / "state" / "jobs.db")
        self.job: Job = make_job(state=JobState.DONE, result_path="r")
        self.store.insert([self.job])
        self.result = home / "outbox" / "r"
        self.result.mkdir()
        (self.result / "result.json").write_text(json.dumps({"job": self.job.id, "files": []}))
        self.corrector = CorrectionPlacer(self.store, self.folders)

    def prepare(self, files: dict[str, str], *, changes: int = 1, **record: Any) -> str:
        name = str(uuid.uuid4())
        folder = self.folders.state / "corrections" / name
        folder.mkdir(parents=True)
        listed = []
        for file, content in files.items():
            (folder / file).write_text(content)
            listed.append(
                {"name": file, "size_bytes": len(content), "sha256": hashlib.sha256(content.encode()).hexdigest()}
            )
        facts = {"job": self.job.id, "files": listed, "changes": [{"by": "Ann"}] * changes, **record}
        (folder / "corrections.json").write_text(json.dumps(facts))
        return name

    def place(self, name: str, revision: int = 0) -> None:
        self.corrector.place(self.job, name, revision=revision)

    def placed(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.result / "corrected").iterdir()}

    def events(self) -> list[tuple[str, str]]:
        return [(each["event"], each["detail"]) for each in self.store.events_after(0, limit=99)]


@pytest.fixture
def desk(tmp_path: Path):
    made = Desk(tmp_path)
    yield made
    made.store.close()


def test_files_appear_in_the_result_with_their_record(desk: Desk):
    desk.place(desk.prepare({"a.csv": "1", "a.json": "{}"}))
    assert sorted(desk.placed()) == ["a.csv", "a.json", "corrections.json"]
    assert desk.placed()["a.csv"] == "1"
    assert desk.events()[-1] == ("corrected", "1 correction by Ann")
    assert os.listdir(desk.folders.outbox.staging) == [".lock"]


def test_next_correction_replaces_the_files_of_the_last(desk: Desk):
    desk.place(desk.prepare({"a.csv": "1", "gone.csv": "x"}))
    desk.place(desk.prepare({"a.csv": "2"}, changes=3), revision=1)
    assert sorted(desk.placed()) == ["a.csv", "corrections.json"]
    assert desk.placed()["a.csv"] == "2"
    assert desk.events()[-1] == ("corrected", "2 corrections by Ann")


def test_correction_of_an_older_state_is_refused(desk: Desk):
    desk.place(desk.prepare({"a.csv": "1"}))
    with pytest.raises(CorrectionRefused, match="in the meantime"):
        desk.place(desk.prepare({"a.csv": "2"}, changes=1), revision=0)
    assert desk.placed()["a.csv"] == "1"


def test_crash_before_the_rename_leaves_what_was_there(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    desk.place(desk.prepare({"a.csv": "1"}))
    prepared = desk.prepare({"a.csv": "2"}, changes=2)
    with monkeypatch.context() as patch:
        patch.setattr(
            correction_placer.durable, "put_in_place", lambda *_, **__: (_ for _ in ()).throw(OSError("crash"))
        )
        with pytest.raises(OSError, match="crash"):
            desk.place(prepared, revision=1)
    assert desk.placed()["a.csv"] == "1"
    desk.place(prepared, revision=1)
    assert desk.placed()["a.csv"] == "2"


@pytest.mark.parametrize("exchange_is_supported", [True, False])
def test_folder_never_lacks_files(exchange_is_supported: bool, desk: Desk, monkeypatch: pytest.MonkeyPatch):
    if not exchange_is_supported:
        monkeypatch.setattr(correction_placer.durable, "_RENAME_EXCHANGE", 1 << 30)  # no such flag
    desk.place(desk.prepare({"a.csv": "1"}))
    desk.place(desk.prepare({"a.csv": "2"}, changes=2), revision=1)
    assert desk.placed()["a.csv"] == "2"


def test_folder_of_a_person_is_not_replaced(desk: Desk):
    (desk.result / "corrected").mkdir()
    (desk.result / "corrected" / "mine.txt").write_text("mine")
    with pytest.raises(CorrectionRefused, match="did not write"):
        desk.place(desk.prepare({"a.csv": "1"}))
    assert desk.placed() == {"mine.txt": "mine"}


@pytest.mark.parametrize("name", ["mine.txt", "a.csv", "mine"])
def test_files_that_a_person_added_or_changed_are_not_replaced(desk: Desk, name: str):
    desk.place(desk.prepare({"a.csv": "1", "gone.csv": "2"}))
    corrected = desk.result / "corrected"
    (corrected / "gone.csv").unlink()
    if name == "mine":
        (corrected / name).mkdir()
    else:
        (corrected / name).write_text("mine")
    with pytest.raises(CorrectionRefused, match=f"Somebody has added or changed {name} .*corrected") as refused:
        desk.place(desk.prepare({"a.csv": "3"}, changes=2), revision=1)
    assert "Move" in refused.value.fix
    assert (corrected / name).is_dir() or (corrected / name).read_text() == "mine"
    (corrected / name).rename(desk.result.parent / "elsewhere")
    desk.place(desk.prepare({"a.csv": "3"}, changes=2), revision=1)
    assert desk.placed()["a.csv"] == "3"


def test_result_of_another_job_is_not_touched(desk: Desk):
    (desk.result / "result.json").write_text('{"job": "another"}')
    with pytest.raises(CorrectionRefused, match="another job"):
        desk.place(desk.prepare({"a.csv": "1"}))
    assert not (desk.result / "corrected").exists()


def test_result_that_is_a_link_is_not_entered(desk: Desk, tmp_path: Path):
    desk.result.rename(tmp_path / "elsewhere")
    desk.result.symlink_to(tmp_path / "elsewhere")
    with pytest.raises((CorrectionRefused, OSError)):
        desk.place(desk.prepare({"a.csv": "1"}))
    assert not (tmp_path / "elsewhere" / "corrected").exists()


def break_link(folder: Path) -> None:
    (folder / "a.csv").unlink()
    (folder / "a.csv").symlink_to("/etc/passwd")


def break_content(folder: Path) -> None:
    (folder / "a.csv").write_text("changed")


def break_record(folder: Path) -> None:
    (folder / "corrections.json").write_text("[]")


def break_name(folder: Path) -> None:
    record = json.loads((folder / "corrections.json").read_text())
    record["files"][0]["name"] = "../a.csv"
    (folder / "corrections.json").write_text(json.dumps(record))


def break_job(folder: Path) -> None:
    record = json.loads((folder / "corrections.json").read_text())
    (folder / "corrections.json").write_text(json.dumps({**record, "job": "another"}))


@pytest.mark.parametrize("break_it", [break_link, break_content, break_record, break_name, break_job])
def test_incomplete_or_altered_files_are_refused(break_it: Any, desk: Desk):
    name = desk.prepare({"a.csv": "1"})
    break_it(desk.folders.state / "corrections" / name)
    with pytest.raises(CorrectionRefused, match="cannot be read"):
        desk.place(name)
    assert not (desk.result / "corrected").exists()


@pytest.mark.parametrize("name", ["", "..", "../x", "0d9a5c3e-6f0e-4e7b-9a53-1c6f6a1f2b11"])
def test_unknown_folder_is_refused(name: str, desk: Desk):
    with pytest.raises(CorrectionRefused):
        desk.place(name)


def test_too_large_record_is_refused(desk: Desk):
    """The main thread formats it, which takes about a second for 4 MB."""
    with pytest.raises(CorrectionRefused, match="larger than"):
        desk.place(desk.prepare({"a.csv": "1"}, document="x" * 4_300_000))
    assert not (desk.result / "corrected").exists()


def test_too_large_files_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(correction_placer, "_MAX_BYTES", 3)
    with pytest.raises(CorrectionRefused, match="too large"):
        desk.place(desk.prepare({"a.csv": "12", "b.csv": "34"}))
