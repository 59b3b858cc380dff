"""The folders of one daemon: created, checked, locked."""

import contextlib
import errno
import os
import stat
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from factories import write_file
from sandbox import wait_for

from daemon.core import durable
from daemon.core.errors import AlreadyRunning, SetupError, StartOver, StorageError
from daemon.files.folders import Folders
from daemon.files.taken import OriginalGone


@pytest.mark.parametrize(("inbox", "outbox"), [("a", "a/b"), ("a/b", "a"), ("a", "a")])
def test_overlapping_folders_are_refused(tmp_path: Path, inbox: str, outbox: str):
    folders = Folders(inbox=tmp_path / inbox, outbox=tmp_path / outbox, state=tmp_path / "state")
    with pytest.raises(SetupError, match="overlap"):
        folders.prepare()


def test_state_folder_in_the_inbox_is_refused_by_its_name(tmp_path: Path):
    folders = Folders(inbox=tmp_path / "a", outbox=tmp_path / "b", state=tmp_path / "a" / "c")
    with pytest.raises(SetupError, match=f"the state folder {tmp_path}/a/c overlap"):
        folders.prepare()


def test_state_folder_is_private_and_the_others_follow_the_umask(folders: Folders):
    umask = os.umask(0o022)
    os.umask(umask)
    modes = {path: stat.S_IMODE(path.stat().st_mode) & 0o777 for path in (folders.state, folders.outbox.path)}
    assert modes == {folders.state: 0o700, folders.outbox.path: 0o777 & ~umask}


def test_second_lock_is_refused_with_the_process_of_the_first(folders: Folders):
    folders.lock()
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        Folders(inbox=folders.inbox.path, outbox=folders.outbox.path, state=folders.state).lock()
    folders.unlock()


def test_lock_names_this_process_and_nothing_of_the_one_before(folders: Folders):
    folders.lock()
    folders.unlock()
    locks = [path for path in folders.state.parent.rglob(".lock") if path.is_file()]
    assert locks
    for lock in locks:
        lock.write_text("123456789012\n")
    folders.lock()
    assert {lock.read_text() for lock in locks} == {f"{os.getpid()}\n"}
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
    held = {name: lock for name, lock in held.items() if lock.is_relative_to(folders.state.parent)}  # not other tests'
    flags = [int(Path(f"/proc/self/fdinfo/{name}").read_text().split()[3], 8) for name in held]  # proc(5): "flags:"
    folders.unlock()
    assert len(held) == 3 and not any(each & (os.O_WRONLY | os.O_RDWR) for each in flags)


def _lock_behind(name: str) -> Path | None:
    """The lock file that a descriptor of this process refers to."""
    with contextlib.suppress(FileNotFoundError):
        path = Path("/proc/self/fd", name).readlink()
        return path if path.name == ".lock" else None
    return None


def test_lock_held_briefly_after_a_kill_is_awaited(folders: Folders):
    """Between fork and exec, the child of a killed daemon still holds its lock."""
    path = folders.taken.path / ".lock"
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


def test_unchanged_folders_pass_the_check(folders: Folders):
    folders.check()  # nothing is locked yet
    folders.lock()
    folders.check()
    folders.unlock()


@pytest.mark.parametrize(
    "name", ["inbox/.taken", "inbox/.taken/.lock", "outbox", "outbox/.staging", "outbox/.staging/.lock", "state"]
)
@pytest.mark.parametrize("is_replaced", [False, True])
def test_daemon_starts_over_after_a_folder_was_replaced(folders: Folders, tmp_path: Path, name: str, is_replaced: bool):
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


def test_moved_inbox_is_a_temporary_problem(folders: Folders, tmp_path: Path):
    folders.taken.take("id", write_file(folders.inbox.path / "x.txt"), [])
    folders.lock()
    folders.inbox.path.rename(tmp_path / "away")
    for look in (folders.check, lambda: folders.original("id", "x.txt")):
        with pytest.raises(StorageError, match="does not exist"):
            look()
    (tmp_path / "away").rename(folders.inbox.path)
    assert folders.original("id", "x.txt").path.read_text() == "text"
    folders.taken.release("id")
    with pytest.raises(OriginalGone):
        folders.original("id", "x.txt")
    folders.unlock()


def test_released_folders_can_be_locked_again(folders: Folders):
    folders.lock()
    folders.unlock()
    folders.unlock()
    again = Folders(inbox=folders.inbox.path, outbox=folders.outbox.path, state=folders.state)
    again.lock()
    again.unlock()


@pytest.mark.parametrize("link", ["inbox/.taken", "outbox/.staging"])
def test_link_in_place_of_a_daemons_folder_is_refused(folders: Folders, tmp_path: Path, link: str):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).rmdir()
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SetupError, match="symbolic link"):
        folders.prepare()


def test_read_only_file_system_is_a_temporary_problem(folders: Folders, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(StorageError, match="read-only"):
        folders.prepare()


@pytest.mark.parametrize("lacking", [os.R_OK, os.W_OK, os.X_OK])
def test_inaccessible_folder_is_refused(folders: Folders, monkeypatch, lacking: int):
    monkeypatch.setattr(os, "access", lambda path, mode: path != folders.state or not mode & lacking)
    with pytest.raises(SetupError, match="This user"):
        folders.prepare()


_MAY_PASS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)


@pytest.mark.parametrize("code", [*_MAY_PASS, errno.EACCES, errno.ENOTDIR])
def test_folder_that_cannot_be_created_is_reported_with_its_fix(tmp_path: Path, monkeypatch, code: int):
    def fail(folder: Path, **_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(durable, "make_folder", fail)
    made = Folders(inbox=tmp_path / "inbox", outbox=tmp_path / "outbox", state=tmp_path / "state")
    with pytest.raises(StorageError if code in _MAY_PASS else SetupError, match=os.strerror(code)) as caught:
        made.prepare()
    assert ("Mount it writable" in caught.value.fix or "writable" in caught.value.fix) is (code == errno.EROFS)
