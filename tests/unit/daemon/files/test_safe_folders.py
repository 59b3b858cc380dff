"""Folders and files below a trusted folder, while other users rename, link and write there."""

import os
import stat
from pathlib import Path

import pytest

from daemon.core import durable
from daemon.files import safe_folders


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder in which others may rename what they like."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


# ---------------------------------------------------------------------------------------- paths as text


@pytest.mark.parametrize("root", ["/", "/in", "/in/box", "in", "."])
@pytest.mark.parametrize("path", ["/", "/in", "/in/box", "/in/box/a/b", "/in/boxes", "/in/box/../x", "in/a", "a", "."])
def test_names_below_a_folder_are_those_of_pathlib(root: str, path: str):
    folder, below = Path(root), Path(path)
    try:
        expected = list(below.relative_to(folder).parts)
    except ValueError:
        with pytest.raises(ValueError, match="is not in the subpath"):
            safe_folders.names_below(folder, below)
    else:
        assert list(safe_folders.names_below(folder, below)) == expected


@pytest.mark.parametrize("path", ["/in", "/in/box", "/in/box/a/b", "/in/boxes", "/in/box/../x", "a", "."])
def test_path_is_below_a_folder_as_in_pathlib(path: str):
    assert safe_folders.is_below(Path("/in/box"), Path(path)) == Path(path).is_relative_to("/in/box")


# ---------------------------------------------------------------------------------------- opening


@pytest.mark.parametrize("part", ["a", "a/b"])
def test_link_in_any_part_of_a_path_is_not_followed(tmp_path: Path, part: str):
    (tmp_path / "elsewhere" / "b").mkdir(parents=True)
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "b").mkdir()
    (root / part).rename(root / "aside")
    (root / part).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError), safe_folders.opened(root, root / "a" / "b"):
        pass
    with pytest.raises(NotADirectoryError), safe_folders.opened(root, root / "a" / "b", make=True):
        pass


def test_file_is_not_opened_as_a_folder(tmp_path: Path):
    (tmp_path / "a").write_text("")
    with pytest.raises(FileNotFoundError), safe_folders.opened(tmp_path, tmp_path / "a" / "b"):
        pass


def test_root_itself_may_be_a_link(tmp_path: Path):
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with safe_folders.opened(tmp_path / "link", tmp_path / "link" / "a") as folder:
        assert os.path.samestat(os.fstat(folder), (tmp_path / "real" / "a").stat())


def test_missing_folders_get_the_permissions_of_their_parent(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o1775)
    mask = os.umask(0o077)
    try:
        with safe_folders.opened(root, root / "a" / "b", make=True):
            pass
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(mask)
    assert mode_of(root / "a") == mode_of(root / "a" / "b") == 0o1775  # so that no user renames the files of another


def test_path_that_leads_up_is_refused(tmp_path: Path):
    (tmp_path / "root").mkdir()
    for make in (False, True):
        with (
            pytest.raises(FileNotFoundError),
            safe_folders.opened(tmp_path / "root", tmp_path / "root" / ".." / "x", make=make),
        ):
            pass
    assert not (tmp_path / "x").exists()


# ---------------------------------------------------------------------------------------- own folders


def test_folder_in_a_safe_place_is_used_by_its_name(tmp_path: Path):
    (tmp_path / "own").mkdir(mode=0o700)
    held = safe_folders.HeldFolder(tmp_path / "own")
    held.hold()
    assert (held.path, held.descriptor) == (tmp_path / "own", None)
    held.refresh()
    held.release()


def test_folder_that_others_may_rename_is_used_through_its_descriptor(shared: Path):
    (shared / "own").mkdir()
    held = safe_folders.HeldFolder(shared / "own")
    held.hold()
    assert held.path != held.place and mode_of(held.place) == 0o700
    (shared / "own").rename(shared / "aside")
    (shared / "elsewhere").mkdir()
    (shared / "own").symlink_to(shared / "elsewhere")
    (held.path / "x.txt").write_text("text")
    assert (shared / "aside" / "x.txt").read_text() == "text" and not any((shared / "elsewhere").iterdir())
    held.release()
    assert held.path == held.place


def test_renamed_folder_is_renamed_back(shared: Path):
    (shared / "own").mkdir()
    held = safe_folders.HeldFolder(shared / "own")
    held.hold()
    path = held.path
    for number in (1, 2):
        (shared / "own").rename(shared / "aside")
        (shared / "own").write_text(f"of somebody else, {number}")
        held.refresh()
        assert os.path.samestat((shared / "own").lstat(), os.stat(path)) and held.path == path
    assert sorted(each.name for each in shared.iterdir()) == ["own", "own.foreign-1", "own.foreign-2"]
    held.release()


