"""`inboxd verify` on documents that people have damaged, and on files that cannot be read."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from test_startup import Wreck

from daemon.core import regular_files
from daemon.recovery import verify


@pytest.fixture
def wreck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verify, "_PAUSE_SECONDS", 0)
    made = Wreck(tmp_path)
    yield made
    made.close()


def done(wreck: Wreck, document: bytes) -> Path:
    """The folder of a result whose result.json is this."""
    wreck.publishing.complete(wreck.publishing_job())
    (wreck.outbox / "x" / "result.json").write_bytes(document)
    return wreck.outbox / "x"


def findings(wreck: Wreck) -> list[str]:
    return [finding.what for finding in wreck.audit().findings if finding.is_error]


@pytest.mark.parametrize(
    "facts",
    [
        [],
        None,
        5,
        {"files": 5},
        {"files": [5]},
        {"files": [{}]},
        {"files": [{"name": 5, "sha256": "x"}]},
        {"files": [{"name": "../../secret", "sha256": "x"}]},
        {"files": [{"name": "/dev/zero", "sha256": "x"}]},
        {"files": [{"name": "out.txt\0", "sha256": "x"}]},
        {"original": 5},
        {"original": {"path": 5}},
        {"original": {"path": "../../config.toml"}},
        {"original": {"path": "archive:../../../config.toml"}},
    ],
    ids=str,
)
def test_damaged_document_is_a_finding(wreck: Wreck, facts: object):
    done(wreck, json.dumps({"job": "job", **facts} if isinstance(facts, dict) else facts).encode())
    (what,) = findings(wreck)
    assert "result.json" in what


def test_document_nested_without_end_is_a_finding(wreck: Wreck):
    done(wreck, b"[" * 100_000)
    assert "nested too deeply" in findings(wreck)[0]


@pytest.mark.parametrize(
    "put", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)], ids=["pipe", "folder", "link"]
)
@pytest.mark.parametrize("name", ["out.txt", "result.json"])
def test_file_replaced_by_something_else_is_a_finding(wreck: Wreck, put: Callable[[Path], None], name: str):
    facts = {"job": "job", "files": [{"name": "out.txt", "sha256": "0" * 64}]}
    folder = done(wreck, json.dumps(facts).encode())
    (folder / name).unlink(missing_ok=True)
    put(folder / name)
    assert "cannot be read" in findings(wreck)[0]


def test_original_that_is_published_meanwhile_ends_nothing(wreck: Wreck, monkeypatch: pytest.MonkeyPatch):
    wreck.queued()

    def vanish(path: Path) -> str:
        path.unlink()
        return regular_files.sha256_of(path)

    monkeypatch.setattr(verify, "sha256_of", vanish)
    assert findings(wreck) == ["queued, ./x.txt: the original is not in inbox/.taken"]


def corrected(wreck: Wreck, files: object, **record: object) -> Path:
    """The folder with the corrected files of a result: x.csv, and their record."""
    folder = done(wreck, json.dumps({"job": "job", "files": []}).encode()) / "corrected"
    folder.mkdir()
    (folder / "x.csv").write_text("corrected")
    (folder / "corrections.json").write_text(json.dumps({"job": "job", "files": files, "changes": [], **record}))
    return folder


def test_corrected_files_are_checked(wreck: Wreck):
    sha256 = hashlib.sha256(b"corrected").hexdigest()
    folder = corrected(wreck, [{"name": "x.csv", "sha256": sha256}])
    assert not wreck.audit().findings
    (folder / "x.csv").write_text("changed")
    assert "x.csv has changed" in findings(wreck)[0]
    (folder / "x.csv").unlink()
    assert ["x.csv is missing" in finding.what for finding in wreck.audit().findings] == [True]
    assert not findings(wreck)


@pytest.mark.parametrize("files", [5, [5], [{}], [{"name": "../result.json", "sha256": "x"}]], ids=str)
def test_damaged_record_of_corrections_is_a_finding(wreck: Wreck, files: object):
    corrected(wreck, files)
    (what,) = findings(wreck)
    assert "corrected/corrections.json" in what


def test_record_of_corrections_that_cannot_be_read_is_a_finding(wreck: Wreck):
    folder = corrected(wreck, [])
    (folder / "corrections.json").write_bytes(b"{")
    assert "corrected/corrections.json cannot be read" in findings(wreck)[0]


def test_corrections_of_another_job_are_no_error(wreck: Wreck):
    corrected(wreck, [], job="another")
    assert [finding.is_error for finding in wreck.audit().findings] == [False]


@pytest.mark.parametrize("name", [".", "corrections.json"])
def test_corrections_that_a_person_removed_are_reported(wreck: Wreck, name: str):
    folder = corrected(wreck, [])
    wreck.store.record_event(wreck.store.get("job"), "corrected", "1 correction by Ann")
    (folder / name).rename(folder.parent.parent / "elsewhere")
    (finding,) = wreck.audit().findings
    assert "removed by a person" in finding.what and not finding.is_error
