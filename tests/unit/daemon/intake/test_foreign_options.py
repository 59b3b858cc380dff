"""In a shared inbox, users can neither choose for the files of others nor prevent them from being taken."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from inbox_harness import TOML, InboxHarness
from unprivileged import without_privileges

ATTACKER, VICTIM, OWNER = 54322, 54323, 54325
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


def _of(path: Path, uid: int) -> Path:
    os.chown(path, uid, -1, follow_symlinks=False)
    return path


def _take_all(inbox: InboxHarness) -> None:
    with without_privileges():
        inbox.scan(now=10.0)
        for now in (13.0, 14.0, 50.0):
            inbox.intake.step(now)


SPOILERS = {
    "garbage": lambda path: path.write_text("= nonsense"),
    "no recipe": lambda path: path.write_text('recipe = ""'),
    "large": lambda path: path.write_text("#" * 70_000),
    "closed": lambda path: (path.write_text("priority = 1"), path.chmod(0)),
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("/etc/hostname"),
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
def test_options_of_another_user_for_a_folder_are_ignored_and_reported(inbox: InboxHarness, caplog, spoil: Callable):
    path = inbox.path / ".inboxd.toml"
    spoil(path)
    _of(path, ATTACKER)
    _of(inbox.write("a.txt"), VICTIM)
    with caplog.at_level(logging.WARNING):
        _take_all(inbox)
        _take_all(inbox)
    (job,) = inbox.store.open_jobs()
    assert job.recipe == "count" and job.overrides == {}
    assert "ignored" in inbox.intake.left[path]
    assert len([record for record in caplog.records if ".inboxd.toml" in record.getMessage()]) == 1
    path.rmdir() if spoil is SPOILERS["folder"] else path.unlink()
    inbox.scan(now=60.0)
    assert inbox.intake.left == {}


@pytest.mark.parametrize("spoil", [SPOILERS[name] for name in ("garbage", "no recipe", "large", "closed")])
def test_sidecar_of_another_user_is_ignored_and_reported(inbox: InboxHarness, caplog, spoil: Callable):
    path = inbox.path / "a.txt.toml"
    spoil(path)
    _of(path, ATTACKER)
    _of(inbox.write("a.txt.password", "x" * 5000), ATTACKER)
    _of(inbox.write("a.txt"), VICTIM)
    with caplog.at_level(logging.WARNING):
        inbox.scan(now=10.0)
        assert "it is ignored, because it belongs to another user (uid 54322) than a.txt." in inbox.intake.left[path]
        inbox.scan(now=11.0)
        reports = [record.getMessage() for record in caplog.records if "belongs to another user" in record.getMessage()]
        assert len(reports) == 2
        _take_all(inbox)
    (job,) = inbox.store.open_jobs()
    assert job.recipe == "count" and job.overrides == {}
    assert path.exists(), "it stays with whoever wrote it"


@pytest.mark.parametrize("uid", [0, VICTIM, OWNER])
def test_options_of_the_files_user_or_the_folders_or_an_administrator_count(inbox: InboxHarness, uid: int):
    _of(inbox.write("x/a.txt"), VICTIM)
    _of(inbox.path / "x", OWNER)
    _of(inbox.write("x/a.txt.toml", "priority = 7"), uid)
    inbox.scan(now=10.0)
    inbox.intake.step(13.0)
    assert [job.priority for job in inbox.store.open_jobs()] == [7]


def test_folder_options_of_the_folders_owner_count(inbox: InboxHarness):
    _of(inbox.write("x/a.txt"), VICTIM)
    _of(inbox.path / "x", OWNER)
    _of(inbox.write("x/.inboxd.toml", "priority = 7"), OWNER)
    inbox.scan(now=10.0)
    inbox.intake.step(13.0)
    assert [job.priority for job in inbox.store.open_jobs()] == [7]


def test_done_mark_of_another_user_is_ignored(tmp_path: Path):
    inbox = InboxHarness(tmp_path, toml=TOML.replace("[inbox]", "[inbox]\nwait_for_done = true"))
    path = _of(inbox.write("a.txt"), VICTIM)
    done = _of(inbox.write("a.txt.done", ""), ATTACKER)
    inbox.scan(now=10.0)
    assert inbox.intake.step(13.0) == 0 and "it waits for a.txt.done" in inbox.intake.left[path]
    _of(done, VICTIM)
    assert inbox.scan(now=20.0) == 1 and inbox.intake.left == {}
    inbox.close()
