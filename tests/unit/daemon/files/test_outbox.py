"""Staging, publishing and removing results."""

from pathlib import Path

import pytest
from factories import make_job, write_file

from daemon.core.job import JobState
from daemon.files.layout import Layout


def test_publish_is_one_rename_that_never_overwrites(layout: Layout):
    layout.taken.take("id", write_file(layout.inbox.path / "x.txt"), [])
    job = make_job(id="id", name="x.txt", attempt=1, result_path="x", sha256=None)
    write_file(layout.outbox.prepare_attempt(job) / "out.txt")
    layout.outbox.stage(job, layout.taken.original("id"), ".", {"result.json": b"{}"})
    write_file(layout.outbox.path / "x" / "theirs")
    with pytest.raises(FileExistsError):
        layout.outbox.publish(job)
    assert layout.outbox.free_result_path(job, failed=False) == "x (2)"
    job = make_job(id="id", name="x.txt", attempt=1, result_path="x (2)")
    layout.outbox.publish(job)
    assert sorted(path.name for path in (layout.outbox.path / "x (2)").iterdir()) == [
        "out.txt",
        "result.json",
        "x.txt",
    ]
    assert not layout.outbox.is_staged(job)


def test_staging_is_idempotent(layout: Layout):
    layout.taken.take("id", write_file(layout.inbox.path / "x.txt"), [])
    job = make_job(id="id", name="x.txt", attempt=1, sha256=None)
    layout.outbox.prepare_attempt(job)
    for content in (b"1", b"2"):
        layout.outbox.stage(job, layout.taken.original("id"), ".", {"result.json": content})
    staged = layout.outbox.staging / "id.1"
    assert (staged / "result.json").read_bytes() == b"2"
    assert (staged / "x.txt").samefile(layout.taken.original("id").path)


@pytest.mark.parametrize("is_placed", [False, True])
def test_only_a_placed_original_is_not_placed_again(layout: Layout, is_placed: bool):
    layout.taken.take("id", write_file(layout.inbox.path / "x.txt", "the file"), [])
    job = make_job(id="id", name="x.txt", attempt=1, sha256=None)
    staged = write_file(layout.outbox.prepare_attempt(job) / "x.txt", "of an earlier try")
    layout.outbox.stage(job, layout.taken.original("id"), ".", {}, is_placed=is_placed)
    assert staged.read_text() == ("of an earlier try" if is_placed else "the file")
    staged.unlink()
    layout.outbox.stage(job, layout.taken.original("id"), ".", {}, is_placed=is_placed)
    assert staged.read_text() == "the file"


def test_withdraw_leaves_files_of_other_people(layout: Layout):
    result = layout.outbox.path / "failed" / "x"
    for name in ("x.txt", "error.txt", "error.json"):
        write_file(result / name)
    write_file(result / "original" / "kept-by-user", "x")
    layout.outbox.withdraw("failed/x")
    assert (result / "x.txt").exists()


def test_attempt_starts_with_an_empty_folder_and_spares_other_jobs(layout: Layout):
    for name in ("id.1/out.txt", "id.2/out.txt", "other.1/out.txt"):
        write_file(layout.outbox.staging / name)
    made = layout.outbox.prepare_attempt(make_job(id="id", attempt=3))
    assert made == layout.outbox.staging / "id.3" and list(made.iterdir()) == []
    assert sorted(path.name for path in layout.outbox.staging.iterdir()) == ["id.3", "other.1"]


@pytest.mark.parametrize("lie", ["size", "absent", "link", "folder"])
def test_output_counts_only_if_it_is_a_file_of_the_reported_size(layout: Layout, tmp_path: Path, lie: str):
    job = make_job(id="id", attempt=1)
    out = layout.outbox.prepare_attempt(job) / "out.txt"
    if lie == "link":
        out.symlink_to(write_file(tmp_path / "elsewhere"))
    elif lie == "folder":
        out.mkdir()
    elif lie == "size":
        write_file(out)
        assert layout.outbox.has_output(job, "out.txt", 4)
    assert not layout.outbox.has_output(job, "out.txt", out.stat().st_size + 1 if lie == "size" else 4)


def test_archived_original_is_stored_with_its_sidecars(layout: Layout):
    drop = write_file(layout.inbox.path / "a" / "x.txt")
    layout.taken.take("id", drop, [write_file(layout.inbox.path / "a" / "x.txt.prompt", "What?")])
    job = make_job(id="id", name="x.txt", folder="a", sha256=None)
    for _ in range(2):
        layout.outbox.archive_original(job, layout.taken.original("id"))
    home = layout.state / "archive" / "a" / "id"
    assert {path.name: path.read_text() for path in home.iterdir()} == {"x.txt": "text", "x.txt.prompt": "What?"}


def test_removing_a_result_removes_emptied_folders(layout: Layout):
    for name, state in (("a/b/x", JobState.DONE), ("failed/a/x", JobState.FAILED), ("failed/x", JobState.FAILED)):
        write_file(layout.outbox.path / name / "sub" / "out.txt")
        write_file(layout.outbox.staging / "id.removed" / "left by a run that died")
        layout.outbox.remove_result(make_job(id="id", state=state), layout.outbox.path / name)
    assert [path.name for path in sorted(layout.outbox.path.iterdir())] == [".staging", "failed"]
    assert list((layout.outbox.path / "failed").iterdir()) == list(layout.outbox.staging.iterdir()) == []


@pytest.mark.parametrize(
    ("document", "lacks"),
    [(b'{"original": null}', True), (b'{"original": {"path": "x"}}', False), (b"{", True), (b"{}", True), (b"[]", True)]
    + [(None, False)],
)
def test_failure_without_its_original_is_recognized(layout: Layout, document: bytes | None, lacks: bool):
    if document is not None:
        write_file(layout.outbox.path / "failed" / "x" / "error.json", document.decode())
    failed = make_job(state=JobState.FAILED, result_path="failed/x")
    assert layout.outbox.lacks_original(failed) == lacks
    assert not layout.outbox.lacks_original(make_job(state=JobState.FAILED, result_path=None))
    assert not layout.outbox.lacks_original(make_job(state=JobState.DONE, result_path="failed/x"))


def test_withdrawal_is_idempotent(layout: Layout):
    result = write_file(layout.outbox.path / "failed" / "a" / "x" / "original" / "error.txt").parents[1]
    write_file(result / "error.txt")
    for _ in range(2):
        layout.outbox.withdraw("failed/a/x")
        assert list((layout.outbox.path / "failed").iterdir()) == []
