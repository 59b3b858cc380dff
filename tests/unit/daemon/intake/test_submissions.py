"""Files that programs submit: taken at once with their options, or refused and left where they are."""

import errno
import os
import tomllib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inbox_harness import InboxHarness
from manual_daemon import ManualDaemon

from daemon.core import durable, regular_files
from daemon.core.errors import StorageError
from daemon.core.job import Job
from daemon.files.submitted import SubmittedFiles
from daemon.intake.submissions import InvalidSubmission, Submission

TOML = """
[inbox]
text = "count"
image = "ask"
settle_seconds = 3600
[inbox.folders.bank]
priority = 3
[inbox.folders.slow]
wait_for_done = true
wait_for_sidecar = "1h"
[recipes.count]
processor = "plaintext"
"""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
def inbox(make_inbox: Callable[..., InboxHarness]) -> InboxHarness:
    return make_inbox(toml=TOML)


def upload(inbox: InboxHarness, content: bytes = b"some text\n", name: str = "") -> str:
    name = name or str(uuid.uuid4())
    (inbox.path / ".incoming" / name).write_bytes(content)
    return name


def submit(inbox: InboxHarness, file: str, name: str = "a.txt", folder: str = "", **how: Any) -> Job:
    job_id, waits_for = inbox.intake.submit(Submission(source="web", upload=file, folder=folder, name=name, **how))
    assert waits_for is None
    job = inbox.store.get(job_id)
    assert job is not None
    return job


def refused(inbox: InboxHarness, file: str, name: str = "a.txt", folder: str = "", **how: Any) -> str:
    """The reason of a refusal, which changes nothing."""
    before = sorted(path for path in inbox.path.rglob("*") if path.name != ".lock")
    with pytest.raises(InvalidSubmission) as error:
        inbox.intake.submit(Submission(source="web", upload=file, folder=folder, name=name, **how))
    assert sorted(path for path in inbox.path.rglob("*") if path.name != ".lock") == before
    assert inbox.files() == []
    return str(error.value)


def test_submitted_file_is_a_job_at_once_without_settling(inbox: InboxHarness):
    file = upload(inbox)
    job = submit(inbox, file, "report.txt", "bank/2026")
    assert (job.path, job.recipe, job.priority, job.media_type) == ("bank/2026/report.txt", "count", 3, "text/plain")
    assert job.sha256 == regular_files.sha256_of(inbox.folders.taken.original(job.id).path)
    assert not any((inbox.path / ".incoming").iterdir()) and not (inbox.path / "bank").exists()


def test_job_names_the_program_that_submitted_it(inbox: InboxHarness):
    assert submit(inbox, upload(inbox)).source == "web"


@pytest.mark.parametrize("source", ["", "inbox", "Web", "a b", "1", "x" * 33, "web\n"])
def test_source_that_is_not_the_name_of_a_program_is_refused(source: str, inbox: InboxHarness):
    with pytest.raises(InvalidSubmission, match="not a valid source name"):
        inbox.intake.submit(Submission(source=source, upload=upload(inbox), folder="", name="a.txt"))


def test_name_decides_about_the_type_as_it_does_for_a_dropped_file(inbox: InboxHarness):
    assert submit(inbox, upload(inbox, b"\x00\x01\x02"), "clip.mp3").media_type == "audio/mpeg"


def test_folders_that_make_dropped_files_wait_do_not_delay_a_submission(inbox: InboxHarness):
    assert submit(inbox, upload(inbox), folder="slow").recipe == "count"


def test_job_gets_the_uuid_of_its_upload_and_a_repeated_submission_the_same_answer(inbox: InboxHarness):
    file = upload(inbox)
    assert submit(inbox, file).id == file
    assert submit(inbox, file).id == file, "the reply was lost, and the client asks again"
    assert inbox.files() == ["a.txt"]
    upload(inbox, b"another", name=file)
    with pytest.raises(InvalidSubmission, match="already a job"):
        inbox.intake.submit(Submission(source="web", upload=file, folder="", name="b.txt"))
    assert (inbox.path / ".incoming" / file).read_bytes() == b"another"


def test_upload_with_any_other_name_gets_a_new_id(inbox: InboxHarness):
    job = submit(inbox, upload(inbox, name="upload.part"))
    assert str(uuid.UUID(job.id)) == job.id


def test_two_submissions_of_one_name_are_two_jobs(inbox: InboxHarness):
    inbox.write("a.txt", "dropped, and still settling")
    jobs = {submit(inbox, upload(inbox, text)).id for text in (b"one", b"two")}
    assert inbox.files() == ["a.txt", "a.txt"] and len(jobs) == 2
    assert (inbox.path / "a.txt").read_text() == "dropped, and still settling"


