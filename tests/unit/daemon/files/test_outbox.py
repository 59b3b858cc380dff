"""Staging, publishing and removing results."""

from pathlib import Path

import pytest
from factories import make_job, write_file

from daemon.core.job import JobState
from daemon.files.folders import Folders


def test_publish_is_one_rename_that_never_overwrites(folders: Folders):
    folders.taken.take("id", write_file(folders.inbox.path / "x.txt"), [])
    job = make_job(id="id", name="x.txt", attempt=1, result_path="x", sha256=None)
    write_file(folders.outbox.prepare_attempt(job) / "out.txt")
    folders.outbox.stage(job, folders.taken.original("id"), ".", {"result.json": b"{}"})
    write_file(folders.outbox.path / "x" / "theirs")
    with pytest.raises(FileExistsError):
        folders.outbox.publish(job)
    assert folders.outbox.free_result_path(job, failed=False) == "x (2)"
    job = make_job(id="id", name="x.txt", attempt=1, result_path="x (2)")
    folders.outbox.publish(job)
    assert sorted(path.name for path in (folders.outbox.path / "x (2)").iterdir()) == [
        "out.txt",
        "result.json",
        "x.txt",
    ]
    assert not folders.outbox.is_staged(job)


def test_staging_is_idempotent(folders: Folders):
    folders.taken.take("id", write_file(folders.inbox.path / "x.txt"), [])
    job = make_job(id="id", name="x.txt", attempt=1, sha256=None)
    folders.outbox.prepare_attempt(job)
    for content in (b"1", b"2"):
        folders.outbox.stage(job, folders.taken.original("id"), ".", {"result.json": content})
    staged = folders.outbox.staging / "id.1"
    assert (staged / "result.json").read_bytes() == b"2"
    assert (staged / "x.txt").samefile(folders.taken.original("id").path)


@pytest.mark.parametrize("is_placed", [False, True])
def test_only_a_placed_original_is_not_placed_again(folders: Folders, is_placed: bool):
    folders.taken.take("id", write_file(folders.inbox.path / "x.txt", "the file"), [])
    job = make_job(id="id", name="x.txt", attempt=1, sha256=None)
    staged = write_file(folders.outbox.prepare_attempt(job) / "x.txt", "of an earlier try")
    folders.outbox.stage(job, folders.taken.original("id"), ".", {}, is_placed=is_placed)
    assert staged.read_text() == ("of an earlier try" if is_placed else "the file")
    staged.unlink()
    folders.outbox.stage(job, folders.taken.original("id"), ".", {}, is_placed=is_placed)
    assert staged.read_text() == "the file"


def test_withdraw_leaves_files_of_other_people(folders: Folders):
    result = folders.outbox.path / "failed" / "x"
    for name in ("x.txt", "error.txt", "error.json"):
        write_file(result / name)
    write_file(result / "original" / "kept-by-user", "x")
    folders.outbox.withdraw("failed/x")
    assert (result / "x.txt").exists()


def test_attempt_starts_with_an_empty_folder_and_spares_other_jobs(folders: Folders):
    for name in ("id.1/out.txt", "id.2/out.txt", "other.1/out.txt"):
        write_file(folders.outbox.staging / name)
    made = folders.outbox.prepare_attempt(make_job(id="id", attempt=3))
    assert made == folders.outbox.staging / "id.3" and list(made.iterdir()) == []
    assert sorted(path.name for path in folders.outbox.staging.iterdir()) == ["id.3", "other.1"]


@pytest.mark.parametrize("lie", ["size", "absent", "link", "folder"])
def test_output_counts_only_if_it_is_a_file_of_the_reported_size(folders: Folders, tmp_path: Path, lie: str):
    job = make_job(id="id", attempt=1)
    out = folders.outbox.prepare_attempt(job) / "out.txt"
    if lie == "link":
        out.symlink_to(write_file(tmp_path / "elsewhere"))
    elif lie == "folder":
        out.mkdir()
    elif lie == "size":
        write_file(out)
        assert folders.outbox.has_output(job, "out.txt", 4)
    assert not folders.outbox.has_output(job, "out.txt", out.stat().st_size + 1 if lie == "size" else 4)


def test_archived_original_is_stored_with_its_sidecars(folders: Folders):
    drop = write_file(folders.inbox.path / "a" / "x.txt")
    folders.taken.take("id", drop, [write_file(folders.inbox.path / "a" / "x.txt.prompt", "What?")])
    job = make_job(id="id", name="x.txt", folder="a", sha256=None)
    for _ in range(2):
        folders.outbox.archive_original(job, folders.taken.original("id"))
    home = folders.state / "archive" / "a" / "id"
    assert {path.name: path.read_text() for path in home.iterdir()} == {"x.txt": "text", "x.txt.prompt": "What?"}


def test_removing_a_result_removes_emptied_folders(folders: Folders):
    for name, state in (("a/b/x", JobState.DONE), ("failed/a/x", JobState.FAILED), ("failed/x", JobState.FAILED)):
        write_file(folders.outbox.path / name / "sub" / "out.txt")
        write_file(folders.outbox.staging / "id.removed" / "left by a run that died")
        folders.outbox.remove_result(make_job(id="id", state=state), folders.outbox.path / name)
    assert [path.name for path in sorted(folders.outbox.path.iterdir())] == [".staging", "failed"]
    assert list((folders.outbox.path / "failed").iterdir()) == list(folders.outbox.staging.iterdir()) == []


@pytest.mark.parametrize(
    ("document", "lacks"),
    [(b'{"original": null}', True), (b'{"original": {"path": "x"}}', False), (b"{", True), (b"{}", True), (b"[]", True)]
    + [(None, False)],
)
def test_failure_without_its_original_is_recognized(folders: Folders, document: bytes | None, lacks: bool):
    if document is not None:
        write_file(folders.outbox.path / "failed" / "x" / "error.json", document.decode())
    failed = make_job(state=JobState.FAILED, result_path="failed/x")
    assert folders.outbox.lacks_original(failed) == lacks
    assert not folders.outbox.lacks_original(make_job(state=JobState.FAILED, result_path=None))
    assert not folders.outbox.lacks_original(make_job(state=JobState.DONE, result_path="failed/x"))


def test_withdrawal_is_idempotent(folders: Folders):
    result = write_file(folders.outbox.path / "failed" / "a" / "x" / "original" / "error.txt").parents[1]
    write_file(result / "error.txt")
    for _ in range(2):
        folders.outbox.withdraw("failed/a/x")
        assert list((folders.outbox.path / "failed").iterdir()) == []
