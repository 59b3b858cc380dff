"""Links and copies of files."""

import errno
import os
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from factories import write_file

from daemon.core import copies, regular_files


def _fail_link(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES])
def test_file_that_cannot_be_linked_is_copied(tmp_path: Path, monkeypatch, synced: list[Path], code: int):
    source, target = tmp_path / "x", tmp_path / "y"
    source.write_text("text")
    os.utime(source, ns=(1, 10**18))
    source.chmod(0o640)
    _fail_link(monkeypatch, code)
    copies.link_or_copy(source, target, regular_files.sha256_of(source))
    assert target.read_text() == "text" and not target.samefile(source)
    assert (target.stat().st_mtime_ns, target.stat().st_mode & 0o777) == (10**18, 0o640)
    assert synced == [target]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_file_is_not_copied_after_an_unexpected_link_error(tmp_path: Path, monkeypatch, code: int):
    (tmp_path / "x").write_text("text")
    _fail_link(monkeypatch, code)
    with pytest.raises(OSError, match=os.strerror(code)):
        copies.link_or_copy(tmp_path / "x", tmp_path / "y", regular_files.sha256_of(tmp_path / "x"))
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize(("free", "fits"), [(3, False), (4, True)])
def test_copy_starts_only_if_there_is_enough_space(tmp_path: Path, monkeypatch, free: int, fits: bool):
    (tmp_path / "x").write_text("text")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    if fits:
        copies.copy(tmp_path / "x", tmp_path / "y", regular_files.sha256_of(tmp_path / "x"))
    else:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            copies.copy(tmp_path / "x", tmp_path / "y", regular_files.sha256_of(tmp_path / "x"))
    assert (tmp_path / "y").exists() == fits


def test_copy_of_a_file_over_the_limit_leaves_nothing(tmp_path: Path):
    (tmp_path / "source").write_bytes(bytes(11))
    with pytest.raises(OSError, match="File too large"):
        copies.copy(tmp_path / "source", tmp_path / "target", None, at_most=10)
    assert not (tmp_path / "target").exists()
    copies.copy(tmp_path / "source", tmp_path / "target", None, at_most=11)
    assert (tmp_path / "target").read_bytes() == bytes(11)


def test_copy_of_a_sparse_file_is_sparse_and_equal(tmp_path: Path):
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.write(b"begin")
        file.seek(64 * 2**20)
        file.write(b"middle")
        file.truncate(128 * 2**20)
    sha256 = regular_files.sha256_of(source)
    assert copies.copy(source, tmp_path / "target", sha256) == sha256
    assert (tmp_path / "target").stat().st_blocks <= source.stat().st_blocks + 64


def test_copy_across_file_systems_is_verified(tmp_path: Path, monkeypatch):
    source = write_file(tmp_path / "x")
    monkeypatch.setattr(os, "link", _refuse_link)
    with pytest.raises(copies.CopyDiffers):
        copies.link_or_copy(source, tmp_path / "y", "0" * 64)
    assert not (tmp_path / "y").exists()
    copies.link_or_copy(source, tmp_path / "y", regular_files.sha256_of(source))
    assert (tmp_path / "y").read_text() == "text"


def _refuse_link(*_, **__):
    raise OSError(18, "Invalid cross-device link")


@pytest.mark.parametrize(("mode", "published"), [(0o6777, 0o755), (0o2660, 0o640), (0o644, 0o644)])
def test_link_can_be_written_by_its_user_only_and_has_no_special_rights(tmp_path: Path, mode: int, published: int):
    (tmp_path / "source").write_text("content")
    (tmp_path / "source").chmod(mode)
    assert copies.link_or_copy(tmp_path / "source", tmp_path / "target", None) is None
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == published