def test_options_prompt_and_password_become_sidecars(inbox: InboxHarness):
    options = {"recipe": "count", "upper": True, "priority": 9, "unset": None}
    job = submit(inbox, upload(inbox), options=options, prompt="why?", password="secret")
    assert job.overrides["options"] == {"upper": True} and job.priority == 9
    assert job.overrides["origins"] == {"recipe": "a.txt.toml", "upper": "a.txt.toml"}
    assert list(job.overrides["sidecars"]) == [".prompt"]
    original = inbox.folders.taken.original(job.id)
    assert sorted(original.sidecars) == ["password", "prompt", "toml"]
    assert original.sidecars["prompt"].read_text() == "why?"


@pytest.mark.parametrize(
    "text",
    ["", "upper = 5", "langage = 1", 'recipe = "nope"', 'recipe = "transcribe"', 'max_batch = 3\nrecipe = "count"'],
)
def test_wrong_options_are_refused_with_the_message_that_the_sidecar_gets(text: str, inbox: InboxHarness):
    options = tomllib.loads(text) if text else {"upper": float("nan")}
    inbox.write("a.txt")
    inbox.write("a.txt.toml", text or "upper = nan")
    inbox.configure(TOML.replace("3600", "0"))
    inbox.scan(now=10.0)
    left = inbox.left("a.txt")
    assert left.startswith("its options are wrong: a.txt.toml")
    why = refused(inbox, upload(inbox), options=options)
    assert why == left[0].upper() + left[1:]


@pytest.mark.parametrize(
    "options",
    [
        {"upper": [None]},
        {"upper": {"a": {"b": None}}},
        {"up\nper": True},
        {"": 1},
        {"upper": 2**70},
        {"upper": "x" * 20_000},
        {"upper": "\ud800"},
        {"vocabulary": [["x"] * 2000]},
    ],
)
def test_any_other_nonsense_in_the_options_is_refused(options: dict[str, Any], inbox: InboxHarness):
    assert "options are wrong" in refused(inbox, upload(inbox), options=options)


@pytest.mark.parametrize("value", ["a\"b\\c\nd\t'\x7fé\U0001f600", "'''", '"""', "# no comment", "=", "1", "true"])
def test_every_text_reaches_the_recipe_unchanged(value: str, inbox: InboxHarness):
    job = submit(inbox, upload(inbox, PNG), "a.png", options={"prompt": value})
    assert job.overrides["options"] == {"prompt": value}


def test_recipe_that_needs_a_prompt_is_refused_without_one(inbox: InboxHarness):
    assert "needs a prompt" in refused(inbox, upload(inbox, PNG), "a.png")
    assert submit(inbox, upload(inbox, PNG), "a.png", prompt="what is this?").recipe == "ask"


def test_file_that_would_be_left_in_the_inbox_as_unsupported_is_refused(inbox: InboxHarness):
    inbox.configure(TOML.replace("[inbox]", '[inbox]\nunsupported = "leave"', 1))
    assert "does not support" in refused(inbox, upload(inbox, b"\x00\x01\x02"), "a.bin")
    inbox.configure(TOML)
    assert submit(inbox, upload(inbox, b"\x00\x01\x02"), "a.bin").recipe is None


def test_sidecar_that_is_too_large_is_refused(inbox: InboxHarness):
    assert "a.txt.password exceeds the limit of 4 KiB" in refused(inbox, upload(inbox), password="x" * 5000)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", ".hidden", "x.part", "x~", "x" * 256, "a.txt.toml"])
def test_name_that_is_never_taken_is_refused(name: str, inbox: InboxHarness):
    assert refused(inbox, upload(inbox), name)


@pytest.mark.parametrize("folder", ["/", "/etc", "..", "a/../b", "a//b", ".taken", "a/.hidden", "x.part", "a\0"])
def test_folder_that_is_never_scanned_is_refused(folder: str, inbox: InboxHarness):
    assert "is not a folder" in refused(inbox, upload(inbox), folder=folder)


def test_name_that_a_pattern_of_the_settings_ignores_is_refused(inbox: InboxHarness):
    inbox.configure(TOML.replace("[inbox]", '[inbox]\nignore = ["*.draft.txt", "b/*"]', 1))
    assert "[inbox] ignore" in refused(inbox, upload(inbox), "a.draft.txt")
    assert "[inbox] ignore" in refused(inbox, upload(inbox), folder="b")


