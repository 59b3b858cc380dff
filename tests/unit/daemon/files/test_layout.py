import contextlib
import errno
import hashlib
import json
import os
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from factories import make_job
from sandbox import wait_for

from daemon.core import durable, names
from daemon.core.durable import writer_has
from daemon.core.errors import AlreadyRunning, LayoutError, StartOver, StorageError
from daemon.core.job import JobState
from daemon.core.names import result_stem
from daemon.files import outbox
from daemon.files.inbox import OriginalGone, as_recorded
from daemon.files.layout import Folders
from daemon.files.outbox import original_place


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(inbox=tmp_path / "inbox", outbox=tmp_path / "outbox", state=tmp_path / "state")
    made.prepare()
    return made


def _write(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_take_moves_a_drop_with_its_sidecar_and_remembers_its_folder(folders: Folders):
    drop = _write(folders.inbox.path / "a" / "b" / "x.jpg")
    sidecar = _write(folders.inbox.path / "a" / "b" / "x.jpg.prompt", "What is it?")
    folders.inbox.take("id", drop, [sidecar])
    original = folders.inbox.original("id")
    assert original.path == folders.inbox.taken / "id" / "a" / "b" / "x.jpg"
    assert original.sidecars["prompt"].read_text() == "What is it?"
    assert folders.inbox.folder_of(original.path, "id") == "a/b"
    assert list((folders.inbox.path / "a" / "b").iterdir()) == []


def test_put_back_of_a_take_whose_file_is_gone_leaves_nothing_and_returns_its_sidecar(folders: Folders):
    sidecar = _write(folders.inbox.path / "x.jpg.prompt")
    with pytest.raises(FileNotFoundError):
        folders.inbox.take("id", folders.inbox.path / "x.jpg", [sidecar])
    folders.inbox.put_back("id")
    assert sidecar.exists()
    assert list(folders.inbox.taken_ids()) == []


def test_put_back_never_overwrites(folders: Folders):
    folders.inbox.take("id", _write(folders.inbox.path / "x.txt", "first"), [])
    _write(folders.inbox.path / "x.txt", "second")
    folders.inbox.put_back("id")
    assert (folders.inbox.path / "x.txt").read_text() == "second"
    assert (folders.inbox.path / "x (2).txt").read_text() == "first"


def test_link_swapped_in_after_the_scan_is_not_taken(folders: Folders, tmp_path: Path):
    secret = _write(tmp_path / "secret", "not yours")
    (folders.inbox.path / "x.txt").symlink_to(secret)
    with pytest.raises(OSError, match="not a regular file"):
        folders.inbox.take("id", folders.inbox.path / "x.txt", [])
    folders.inbox.put_back("id")
    assert (folders.inbox.path / "x.txt").is_symlink()
    assert list(folders.inbox.taken_ids()) == []


def test_original_that_was_removed_is_told(folders: Folders):
    with pytest.raises(OriginalGone):
        folders.inbox.original("nothing")
    folders.inbox.take("id", _write(folders.inbox.path / "x.txt"), [])
    folders.inbox.original("id").path.unlink()
    with pytest.raises(OriginalGone):
        folders.inbox.original("id")


def test_publish_is_one_rename_that_never_overwrites(folders: Folders):
    folders.inbox.take("id", _write(folders.inbox.path / "x.txt"), [])
    job = make_job(id="id", name="x.txt", attempt=1, result_path="x", sha256=None)
    _write(folders.outbox.prepare_attempt(job) / "out.txt")
    folders.outbox.stage(job, folders.inbox.original("id"), ".", {"result.json": b"{}"})
    _write(folders.outbox.path / "x" / "theirs")
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


def test_staging_twice_gives_the_same(folders: Folders):
    folders.inbox.take("id", _write(folders.inbox.path / "x.txt"), [])
    job = make_job(id="id", name="x.txt", attempt=1, sha256=None)
    folders.outbox.prepare_attempt(job)
    for content in (b"1", b"2"):
        folders.outbox.stage(job, folders.inbox.original("id"), ".", {"result.json": content})
    staged = folders.outbox.staging / "id.1"
    assert (staged / "result.json").read_bytes() == b"2"
    assert (staged / "x.txt").samefile(folders.inbox.original("id").path)


def test_original_goes_into_a_folder_of_its_own_if_an_output_has_its_name(folders: Folders):
    folders.inbox.take("id", _write(folders.inbox.path / "x.txt"), [])
    original = folders.inbox.original("id")
    assert original_place(original, ["x.json", "result.json"]) == "."
    assert original_place(original, ["x.txt"]) == "original"


def test_fetch_back_refuses_an_original_that_changed(folders: Folders):
    result = folders.outbox.path / "failed" / "x"
    _write(result / "x.txt", "changed")
    job = make_job(id="id", name="x.txt", result_path="failed/x", sha256="1" * 64, state=JobState.FAILED)
    with pytest.raises(OriginalGone):
        folders.fetch_back(job)


def test_withdraw_leaves_what_others_put_there(folders: Folders):
    result = folders.outbox.path / "failed" / "x"
    for name in ("x.txt", "error.txt", "error.json"):
        _write(result / name)
    _write(result / "original" / "kept-by-user", "x")
    folders.outbox.withdraw("failed/x")
    assert (result / "x.txt").exists()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.tar.gz", "a.tar"),
        ("noext", "noext"),
        ("new\nline.txt", "new\\x0aline"),
        (os.fsdecode(b"caf\xe9.txt"), "caf\\xe9"),
        ("é" * 120 + ".txt", "é" * 100),
    ],
)
def test_result_names_are_printable_and_short(name: str, stem: str):
    assert result_stem(name) == stem


