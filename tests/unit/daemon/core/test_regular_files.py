"""Files that others write, and what is no regular file."""

import os
from pathlib import Path

import pytest
from factories import write_file

from daemon.core import regular_files
from daemon.core.regular_files import writer_has


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


def test_only_regular_files_are_opened(tmp_path: Path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with os.fdopen(regular_files.open_regular(tmp_path / "file"), "rb") as file:
        assert file.read() == b"text"
    before = len(os.listdir("/proc/self/fd"))
    for name in ("link", "folder", "pipe"):
        with pytest.raises(OSError, match="not a regular file"):
            regular_files.open_regular(tmp_path / name)
        with pytest.raises(OSError, match="not a regular file"):
            regular_files.sha256_of(tmp_path / name)
    assert len(os.listdir("/proc/self/fd")) == before


def test_checksum_of_a_file_over_the_limit_is_refused(tmp_path: Path):
    (tmp_path / "file").write_bytes(bytes(11))
    assert regular_files.sha256_of(tmp_path / "file", at_most=11) == regular_files.sha256_of(tmp_path / "file")
    with pytest.raises(OSError, match="File too large"):
        regular_files.sha256_of(tmp_path / "file", at_most=10)
