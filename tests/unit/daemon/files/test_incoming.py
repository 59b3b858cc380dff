"""The folder of uploads: private, and without those that nobody submitted."""

import os
import stat
import time
from pathlib import Path

import pytest

from daemon.files.incoming import STALE_SECONDS, Incoming


@pytest.fixture
def incoming(tmp_path: Path) -> Incoming:
    return Incoming(tmp_path / ".incoming")


def test_folder_is_private(incoming: Incoming):
    incoming.tidy(time.time())
    assert stat.S_IMODE(incoming.path.stat().st_mode) == 0o700
    incoming.path.chmod(0o777)
    incoming.tidy(time.time())
    with incoming.opened():
        assert stat.S_IMODE(incoming.path.stat().st_mode) == 0o700


def test_files_older_than_a_day_are_removed_and_others_stay(incoming: Incoming):
    now = time.time()
    incoming.tidy(now)
    for name, age in (("old", STALE_SECONDS + 60), ("new", STALE_SECONDS - 60)):
        (incoming.path / name).write_text("x")
        os.utime(incoming.path / name, (now - age, now - age))
    (incoming.path / "link").symlink_to("/etc/passwd")
    os.utime(incoming.path / "link", (0, 0), follow_symlinks=False)
    (incoming.path / "folder").mkdir()
    os.utime(incoming.path / "folder", (0, 0))
    incoming.tidy(now)
    assert sorted(path.name for path in incoming.path.iterdir()) == ["folder", "new"]


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("/tmp")])
def test_something_else_in_its_place_is_logged_and_never_entered(make, incoming: Incoming, caplog):
    make(incoming.path)
    incoming.tidy(time.time())
    assert "files cannot be submitted" in caplog.text
    with pytest.raises(FileNotFoundError), incoming.opened():
        pass
