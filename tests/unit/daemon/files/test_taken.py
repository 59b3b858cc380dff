"""Taking files from the inbox, and returning them."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
from factories import write_file

from daemon.core import regular_files
from daemon.files.folders import Folders
from daemon.files.inbox import Inbox
from daemon.files.taken import OriginalGone, TakenFiles


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    made = Inbox(tmp_path / "inbox")
    made.taken.mkdir(parents=True)
    return made


@pytest.fixture
def taken(inbox: Inbox) -> TakenFiles:
    return TakenFiles(inbox)


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


def test_take_makes_contents_new_names_and_removed_names_durable(inbox: Inbox, taken: TakenFiles, synced: list[str]):
    sidecar = _write(inbox.path / "a" / "x.txt.prompt")
    taken.take("id", _write(inbox.path / "a" / "x.txt"), [sidecar])
    taken.fsync(["id"], [inbox.path / "a"])
    files = {".taken/id/a/x.txt", ".taken/id/a/x.txt.prompt"}
    assert set(synced[:2]) == files and synced[2:] == [".taken/id/a", ".taken/id", ".taken", "a"]


def test_large_file_is_left_to_the_hasher(inbox: Inbox, taken: TakenFiles, synced: list[str], monkeypatch):
    monkeypatch.setattr(regular_files, "HASH_INLINE_BYTES", 4)
    for name, text in (("small", "1234"), ("large", "12345")):
        taken.take(name, _write(inbox.path / name, text), [])
    taken.fsync(["small", "large"], [])
    assert [path for path in synced if path.count("/") == 2] == [".taken/small/small"]


def test_folder_that_was_removed_in_the_meantime_needs_no_fsync(inbox: Inbox, taken: TakenFiles):
    taken.take("id", _write(inbox.path / "a" / "x.txt"), [])
    (inbox.path / "a").rmdir()
    taken.fsync(["id"], [inbox.path / "a"])
    taken.finish_take("id")
    assert taken.original("id").path.read_text() == "text"


def test_finished_take_leaves_a_new_file_of_the_same_name(inbox: Inbox, taken: TakenFiles, synced: list[str]):
    taken.take("id", _write(inbox.path / "a" / "x.txt"), [])
    (inbox.path / "a" / "x.txt").hardlink_to(taken.original("id").path)
    taken.finish_take("id")
    assert not (inbox.path / "a" / "x.txt").exists() and synced == ["a"]
    _write(inbox.path / "a" / "x.txt", "another")
    taken.finish_take("id")
    assert (inbox.path / "a" / "x.txt").read_text() == "another"
    assert taken.original("id").path.read_text() == "text"


def test_file_in_a_folder_that_became_a_link_is_not_taken(inbox: Inbox, taken: TakenFiles, tmp_path: Path):
    _write(tmp_path / "outside" / "x.txt")
    (inbox.path / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(FileNotFoundError):
        taken.take("id", inbox.path / "a" / "x.txt", [])
    assert (tmp_path / "outside" / "x.txt").exists()


def test_original_is_distinguished_from_its_sidecars_and_its_mark(inbox: Inbox, taken: TakenFiles):
    sidecars = [_write(inbox.path / f"x.txt.{kind}", kind) for kind in ("prompt", "done", "password")]
    taken.take("id", _write(inbox.path / "x.txt"), sidecars)
    original = taken.original("id")
    assert original.path.name == "x.txt"
    assert {kind: path.read_text() for kind, path in original.sidecars.items()} == {
        "prompt": "prompt",
        "password": "password",
    }


@pytest.mark.parametrize("names", [["x.txt.prompt"], ["x.txt", "y.txt"], []])
def test_original_that_is_not_exactly_one_file_counts_as_gone(taken: TakenFiles, names: list[str]):
    (taken.path / "id").mkdir()
    for name in names:
        _write(taken.path / "id" / name)
    with pytest.raises(OriginalGone):
        taken.original("id")


@pytest.mark.parametrize("folder", ["", "a"])
def test_files_with_the_same_name_are_no_single_original(taken: TakenFiles, folder: str):
    for place in ("", "b"):
        _write(taken.path / "id" / folder / place / "x.txt")
    with pytest.raises(OriginalGone):
        taken.original("id")


def test_return_of_others_leaves_an_original_and_its_sidecars(inbox: Inbox, taken: TakenFiles):
    name = "x\udcff.txt"
    for path in (f"a/{name}", f"a/{name}.prompt", f"a/b/{name}", "a/y.txt", "a/y.txt.prompt", name):
        _write(taken.path / "id" / path)
    taken.return_others("id", "a/x\\xff.txt")
    assert taken.original("id").path == taken.path / "id" / "a" / name
    assert list(taken.original("id").sidecars) == ["prompt"]
    back = (str(path.relative_to(inbox.path)) for path in inbox.path.rglob("*") if path.is_file())
    assert sorted(path for path in back if ".taken" not in path) == ["a/b/" + name, "a/y.txt", "a/y.txt.prompt", name]


def test_nothing_returns_if_the_original_is_not_found(taken: TakenFiles):
    for name in ("x.txt", "y.txt"):
        _write(taken.path / "id" / name)
    taken.return_others("id", "z.txt")
    assert len(list((taken.path / "id").iterdir())) == 2


def test_only_folders_in_taken_are_jobs(taken: TakenFiles):
    _write(taken.path / ".lock")
    (taken.path / "id").mkdir()
    (taken.path / "link").symlink_to(taken.path / "id")
    assert list(taken.job_ids()) == ["id"]


# ---------------------------------------------------------------------------------------- giving back


def test_put_back_returns_all_files_and_recreates_their_folders(inbox: Inbox, taken: TakenFiles, synced: list[str]):
    taken.take("id", _write(inbox.path / "a" / "b" / "x.txt"), [_write(inbox.path / "a" / "b" / "x.txt.prompt")])
    (taken.path / "id" / "a" / "b" / "link").symlink_to("x.txt")
    (inbox.path / "a" / "b").rmdir()
    (inbox.path / "a").rmdir()
    taken.put_back("id")
    assert sorted(path.name for path in (inbox.path / "a" / "b").iterdir()) == ["link", "x.txt", "x.txt.prompt"]
    assert (inbox.path / "a" / "b" / "link").is_symlink() and list(taken.job_ids()) == []
    assert synced[:2] == [".", "a"] and set(synced[2:]) == {"a/b"}
    taken.put_back("id")


def test_put_back_reports_that_the_inbox_is_absent(inbox: Inbox, taken: TakenFiles):
    _write(taken.path / "id" / "x.txt")
    real = inbox.opened

    def opened(folder: Path, **options):
        if not folder.is_relative_to(taken.path):
            raise FileNotFoundError(errno.ENOENT, "an injected error", str(folder))
        return real(folder, **options)

    inbox.opened = opened
    with pytest.raises(FileNotFoundError, match="injected"):
        taken.put_back("id")
    assert (taken.path / "id" / "x.txt").exists()


def test_release_of_a_missing_folder_is_no_error(inbox: Inbox, taken: TakenFiles):
    taken.take("id", _write(inbox.path / "a" / "x.txt"), [])
    taken.release("id")
    taken.release("id")
    assert list(taken.job_ids()) == []


# ---------------------------------------------------------------------------------------- folders swapped in for files


def test_folder_that_replaced_a_file_returns_in_one_move(inbox: Inbox, taken: TakenFiles, synced: list[str]):
    swapped = inbox.path / "a" / "x.txt"
    for number in range(50):
        _write(swapped / f"{number}.txt")
    with pytest.raises(OSError, match="not a regular file"):
        taken.take("job", swapped, [])
    assert len(list(swapped.iterdir())) == 50 and len(synced) <= 2
    taken.put_back("job")
    assert list(taken.job_ids()) == []


def test_folder_of_another_user_returns_in_one_move(inbox: Inbox, taken: TakenFiles, synced: list[str]):
    if os.geteuid():
        pytest.skip("needs root, to give a folder to another user")
    for number in range(50):
        _write(taken.path / "job" / "a" / "x.txt" / f"{number}.txt")
    os.chown(taken.path / "job" / "a" / "x.txt", 54321, 54321)
    taken.put_back("job")
    assert len(list((inbox.path / "a" / "x.txt").iterdir())) == 50 and len(synced) <= 4
    assert list(taken.job_ids()) == []


def test_tree_too_deep_for_recursion_returns(inbox: Inbox, taken: TakenFiles):
    deep = taken.path / "job"
    deep.mkdir()
    descriptor = os.open(deep, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("x.txt", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    taken.put_back("job")
    assert list(taken.job_ids()) == []
    found = subprocess.run(["find", inbox.path, "-type", "f"], capture_output=True, text=True, check=True).stdout
    subprocess.run(["rm", "-rf", inbox.path], check=True)  # too deep for pytest as well
    assert found.count("x.txt\n") == 1


def test_take_moves_a_file_with_its_sidecar_and_preserves_its_folder(folders: Folders):
    drop = write_file(folders.inbox.path / "a" / "b" / "x.jpg")
    sidecar = write_file(folders.inbox.path / "a" / "b" / "x.jpg.prompt", "What is it?")
    folders.taken.take("id", drop, [sidecar])
    original = folders.taken.original("id")
    assert original.path == folders.taken.path / "id" / "a" / "b" / "x.jpg"
    assert original.sidecars["prompt"].read_text() == "What is it?"
    assert folders.taken.folder_of(original.path, "id") == "a/b"
    assert list((folders.inbox.path / "a" / "b").iterdir()) == []


def test_put_back_without_the_file_returns_its_sidecar(folders: Folders):
    sidecar = write_file(folders.inbox.path / "x.jpg.prompt")
    with pytest.raises(FileNotFoundError):
        folders.taken.take("id", folders.inbox.path / "x.jpg", [sidecar])
    folders.taken.put_back("id")
    assert sidecar.exists()
    assert list(folders.taken.job_ids()) == []


def test_put_back_never_overwrites(folders: Folders):
    folders.taken.take("id", write_file(folders.inbox.path / "x.txt", "first"), [])
    write_file(folders.inbox.path / "x.txt", "second")
    folders.taken.put_back("id")
    assert (folders.inbox.path / "x.txt").read_text() == "second"
    assert (folders.inbox.path / "x (2).txt").read_text() == "first"


def test_link_that_replaces_a_file_after_the_scan_is_not_taken(folders: Folders, tmp_path: Path):
    secret = write_file(tmp_path / "secret", "not yours")
    (folders.inbox.path / "x.txt").symlink_to(secret)
    with pytest.raises(OSError, match="not a regular file"):
        folders.taken.take("id", folders.inbox.path / "x.txt", [])
    folders.taken.put_back("id")
    assert (folders.inbox.path / "x.txt").is_symlink()
    assert list(folders.taken.job_ids()) == []


def test_removed_original_is_reported(folders: Folders):
    with pytest.raises(OriginalGone):
        folders.taken.original("nothing")
    folders.taken.take("id", write_file(folders.inbox.path / "x.txt"), [])
    folders.taken.original("id").path.unlink()
    with pytest.raises(OriginalGone):
        folders.taken.original("id")


def test_file_returns_to_the_top_folder_if_a_link_replaced_its_folder(folders: Folders, tmp_path: Path):
    folders.taken.take("id", write_file(folders.inbox.path / "a" / "x.txt"), [])
    (folders.inbox.path / "a").rmdir()
    (tmp_path / "outside").mkdir()
    (folders.inbox.path / "a").symlink_to(tmp_path / "outside")
    folders.taken.put_back("id")
    assert (folders.inbox.path / "x.txt").read_text() == "text"
    assert list((tmp_path / "outside").iterdir()) == []
