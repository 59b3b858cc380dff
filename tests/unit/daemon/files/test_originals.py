"""Where the original is in a failed result, and fetching it back for a retry."""

import hashlib
import json
from pathlib import Path

import pytest
from factories import make_job, write_file

from daemon.core.job import JobState
from daemon.files.folders import Folders
from daemon.files.originals import original_folder
from daemon.files.taken import OriginalGone


def test_original_gets_a_subfolder_if_an_output_has_its_name(folders: Folders):
    folders.taken.take("id", write_file(folders.inbox.path / "x.txt"), [])
    original = folders.taken.original("id")
    assert original_folder(original, ["x.json", "result.json"]) == "."
    assert original_folder(original, ["x.txt"]) == "original"


@pytest.mark.parametrize("name", ["corrected", "original"])
def test_original_never_has_the_name_of_a_folder_of_its_result(folders: Folders, name: str):
    folders.taken.take("id", write_file(folders.inbox.path / name), [])
    assert original_folder(folders.taken.original("id"), ["corrected.txt", "result.json"]) == "original"


def _failed(folders: Folders, **files: str):
    result = folders.outbox.path / "failed" / "a" / "x"
    for name in ("error.txt", "error.json"):
        write_file(result / name)
    for name, text in files.items():
        write_file(result / name.replace("_", "."), text)
    fields = {"result_path": "failed/a/x", "folder": "a", "state": JobState.FAILED}
    return make_job(id="id", name="x.txt", sha256=hashlib.sha256(b"text").hexdigest(), **fields)


def _name_original(job, folders: Folders, path: str | None) -> None:
    where = {"path": path} if path else None
    (folders.outbox.path / job.result_path / "error.json").write_text(json.dumps({"job": job.id, "original": where}))


def test_fetch_back_refuses_an_original_that_changed(folders: Folders):
    result = folders.outbox.path / "failed" / "x"
    write_file(result / "x.txt", "changed")
    job = make_job(id="id", name="x.txt", result_path="failed/x", sha256="1" * 64, state=JobState.FAILED)
    with pytest.raises(OriginalGone):
        folders.fetch_back(job)


def test_original_is_fetched_back_with_its_sidecars(folders: Folders):
    folders.fetch_back(_failed(folders, x_txt="text", x_txt_prompt="What?"))
    original = folders.taken.original("id")
    assert original.path == folders.taken.path / "id" / "a" / "x.txt" and original.path.read_text() == "text"
    assert original.sidecars["prompt"].read_text() == "What?"
    assert (folders.outbox.path / "failed" / "a" / "x" / "x.txt").exists(), "until the retry is committed"


def test_fetching_back_is_idempotent(folders: Folders):
    job = _failed(folders, x_txt="text")
    folders.fetch_back(job)
    folders.fetch_back(job)
    assert folders.taken.original("id").path.read_text() == "text"


@pytest.mark.parametrize("files", [{}, {"x_txt": "other"}, {"x_txt": "text", "y_txt": "text"}])
def test_changed_or_ambiguous_original_is_not_fetched_back(folders: Folders, files: dict[str, str]):
    with pytest.raises(OriginalGone):
        folders.fetch_back(_failed(folders, **files))
    assert list(folders.taken.job_ids()) == []


def test_failure_of_another_file_below_original_does_not_hide_the_original(folders: Folders):
    job = _failed(folders, x_txt="text", x_txt_prompt="What?")
    _name_original(job, folders, "x.txt")
    other = folders.outbox.path / "failed/a/x/original/y"
    for name in ("error.txt", "error.json", "y.txt"):
        write_file(other / name)
    folders.fetch_back(job)
    assert folders.taken.original("id").path.read_text() == "text"
    folders.outbox.withdraw("failed/a/x")
    folders.outbox.withdraw("failed/a/x")
    assert [path.name for path in (folders.outbox.path / "failed/a/x").iterdir()] == ["original"]
    assert len(list(other.iterdir())) == 3


@pytest.mark.parametrize("is_cut_short", [False, True])
def test_withdrawal_spares_another_failure_below_original(folders: Folders, is_cut_short: bool):
    """The file x/original.txt has failed as well as x.txt."""
    job = _failed(folders, x_txt="text")
    _name_original(job, folders, "x.txt")
    for name in ("error.txt", "error.json", "original.txt"):
        write_file(folders.outbox.path / "failed/a/x/original" / name)
    if is_cut_short:
        (folders.outbox.path / "failed/a/x/error.json").unlink()
    folders.fetch_back(job)
    folders.outbox.withdraw("failed/a/x")
    assert [path.name for path in (folders.outbox.path / "failed/a/x").iterdir()] == ["original"]
    assert len(list((folders.outbox.path / "failed/a/x/original").iterdir())) == 3


def test_persons_note_beside_a_failure_survives_a_retry(folders: Folders):
    job = _failed(folders, x_txt="text", note_txt="important")
    _name_original(job, folders, "x.txt")
    folders.fetch_back(job)
    folders.outbox.withdraw("failed/a/x")
    assert [path.name for path in (folders.outbox.path / "failed/a/x").iterdir()] == ["note.txt"]


def test_original_in_a_subfolder_is_fetched_back(folders: Folders):
    job = _failed(folders)
    write_file(folders.outbox.path / "failed/a/x/original/error.json", "text")
    _name_original(job, folders, "original/error.json")
    folders.fetch_back(job)
    assert folders.taken.original("id").path.name == "error.json"
    folders.outbox.withdraw("failed/a/x")
    assert not (folders.outbox.path / "failed/a").exists()


@pytest.mark.parametrize("path", ["../../../state/secret", "/etc/hostname", "y/x.txt", "original/y/x.txt", "", "."])
def test_original_is_never_searched_outside_its_result(folders: Folders, path: str):
    job = _failed(folders, x_txt="text")
    _name_original(job, folders, "x.txt")
    (folders.outbox.path / job.result_path / "error.json").write_text(json.dumps({"original": {"path": path}}))
    folders.fetch_back(job)
    assert folders.taken.original("id").path.name == "x.txt"


def test_failure_without_an_original_has_none_to_fetch(folders: Folders):
    job = _failed(folders, note_txt="text")
    _name_original(job, folders, None)
    with pytest.raises(OriginalGone):
        folders.fetch_back(job)


def test_link_in_a_failed_result_is_not_fetched_back(folders: Folders, tmp_path: Path):
    job = _failed(folders)
    (folders.outbox.path / "failed" / "a" / "x" / "x.txt").symlink_to(write_file(tmp_path / "secret", "text"))
    with pytest.raises(OriginalGone):
        folders.fetch_back(job)
