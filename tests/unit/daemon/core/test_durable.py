"""What is written to disk, in which order, and what remains after a failure."""

import ctypes
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.core import durable


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
