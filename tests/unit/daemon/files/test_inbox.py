"""Examining the files in the inbox."""

import errno
import os
import socket
from pathlib import Path

import pytest

from daemon.core.job import Entry
from daemon.files import inbox as inbox_module
from daemon.files.inbox import Inbox, as_recorded


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    made = Inbox(tmp_path / "inbox")
    made.taken.mkdir(parents=True)
    return made


def _write(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def scan(inbox: Inbox, folder: Path) -> tuple[list[Entry], list[Path], list[Path]]:
    """The regular files, the subfolders, and what is never taken."""
    found = list(inbox.scan(folder))
    entries = [each.entry for each in found if each.entry]
    folders = [each.path for each in found if each.is_folder]
    return entries, folders, [each.path for each in found if not each.is_folder and each.entry is None]


def test_scan_returns_files_folders_and_what_is_never_taken(inbox: Inbox, tmp_path: Path):
    file = _write(inbox.path / "x.txt")
    _write(inbox.path / ".hidden")
    _write(inbox.path / "sub" / "y.txt")
    (inbox.path / "link").symlink_to(file)
    (inbox.path / "link to a folder").symlink_to(inbox.path / "sub")
    os.mkfifo(inbox.path / "pipe")
    entries, folders, others = scan(inbox, inbox.path)
    assert [entry.path for entry in entries] == [file] and entries[0] == inbox.entry(file)
    assert folders == [inbox.path / "sub"]
    assert sorted(path.name for path in others) == ["link", "link to a folder", "pipe"]
    facts = file.stat()
    told = (entries[0].inode, entries[0].size_bytes, entries[0].mtime_ns, entries[0].ctime_ns)
    assert told == (facts.st_ino, 4, facts.st_mtime_ns, facts.st_ctime_ns)


@pytest.mark.parametrize("gone", ["absent", "link", "file"])
def test_folder_that_was_replaced_counts_as_gone(inbox: Inbox, gone: str):
    _write(inbox.path / "real" / "x.txt")
    if gone == "link":
        (inbox.path / "a").symlink_to(inbox.path / "real")
    elif gone == "file":
        _write(inbox.path / "a")
    with pytest.raises(FileNotFoundError):
        scan(inbox, inbox.path / "a")
    assert inbox.entry(inbox.path / "a" / "x.txt") is None


def test_only_regular_files_are_examined(inbox: Inbox):
    (inbox.path / "folder").mkdir()
    (inbox.path / "link").symlink_to(_write(inbox.path / "x.txt"))
    assert [inbox.entry(inbox.path / name) for name in ("folder", "link", "gone", "n" * 300)] == [None] * 4


@pytest.mark.parametrize("question", ["entry", "sidecars", "refusal"])
@pytest.mark.parametrize("place", ["folder", "name"])
def test_error_of_a_disk_does_not_count_as_absence(inbox: Inbox, monkeypatch, place: str, question: str):
    file, real = _write(inbox.path / "x.txt"), os.stat

    def fail(path, *, dir_fd=None, **options):
        if dir_fd is None:
            return real(path, **options)
        raise OSError(errno.EIO, "an injected error")

    def opened(*_, **__):
        raise OSError(errno.EIO, "an injected error")

    with monkeypatch.context() as patch:
        patch.setattr(*((inbox, "opened", opened) if place == "folder" else (os, "stat", fail)))
        with pytest.raises(OSError, match="injected"):
            getattr(inbox, question)(file)
    assert inbox.entry(file) is not None


def test_only_files_are_sidecars(inbox: Inbox):
    file = _write(inbox.path / "x.txt")
    (inbox.path / "x.txt.toml").mkdir()
    (inbox.path / "x.txt.done").symlink_to(file)
    sidecar = _write(inbox.path / "x.txt.prompt")
    assert [entry.path for entry in inbox.sidecars(file)] == [sidecar]


def test_refusal_names_the_type_of_the_file(inbox: Inbox, monkeypatch):
    monkeypatch.chdir(inbox.path)
    os.mkfifo("pipe")
    Path("link").symlink_to("pipe")
    _write(inbox.path / "x.txt")
    _write(inbox.path / "y.txt.prompt")
    _write(inbox.path / "x.txt.prompt")
    (inbox.path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        why = {path.name: inbox.refusal(path) for path in inbox.path.iterdir() if path.name[0] != "."}
    told = {"pipe": "a pipe", "socket": "a socket", "link": "a symbolic link", "y.txt.prompt": "for its file: y.txt."}
    for name, words in told.items():
        assert words in why.pop(name)
    assert set(why) == {"x.txt", "x.txt.prompt", "folder"} and not any(why.values())
    assert inbox.refusal(inbox.path / "gone") is None


def test_too_deeply_nested_folders_are_reported_and_not_scanned(inbox: Inbox, monkeypatch):
    monkeypatch.setattr(inbox_module, "_MAX_DEPTH", 2)
    _write(inbox.path / "1" / "2" / "3" / "x.txt")
    second = inbox.path / "1" / "2"
    assert scan(inbox, inbox.path / "1")[1] == [second] and inbox.refusal(second) is None
    assert scan(inbox, second) == ([], [], [second / "3"]) and "too deep" in inbox.refusal(second / "3")


def test_folders_with_too_long_a_path_are_not_scanned(inbox: Inbox, monkeypatch):
    monkeypatch.setattr(inbox_module, "_MAX_PATH_BYTES", 5)
    for name in ("1234", "12345", "123456"):
        (inbox.path / name).mkdir()
    _, folders, others = scan(inbox, inbox.path)
    assert sorted(path.name for path in folders) == ["1234", "12345"]
    assert [path.name for path in others] == ["123456"]


@pytest.mark.parametrize("number", [0, 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, 14 * 10**18])
def test_numbers_too_large_for_sqlite_are_mapped_to_distinct_ones(number):
    recorded = as_recorded(number)
    assert -(2**63) <= recorded < 2**63
    assert recorded == number or not -(2**63) <= number < 2**63
    assert as_recorded(number + 1) != recorded