def test_writer_is_seen_while_it_has_the_file_open(tmp_path: Path):
    path = _write(tmp_path / "x")
    if writer_has(path) is None:
        pytest.skip("this file system cannot tell")
    with path.open("a"):
        assert writer_has(path) is True
    with path.open("rb"):
        assert writer_has(path) is False


def test_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "x")
    assert not writer_has(tmp_path / "x")


@pytest.mark.parametrize(("inbox", "outbox"), [("a", "a/b"), ("a/b", "a"), ("a", "a")])
def test_folders_in_one_another_are_refused(tmp_path: Path, inbox: str, outbox: str):
    folders = Folders(inbox=tmp_path / inbox, outbox=tmp_path / outbox, state=tmp_path / "state")
    with pytest.raises(LayoutError, match="overlap"):
        folders.prepare()


def test_state_folder_in_the_inbox_is_refused_by_its_name(tmp_path: Path):
    folders = Folders(inbox=tmp_path / "a", outbox=tmp_path / "b", state=tmp_path / "a" / "c")
    with pytest.raises(LayoutError, match=f"the state folder {tmp_path}/a/c overlap"):
        folders.prepare()


def test_second_lock_is_refused_with_the_first_ones_process(folders: Folders):
    folders.lock()
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        Folders(inbox=folders.inbox.path, outbox=folders.outbox.path, state=folders.state).lock()
    folders.unlock()


@pytest.mark.parametrize("shared", ["inbox", "outbox", "state"])
def test_daemon_with_one_folder_of_another_daemon_is_refused(folders: Folders, tmp_path: Path, shared: str):
    folders.lock()
    others = {name: tmp_path / "other" / name for name in ("inbox", "outbox", "state")}
    other = Folders(**others | {shared: tmp_path / shared})
    other.prepare()
    with pytest.raises(AlreadyRunning, match=f"{tmp_path / shared} .process {os.getpid()}"):
        other.lock()
    folders.unlock()
    other.lock()
    other.unlock()


def test_locked_folders_hold_no_file_open_for_writing(folders: Folders):
    """Or their file system could not be remounted read-only while the daemon runs."""
    folders.lock()
    held = {name: lock for name in os.listdir("/proc/self/fd") if (lock := _lock_behind(name)) is not None}
    flags = [int(Path(f"/proc/self/fdinfo/{name}").read_text().split()[3], 8) for name in held]  # proc(5): "flags:"
    folders.unlock()
    assert len(held) == 3 and not any(each & (os.O_WRONLY | os.O_RDWR) for each in flags)


