"""Scanning the inbox, taking files from it, and returning them."""

import errno
import os
import socket
import subprocess
from pathlib import Path

import pytest
from factories import write_file

from daemon.core import durable
from daemon.core.job import Entry
from daemon.files import inbox as inbox_module
from daemon.files.inbox import Inbox, OriginalGone, as_recorded
from daemon.files.layout import Layout


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    made = Inbox(tmp_path / "inbox")
    made.taken.mkdir(parents=True)
    return made


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made durable, in order: paths below the inbox."""
    paths: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        paths.append(path.partition("/inbox")[2].lstrip("/") or ".")

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def _write(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# ---------------------------------------------------------------------------------------- looking


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
    assert [entry.path for entry in entries] == [file] and entries[0] == inbox.look(file)
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
    assert inbox.look(inbox.path / "a" / "x.txt") is None


def test_only_regular_files_are_examined(inbox: Inbox):
    (inbox.path / "folder").mkdir()
    (inbox.path / "link").symlink_to(_write(inbox.path / "x.txt"))
    assert [inbox.look(inbox.path / name) for name in ("folder", "link", "gone", "n" * 300)] == [None] * 4


@pytest.mark.parametrize("question", ["look", "sidecars", "refusal"])
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
    assert inbox.look(file) is not None


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


# ---------------------------------------------------------------------------------------- taking


def test_take_makes_contents_new_names_and_removed_names_durable(inbox: Inbox, synced: list[str]):
    sidecar = _write(inbox.path / "a" / "x.txt.prompt")
    inbox.take("id", _write(inbox.path / "a" / "x.txt"), [sidecar])
    inbox.fsync_taken(["id"], [inbox.path / "a"])
    files = {".taken/id/a/x.txt", ".taken/id/a/x.txt.prompt"}
    assert set(synced[:2]) == files and synced[2:] == [".taken/id/a", ".taken/id", ".taken", "a"]


def test_large_file_is_left_to_the_hasher(inbox: Inbox, synced: list[str], monkeypatch):
    monkeypatch.setattr(durable, "HASH_INLINE_BYTES", 4)
    for name, text in (("small", "1234"), ("large", "12345")):
        inbox.take(name, _write(inbox.path / name, text), [])
    inbox.fsync_taken(["small", "large"], [])
    assert [path for path in synced if path.count("/") == 2] == [".taken/small/small"]


def test_folder_that_was_removed_in_the_meantime_needs_no_fsync(inbox: Inbox):
    inbox.take("id", _write(inbox.path / "a" / "x.txt"), [])
    (inbox.path / "a").rmdir()
    inbox.fsync_taken(["id"], [inbox.path / "a"])
    inbox.finish_take("id")
    assert inbox.original("id").path.read_text() == "text"


def test_finished_take_leaves_a_new_file_of_the_same_name(inbox: Inbox, synced: list[str]):
    inbox.take("id", _write(inbox.path / "a" / "x.txt"), [])
    (inbox.path / "a" / "x.txt").hardlink_to(inbox.original("id").path)
    inbox.finish_take("id")
    assert not (inbox.path / "a" / "x.txt").exists() and synced == ["a"]
    _write(inbox.path / "a" / "x.txt", "another")
    inbox.finish_take("id")
    assert (inbox.path / "a" / "x.txt").read_text() == "another"
    assert inbox.original("id").path.read_text() == "text"


def test_file_in_a_folder_that_became_a_link_is_not_taken(inbox: Inbox, tmp_path: Path):
    _write(tmp_path / "outside" / "x.txt")
    (inbox.path / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(FileNotFoundError):
        inbox.take("id", inbox.path / "a" / "x.txt", [])
    assert (tmp_path / "outside" / "x.txt").exists()


def test_original_is_distinguished_from_its_sidecars_and_its_mark(inbox: Inbox):
    sidecars = [_write(inbox.path / f"x.txt.{kind}", kind) for kind in ("prompt", "done", "password")]
    inbox.take("id", _write(inbox.path / "x.txt"), sidecars)
    original = inbox.original("id")
    assert original.path.name == "x.txt"
    assert {kind: path.read_text() for kind, path in original.sidecars.items()} == {
        "prompt": "prompt",
        "password": "password",
    }


@pytest.mark.parametrize("names", [["x.txt.prompt"], ["x.txt", "y.txt"], []])
def test_original_that_is_not_exactly_one_file_counts_as_gone(inbox: Inbox, names: list[str]):
    (inbox.taken / "id").mkdir()
    for name in names:
        _write(inbox.taken / "id" / name)
    with pytest.raises(OriginalGone):
        inbox.original("id")


def test_only_folders_in_taken_are_jobs(inbox: Inbox):
    _write(inbox.taken / ".lock")
    (inbox.taken / "id").mkdir()
    (inbox.taken / "link").symlink_to(inbox.taken / "id")
    assert list(inbox.taken_ids()) == ["id"]


# ---------------------------------------------------------------------------------------- giving back


def test_put_back_returns_all_files_and_recreates_their_folders(inbox: Inbox, synced: list[str]):
    inbox.take("id", _write(inbox.path / "a" / "b" / "x.txt"), [_write(inbox.path / "a" / "b" / "x.txt.prompt")])
    (inbox.taken / "id" / "a" / "b" / "link").symlink_to("x.txt")
    (inbox.path / "a" / "b").rmdir()
    (inbox.path / "a").rmdir()
    inbox.put_back("id")
    assert sorted(path.name for path in (inbox.path / "a" / "b").iterdir()) == ["link", "x.txt", "x.txt.prompt"]
    assert (inbox.path / "a" / "b" / "link").is_symlink() and list(inbox.taken_ids()) == []
    assert synced[:2] == [".", "a"] and set(synced[2:]) == {"a/b"}
    inbox.put_back("id")


def test_put_back_reports_that_the_inbox_is_absent(inbox: Inbox):
    _write(inbox.taken / "id" / "x.txt")
    real = inbox.opened

    def opened(folder: Path, **options):
        if not folder.is_relative_to(inbox.taken):
            raise FileNotFoundError(errno.ENOENT, "an injected error", str(folder))
        return real(folder, **options)

    inbox.opened = opened
    with pytest.raises(FileNotFoundError, match="injected"):
        inbox.put_back("id")
    assert (inbox.taken / "id" / "x.txt").exists()


def test_release_of_a_missing_folder_is_no_error(inbox: Inbox):
    inbox.take("id", _write(inbox.path / "a" / "x.txt"), [])
    inbox.release("id")
    inbox.release("id")
    assert list(inbox.taken_ids()) == []


# ---------------------------------------------------------------------------------------- folders swapped in for files


def test_folder_that_replaced_a_file_returns_in_one_move(inbox: Inbox, synced: list[str]):
    swapped = inbox.path / "a" / "x.txt"
    for number in range(50):
        _write(swapped / f"{number}.txt")
    with pytest.raises(OSError, match="not a regular file"):
        inbox.take("job", swapped, [])
    assert len(list(swapped.iterdir())) == 50 and len(synced) <= 2
    inbox.put_back("job")
    assert list(inbox.taken_ids()) == []


def test_folder_of_another_user_returns_in_one_move(inbox: Inbox, synced: list[str]):
    if os.geteuid():
        pytest.skip("needs root, to give a folder to another user")
    for number in range(50):
        _write(inbox.taken / "job" / "a" / "x.txt" / f"{number}.txt")
    os.chown(inbox.taken / "job" / "a" / "x.txt", 54321, 54321)
    inbox.put_back("job")
    assert len(list((inbox.path / "a" / "x.txt").iterdir())) == 50 and len(synced) <= 4
    assert list(inbox.taken_ids()) == []


def test_tree_too_deep_for_recursion_returns(inbox: Inbox):
    deep = inbox.taken / "job"
    deep.mkdir()
    descriptor = os.open(deep, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("x.txt", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    inbox.put_back("job")
    assert list(inbox.taken_ids()) == []
    found = subprocess.run(["find", inbox.path, "-type", "f"], capture_output=True, text=True, check=True).stdout
    subprocess.run(["rm", "-rf", inbox.path], check=True)  # too deep for pytest as well
    assert found.count("x.txt\n") == 1


def test_take_moves_a_file_with_its_sidecar_and_preserves_its_folder(layout: Layout):
    drop = write_file(layout.inbox.path / "a" / "b" / "x.jpg")
    sidecar = write_file(layout.inbox.path / "a" / "b" / "x.jpg.prompt", "What is it?")
    layout.inbox.take("id", drop, [sidecar])
    original = layout.inbox.original("id")
    assert original.path == layout.inbox.taken / "id" / "a" / "b" / "x.jpg"
    assert original.sidecars["prompt"].read_text() == "What is it?"
    assert layout.inbox.folder_of(original.path, "id") == "a/b"
    assert list((layout.inbox.path / "a" / "b").iterdir()) == []


def test_put_back_without_the_file_returns_its_sidecar(layout: Layout):
    sidecar = write_file(layout.inbox.path / "x.jpg.prompt")
    with pytest.raises(FileNotFoundError):
        layout.inbox.take("id", layout.inbox.path / "x.jpg", [sidecar])
    layout.inbox.put_back("id")
    assert sidecar.exists()
    assert list(layout.inbox.taken_ids()) == []


def test_put_back_never_overwrites(layout: Layout):
    layout.inbox.take("id", write_file(layout.inbox.path / "x.txt", "first"), [])
    write_file(layout.inbox.path / "x.txt", "second")
    layout.inbox.put_back("id")
    assert (layout.inbox.path / "x.txt").read_text() == "second"
    assert (layout.inbox.path / "x (2).txt").read_text() == "first"


def test_link_that_replaces_a_file_after_the_scan_is_not_taken(layout: Layout, tmp_path: Path):
    secret = write_file(tmp_path / "secret", "not yours")
    (layout.inbox.path / "x.txt").symlink_to(secret)
    with pytest.raises(OSError, match="not a regular file"):
        layout.inbox.take("id", layout.inbox.path / "x.txt", [])
    layout.inbox.put_back("id")
    assert (layout.inbox.path / "x.txt").is_symlink()
    assert list(layout.inbox.taken_ids()) == []


def test_removed_original_is_reported(layout: Layout):
    with pytest.raises(OriginalGone):
        layout.inbox.original("nothing")
    layout.inbox.take("id", write_file(layout.inbox.path / "x.txt"), [])
    layout.inbox.original("id").path.unlink()
    with pytest.raises(OriginalGone):
        layout.inbox.original("id")


@pytest.mark.parametrize("number", [0, 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, 14 * 10**18])
def test_numbers_too_large_for_sqlite_are_mapped_to_distinct_ones(number):
    recorded = as_recorded(number)
    assert -(2**63) <= recorded < 2**63
    assert recorded == number or not -(2**63) <= number < 2**63
    assert as_recorded(number + 1) != recorded


def test_file_returns_to_the_top_folder_if_a_link_replaced_its_folder(layout: Layout, tmp_path: Path):
    layout.inbox.take("id", write_file(layout.inbox.path / "a" / "x.txt"), [])
    (layout.inbox.path / "a").rmdir()
    (tmp_path / "outside").mkdir()
    (layout.inbox.path / "a").symlink_to(tmp_path / "outside")
    layout.inbox.put_back("id")
    assert (layout.inbox.path / "x.txt").read_text() == "text"
    assert list((tmp_path / "outside").iterdir()) == []
