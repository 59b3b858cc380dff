"""Rows rebuilt from the documents in the outbox, some of which other users wrote."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.core.job import Job
from daemon.files.folders import Folders
from daemon.queue.store import Store
from daemon.recovery.rebuild import Rebuild

JOB = "0a1b2c3d-0000-4000-8000-00000000000a"
OTHER = "0a1b2c3d-0000-4000-8000-00000000000b"
FACTS = {
    "schema": 1,
    "job": JOB,
    "file": "a/x.txt",
    "kind": "text",
    "media_type": "text/plain",
    "size_bytes": 5,
    "sha256": "0" * 64,
    "recipe": "count",
    "processor": "plaintext",
    "engine": "python",
    "model": "none",
    "device": "cpu",
    "received_at": "2026-01-01T00:00:00.000Z",
    "started_at": "2026-01-01T00:00:01.000Z",
    "attempt": 1,
    "pages": 1,
    "media_seconds": 1.5,
    "review": ["look at it"],
    "excerpt": "the text",
    "error_kind": "bad_input",
    "error": "It is damaged.",
}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(inbox=tmp_path / "inbox", outbox=tmp_path / "outbox", state=tmp_path / "state")
    made.prepare()
    return made


@pytest.fixture
def rebuild(folders: Folders):
    stores = []

    def run() -> dict[str, Job]:
        """The rows by id, made from the folders alone."""
        store = Store(folders.state / f"jobs{len(stores)}.db")
        stores.append(store)
        Rebuild(store, folders).run()
        ids = store._connection.exec_driver_sql("SELECT id FROM jobs").scalars().all()
        return {job_id: store.get(job_id) for job_id in ids}

    yield run
    for store in stores:
        store.close()


def _put(folder: Path, name: str = "result.json", *, at: int = 1_750_000_000, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps({**FACTS, **changes}))
    os.utime(path, (at, at))
    return path


def test_result_and_failure_are_recorded_again(folders: Folders, rebuild):
    _put(folders.outbox.path / "a/x")
    _put(folders.outbox.path / "failed/a/x", "error.json", job=OTHER)
    rows = rebuild()
    assert (rows[JOB].state, rows[JOB].path, rows[JOB].result_path) == ("done", "a/x.txt", "a/x")
    assert (rows[OTHER].state, rows[OTHER].error, rows[OTHER].result_path) == ("failed", "It is damaged.", "failed/a/x")


@pytest.mark.parametrize(
    ("written", "read"), [("web", "web"), ("inbox", "inbox"), (None, "inbox"), (7, "inbox"), ("no name", "inbox")]
)
def test_source_is_recorded_again_where_the_document_names_one(written: object, read: str, folders: Folders, rebuild):
    _put(folders.outbox.path / "a/x", source=written)
    assert rebuild()[JOB].source == read


def test_failed_file_named_result_json_is_no_result(folders: Folders, rebuild):
    failed = folders.outbox.path / "failed/result"
    _put(failed, "error.json", file="result.json")
    _put(failed, "result.json", job=OTHER, file="forged.txt")
    rows = rebuild()
    assert list(rows) == [JOB] and rows[JOB].state == "failed"


def test_failed_file_in_a_subfolder_is_no_failure(folders: Folders, rebuild):
    failed = folders.outbox.path / "failed/error"
    _put(failed, "error.json", file="error.json")
    _put(failed / "original", "error.json", job=OTHER)
    assert list(rebuild()) == [JOB]


def test_original_beside_an_unusable_document_is_no_result(folders: Folders, rebuild):
    result = folders.outbox.path / "result"
    _put(result, job="edited")
    _put(result / "original", job=OTHER)
    assert rebuild() == {}


def test_error_beside_a_result_is_no_failure(folders: Folders, rebuild):
    _put(folders.outbox.path / "a", "error.json", job=OTHER)
    _put(folders.outbox.path / "a/x")
    assert list(rebuild()) == [JOB]


@pytest.mark.parametrize("place", ["", "a", "failed"])
def test_forged_document_does_not_hide_results_below_it(folders: Folders, rebuild, place: str):
    for name in ("result.json", "error.json"):
        (folders.outbox.path / "a").mkdir(exist_ok=True)
        (folders.outbox.path / place / name).write_text("{}")
    _put(folders.outbox.path / "a/x")
    _put(folders.outbox.path / "failed/a/x", "error.json", job=OTHER)
    assert set(rebuild()) == {JOB, OTHER}


@pytest.mark.parametrize(
    "change",
    [
        *({"file": file} for file in ("../x", "a/../../x", "/etc/x", "", "a//x", "./x", "a\0/x", "n" * 256, "a/", 5)),
        *({"job": job} for job in ("1" * 32, JOB.upper(), "../x", f"urn:uuid:{JOB}", None, [JOB])),
        *({"size_bytes": size} for size in (-1, 2**63, 1.5, "5", True, None)),
        *({"attempt": attempt} for attempt in (-1, 2**31, "1", None)),
        *({"received_at": time} for time in ("1850-01-01T00:00:00Z", "2026-01-01T00:00:00", "soon", None, 5)),
        {"started_at": "0001-01-01T00:00:00+10:00"},
        {"started_at": 5},
        {"sha256": "x"},
        {"sha256": "../" * 21 + "x"},
        {"kind": "other"},
        {"kind": ["text"]},
        {"media_type": None},
        {"recipe": 5},
        {"pages": -1},
        {"pages": 10**400},
        {"media_seconds": -1.0},
        {"media_seconds": 10**400},
        {"media_seconds": float("inf")},
        {"media_seconds": "1"},
        {"review": "text"},
        {"review": [5]},
        {"excerpt": [["deep"]]},
    ],
    ids=lambda change: repr(change)[:60],
)
def test_document_with_invalid_values_describes_no_job(folders: Folders, rebuild, change: dict[str, Any]):
    _put(folders.outbox.path / "forged", **change)
    _put(folders.outbox.path / "z", job=OTHER)
    assert list(rebuild()) == [OTHER]


def _too_large(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" " * 40 * 2**20)


def _deep(path: Path) -> None:
    path.write_bytes(b'{"job":' + b"[" * 100_000)


def _deep_but_legal(path: Path) -> None:
    path.write_text(json.dumps(FACTS)[:-1] + ', "file":' + "[" * 900 + "]" * 900 + "}")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.rename(path.parents[3] / "secret")
    path.symlink_to(path.parents[3] / "secret")


def _folder_by_link(path: Path) -> None:
    path.parent.rename(path.parents[3] / "secret")
    path.parent.symlink_to(path.parents[3] / "secret")


def _strange_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name(os.fsdecode(b"caf\xe9")))


@pytest.mark.parametrize("spoil", [_too_large, _deep, _deep_but_legal, _pipe, _link, _folder_by_link, _strange_folder])
def test_foreign_file_describes_no_job(folders: Folders, rebuild, spoil: Callable[[Path], None]):
    spoil(_put(folders.outbox.path / "a/forged"))
    _put(folders.outbox.path / "z", job=OTHER)
    assert list(rebuild()) == [OTHER]


def test_long_texts_are_truncated_and_times_bounded(folders: Folders, rebuild):
    _put(folders.outbox.path / "a/x", review=["r" * 10_000], media_type="m" * 10_000, at=2**33)
    (job,) = rebuild().values()
    assert len(job.review[0]) < 5000 and len(job.media_type) < 5000 and job.finished_at < 2**63


def test_document_in_its_original_folder_takes_precedence(folders: Folders, rebuild, caplog):
    _put(folders.outbox.path / "a/x (2)", at=1_700_000_000)
    _put(folders.outbox.path / "a/forged", at=1_800_000_000)
    _put(folders.outbox.path / "z", at=1_800_000_000)
    assert rebuild()[JOB].result_path == "a/x (2)"
    assert "several results name this job" in caplog.text


def test_newest_of_two_documents_takes_precedence(folders: Folders, rebuild):
    _put(folders.outbox.path / "a/x", at=1_700_000_000)
    _put(folders.outbox.path / "failed/a/x", "error.json", at=1_750_000_000)
    _put(folders.outbox.path / "b/x", at=1_720_000_000)
    assert rebuild()[JOB].result_path == "failed/a/x"


def test_document_of_this_user_takes_precedence(folders: Folders, rebuild):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    _put(folders.outbox.path / "a/x", at=1_700_000_000)
    os.chown(_put(folders.outbox.path / "b/x", at=1_800_000_000), 12345, -1)
    assert rebuild()[JOB].result_path == "a/x"


def test_moved_result_is_recorded_again(folders: Folders, rebuild):
    _put(folders.outbox.path / "taxes/2026")
    assert rebuild()[JOB].result_path == "taxes/2026"
