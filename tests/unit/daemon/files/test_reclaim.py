"""The daemon's own folders, renamed or replaced by other users while no daemon is running."""

import os
from pathlib import Path

import pytest

from daemon.core.errors import SetupError
from daemon.files.folders import Folders
from daemon.queue.store import new_id

_FOREIGN_USER = 54322


def put_foreign(what: str, place: Path) -> None:
    """What another user can put in the place of a folder."""
    if what == "link":
        place.symlink_to(place.parent)
    elif what == "file":
        place.write_text("of somebody else")
    elif what == "pipe":
        os.mkfifo(place)
    elif os.geteuid():
        pytest.skip("needs root, to give a folder to another user")
    else:
        place.mkdir(mode=0o700)
        os.chown(place, _FOREIGN_USER, -1)


def start(tmp_path: Path, outbox: str = "outbox") -> Folders:
    made = Folders(inbox=tmp_path / "inbox", outbox=tmp_path / outbox, state=tmp_path / f"state of {outbox}")
    made.prepare()
    made.lock()
    return made


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The home of a daemon in whose inbox and outbox others may rename everything, again at each start."""
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def others_may_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a share whose owner is another user; here the user of the tests owns all."""
    monkeypatch.setattr("daemon.files.safe_folders.is_safe", lambda folder: False)


@pytest.mark.parametrize("what", ["link", "file", "pipe", "folder"])
@pytest.mark.parametrize("place", ["inbox/.taken", "outbox/.staging"])
def test_foreign_thing_in_place_of_a_folder_is_renamed_and_nothing_is_lost(shared: Path, place: str, what: str):
    first, job = start(shared), new_id()
    (first.taken.path / job).mkdir()
    (first.outbox.staging / f"{job}.1").mkdir()
    first.unlock()
    for number in (1, 2):
        (shared / place).rename(shared / f"{place}.aside-{number}")
        put_foreign(what, shared / place)
        folders = start(shared)
        assert list(folders.taken.job_ids()) == [job] and folders.outbox.attempts() == [f"{job}.1"]
        assert folders.is_taken_lost is (place == "inbox/.taken")
        folders.unlock()
        assert os.path.lexists(shared / f"{place}.foreign-{number}")


def test_lookalike_is_left_alone(shared: Path):
    start(shared).unlock()
    job = new_id()
    for name, mode, lock in (("no lock", 0o700, ""), ("a link", 0o700, "link"), ("open to others", 0o750, ".lock")):
        folder = shared / "inbox" / f".{name}"
        (folder / job).mkdir(parents=True)
        folder.chmod(mode)
        if lock == "link":
            (folder / ".lock").symlink_to(shared / "inbox" / ".taken" / ".lock")
        elif lock:
            (folder / lock).touch()
    (shared / "inbox" / ".linked").symlink_to(shared / "inbox" / ".no lock")
    folders = start(shared)
    assert list(folders.taken.job_ids()) == []
    folders.unlock()


def test_folder_that_another_daemon_has_locked_is_left_alone(shared: Path):
    first, job = start(shared), new_id()
    (first.taken.path / job).mkdir()
    (shared / "inbox" / ".taken").rename(shared / "inbox" / ".aside")
    second = start(shared, "outbox 2")
    assert list(second.taken.job_ids()) == [] and list(first.taken.job_ids()) == [job]
    for each in (first, second):
        each.unlock()


def test_what_is_hidden_or_exists_already_is_not_moved(shared: Path):
    first, job = start(shared), new_id()
    (first.taken.path / job / "old").mkdir(parents=True)
    first.unlock()
    (shared / "inbox" / ".taken").rename(shared / "inbox" / ".aside")
    second = Folders(inbox=shared / "inbox", outbox=shared / "outbox", state=shared / "state of outbox")
    second.prepare()
    (second.inbox.own.place / job / "new").mkdir(parents=True)
    second.lock()
    assert os.listdir(second.taken.path / job) == ["new"]
    assert os.listdir(shared / "inbox" / ".aside" / job) == ["old"]
    second.unlock()


def test_link_where_only_this_user_can_put_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    start(tmp_path).unlock()
    (tmp_path / "inbox" / ".taken").rename(tmp_path / "inbox" / ".aside")
    (tmp_path / "inbox" / ".taken").symlink_to(tmp_path)
    with pytest.raises(SetupError, match="symbolic link"):
        start(tmp_path)


def test_folder_that_is_renamed_while_the_daemon_runs_is_renamed_back_by_its_check(shared: Path):
    first, job = start(shared), new_id()
    (first.taken.path / job).mkdir()
    for place in ("inbox/.taken", "outbox/.staging"):
        (shared / place).rename(shared / f"{place}.aside")
    first.check()
    assert (shared / "inbox/.taken" / job).is_dir() and (shared / "outbox/.staging").is_dir()
    first.unlock()