def test_folder_that_is_too_deep_is_refused(inbox: InboxHarness):
    assert "nested too deeply" in refused(inbox, upload(inbox), folder="/".join("d" * 101))


@pytest.mark.parametrize("file", ["", ".", "..", "../a.txt", "/etc/passwd", "no-such-file", "a\0", "a/b"])
def test_only_a_file_of_the_incoming_folder_can_be_submitted(file: str, inbox: InboxHarness):
    inbox.write("a.txt")
    assert refused(inbox, file)


def test_anything_but_a_regular_file_is_refused(inbox: InboxHarness):
    incoming = inbox.path / ".incoming"
    os.mkfifo(incoming / "pipe")
    (incoming / "folder").mkdir()
    (incoming / "link").symlink_to("/etc/passwd")
    for name in ("pipe", "folder", "link"):
        assert "not a regular file" in refused(inbox, name)
    assert inbox.files() == [] and len(list(incoming.iterdir())) == 3


def test_file_that_is_still_written_is_refused(inbox: InboxHarness):
    file = upload(inbox)
    with (inbox.path / ".incoming" / file).open("ab"):
        assert "still writes" in refused(inbox, file)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_folder_of_another_user_in_its_place_is_not_used(inbox: InboxHarness):
    file = upload(inbox)
    os.chown(inbox.path / ".incoming", 65534, 65534)
    with pytest.raises(PermissionError):
        inbox.intake.submit(Submission(source="web", upload=file, folder="", name="a.txt"))


def test_folder_that_others_may_enter_is_not_used(inbox: InboxHarness):
    file = upload(inbox)
    (inbox.path / ".incoming").chmod(0o770)
    with pytest.raises(PermissionError):
        inbox.intake.submit(Submission(source="web", upload=file, folder="", name="a.txt"))


# ---------------------------------------------------------------------------------------------- errors


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "an injected error")


@pytest.mark.parametrize("where", ["take", "describe"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "an injected error"), ZeroDivisionError("a bug")])
def test_file_stays_where_it_is_after_an_error(where: str, error: Exception, inbox: InboxHarness, monkeypatch):
    real = SubmittedFiles.take

    def broken(self: SubmittedFiles, *arguments: Any, **options: Any) -> None:
        real(self, *arguments, **options)
        raise error

    def cannot(*_: object, **__: object) -> None:
        raise error

    if where == "take":
        monkeypatch.setattr(SubmittedFiles, "take", broken)
    else:
        monkeypatch.setattr("daemon.intake.describer.Describer.describe", cannot)
    file = upload(inbox)
    with pytest.raises(type(error)):
        inbox.intake.submit(Submission(source="web", upload=file, folder="a", name="a.txt", prompt="why?"))
    assert (inbox.path / ".incoming" / file).read_text() == "some text\n"
    assert list(inbox.folders.taken.job_ids()) == [] and inbox.files() == []
    monkeypatch.undo()
    assert submit(inbox, file, folder="a").id == file


