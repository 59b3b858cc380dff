"""`inboxd backup`: a complete, durable copy that replaces nothing and creates no folders."""

import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import requires
from sandbox import Place

from daemon.core.errors import UsageError
from daemon.queue import backup, backup_target
from daemon.queue.store import Store

USAGE, STORAGE = 64, 74


@pytest.fixture(scope="module")
def drained(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with one job that is done; the tests work on copies of it."""
    place = Place(tmp_path_factory.mktemp("drained"))
    place.drop("one.txt")
    place.drain()
    return place


@pytest.fixture
def done(drained: Place, tmp_path: Path) -> Place:
    """A place with one job that is done."""
    shutil.copytree(drained.home, tmp_path, dirs_exist_ok=True)
    return Place(tmp_path)


def is_copy(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


def refused(place: Place, *arguments: str) -> str:
    """The message about a refused target; nothing is changed in the folder around it."""
    before = _tree(place.home)
    message = place.inboxd("backup", *arguments, check=USAGE).stderr
    assert "Traceback" not in message and _tree(place.home) == before
    return message


def _tree(home: Path) -> dict[str, bytes]:
    paths = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path): path.read_bytes() for path in paths}


def test_backup_is_written_to_the_named_file(done: Place):
    target = done.home / "copy.db"
    assert done.inboxd("backup", str(target)).stdout.strip() == str(target)
    assert is_copy(target) and [path.name for path in done.home.glob(".*")] == []


@pytest.mark.parametrize("folder", ["usb", "usb/"])
def test_folder_gets_a_file_of_the_usual_name(folder: str, done: Place):
    (done.home / "usb").mkdir()
    done.inboxd("backup", f"{done.home}/{folder}")
    (copy,) = (done.home / "usb").iterdir()
    assert copy.match("jobs-????-??-??.db") and is_copy(copy)
    assert "already exists" in refused(done, f"{done.home}/{folder}")


def test_existing_file_is_replaced_only_with_force(done: Place):
    target = done.home / "notes.txt"
    target.write_text("important")
    assert "already exists" in refused(done, str(target)) and "--force" in refused(done, str(target))
    done.inboxd("backup", str(target), "--force")
    assert is_copy(target)


def test_unrelated_file_with_the_name_of_a_temporary_one_is_not_touched(done: Place):
    for name in ("copy.part", ".copy.db.part", "jobs-2020-01-01.part"):
        (done.home / name).write_text("mine")
    done.inboxd("backup", str(done.home / "copy.db"))
    (done.state / "backups").mkdir()
    night = done.state / "backups" / (backup_target.default_name().removesuffix(".db") + ".part")
    night.write_text("mine")
    done.inboxd("backup")
    assert night.read_text() == "mine"
    assert {(done.home / name).read_text() for name in ("copy.part", ".copy.db.part", "jobs-2020-01-01.part")} == {
        "mine"
    }


def test_missing_folder_is_not_created(done: Place):
    message = refused(done, str(done.home / "media/stick/copy.db"))
    assert "does not exist" in message and "mount" in message.lower()
    assert not (done.home / "media").exists()
    assert "does not exist" in refused(done, f"{done.home}/new/")


@pytest.mark.parametrize("below", ["x", "x/", "x/y", ""])
def test_file_instead_of_a_folder_is_reported(below: str, done: Place):
    (done.home / "a.txt").write_text("mine")
    assert f"{done.home}/a.txt is not a folder." in " ".join(refused(done, f"{done.home}/a.txt/{below}").split())


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_copy_is_private_whatever_the_mode_of_the_job_log(mask: int, done: Place):
    (done.state / "jobs.db").chmod(0o644)
    old_mask = os.umask(mask)
    try:
        done.inboxd("backup", str(done.home / "copy.db"))
        done.inboxd("backup")
    finally:
        os.umask(old_mask)
    copies = [done.home / "copy.db", *(done.state / "backups").iterdir()]
    assert [stat.S_IMODE(copy.stat().st_mode) for copy in copies] == [0o600, 0o600]


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(
    "where",
    [
        *("inbox/copy.db", "inbox/.taken/copy.db", "outbox/copy.db", "outbox/.staging/copy.db", "state/copy.db"),
        *("state/jobs.db", "state/jobs.db-wal", "state/jobs.db-shm", "state/hooks.json", "state/backups/../copy.db"),
        *("link/copy.db", "deep/copy.db", "inbox", "hard.db", "config.toml", "symlink.db"),
    ],
)
def test_files_of_the_daemon_are_never_replaced(where: str, force: list[str], done: Place):
    (done.state / "backups").mkdir()
    (done.home / "link").symlink_to(done.inbox)
    (done.home / "deep").symlink_to(done.outbox / ".staging")
    (done.home / "symlink.db").symlink_to(done.state / "jobs.db")
    os.link(done.state / "jobs.db", done.home / "hard.db")
    refused(done, str(done.home / where), *force)


def test_folder_of_the_nightly_backups_may_be_named(done: Place):
    (done.state / "backups").mkdir()
    done.inboxd("backup", str(done.state / "backups" / "before.db"))
    assert is_copy(done.state / "backups" / "before.db")


@pytest.mark.parametrize("name", ["-", ""])
def test_odd_names_are_explained(name: str, done: Place):
    assert "Name a file or folder" in refused(done, name)


def test_irregular_file_is_refused_even_with_force(done: Place):
    os.mkfifo(done.home / "pipe")
    assert "not a regular file" in refused(done, str(done.home / "pipe"), "--force")
    assert "not a regular file" in refused(done, "/dev/null", "--force")
    assert Path("/dev/null").is_char_device()


def test_database_in_use_is_refused_even_with_force(done: Place):
    other = done.home / "other.db"
    with closing(sqlite3.connect(other, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        assert "in use" in refused(done, str(other), "--force")


def test_name_that_is_not_utf8_works(done: Place):
    folder = os.fsencode(done.home) + b"/caf\xe9"
    os.mkdir(folder)
    done.inboxd("backup", os.fsdecode(folder))
    (name,) = os.listdir(folder)
    assert name.startswith(b"jobs-") and is_copy(Path(os.fsdecode(folder + b"/" + name)))


def test_too_long_name_and_unwritable_folder_are_explained(done: Place):
    message = done.inboxd("backup", str(done.home / ("x" * 300)), check=None)
    assert message.returncode == USAGE and "Traceback" not in message.stderr and "too long" in message.stderr
    message = done.inboxd("backup", "/proc/copy.db", check=None)
    assert message.returncode == STORAGE and "Traceback" not in message.stderr


def test_full_disk_is_explained_and_leaves_nothing(done: Place, tmp_path: Path):
    small = tmp_path / "small"
    small.mkdir()
    requires.mounted(small, "-o", "size=16k")
    try:
        message = done.inboxd("backup", str(small / "copy.db"), check=STORAGE).stderr
        assert "space" in message and "Traceback" not in message
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", small], check=True)


# ---------------------------------------------------------------------------------------------- temporary files


@pytest.fixture
def database(tmp_path: Path) -> Path:
    store = Store(tmp_path / "jobs.db")
    store.close()
    return tmp_path / "jobs.db"


def _copies(database: Path, folder: Path) -> list[str]:
    backup.copy(database, folder, "jobs-2026-01-01.db")
    return sorted(path.name for path in folder.iterdir())


def test_temporary_file_of_a_run_that_was_killed_is_removed_by_the_next(database: Path, tmp_path: Path):
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / ".inboxd-backup-0123456789abcdef.part").write_bytes(b"SQLite format 3\0 and more")
    (folder / ".inboxd-backup-0123456789abcde0.part").write_bytes(b"")
    assert _copies(database, folder) == ["jobs-2026-01-01.db"]


@pytest.mark.parametrize("kind", ["other content", "another name", "a link", "in use"])
def test_foreign_temporary_file_is_not_touched(kind: str, database: Path, tmp_path: Path):
    folder, name = tmp_path / "backups", ".inboxd-backup-0123456789abcdef.part"
    folder.mkdir()
    match kind:
        case "other content":
            (folder / name).write_text("mine")
        case "another name":
            name = ".inboxd-backup-mine.part"
            (folder / name).write_bytes(b"")
        case "a link":
            (folder / name).symlink_to(database)
        case "in use":
            (folder / name).write_bytes(b"")
            holder = backup.lock(folder / name)
            assert holder is not None
    assert _copies(database, folder) == [name, "jobs-2026-01-01.db"]


def test_failed_backup_changes_nothing(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "backups"
    _copies(database, folder)
    before = (folder / "jobs-2026-01-01.db").read_bytes()

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        backup.copy(database, folder, "jobs-2026-01-01.db")
    monkeypatch.undo()
    assert [path.name for path in folder.iterdir()] == ["jobs-2026-01-01.db"]
    assert (folder / "jobs-2026-01-01.db").read_bytes() == before


def test_copy_is_readable_by_no_more_users_than_the_job_log(database: Path, tmp_path: Path):
    database.chmod(0o600)
    assert backup.copy(database, tmp_path / "backups").stat().st_mode & 0o777 == 0o600


def test_file_that_appears_meanwhile_is_not_replaced(done: Place, monkeypatch: pytest.MonkeyPatch):
    target = done.home / "copy.db"
    place: Callable[..., Path] = backup_target.find_target
    settings = done.settings()
    found = place(str(target), settings, force=False)
    target.write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        backup.write(settings.database, found)
    assert target.read_text() == "mine"
