"""`inboxd verify` on documents that people have damaged, and on files that cannot be read."""

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
    made.store.close()


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
