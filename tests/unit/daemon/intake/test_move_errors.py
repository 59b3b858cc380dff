"""Files that cannot be moved are reported once, by the name that their owner knows, and retried after long pauses."""

import errno
import logging
import os
import subprocess
from pathlib import Path

import pytest
import requires
from inbox_harness import InboxHarness
from unprivileged import without_privileges

MEMBER = 54322
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


def _in_folder_of_a_member(inbox: InboxHarness, mode: int) -> Path:
    path = inbox.write("hers/a.txt")
    for each in (path, path.parent):
        os.chown(each, MEMBER, -1)
    path.parent.chmod(mode)
    return path


def _tries(inbox: InboxHarness, begin: float, seconds: float) -> list[float]:
    """The times at which the file was tried to be taken, while `step` is called as often as it asks for."""
    tries, take = [], inbox.folders.taken.take
    now = begin

    def count(*arguments):
        tries.append(now)
        return take(*arguments)

    inbox.folders.taken.take = count
    try:
        while now < begin + seconds:
            inbox.intake.step(now)
            pause = inbox.intake.next_check(now)
            now += max(0.01, seconds if pause is None else pause)
    finally:
        inbox.folders.taken.take = take
    return tries


@pytest.mark.parametrize(
    ("mode", "words"),
    [(0o755, "uid 0 may not move files out of hers. Give it write permission"), (0o1777, "hers has the sticky bit")],
)
def test_folder_whose_files_cannot_be_moved_is_reported_once(inbox: InboxHarness, caplog, mode, words):
    path = _in_folder_of_a_member(inbox, mode)
    with without_privileges(), caplog.at_level(logging.WARNING):
        inbox.scan(now=10.0)
        tries = _tries(inbox, 13.0, 3600.0)
        assert 12 <= len(tries) < 30 and tries[-1] - tries[-2] >= 290
        assert words in inbox.intake.left[path] and ".taken" not in inbox.intake.left[path]
        assert len([record for record in caplog.records if "hers" in record.getMessage()]) == 1
        assert list(inbox.folders.taken.job_ids()) == []
    path.parent.chmod(0o777)  # a check, which costs little, finds it long before the next try
    with without_privileges():
        assert len(_tries(inbox, 3620.0, 10.0)) == 1
    assert inbox.files() == ["hers/a.txt"] and inbox.intake.left == {}


def test_command_retries_blocked_files_at_once(inbox: InboxHarness):
    path = _in_folder_of_a_member(inbox, 0o755)
    with without_privileges():
        inbox.scan(now=10.0)
        _tries(inbox, 13.0, 600.0)
    assert inbox.intake.step(700.0) == 0 and path in inbox.intake.left
    inbox.intake.retry_blocked(700.0)
    assert inbox.intake.step(700.0) == 1


def test_immutable_file_is_named_with_the_command_that_fixes_it(inbox: InboxHarness):
    path = inbox.write("a.txt")
    requires.program("chattr")
    if subprocess.run(["chattr", "+i", path], capture_output=True).returncode:
        pytest.skip("no attributes on this file system")
    try:
        inbox.scan(now=10.0)
        inbox.intake.step(13.0)
        assert "a.txt or its folder is immutable" in inbox.intake.left[path]
    finally:
        subprocess.run(["chattr", "-i", path], check=True)
    assert len(_tries(inbox, 14.0, 20.0)) == 1 and inbox.files() == ["a.txt"]


def test_file_on_another_file_system_below_the_inbox_is_left_there(inbox: InboxHarness):
    (inbox.path / "sub").mkdir()
    requires.mounted(inbox.path / "sub")
    try:
        path = inbox.write("sub/a.txt")
        inbox.scan(now=10.0)
        inbox.intake.step(13.0)
        assert "sub is on another file system than the inbox" in inbox.intake.left[path]
        assert path.read_text() == "text"
    finally:
        subprocess.run(["umount", inbox.path / "sub"], check=True)


def test_refusal_that_the_permissions_do_not_explain_is_described_as_it_is(inbox: InboxHarness, monkeypatch):
    path = inbox.write("sub/a.txt")

    def refuse(*_: object) -> None:  # as a security module does
        taken = inbox.folders.taken.path / "id" / path.name
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path), None, str(taken))

    monkeypatch.setattr(inbox.folders.taken, "take", refuse)
    inbox.scan(now=10.0)
    inbox.intake.step(13.0)
    why = inbox.intake.left[path]
    assert "cannot be read or written: Permission denied" in why and "may not move files" not in why


def test_error_below_taken_is_the_same_message_each_time(inbox: InboxHarness, caplog):
    inbox.write("a.txt")
    inbox.folders.taken.path.chmod(0o500)
    with without_privileges(), caplog.at_level(logging.WARNING):
        inbox.scan(now=10.0)
        assert len(_tries(inbox, 13.0, 60.0)) > 5
    inbox.folders.taken.path.chmod(0o700)
    assert len([record for record in caplog.records if "a.txt" in record.getMessage()]) == 1
