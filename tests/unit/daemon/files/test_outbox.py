"""Staging, publishing and removing results."""

from pathlib import Path

import pytest
from factories import make_job, write_file

from daemon.core.job import JobState
from daemon.files import outbox
from daemon.files.layout import Layout


def test_publish_is_one_rename_that_never_overwrites(folders: Layout):
    folders.inbox.take("id", write_file(folders.inbox.path / "x.txt"), [])
    job = make_job(id="id", name="x.txt", attempt=1, result_path="x", sha256=None)
    write_file(folders.outbox.prepare_attempt(job) / "out.txt")
    folders.outbox.stage(job, folders.inbox.original("id"), ".", {"result.json": b"{}"})
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


def test_staging_is_idempotent(folders: Layout):
    folders.inbox.take("id", write_file(folders.inbox.path / "x.txt"), [])
    job = make_job(id="id", name="x.txt", attempt=1, sha256=None)
    folders.outbox.prepare_attempt(job)
    for content in (b"1", b"2"):
        folders.outbox.stage(job, folders.inbox.original("id"), ".", {"result.json": content})
    staged = folders.outbox.staging / "id.1"
    assert (staged / "result.json").read_bytes() == b"2"
    assert (staged / "x.txt").samefile(folders.inbox.original("id").path)


def test_withdraw_leaves_files_of_other_people(folders: Layout):
    result = folders.outbox.path / "failed" / "x"
    for name in ("x.txt", "error.txt", "error.json"):
        write_file(result / name)
    write_file(result / "original" / "kept-by-user", "x")
    folders.outbox.withdraw("failed/x")
    assert (result / "x.txt").exists()


@pytest.mark.parametrize("taken", [set(), {1}, {1, 2, 3}, set(range(1, 1000)), {2, 3}, {1, 2, 4}])
def test_first_free_number_is_found_in_logarithmic_time(folders: Layout, taken: set[int]):
    for number in taken:
        (folders.outbox.path / ("x" if number == 1 else f"x ({number})")).mkdir()
    looks = []

    def is_taken(number: int) -> bool:
        looks.append(number)
        return number in taken

    number = outbox._first_free(is_taken)
    assert number not in taken and len(looks) <= 20
    assert folders.outbox.free_result_path(make_job(name="x.txt"), failed=False) == (
        "x" if number == 1 else f"x ({number})"
    )
    if taken == set(range(1, len(taken) + 1)):
        assert number == len(taken) + 1


def test_result_names_avoid_failures_and_inbox_folders(folders: Layout):
    free = folders.outbox.free_result_path
    assert free(make_job(name="x.txt", folder="a/b"), failed=False) == "a/b/x"
    assert free(make_job(name="x.txt", folder="a/b"), failed=True) == "failed/a/b/x"
    assert free(make_job(name="x.txt", folder="failed"), failed=False) == "failed (folder)/x"
    assert free(make_job(name="x.txt", folder="failed"), failed=True) == "failed/failed/x"
    (folders.inbox.path / "x").mkdir()
    assert free(make_job(name="x.txt"), failed=False) == "x (2)", "the folder's own results go to x"
    (folders.inbox.path / "y").symlink_to(folders.inbox.path)
    assert free(make_job(name="y.txt"), failed=False) == "y"
    (folders.outbox.path / "z").symlink_to(folders.outbox.path / "nowhere")
    assert free(make_job(name="z.txt"), failed=False) == "z (2)"


def test_attempt_starts_with_an_empty_folder_and_spares_other_jobs(folders: Layout):
    for name in ("id.1/out.txt", "id.2/out.txt", "other.1/out.txt"):
        write_file(folders.outbox.staging / name)
    made = folders.outbox.prepare_attempt(make_job(id="id", attempt=3))
    assert made == folders.outbox.staging / "id.3" and list(made.iterdir()) == []
    assert sorted(path.name for path in folders.outbox.staging.iterdir()) == ["id.3", "other.1"]


@pytest.mark.parametrize("lie", ["size", "absent", "link", "folder"])
def test_output_counts_only_if_it_is_a_file_of_the_reported_size(folders: Layout, tmp_path: Path, lie: str):
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


def test_archived_original_is_stored_with_its_sidecars(folders: Layout):
    drop = write_file(folders.inbox.path / "a" / "x.txt")
    folders.inbox.take("id", drop, [write_file(folders.inbox.path / "a" / "x.txt.prompt", "What?")])
    job = make_job(id="id", name="x.txt", folder="a", sha256=None)
    for _ in range(2):
        folders.outbox.archive_original(job, folders.inbox.original("id"))
    home = folders.state / "archive" / "a" / "id"
    assert {path.name: path.read_text() for path in home.iterdir()} == {"x.txt": "text", "x.txt.prompt": "What?"}


def test_removing_a_result_removes_emptied_folders(folders: Layout):
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
def test_failure_without_its_original_is_recognized(folders: Layout, document: bytes | None, lacks: bool):
    if document is not None:
        write_file(folders.outbox.path / "failed" / "x" / "error.json", document.decode())
    failed = make_job(state=JobState.FAILED, result_path="failed/x")
    assert folders.outbox.lacks_original(failed) == lacks
    assert not folders.outbox.lacks_original(make_job(state=JobState.FAILED, result_path=None))
    assert not folders.outbox.lacks_original(make_job(state=JobState.DONE, result_path="failed/x"))


def test_withdrawal_is_idempotent(folders: Layout):
    result = write_file(folders.outbox.path / "failed" / "a" / "x" / "original" / "error.txt").parents[1]
    write_file(result / "error.txt")
    for _ in range(2):
        folders.outbox.withdraw("failed/a/x")
        assert list((folders.outbox.path / "failed").iterdir()) == []