def test_folder_of_another_user_is_not_held(shared: Path):
    if os.geteuid():
        pytest.skip("needs root, to give a folder to another user")
    (shared / "own").mkdir()
    os.chown(shared / "own", 54321, 54321)
    with pytest.raises(PermissionError, match="another user"):
        safe_folders.HeldFolder(shared / "own").hold()


@pytest.mark.parametrize(
    ("mode", "owner", "is_safe"),
    [
        (0o755, 0, True),
        (0o770, 0, False),
        (0o777, 0, False),
        (0o1777, 0, True),
        (0o2770, 0, False),
        (0o755, 54321, False),
    ],
    ids=["755", "770", "777", "1777", "2770", "another's"],
)
def test_folder_is_safe_if_no_other_user_can_rename_its_entries(tmp_path: Path, mode: int, owner: int, is_safe: bool):
    folder = tmp_path / "folder" / "below"
    folder.mkdir(parents=True)
    if owner and os.geteuid():
        pytest.skip("needs root, to give a folder to another user")
    if owner:
        os.chown(folder.parent, owner, -1)
    folder.parent.chmod(mode)
    assert safe_folders.is_safe(folder) is is_safe
    assert safe_folders.is_safe(folder.parent) is is_safe


def test_link_to_a_folder_must_be_in_a_safe_folder_as_well(tmp_path: Path, shared: Path):
    (tmp_path / "real").mkdir()
    (shared / "link").symlink_to(tmp_path / "real")
    assert safe_folders.is_safe(tmp_path / "real") and not safe_folders.is_safe(shared / "link")


def test_private_folder_is_closed_to_others(tmp_path: Path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there").chmod(0o2777)
    for name in ("new", "there"):
        safe_folders.make_private(tmp_path / name)
        assert mode_of(tmp_path / name) & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError):
        safe_folders.make_private(tmp_path / "link")


def test_names_are_protected_where_others_may_write(tmp_path: Path, shared: Path):
    assert safe_folders.protect_names(shared) and mode_of(shared) == 0o1777
    before = mode_of(tmp_path)
    assert safe_folders.protect_names(tmp_path) and mode_of(tmp_path) == before


def test_write_permission_of_others_is_removed(shared: Path):
    safe_folders.close_to_writers(shared)
    assert mode_of(shared) == 0o755


def test_private_folder_is_durable_once_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[Path] = []
    monkeypatch.setattr(durable, "fsync_folder", synced.append)
    for _ in range(2):
        safe_folders.make_private(tmp_path / "own")
    assert synced == [tmp_path] and mode_of(tmp_path / "own") == 0o700


def test_folder_that_cannot_be_held_leaves_no_descriptor_open(shared: Path, monkeypatch: pytest.MonkeyPatch):
    (shared / "own").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 54321)  # it belongs to somebody else
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(PermissionError):
        safe_folders.HeldFolder(shared / "own").hold()
    assert set(os.listdir("/proc/self/fd")) == before


def test_special_bits_of_a_folder_are_preserved(tmp_path: Path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own").chmod(0o7777)
    safe_folders.make_private(tmp_path / "own")
    assert mode_of(tmp_path / "own") == 0o7700


def test_renaming_back_is_logged_and_an_unmoved_folder_is_not_renamed(
    shared: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    (shared / "own").mkdir()
    held = safe_folders.HeldFolder(shared / "own")
    held.hold()
    (shared / "own").rename(shared / "aside")
    held.refresh()
    assert "renamed it back" in caplog.text
    monkeypatch.setattr(durable, "rename_noreplace", lambda *_: pytest.fail("it was renamed"))
    held.refresh()
    held.release()


def test_folder_is_made_again_where_its_mode_may_not_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:  # as RestrictSUIDSGID= of systemd.exec(5) does
        raise PermissionError

    root = tmp_path / "root"
    root.mkdir(mode=0o750)
    monkeypatch.setattr(os, "fchmod", refuse)
    umask = os.umask(0o077)
    try:
        with safe_folders.opened(root, root / "a" / "b", make=True):
            pass
        assert os.umask(0o077) == 0o077, "restored"
    finally:
        os.umask(umask)
    assert mode_of(root / "a") == mode_of(root / "a" / "b") == 0o750


def test_folder_of_another_user_with_the_sticky_bit_protects_names(shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert not safe_folders.protect_names(shared)
    shared.chmod(0o1777)
    assert safe_folders.protect_names(shared)


def test_folder_that_is_private_already_is_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own").mkdir(mode=0o700)
    monkeypatch.setattr(os, "fchmod", lambda *_: pytest.fail("its permissions were set"))
    safe_folders.make_private(tmp_path / "own")
