"""Files whose fsync failed, and files that may not be synced."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.core.syncer import Syncer


class Disk:
    """Lets the fsync of some files fail; `tried` are those that were asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.fails: Callable[[int, str], bool] = lambda inode, name: False
        self.tried: list[int] = []
        real = os.fsync

        def fsync(descriptor: int) -> None:
            path, inode = Path(f"/proc/self/fd/{descriptor}").readlink(), os.fstat(descriptor).st_ino
            self.tried.append(inode)
            if self.fails(inode, path.name):
                raise OSError(errno.EIO, "an injected error")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)


def test_file_whose_fsync_failed_is_replaced_by_a_durable_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, scratch = tmp_path / "x", tmp_path / ".scratch"
    path.write_text("text")
    os.utime(path, ns=(1, 10**18))
    inode, disk = path.stat().st_ino, Disk(monkeypatch)
    syncer = Syncer(scratch)
    disk.fails = lambda asked, name: asked == inode
    syncer.sync(path)
    assert path.read_text() == "text" and path.stat().st_mtime_ns == 10**18
    assert disk.tried == [inode, path.stat().st_ino] and path.stat().st_ino != inode
    assert not scratch.exists()


def test_failed_fsync_is_never_repeated_on_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, scratch = tmp_path / "x", tmp_path / ".scratch"
    path.write_text("text")
    inode, disk = path.stat().st_ino, Disk(monkeypatch)
    syncer = Syncer(scratch)
    disk.fails = lambda asked, name: True
    for _ in range(2):
        with pytest.raises(OSError, match="injected"):
            syncer.sync(path)
        assert path.stat().st_ino == inode and not scratch.exists()
    scratch.write_text("left by a run that died")
    disk.fails = lambda asked, name: False
    syncer.sync(path)
    assert disk.tried.count(inode) == 1 and path.stat().st_ino != inode and path.read_text() == "text"
    syncer.sync(path)
    assert disk.tried[-1] == path.stat().st_ino, "the copy is trusted"
    assert syncer._untrusted == set(), "nothing is remembered of a file that was replaced"


def test_symbolic_link_is_not_synced(tmp_path: Path):
    (tmp_path / "x").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    with pytest.raises(OSError, match="a symbolic link"):
        Syncer(tmp_path / ".scratch").sync(tmp_path / "link")