def _lock_behind(name: str) -> Path | None:
    """The lock file that a descriptor of this process refers to."""
    with contextlib.suppress(FileNotFoundError):
        path = Path("/proc/self/fd", name).readlink()
        return path if path.name == ".lock" else None
    return None


def test_lock_that_outlives_a_killed_daemon_by_a_moment_is_waited_for(folders: Folders):
    """Between fork and exec, the child of a killed daemon still holds its lock."""
    path = folders.inbox.taken / ".lock"
    holder = subprocess.Popen(
        ["flock", "--exclusive", "--no-fork", path, "sh", "-c", "echo held; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    locking = threading.Thread(target=folders.lock)
    locking.start()
    wait_for(lambda: path in _opened(), "the try to lock")
    holder.communicate(b"enough\n")
    locking.join()
    assert path.read_text() == f"{os.getpid()}\n"
    folders.unlock()


def _opened() -> set[Path]:
    """The files that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(descriptor.readlink())
    return found


def test_copy_across_file_systems_is_verified(tmp_path: Path, monkeypatch):
    source = _write(tmp_path / "x")
    monkeypatch.setattr(os, "link", _refuse_link)
    with pytest.raises(durable.CopyDiffers):
        durable.link_or_copy(source, tmp_path / "y", "0" * 64)
    assert not (tmp_path / "y").exists()
    durable.link_or_copy(source, tmp_path / "y", durable.sha256_of(source))
    assert (tmp_path / "y").read_text() == "text"


def _refuse_link(*_, **__):
    raise OSError(18, "Invalid cross-device link")


@pytest.mark.parametrize("number", [0, 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, 14 * 10**18])
def test_numbers_too_large_for_the_job_log_are_recorded_as_others_that_stay_different(number):
    recorded = as_recorded(number)
    assert -(2**63) <= recorded < 2**63
    assert recorded == number or not -(2**63) <= number < 2**63
    assert as_recorded(number + 1) != recorded


@pytest.mark.parametrize("taken", [set(), {1}, {1, 2, 3}, set(range(1, 1000)), {2, 3}, {1, 2, 4}])
def test_result_gets_the_first_free_number_after_few_looks(folders: Folders, taken: set[int]):
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


def test_file_goes_back_to_the_top_if_a_link_has_its_folders_place(folders: Folders, tmp_path: Path):
    folders.inbox.take("id", _write(folders.inbox.path / "a" / "x.txt"), [])
    (folders.inbox.path / "a").rmdir()
    (tmp_path / "outside").mkdir()
    (folders.inbox.path / "a").symlink_to(tmp_path / "outside")
    folders.inbox.put_back("id")
    assert (folders.inbox.path / "x.txt").read_text() == "text"
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "other"),
    [("x.txt", "x (2).txt"), ("y" * 255, "y" * 251 + " (2)"), ("z." + "s" * 253, "z." + "s" * 249 + " (2)")],
)
def test_another_name_for_a_file_is_never_too_long(name: str, other: str):
    assert names.numbered(name, 2) == other and len(other) <= 255


# ---------------------------------------------------------------------------------------- still the same folders?


def test_folders_that_are_as_they_were_locked_pass_the_check(folders: Folders):
    folders.check()  # nothing is locked yet
    folders.lock()
    folders.check()
    folders.unlock()


@pytest.mark.parametrize(
    "name", ["inbox/.taken", "inbox/.taken/.lock", "outbox", "outbox/.staging", "outbox/.staging/.lock", "state"]
)
@pytest.mark.parametrize("is_replaced", [False, True])
def test_folder_that_was_removed_or_replaced_has_the_daemon_start_over(
    folders: Folders, tmp_path: Path, name: str, is_replaced: bool
):
    folders.lock()
    (tmp_path / name).rename(tmp_path / "away")
    if is_replaced:
        (tmp_path / name).mkdir()
    with pytest.raises(StartOver, match=name):
        folders.check()
    if is_replaced:
        (tmp_path / name).rmdir()
    (tmp_path / "away").rename(tmp_path / name)
    folders.check()
    folders.unlock()


def test_inbox_that_was_moved_away_is_waited_for(folders: Folders, tmp_path: Path):
    folders.inbox.take("id", _write(folders.inbox.path / "x.txt"), [])
    folders.lock()
    folders.inbox.path.rename(tmp_path / "away")
    for look in (folders.check, lambda: folders.original("id")):
        with pytest.raises(StorageError, match="is not there"):
            look()
    (tmp_path / "away").rename(folders.inbox.path)
    assert folders.original("id").path.read_text() == "text"
    folders.inbox.release("id")
    with pytest.raises(OriginalGone):
        folders.original("id")
    folders.unlock()


def test_folders_that_are_released_can_be_locked_again(folders: Folders):
    folders.lock()
    folders.unlock()
    folders.unlock()
    again = Folders(inbox=folders.inbox.path, outbox=folders.outbox.path, state=folders.state)
    again.lock()
    again.unlock()


@pytest.mark.parametrize("link", ["inbox/.taken", "outbox/.staging"])
def test_link_in_the_place_of_a_folder_of_the_daemon_is_refused(folders: Folders, tmp_path: Path, link: str):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).rmdir()
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LayoutError, match="symbolic link"):
        folders.prepare()


def test_read_only_file_system_is_refused_as_what_may_pass(folders: Folders, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(StorageError, match="read-only"):
        folders.prepare()


@pytest.mark.parametrize("lacking", [os.R_OK, os.W_OK, os.X_OK])
def test_folder_that_this_user_may_not_use_is_refused(folders: Folders, monkeypatch, lacking: int):
    monkeypatch.setattr(os, "access", lambda path, mode: path != folders.state or not mode & lacking)
    with pytest.raises(LayoutError, match="this user"):
        folders.prepare()


_MAY_PASS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)


@pytest.mark.parametrize("code", [*_MAY_PASS, errno.EACCES, errno.ENOTDIR])
def test_folder_that_cannot_be_made_is_told_with_what_mends_it(tmp_path: Path, monkeypatch, code: int):
    def fail(folder: Path, **_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(durable, "make_folder", fail)
    made = Folders(inbox=tmp_path / "inbox", outbox=tmp_path / "outbox", state=tmp_path / "state")
    with pytest.raises(StorageError if code in _MAY_PASS else LayoutError, match=os.strerror(code)):
        made.prepare()


# ---------------------------------------------------------------------------------------- a failed job's original


def _failed(folders: Folders, **files: str):
    result = folders.outbox.path / "failed" / "a" / "x"
    for name in ("error.txt", "error.json"):
        _write(result / name)
    for name, text in files.items():
        _write(result / name.replace("_", "."), text)
    fields = {"result_path": "failed/a/x", "folder": "a", "state": JobState.FAILED}
    return make_job(id="id", name="x.txt", sha256=hashlib.sha256(b"text").hexdigest(), **fields)


def test_fetched_back_original_is_taken_again_with_its_sidecars(folders: Folders):
    folders.fetch_back(_failed(folders, x_txt="text", x_txt_prompt="What?"))
    original = folders.inbox.original("id")
    assert original.path == folders.inbox.taken / "id" / "a" / "x.txt" and original.path.read_text() == "text"
    assert original.sidecars["prompt"].read_text() == "What?"
    assert (folders.outbox.path / "failed" / "a" / "x" / "x.txt").exists(), "until the retry is committed"


def test_fetching_back_again_gives_the_same(folders: Folders):
    job = _failed(folders, x_txt="text")
    folders.fetch_back(job)
    folders.fetch_back(job)
    assert folders.inbox.original("id").path.read_text() == "text"


@pytest.mark.parametrize("files", [{}, {"x_txt": "other"}, {"x_txt": "text", "y_txt": "text"}])
def test_failed_original_that_is_not_there_alone_and_unchanged_is_not_fetched(folders: Folders, files: dict[str, str]):
    with pytest.raises(OriginalGone):
        folders.fetch_back(_failed(folders, **files))
    assert list(folders.inbox.taken_ids()) == []


def _name_original(job, folders: Folders, path: str | None) -> None:
    where = {"path": path} if path else None
    (folders.outbox.path / job.result_path / "error.json").write_text(json.dumps({"job": job.id, "original": where}))


def test_failure_of_another_file_below_original_does_not_hide_the_original(folders: Folders):
    job = _failed(folders, x_txt="text", x_txt_prompt="What?")
    _name_original(job, folders, "x.txt")
    other = folders.outbox.path / "failed/a/x/original/y"
    for name in ("error.txt", "error.json", "y.txt"):
        _write(other / name)
    folders.fetch_back(job)
    assert folders.inbox.original("id").path.read_text() == "text"
    folders.outbox.withdraw("failed/a/x")
    folders.outbox.withdraw("failed/a/x")
    assert [path.name for path in (folders.outbox.path / "failed/a/x").iterdir()] == ["original"]
    assert len(list(other.iterdir())) == 3


@pytest.mark.parametrize("is_cut_short", [False, True])
def test_withdrawn_failure_spares_one_that_lies_in_its_folder_original(folders: Folders, is_cut_short: bool):
    """The file x/original.txt has failed as well as x.txt."""
    job = _failed(folders, x_txt="text")
    _name_original(job, folders, "x.txt")
    for name in ("error.txt", "error.json", "original.txt"):
        _write(folders.outbox.path / "failed/a/x/original" / name)
    if is_cut_short:
        (folders.outbox.path / "failed/a/x/error.json").unlink()
    folders.fetch_back(job)
    folders.outbox.withdraw("failed/a/x")
    assert [path.name for path in (folders.outbox.path / "failed/a/x").iterdir()] == ["original"]
    assert len(list((folders.outbox.path / "failed/a/x/original").iterdir())) == 3


def test_note_that_a_person_put_beside_a_failure_neither_hinders_a_retry_nor_is_lost(folders: Folders):
    job = _failed(folders, x_txt="text", note_txt="important")
    _name_original(job, folders, "x.txt")
    folders.fetch_back(job)
    folders.outbox.withdraw("failed/a/x")
    assert [path.name for path in (folders.outbox.path / "failed/a/x").iterdir()] == ["note.txt"]


def test_original_in_a_folder_of_its_own_is_fetched(folders: Folders):
    job = _failed(folders)
    _write(folders.outbox.path / "failed/a/x/original/error.json", "text")
    _name_original(job, folders, "original/error.json")
    folders.fetch_back(job)
    assert folders.inbox.original("id").path.name == "error.json"
    folders.outbox.withdraw("failed/a/x")
    assert not (folders.outbox.path / "failed/a").exists()


@pytest.mark.parametrize("path", ["../../../state/secret", "/etc/hostname", "y/x.txt", "original/y/x.txt", "", "."])
def test_original_is_never_looked_for_outside_its_result(folders: Folders, path: str):
    job = _failed(folders, x_txt="text")
    _name_original(job, folders, "x.txt")
    (folders.outbox.path / job.result_path / "error.json").write_text(json.dumps({"original": {"path": path}}))
    folders.fetch_back(job)
    assert folders.inbox.original("id").path.name == "x.txt"


def test_failure_without_an_original_has_none_to_fetch(folders: Folders):
    job = _failed(folders, note_txt="text")
    _name_original(job, folders, None)
    with pytest.raises(OriginalGone):
        folders.fetch_back(job)


def test_link_in_a_failed_result_is_not_fetched(folders: Folders, tmp_path: Path):
    job = _failed(folders)
    (folders.outbox.path / "failed" / "a" / "x" / "x.txt").symlink_to(_write(tmp_path / "secret", "text"))
    with pytest.raises(OriginalGone):
        folders.fetch_back(job)


# ---------------------------------------------------------------------------------------- results


def test_names_of_results_keep_clear_of_failures_and_of_folders(folders: Folders):
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


def test_attempt_begins_with_an_empty_folder_and_spares_those_of_other_jobs(folders: Folders):
    for name in ("id.1/out.txt", "id.2/out.txt", "other.1/out.txt"):
        _write(folders.outbox.staging / name)
    made = folders.outbox.prepare_attempt(make_job(id="id", attempt=3))
    assert made == folders.outbox.staging / "id.3" and list(made.iterdir()) == []
    assert sorted(path.name for path in folders.outbox.staging.iterdir()) == ["id.3", "other.1"]


@pytest.mark.parametrize("lie", ["size", "absent", "link", "folder"])
def test_output_is_believed_only_if_it_is_a_file_of_that_size(folders: Folders, tmp_path: Path, lie: str):
    job = make_job(id="id", attempt=1)
    out = folders.outbox.prepare_attempt(job) / "out.txt"
    if lie == "link":
        out.symlink_to(_write(tmp_path / "elsewhere"))
    elif lie == "folder":
        out.mkdir()
    elif lie == "size":
        _write(out)
        assert folders.outbox.holds(job, "out.txt", 4)
    assert not folders.outbox.holds(job, "out.txt", out.stat().st_size + 1 if lie == "size" else 4)


def test_archived_original_lies_apart_with_its_sidecars(folders: Folders):
    drop = _write(folders.inbox.path / "a" / "x.txt")
    folders.inbox.take("id", drop, [_write(folders.inbox.path / "a" / "x.txt.prompt", "What?")])
    job = make_job(id="id", name="x.txt", folder="a", sha256=None)
    for _ in range(2):
        folders.outbox.archive_original(job, folders.inbox.original("id"))
    home = folders.state / "archive" / "a" / "id"
    assert {path.name: path.read_text() for path in home.iterdir()} == {"x.txt": "text", "x.txt.prompt": "What?"}


def test_removed_result_is_gone_with_the_folders_it_leaves_empty(folders: Folders):
    for name, state in (("a/b/x", JobState.DONE), ("failed/a/x", JobState.FAILED), ("failed/x", JobState.FAILED)):
        _write(folders.outbox.path / name / "sub" / "out.txt")
        _write(folders.outbox.staging / "id.removed" / "left by a run that died")
        folders.outbox.remove_result(make_job(id="id", state=state), folders.outbox.path / name)
    assert [path.name for path in sorted(folders.outbox.path.iterdir())] == [".staging", "failed"]
    assert list((folders.outbox.path / "failed").iterdir()) == list(folders.outbox.staging.iterdir()) == []


@pytest.mark.parametrize(
    ("document", "lacks"),
    [(b'{"original": null}', True), (b'{"original": {"path": "x"}}', False), (b"{", True), (b"{}", True), (b"[]", True)]
    + [(None, False)],
)
def test_failure_without_its_original_is_known_by_its_document(folders: Folders, document: bytes | None, lacks: bool):
    if document is not None:
        _write(folders.outbox.path / "failed" / "x" / "error.json", document.decode())
    failed = make_job(state=JobState.FAILED, result_path="failed/x")
    assert folders.outbox.lacks_original(failed) == lacks
    assert not folders.outbox.lacks_original(make_job(state=JobState.FAILED, result_path=None))
    assert not folders.outbox.lacks_original(make_job(state=JobState.DONE, result_path="failed/x"))


def test_withdrawn_failure_is_gone_and_may_be_withdrawn_again(folders: Folders):
    result = _write(folders.outbox.path / "failed" / "a" / "x" / "original" / "error.txt").parents[1]
    _write(result / "error.txt")
    for _ in range(2):
        folders.outbox.withdraw("failed/a/x")
        assert list((folders.outbox.path / "failed").iterdir()) == []
