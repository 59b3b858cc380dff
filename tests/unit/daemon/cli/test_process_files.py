"""The copies that `inboxd process` works on."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from factories import write_file

from daemon.cli import process_files
from daemon.core.errors import StorageError


def test_files_of_the_same_name_get_folders_that_no_other_file_is_named_like(tmp_path: Path):
    names = ("2", "a/x.txt", "b/x.txt", "a/2", "c/x.txt", "3")
    files = [write_file(tmp_path / name, name) for name in names]
    inbox = tmp_path / "inbox"
    copies = [process_files._copy(file, inbox, {}) for file in files]
    assert len(set(copies)) == len(names)
    assert [(inbox / copy).read_text() for copy in copies] == list(names)
    assert [copy.name for copy in copies] == [file.name for file in files]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_file_that_cannot_be_copied_is_reported_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
):
    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(shutil, "copy2", refuse)
    with pytest.raises(StorageError, match=f"Cannot copy .*x.txt: {os.strerror(code)}"):
        process_files._copy(write_file(tmp_path / "x.txt"), tmp_path / "inbox", {})
