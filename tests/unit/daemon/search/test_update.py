"""The search index follows the job log and the outbox."""

import shutil
import sqlite3
import threading

import pytest

from daemon.core.errors import UsageError
from daemon.search import index, update
from daemon.search.update import sweep


def raw(archive) -> bytes:
    """What is left on the disk."""
    return b"".join(path.read_bytes() for path in archive.folders.state.glob("search.db*"))


def test_results_are_found_after_the_first_update(archive):
    archive.add("a", "the quick brown fox")
    archive.add("b", "a lazy dog")
    assert not update.is_current(archive.folders)
    update.update(archive.folders)
    assert update.is_current(archive.folders)
    assert archive.names("quick") == ["a"]
    assert archive.names("dog") == ["b"]


def test_later_results_are_added_and_removed_ones_leave(archive):
    kept = archive.add("kept", "common words")
    gone = archive.add("gone", "common secret")
    update.update(archive.folders)
    archive.add("new", "common news")
    archive.store.forget_result(gone, event="result removed by [retention]")
    assert archive.names("common") == ["kept"], "a removed result is not shown, even before the update"
    update.update(archive.folders)
    assert archive.names("common") == ["new", "kept"]
    assert kept.result_path == "kept"


def test_removed_text_leaves_no_trace_after_the_sweep(archive):
    gone = archive.add("gone", "confidential zanzibarxyz")
    archive.add("other", "something else")
    update.update(archive.folders)
    shutil.rmtree(archive.folders.outbox / "gone")
    archive.store.forget_result(gone)
    assert b"zanzibarxyz" in raw(archive)
    assert sweep(archive.folders) == 1
    assert b"zanzibarxyz" not in raw(archive)
    assert archive.names("something") == ["other"]


def test_result_that_somebody_deleted_is_not_shown(archive):
    archive.add("a", "common")
    update.update(archive.folders)
    shutil.rmtree(archive.folders.outbox / "a")
    assert archive.names("common") == []


def test_interrupted_build_continues(archive, monkeypatch):
    monkeypatch.setattr(update, "_BATCH", 2)
    for number in range(5):
        archive.add(f"n{number}", f"common word{number}")
    progress = []

    def stop(done: int, total: int) -> None:
        progress.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update.update(archive.folders, stop)
    assert progress == [(2, 5)]
    assert archive.names("common") == ["n4", "n3"], "the newest results are first"
    update.update(archive.folders)
    assert archive.names("common") == ["n4", "n3", "n2", "n1", "n0"]


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_damaged_index_is_built_again(content: bytes, archive):
    archive.add("a", "common")
    (archive.folders.state / index.NAME).write_bytes(content)
    assert archive.names("common") == []
    update.update(archive.folders)
    assert archive.names("common") == ["a"]


def test_damage_found_later_is_repaired(archive):
    for number in range(4):
        archive.add(f"n{number}", "common " * 4000)
    update.update(archive.folders)
    path = archive.folders.state / index.NAME
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xff" * (len(content) - 4096 * 3)
    path.write_bytes(content)
    archive.add("new", "common")
    update.update(archive.folders)
    assert len(archive.names("common", limit=100)) == 5


def test_index_of_another_version_is_built_again(archive):
    archive.add("a", "common")
    update.update(archive.folders)
    with sqlite3.connect(archive.folders.state / index.NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert archive.names("common") == []
    update.update(archive.folders)
    assert archive.names("common") == ["a"]


def test_replaced_job_log_is_followed(archive):
    archive.add("a", "common")
    update.update(archive.folders)
    archive.store.close()
    for path in archive.folders.state.glob("jobs.db*"):
        path.unlink()
    archive.store = archive.store.__class__(archive.folders.state / "jobs.db")
    archive.add("b", "common")
    update.update(archive.folders)
    assert archive.names("common") == ["b"]


def test_several_updates_at_once_index_everything_once(archive, monkeypatch):
    monkeypatch.setattr(update, "_BATCH", 3)
    for number in range(8):
        archive.add(f"n{number}", "common")
    threads = [threading.Thread(target=update.update, args=(archive.folders,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = archive.search("common", limit=100)
    assert [len(result.hits) for result in found.results] == [1] * 8


def test_result_that_cannot_be_read_is_found_by_its_name(archive):
    job = archive.add("invoice-7", "text")
    (archive.folders.outbox / "invoice-7" / "result.json").write_text("{")
    update.update(archive.folders)
    assert archive.names("invoice") == [job.path]


def test_index_is_private(archive):
    archive.add("a", "text")
    update.update(archive.folders)
    assert [path.stat().st_mode & 0o777 for path in archive.folders.state.glob("search.db*")][0] == 0o600


def test_no_job_log_is_reported(archive):
    archive.store.close()
    (archive.folders.state / "jobs.db").unlink()
    with pytest.raises(UsageError, match="job log"):
        update.update(archive.folders)
    assert not (archive.folders.state / index.NAME).exists()


def test_link_in_the_place_of_the_index_is_not_followed(archive):
    target = archive.folders.outbox / "elsewhere.db"
    (archive.folders.state / index.NAME).symlink_to(target)
    archive.add("a", "common")
    update.update(archive.folders)
    assert not target.exists()
    assert archive.names("common") == ["a"]
