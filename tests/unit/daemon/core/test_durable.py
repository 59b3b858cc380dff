"""What is written to disk, in which order, and what remains after a failure."""

import ctypes
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from factories import write_file

from daemon.core import durable
from daemon.core.durable import writer_has


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths whose fsync has succeeded, in order."""
    paths: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def _fail_link(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)


def _fail_rename(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Stand in for a file system whose renameat2 fails with this error."""

    def renameat2(*_: object) -> int:
        ctypes.set_errno(code)
        return -1

    monkeypatch.setattr(durable, "_libc", SimpleNamespace(renameat2=renameat2))


def test_new_file_is_durable_and_never_replaces_one(tmp_path: Path, synced: list[Path]):
    durable.write_file(tmp_path / "x", b"content")
    assert synced == [tmp_path / "x"] and (tmp_path / "x").read_bytes() == b"content"
    with pytest.raises(FileExistsError):
        durable.write_file(tmp_path / "x", b"other")
    assert (tmp_path / "x").read_bytes() == b"content"


def test_each_created_folder_is_durable(tmp_path: Path, synced: list[Path]):
    durable.make_folder(tmp_path / "a" / "b" / "c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    synced.clear()
    durable.make_folder(tmp_path / "a" / "b" / "c")
    assert synced == []


def test_folder_has_the_requested_mode(tmp_path: Path):
    durable.make_folder(tmp_path / "a" / "b", mode=0o700)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]


@pytest.mark.parametrize("obstacle", ["file", "dangling link"])
def test_name_of_a_file_is_refused_for_a_folder(tmp_path: Path, obstacle: str):
    if obstacle == "file":
        (tmp_path / "a").write_text("somebody's")
    else:
        (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError):
        durable.make_folder(tmp_path / "a" / "b")
    assert os.path.lexists(tmp_path / "a")


def test_removal_of_a_tree_is_durable(tmp_path: Path, synced: list[Path]):
    (tmp_path / "a" / "b").mkdir(parents=True)
    durable.remove_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists() and synced == [tmp_path]
    durable.remove_tree(tmp_path / "a")


def test_only_empty_folders_below_a_limit_are_removed(tmp_path: Path):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "kept").write_text("")
    durable.remove_empty_folders(tmp_path / "a" / "b" / "c", up_to=tmp_path)
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "kept"]
    (tmp_path / "a" / "kept").unlink()
    durable.remove_empty_folders(tmp_path / "a", up_to=tmp_path / "a")
    assert (tmp_path / "a").is_dir(), "the limit itself stays"
    (tmp_path / "other").mkdir()
    durable.remove_empty_folders(tmp_path / "other", up_to=tmp_path / "a")
    assert (tmp_path / "other").is_dir(), "what is not below the limit stays"
    durable.remove_empty_folders(tmp_path / "a" / "gone", up_to=tmp_path / "a")


def test_folder_that_cannot_be_removed_is_an_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        durable.remove_empty_folders(tmp_path / "file", up_to=tmp_path)


# ---------------------------------------------------------------------------------------- renames


@pytest.mark.parametrize("code", [None, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP], ids=str)
@pytest.mark.parametrize("is_open", [False, True], ids=["by path", "in open folders"])
def test_rename_never_replaces(tmp_path: Path, monkeypatch, code: int | None, is_open: bool):
    """Also on a file system whose rename always replaces the target."""
    for name, files in {"from": ["x", "y"], "to": ["x"]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text(f"{file} of {name}")
    folders = {}
    if is_open:
        folders["source_folder"] = os.open(tmp_path / "from", os.O_RDONLY)
        folders["target_folder"] = os.open(tmp_path / "to", os.O_RDONLY)
        for name in ("from", "to"):  # what has its path now is not what was opened
            (tmp_path / name).rename(tmp_path / f"real {name}")
            (tmp_path / name).mkdir()
    if code is not None:
        _fail_rename(monkeypatch, code)
    with pytest.raises(FileExistsError):
        durable.rename_noreplace(tmp_path / "from" / "x", tmp_path / "to" / "x", **folders)
    durable.rename_noreplace(tmp_path / "from" / "y", tmp_path / "to" / "y", **folders)
    source, target = ((tmp_path / (f"real {name}" if is_open else name)) for name in ("from", "to"))
    assert (source / "x").read_text() == "x of from" and not (source / "y").exists()
    assert (target / "x").read_text() == "x of to" and (target / "y").read_text() == "y of from"
    for descriptor in folders.values():
        os.close(descriptor)


def test_dangling_link_is_not_replaced_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "x").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    _fail_rename(monkeypatch, errno.EINVAL)
    with pytest.raises(FileExistsError):
        durable.rename_noreplace(tmp_path / "x", tmp_path / "link")


