import contextlib
import os
import subprocess
import threading
from pathlib import Path

import pytest
from factories import make_job
from places import wait_for

from daemon import durable, names, outbox
from daemon.durable import writer_has
from daemon.errors import AlreadyRunning, LayoutError
from daemon.folders import Folders
from daemon.inbox import OriginalGone, as_recorded
from daemon.model import JobState
from daemon.names import result_stem
from daemon.outbox import original_place


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
    with pytest.raises(OSError, match="no regular file"):
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


@pytest.mark.parametrize(("inbox", "outbox"), [("a", "a/b"), ("a/b", "a"), ("a", "a")])
def test_folders_in_one_another_are_refused(tmp_path: Path, inbox: str, outbox: str):
    folders = Folders(inbox=tmp_path / inbox, outbox=tmp_path / outbox, state=tmp_path / "state")
    with pytest.raises(LayoutError, match="lie in one another"):
        folders.prepare()


def test_second_lock_is_refused_with_the_first_ones_process(folders: Folders):
    folders.lock()
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        Folders(inbox=folders.inbox.path, outbox=folders.outbox.path, state=folders.state).lock()
    folders.unlock()


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
