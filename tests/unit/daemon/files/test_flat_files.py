"""Flat results, from their publication to their removal: files beside each other, and a record of each result."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manual_daemon import ManualDaemon, finished

from daemon import config
from daemon.core import durable
from daemon.core.job import Job
from daemon.recovery.verify import Verdict, Verification
from daemon.results import result_files
from processors import protocol

INBOX = {"text": "count", "settle_seconds": 0.0, "layout": "flat", "duplicates": "reuse"}
TABLES = {
    "inbox": {**INBOX, "folders": {"own": {"layout": "folder"}}},
    "recipes": {"count": {"processor": "plaintext"}},
    "retention": {"results": "1h"},
}


class Shop(ManualDaemon):
    """A daemon by hand whose results are flat."""

    def __init__(self, home: Path, **inbox: Any):
        tables = {**TABLES, "inbox": {**TABLES["inbox"], **inbox}}
        super().__init__(config.parse(tables, source=None, home=home))
        self.outbox = self.settings.outbox

    def begin(self, name: str, text: str = "the file", *, mtime: float | None = None) -> Job:
        path = self.settings.inbox / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        self.do("rescan")
        for _ in range(3):
            self.turn()
        if 1 not in {worker.number for worker in self.workers if worker.jobs}:
            self.receive(1, protocol.WorkerLoaded(engine="hand", model="m", device="cpu", seconds=0.0))
            self.turn()
        (job,) = next(iter(self.workers)).jobs.values()
        return job

    def end(self, job: Job) -> Job:
        self.receive(1, finished(self, job))
        self.receive(1, protocol.BatchDone())
        return self.store.get(job.id)

    def publish(self, name: str, text: str = "the file") -> Job:
        job = self.end(self.begin(name, text))
        assert job.state == "done"
        return job

    def visible(self) -> set[str]:
        """The files in the outbox."""
        found = {str(path.relative_to(self.outbox)) for path in self.outbox.rglob("*") if path.is_file()}
        return found - {".staging/.lock"}

    def verdict(self) -> Verdict:
        return Verification(self.folders, self.store.path, is_running=True).run()

    def retain(self) -> list[str]:
        """Apply [retention] two hours later; return the reasons why something stays."""
        self.clock.seconds += 7200
        retention = self.app.retention
        reasons = []
        for removal in retention.due():
            reasons += [removal.why_not] if removal.why_not else []
            retention.remove(removal)
        return reasons


@pytest.fixture
def shop(tmp_path: Path):
    made = Shop(tmp_path)
    yield made
    made.store.close()


X = {"a/x.md", "a/x.out.txt", ".results/a/x/result.json"}
X2 = {"a/x (2).md", "a/x (2).out.txt", ".results/a/x (2)/result.json"}


def test_files_are_beside_each_other(shop: Shop):
    job = shop.publish("a/x.md")
    assert job.result_path == ".results/a/x" and shop.visible() == X
    assert (shop.outbox / "a" / "x.md").read_text() == "the file"
    assert not shop.verdict().findings


def test_folder_may_have_the_other_layout(shop: Shop):
    assert shop.publish("own/x.md").result_path == "own/x"
    assert shop.visible() == {"own/x/x.md", "own/x/out.txt", "own/x/result.json"}


@pytest.mark.parametrize("taken", ["a/x.md", "a/x.out.txt", ".results/a/x/y", "a/x.md.toml"])
def test_nothing_is_overwritten_and_all_files_share_a_number(shop: Shop, taken: str):
    path = shop.outbox / taken
    path.parent.mkdir(parents=True)
    path.write_text("of somebody else")
    shop.publish("a/x.md")
    assert shop.visible() == {taken, *X2} and path.read_text() == "of somebody else"


def test_name_of_an_inbox_folder_is_free_for_its_results(shop: Shop):
    job = shop.begin("x")
    (shop.settings.inbox / "x").mkdir()
    shop.end(job)
    assert "x (2)" in shop.visible()
    shop.publish("x/y", "another file")
    assert {"x/y", "x/y.out.txt"} <= shop.visible()


def test_result_never_has_the_folder_of_records_of_another(shop: Shop):
    shop.publish("bank.md")
    shop.publish("bank/x.md", "another file")
    assert {"bank.md", "bank (2)/x.md", ".results/bank (2)/x/result.json"} <= shop.visible()
    assert not shop.verdict().findings


def test_documents_of_results_in_folders_are_not_imitated(shop: Shop):
    shop.publish("a/result.json", "{}")
    shop.publish("a/error.json", "[]")
    assert not {"a/result.json", "a/error.json"} & shop.visible()
    shop.publish("a/x.md")
    assert shop.visible() >= X and not shop.verdict().findings


@pytest.mark.parametrize("originals", ["archive", "delete"])
def test_original_is_handled_by_the_policy(tmp_path: Path, originals: str):
    shop = Shop(tmp_path, originals=originals)
    shop.publish("a/x.md")
    assert shop.visible() == X - {"a/x.md"} and not shop.verdict().findings
    shop.store.close()


@pytest.mark.parametrize("done", [0, 1, 2])
def test_name_taken_while_the_files_are_renamed_gives_all_another_number(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, done: int
):
    """done: files that were renamed before."""
    job, real, renamed = shop.begin("a/x.md"), durable.rename_noreplace, []

    def rename(source: Path, target: Path, **options: Any) -> None:
        if target.parent == shop.outbox / "a" or target.name == "x":
            if len(renamed) == done:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("of somebody else")
            renamed.append(target)
        real(source, target, **options)

    monkeypatch.setattr(durable, "rename_noreplace", rename)
    assert shop.end(job).result_path == ".results/a/x (2)"
    theirs = {str(path.relative_to(shop.outbox)) for path in renamed[done : done + 1]}
    assert shop.visible() == {*X2, *theirs} and not shop.verdict().findings


@pytest.mark.parametrize("is_taken", [False, True])
def test_next_run_continues_when_only_some_files_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_taken: bool
):
    """is_taken: somebody takes a name in the meantime."""
    shop = Shop(tmp_path)
    job, real = shop.begin("a/x.md"), durable.rename_noreplace

    def rename(source: Path, target: Path, **options: Any) -> None:
        if target.name == "x.md":
            raise KeyboardInterrupt
        real(source, target, **options)

    monkeypatch.setattr(durable, "rename_noreplace", rename)
    with pytest.raises(KeyboardInterrupt):
        shop.end(job)
    assert shop.visible() >= {"a/x.out.txt"} and not shop.verdict().findings
    monkeypatch.undo()
    shop.die()
    if is_taken:
        (shop.outbox / "a" / "x.md").write_text("of somebody else")
    again = Shop(tmp_path)
    assert again.store.get(job.id).state == "done"
    assert again.visible() == ({*X2, "a/x.md"} if is_taken else X)
    assert not again.verdict().findings
    again.store.close()


def test_retention_removes_all_files_of_a_result(shop: Shop):
    shop.publish("a/x.md")
    (shop.outbox / "a" / "y.md").write_text("of somebody else")
    assert shop.retain() == [] and shop.visible() == {"a/y.md"}
    assert not (shop.outbox / ".results").exists()


def test_original_from_the_future_is_removed_as_well(shop: Shop):
    shop.end(shop.begin("x.md", mtime=4e9))
    assert "x.md" in shop.visible()
    assert shop.retain() == [] and shop.visible() == set()


def test_retention_spares_what_a_person_has_changed_or_replaced(shop: Shop):
    shop.publish("a/x.md")
    (shop.outbox / "a" / "x.out.txt").write_text("corrected")
    assert shop.retain() == ["files have changed since inboxd published them: x.out.txt"]
    assert shop.visible() == X


def _add(folder: Path) -> None:
    (folder / "mine.txt").write_text("of a person")
    os.utime(folder / "mine.txt", (1, 1))


def _change(folder: Path) -> None:
    (folder / "out.txt").write_text("of a person")


@pytest.mark.parametrize("change", [_add, _change])
def test_retention_spares_a_folder_of_a_result_that_a_person_has_changed(shop: Shop, change: Callable[[Path], None]):
    shop.publish("a/out.txt")
    change(shop.outbox / "a" / "out.original")
    before = shop.visible()
    assert shop.retain() == ["files have changed since inboxd published them: out.original"]
    assert shop.visible() == before


def test_retention_removes_the_folders_of_a_result(shop: Shop):
    shop.publish("a/out.txt")
    assert shop.retain() == [] and shop.visible() == set()


def test_retention_removes_the_record_of_files_that_were_moved_away(shop: Shop):
    shop.publish("a/x.md")
    shutil.rmtree(shop.outbox / "a")
    assert [finding.is_error for finding in shop.verdict().findings] == [False, False]
    assert shop.retain() == [] and shop.visible() == set()


@pytest.mark.parametrize("done", [1, 2])
def test_interrupted_removal_is_completed_by_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch, done: int):
    shop.publish("a/x.md")
    real, left = durable.rename_noreplace, [None] * done

    def rename(source: Path, target: Path, **options: Any) -> None:
        if not left:
            raise OSError(5, "an injected error")
        left.pop()
        real(source, target, **options)

    monkeypatch.setattr(durable, "rename_noreplace", rename)
    with pytest.raises(OSError, match="injected"):
        shop.retain()
    monkeypatch.undo()
    assert shop.verdict().is_clean
    assert shop.retain() == [] and shop.visible() == set()


def test_verify_finds_a_changed_file(shop: Shop):
    shop.publish("a/x.md")
    (shop.outbox / "a" / "x.out.txt").write_text("altered")
    assert [finding.is_error for finding in shop.verdict().findings] == [True]


def test_rows_are_rebuilt_from_the_records(tmp_path: Path):
    shop = Shop(tmp_path)
    jobs = [shop.publish("a/x.md"), shop.publish("own/y.md", "another file")]
    shop.stop()
    for path in (tmp_path / "state").glob("jobs.db*"):
        path.unlink()
    again = Shop(tmp_path)
    found = {job.id: again.store.get(job.id) for job in jobs}
    assert {job.result_path for job in found.values() if job} == {".results/a/x", "own/y"}
    assert not again.verdict().findings
    again.store.close()


def test_duplicate_gets_the_files_of_a_flat_result(shop: Shop):
    shop.publish("a/x.md")
    (shop.settings.inbox / "again.md").write_text("the file")
    shop.do("rescan")
    for _ in range(3):
        shop.turn()
    assert {"again.md", "again.out.txt"} <= shop.visible()
    copy = (shop.outbox / "again.out.txt").read_bytes()
    assert copy == (shop.outbox / "a" / "x.out.txt").read_bytes() and not shop.verdict().findings


def test_console_serves_the_files(shop: Shop):
    job = shop.publish("a/x.md")
    row: Any = {"id": job.id, "state": "done", "file": job.path, "result_path": job.result_path}
    found = result_files.find(row, shop.settings)
    assert found is not None and {file.name for file in found.files} == {"out.txt", "result.json"}
    for descriptor in (found.open("out.txt"), found.open("result.json"), found.open_original()):
        with os.fdopen(descriptor, "rb") as file:
            assert file.read()


def test_failure_has_a_folder(shop: Shop):
    job = shop.begin("a/x.md")
    assert shop.ask("cancel", job=job.id)["ok"]
    shop.exit_worker(1)
    shop.do("probe")
    assert shop.visible() == {f"failed/a/x/{name}" for name in ("x.md", "error.txt", "error.json")}


def test_record_lists_the_names_within_the_result(shop: Shop):
    job = shop.publish("a/x.md")
    facts = json.loads((shop.outbox / job.result_path / "result.json").read_bytes())
    assert [file["name"] for file in facts["files"]] == ["out.txt"] and facts["original"]["path"] == "x.md"