def test_failed_rename_raises_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "x").write_text("")
    _fail_rename(monkeypatch, errno.EIO)
    for rename in (durable.rename_noreplace, durable.renames_safely):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
            rename(tmp_path / "x", tmp_path / "y")
        assert (caught.value.errno, caught.value.filename2) == (errno.EIO, str(tmp_path / "y"))
    assert (tmp_path / "x").exists()


def test_file_system_without_noreplace_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "x").write_text("")
    assert durable.renames_safely(tmp_path / "x", tmp_path / "y") and (tmp_path / "y").exists()
    _fail_rename(monkeypatch, errno.EINVAL)
    assert not durable.renames_safely(tmp_path / "y", tmp_path / "z") and (tmp_path / "y").exists()


# ---------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES])
def test_file_that_cannot_be_linked_is_copied(tmp_path: Path, monkeypatch, synced: list[Path], code: int):
    source, target = tmp_path / "x", tmp_path / "y"
    source.write_text("text")
    os.utime(source, ns=(1, 10**18))
    source.chmod(0o640)
    _fail_link(monkeypatch, code)
    durable.link_or_copy(source, target, durable.sha256_of(source))
    assert target.read_text() == "text" and not target.samefile(source)
    assert (target.stat().st_mtime_ns, target.stat().st_mode & 0o777) == (10**18, 0o640)
    assert synced == [target]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_file_is_not_copied_after_an_unexpected_link_error(tmp_path: Path, monkeypatch, code: int):
    (tmp_path / "x").write_text("text")
    _fail_link(monkeypatch, code)
    with pytest.raises(OSError, match=os.strerror(code)):
        durable.link_or_copy(tmp_path / "x", tmp_path / "y", durable.sha256_of(tmp_path / "x"))
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize(("free", "fits"), [(3, False), (4, True)])
def test_copy_starts_only_if_there_is_enough_space(tmp_path: Path, monkeypatch, free: int, fits: bool):
    (tmp_path / "x").write_text("text")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    if fits:
        durable.copy(tmp_path / "x", tmp_path / "y", durable.sha256_of(tmp_path / "x"))
    else:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            durable.copy(tmp_path / "x", tmp_path / "y", durable.sha256_of(tmp_path / "x"))
    assert (tmp_path / "y").exists() == fits


# ---------------------------------------------------------------------------------------- failed fsyncs


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
    syncer = durable.Syncer(scratch)
    disk.fails = lambda asked, name: asked == inode
    syncer.sync(path)
    assert path.read_text() == "text" and path.stat().st_mtime_ns == 10**18
    assert disk.tried == [inode, path.stat().st_ino] and path.stat().st_ino != inode
    assert not scratch.exists()


def test_failed_fsync_is_never_repeated_on_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, scratch = tmp_path / "x", tmp_path / ".scratch"
    path.write_text("text")
    inode, disk = path.stat().st_ino, Disk(monkeypatch)
    syncer = durable.Syncer(scratch)
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
        durable.Syncer(tmp_path / ".scratch").sync(tmp_path / "link")


def test_copy_of_a_file_over_the_limit_leaves_nothing(tmp_path: Path):
    (tmp_path / "source").write_bytes(bytes(11))
    with pytest.raises(OSError, match="File too large"):
        durable.copy(tmp_path / "source", tmp_path / "target", None, at_most=10)
    assert not (tmp_path / "target").exists()
    durable.copy(tmp_path / "source", tmp_path / "target", None, at_most=11)
    assert (tmp_path / "target").read_bytes() == bytes(11)


def test_copy_of_a_sparse_file_is_sparse_and_equal(tmp_path: Path):
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.write(b"begin")
        file.seek(64 * 2**20)
        file.write(b"middle")
        file.truncate(128 * 2**20)
    sha256 = durable.sha256_of(source)
    assert durable.copy(source, tmp_path / "target", sha256) == sha256
    assert (tmp_path / "target").stat().st_blocks <= source.stat().st_blocks + 64


def test_writer_is_detected_while_it_has_the_file_open(tmp_path: Path):
    path = write_file(tmp_path / "x")
    if writer_has(path) is None:
        pytest.skip("this file system cannot tell")
    with path.open("a"):
        assert writer_has(path) is True
    with path.open("rb"):
        assert writer_has(path) is False


def test_pipe_in_place_of_a_file_does_not_block(tmp_path: Path):
    os.mkfifo(tmp_path / "x")
    assert not writer_has(tmp_path / "x")


def test_copy_across_file_systems_is_verified(tmp_path: Path, monkeypatch):
    source = write_file(tmp_path / "x")
    monkeypatch.setattr(os, "link", _refuse_link)
    with pytest.raises(durable.CopyDiffers):
        durable.link_or_copy(source, tmp_path / "y", "0" * 64)
    assert not (tmp_path / "y").exists()
    durable.link_or_copy(source, tmp_path / "y", durable.sha256_of(source))
    assert (tmp_path / "y").read_text() == "text"


def _refuse_link(*_, **__):
    raise OSError(18, "Invalid cross-device link")