def test_file_that_cannot_return_to_its_place_returns_to_the_inbox(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr("daemon.intake.describer.Describer.describe", fail)
    monkeypatch.setattr(SubmittedFiles, "give_back", fail)
    with pytest.raises(OSError, match="injected"):
        inbox.intake.submit(Submission(source="web", upload=upload(inbox), folder="a", name="a.txt"))
    assert (inbox.path / "a" / "a.txt").read_text() == "some text\n"
    assert list(inbox.folders.taken.job_ids()) == []


def test_repeated_submission_clears_what_a_failed_one_has_left(inbox: InboxHarness, monkeypatch):
    """The state machine found it: the options of the first name became a second file of the second."""
    file = upload(inbox)
    monkeypatch.setattr(durable, "rename_noreplace", fail)
    monkeypatch.setattr(durable, "remove_tree", fail)
    with pytest.raises(OSError):
        submit(inbox, file, "b.txt", options={"upper": True})
    monkeypatch.undo()
    monkeypatch.setattr(inbox.disk_retry, "_next_try", None)  # nothing has undone it yet
    assert inbox.disk_retry.examine()
    job = submit(inbox, file, "a.txt")
    original = inbox.folders.taken.original(job.id)
    assert (original.path.name, original.sidecars) == ("a.txt", {})


def test_failed_submission_leaves_no_draft_once_the_disk_works(inbox: InboxHarness, monkeypatch):
    file = upload(inbox)
    monkeypatch.setattr(durable, "rename_noreplace", fail)
    monkeypatch.setattr(durable, "remove_tree", fail)
    with pytest.raises(OSError):
        submit(inbox, file, options={"upper": True})
    assert list((inbox.path / ".taken").iterdir())
    monkeypatch.undo()
    inbox.disk_retry.retry(at_once=True)
    assert list((inbox.path / ".taken").iterdir()) == [] and (inbox.path / ".incoming" / file).exists()


def test_submission_that_a_failing_disk_left_half_done_is_completed(inbox: InboxHarness, monkeypatch):
    file, rename = upload(inbox), durable.rename_noreplace

    def rename_once(*_: Any, **how: Any) -> None:
        monkeypatch.setattr(durable, "rename_noreplace", fail)
        rename(*_, **how)

    monkeypatch.setattr(durable, "rename_noreplace", rename_once)
    with pytest.raises(OSError):
        submit(inbox, file)
    monkeypatch.undo()
    inbox.intake.submit(Submission(source="web", upload=file, folder="", name="a.txt"))
    assert [path.name for path in (inbox.path / ".taken" / file).iterdir()] == ["a.txt"]


def test_record_that_a_disk_delays_is_reported_and_made_later(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr(inbox.store, "insert", lambda *_, **__: fail())
    file = upload(inbox)
    job_id, waits_for = inbox.intake.submit(Submission(source="web", upload=file, folder="", name="a.txt"))
    assert job_id == file and waits_for and "injected" in waits_for
    again, still = inbox.intake.submit(Submission(source="web", upload=file, folder="", name="a.txt"))
    assert again == file and still, "repeated: it is the same job, which is still to be recorded"
    monkeypatch.undo()
    inbox.disk_retry.retry(at_once=True)
    assert submit(inbox, file).id == file and inbox.files() == ["a.txt"]


def test_file_that_cannot_be_recorded_returns_to_the_inbox(inbox: InboxHarness, monkeypatch):
    monkeypatch.setattr(inbox.store, "insert", lambda *_, **__: 1 / 0)
    with pytest.raises(InvalidSubmission, match="job log"):
        inbox.intake.submit(Submission(source="web", upload=upload(inbox), folder="a", name="a.txt"))
    assert (inbox.path / "a" / "a.txt").read_text() == "some text\n"
    assert "Internal error" in inbox.left("a/a.txt")


def test_nothing_is_taken_while_a_disk_does_not_allow_it(inbox: InboxHarness):
    file = upload(inbox)
    inbox.disk_retry.can_take = False
    with pytest.raises(StorageError):
        inbox.intake.submit(Submission(source="web", upload=file, folder="", name="a.txt"))
    assert (inbox.path / ".incoming" / file).exists()


def test_file_taken_without_a_row_is_adopted_with_its_options(inbox: InboxHarness, tmp_path: Path, monkeypatch):
    """A crash between the rename and the row."""
    from daemon.intake.claimer import Claimer

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Claimer, "record_submitted", die)
    file = upload(inbox)
    with pytest.raises(KeyboardInterrupt):
        inbox.intake.submit(Submission(source="web", upload=file, folder="b", name="a.txt", options={"upper": True}))
    inbox.close()
    daemon = ManualDaemon(inbox.settings)
    job = daemon.store.get(file)
    assert job is not None and (job.path, job.overrides["options"]) == ("b/a.txt", {"upper": True})
    if "user.inboxd.source" in os.listxattr(daemon.folders.taken.original(file).path):
        assert job.source == "web"
    daemon.store.close()


@pytest.mark.parametrize("is_moved", [False, True])
def test_crash_in_the_middle_of_the_move_leaves_no_options_behind(
    is_moved: bool, inbox: InboxHarness, tmp_path: Path, monkeypatch
):
    """Options that nobody put into the inbox would apply to the next file of the same name."""
    real, renames = durable.rename_noreplace, []

    def die(source: Path, target: Path, **folders: int | None) -> None:
        if is_moved and not renames:
            real(source, target, **folders)
            renames.append(source)
            return
        raise KeyboardInterrupt

    monkeypatch.setattr(durable, "rename_noreplace", die)
    file = upload(inbox)
    with pytest.raises(KeyboardInterrupt):
        inbox.intake.submit(Submission(source="web", upload=file, folder="b", name="a.txt", options={"upper": True}))
    monkeypatch.undo()
    inbox.close()
    daemon = ManualDaemon(inbox.settings)
    job = daemon.store.get(file)
    assert (job is not None) == is_moved and (inbox.path / ".incoming" / file).exists() == (not is_moved)
    assert job is None or job.overrides["options"] == {"upper": True}
    assert list(daemon.folders.taken.job_ids()) == ([file] if is_moved else [])
    assert not (inbox.path / "b").exists()
    daemon.store.close()
