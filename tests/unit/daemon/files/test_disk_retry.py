"""Steps that a disk does not allow: when they are retried, given up or replaced, and what the operator reads."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.core.errors import LogLocked, StartOver, StorageError
from daemon.files import disk_retry
from daemon.files.disk_retry import DiskRetry, describe
from daemon.files.folders import Folders
from daemon.queue.store import Store


class Disk:
    """Steps that fail while `error` is set, and a clock."""

    def __init__(self, folders: Folders, store: Store):
        self.folders, self.store = folders, store
        self.now = 100.0
        self.retry = DiskRetry(folders, store, clock=lambda: self.now)
        self.error: Exception | None = None
        self.done: list[str] = []
        self.tried = 0

    def step(self, name: str = "x") -> Callable[[], None]:
        def step() -> None:
            self.tried += 1
            if self.error is not None:
                raise self.error
            self.done.append(name)

        return step

    def run(self, name: str = "x", **options) -> bool:
        return self.retry.run(f"step {name}", self.step(name), **options)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.retry.retry()

    def pauses(self, count: int) -> list[float]:
        """The next pauses, each followed by a try."""
        found = []
        for _ in range(count):
            at = self.retry.next_try()
            assert at is not None
            found.append(at - self.now)
            self.wait(at - self.now)
        return found


@pytest.fixture
def disk(folders: Folders) -> Iterator[Disk]:
    store = Store(folders.state / "jobs.db")
    yield Disk(folders, store)
    store.close()


def full(path: str | None = "/full") -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", path)


@pytest.fixture
def broken_folders(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """The folders in which no file can be written."""
    broken: set[Path] = set()
    real = disk_retry._probe

    def probe(folder: Path) -> None:
        if folder in broken:
            raise full(str(folder))
        real(folder)

    monkeypatch.setattr(disk_retry, "_probe", probe)
    return broken


def test_step_that_is_possible_runs_at_once(disk: Disk):
    assert disk.run() is True
    assert (disk.done, disk.retry.next_try(), disk.retry.problem, disk.retry.tries) == (["x"], None, None, 0)


def test_step_is_retried_after_its_pause_and_not_before(disk: Disk):
    disk.error = full()
    assert disk.run() is False
    assert disk.retry.problem == (
        "1 steps wait: /full cannot be read or written: No space left on device. Free some space there."
    )
    disk.error = None
    disk.wait(0.4)
    assert disk.done == []
    disk.wait(0.1)
    assert (disk.done, disk.retry.next_try(), disk.retry.problem, disk.retry.tries) == (["x"], None, None, 0)


def test_pauses_double_up_to_a_limit_and_start_again_after_a_success(disk: Disk):
    disk.error = full()
    disk.run()
    assert disk.pauses(6) == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0] and disk.retry.tries == 7
    disk.error = None
    disk.pauses(1)
    disk.error = full()
    disk.run()
    assert disk.pauses(2) == [0.5, 1.0]


def test_steps_are_retried_at_once_on_request(disk: Disk):
    disk.error = full()
    disk.run("x")
    disk.run("y")
    assert disk.retry.problem.startswith("2 steps wait: ")
    disk.error = None
    disk.retry.retry(at_once=True)
    assert disk.done == ["x", "y"]


def test_nothing_is_tried_while_nothing_waits(disk: Disk, broken_folders: set[Path]):
    broken_folders.add(disk.folders.outbox.staging)
    disk.retry.retry(at_once=True)
    assert disk.retry.trouble is None


def test_later_step_replaces_one_with_the_same_key(disk: Disk):
    disk.error = full()
    disk.retry.run("key", disk.step("x"))
    disk.error = None
    assert disk.retry.run("key", disk.step("y"))
    disk.wait(10)
    assert disk.done == ["y"]


# ---------------------------------------------------------------------------------------- giving up


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_step_that_another_waiting_step_completes_waits_no_longer(disk: Disk, names: tuple[str, str]):
    """An error can hide that a commit succeeded: then one step finds it, and completes what another one waits for."""
    disk.error = OSError(errno.EIO, "no")
    for name in names:
        disk.run(name)
    disk.error = None
    steps = disk.retry._waiting
    first = steps["step first"].step
    steps["step first"].step = lambda: (first(), disk.run("second"))
    disk.wait(1.0)
    assert sorted(set(disk.done)) == ["first", "second"] and disk.done.count("first") == 1
    assert disk.retry.next_try() is None and disk.retry.problem is None


def test_step_that_keeps_failing_while_all_else_works_is_given_up(disk: Disk):
    disk.error = OSError(errno.EIO, "Input/output error", "/bad")
    given_up: list[Exception] = []
    disk.run(on_give_up=given_up.append)
    disk.pauses(4)
    assert given_up == []
    disk.pauses(1)
    assert given_up == [disk.error] and disk.tried == 6
    disk.wait(10)
    assert disk.tried == 6 and disk.retry.problem is None


@pytest.mark.parametrize("error", [full(), OSError(errno.EROFS, "read-only"), StorageError("Locked.")])
def test_step_whose_cause_passes_is_never_given_up(disk: Disk, error: Exception):
    disk.error, given_up = error, []
    disk.run(on_give_up=given_up.append)
    disk.pauses(20)
    assert given_up == [] and disk.retry.problem is not None


def test_failures_elsewhere_count(disk: Disk):
    disk.error, given_up = OSError(errno.EIO, "Input/output error"), []
    disk.run(on_give_up=given_up.append, failed=6)
    assert given_up == [disk.error]


def test_end_of_a_step_that_is_given_up_is_retried_as_well(disk: Disk):
    disk.error, refused = OSError(errno.EIO, "Input/output error"), [full()]
    ended: list[Exception] = []

    def on_give_up(error: Exception) -> None:
        if refused:
            raise refused.pop()
        ended.append(error)

    disk.run(on_give_up=on_give_up, failed=6)
    assert ended == []
    disk.pauses(1)
    assert ended == [disk.error]


def test_unexpected_error_of_the_first_try_belongs_to_the_caller(disk: Disk):
    disk.error = ValueError("a mistake")
    with pytest.raises(ValueError):
        disk.run()
    assert disk.retry.next_try() is None


@pytest.mark.parametrize("has_end", [False, True])
def test_unexpected_error_of_a_later_try_ends_the_step(disk: Disk, caplog: pytest.LogCaptureFixture, has_end: bool):
    disk.error, given_up = full(), []
    disk.run(on_give_up=given_up.append if has_end else None)
    disk.error = ValueError("a mistake")
    disk.pauses(1)
    assert given_up == ([disk.error] if has_end else []) and "a mistake" in caplog.text
    assert disk.retry.problem is None


def test_step_that_must_end_is_retried_after_an_unexpected_error(disk: Disk, caplog: pytest.LogCaptureFixture):
    disk.error = ValueError("a mistake")
    assert disk.run(must_end=True) is False
    disk.pauses(3)
    assert caplog.text.count("Traceback") == 1 and "step x: internal error" in disk.retry.problem
    disk.error = None
    disk.pauses(1)
    assert disk.done == ["x"] and disk.retry.problem is None


def test_replaced_files_end_the_daemon(disk: Disk):
    disk.error = StartOver("The job log was replaced.")
    with pytest.raises(StartOver):
        disk.run()


# ---------------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize(("place", "can_take"), [("taken", False), ("state", False), ("staging", True)])
def test_folder_that_cannot_be_written_stops_everything_until_it_can(
    disk: Disk, broken_folders: set[Path], place: str, can_take: bool, caplog: pytest.LogCaptureFixture
):
    folders = {
        "taken": disk.folders.taken.path,
        "state": disk.folders.state,
        "staging": disk.folders.outbox.staging,
    }
    broken_folders.add(folders[place])
    assert disk.retry.examine() is False
    assert place in disk.retry.problem and disk.retry.trouble == disk.retry.problem
    assert disk.retry.can_take is can_take and disk.retry.next_try() == disk.now + 0.5
    disk.error = full()
    disk.run()
    tried = disk.tried
    disk.pauses(3)
    assert disk.tried == tried, "no step is tried meanwhile"
    assert caplog.text.count("Work continues automatically") == 1
    broken_folders.clear()
    disk.error = None
    disk.pauses(1)
    assert (disk.retry.trouble, disk.retry.can_take, disk.done) == (None, True, ["x"])
    assert disk.retry.tries == 0 and "work continues" in caplog.text


def test_first_failure_of_a_step_finds_the_cause(disk: Disk, broken_folders: set[Path]):
    broken_folders.add(disk.folders.state)
    disk.error = full()
    disk.run()
    assert disk.retry.trouble is not None and not disk.retry.can_take


def test_working_folders_are_not_reported(disk: Disk):
    assert disk.retry.examine() is True
    assert (disk.retry.next_try(), disk.retry.problem, disk.retry.can_take) == (None, None, True)
    for folder in (disk.folders.taken.path, disk.folders.state, disk.folders.outbox.staging):
        assert not [path for path in folder.iterdir() if "probe" in path.name]


@pytest.mark.parametrize("can_take", [False, True])
def test_failure_that_the_main_loop_reports_stops_new_work_for_a_while(disk: Disk, can_take: bool):
    disk.retry.note(full(), can_take=can_take)
    assert disk.retry.problem.startswith("/full cannot be read") and disk.retry.can_take is can_take
    disk.wait(0.5)
    assert (disk.retry.problem, disk.retry.next_try()) == (None, None)


def test_reported_failure_does_not_hide_what_the_examination_found(disk: Disk, broken_folders: set[Path]):
    broken_folders.add(disk.folders.taken.path)
    disk.retry.note(full("/other"), can_take=True)
    assert ".taken" in disk.retry.problem and not disk.retry.can_take


def test_locked_job_log_is_waited_for_once_and_not_by_each_step(disk: Disk, monkeypatch: pytest.MonkeyPatch):
    def locked() -> None:
        raise LogLocked("Another program has locked the job log.")

    with monkeypatch.context() as patch:
        patch.setattr(disk.store, "check", locked)
        disk.error = LogLocked("Another program has locked the job log.")
        for name in "xyz":
            assert disk.run(name) is False
        assert disk.tried == 1 and "locked" in disk.retry.problem
    disk.error = None
    disk.pauses(1)
    assert disk.done == ["x", "y", "z"]


def test_probes_of_a_killed_run_are_removed(disk: Disk):
    folders = (disk.folders.taken.path, disk.folders.state, disk.folders.outbox.staging, disk.folders.outbox.path)
    for folder in folders:
        for name in (".probe", ".probe.2"):
            (folder / name).write_text("left")
    disk.retry.sweep()
    assert not any((folder / name).exists() for folder in folders for name in (".probe", ".probe.2"))


def test_probe_file_of_a_killed_run_is_not_reported(disk: Disk):
    (disk.folders.state / ".probe.2").write_text("left")
    assert disk.retry.examine() and not (disk.folders.state / ".probe.2").exists()


def test_probe_is_written_and_renamed_durably(disk: Disk, monkeypatch: pytest.MonkeyPatch):
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)
    disk_retry._probe(disk.folders.state)
    assert synced == [".probe", "state"]


def test_error_of_a_probe_names_its_folder(disk: Disk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk_retry.durable, "write_file", lambda *_: (_ for _ in ()).throw(full(None)))
    with pytest.raises(OSError) as caught:
        disk_retry._probe(disk.folders.state)
    assert caught.value.filename == str(disk.folders.state)


# ---------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "Free some space there."),
        (errno.EDQUOT, "raise the quota"),
        (errno.EROFS, "Mount it writable again."),
        (errno.EMFILE, "LimitNOFILE="),
        (errno.ENFILE, "fs.file-max"),
        (errno.EACCES, "read and write permission"),
        (errno.EPERM, "read and write permission"),
        (errno.EIO, "dmesg"),
    ],
)
def test_advice_follows_from_the_error(code: int, advice: str):
    words = describe(OSError(code, os.strerror(code), "/somewhere"))
    assert words.startswith(f"/somewhere cannot be read or written: {os.strerror(code)}.") and advice in words


def test_error_without_advice_or_path_is_described():
    assert describe(OSError(errno.ENODEV, "No such device")) == "A file cannot be read or written: No such device."
    assert describe(OSError(errno.ENODEV, "Gone", "/a", None, "/b")) == "/b cannot be read or written: Gone."
    assert describe(OSError("odd")) == "A file cannot be read or written: odd."
    assert describe(StorageError("It is locked.", "Wait.")) == "It is locked. Wait."
    assert describe(StorageError("It is locked.")) == "It is locked."


def test_path_through_a_descriptor_is_shown_as_its_folder(tmp_path: Path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        words = describe(OSError(errno.EIO, "Bad", f"/proc/self/fd/{descriptor}/x.txt"))
    finally:
        os.close(descriptor)
    assert words.startswith(f"{tmp_path}/x.txt cannot")
