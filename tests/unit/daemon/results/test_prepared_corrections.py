"""Corrected files that are prepared in state/corrections: the daemon can read them, and nothing stays there."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from web_site import Site

from daemon.queue.reader import JobLog
from daemon.results import corrections, result_files

pytestmark = pytest.mark.programs

RECEIPT = {"shop": "Larder", "items": [{"page": 1, "description": "Milk", "price": "1.50"}], "total": "1.50"}
LADDER = {"fields": {"shop": "Ladder"}}
DAEMON_USER = 4242


@pytest.fixture
def prepare(tmp_path: Path) -> Any:
    site = Site(tmp_path)
    job = site.add(files={"x.json": json.dumps(RECEIPT), "x.csv": ""})
    with JobLog(site.settings.database) as log:
        row = log.find(job.id)
    result = result_files.find(row, site.settings)
    assert result is not None

    def made(change: corrections.Change = LADDER) -> Any:
        return corrections.prepared(row, result, [change], "Ann", site.settings)

    yield made
    site.close()


def test_prepared_files_are_removed_afterwards(prepare: Any, tmp_path: Path):
    with prepare() as (name, revision):
        folder = tmp_path / "state" / "corrections" / name
        assert sorted(each.name for each in folder.iterdir()) == ["corrections.json", "x.csv", "x.json"]
        assert revision == 0
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can prepare files for another user")
def test_what_root_prepares_belongs_to_the_daemons_user(prepare: Any, tmp_path: Path):
    os.chown(tmp_path / "state", DAEMON_USER, DAEMON_USER)
    with prepare() as (name, _):
        folder = tmp_path / "state" / "corrections" / name
        assert {each.stat().st_uid for each in (folder.parent, folder, *folder.iterdir())} == {DAEMON_USER}


def recorded(tmp_path: Path, name: str) -> Any:
    [change] = json.loads((tmp_path / "state" / "corrections" / name / "corrections.json").read_text())["changes"]
    return change


@pytest.mark.parametrize("name", ["by", "at", "was", "values"])
def test_change_cannot_say_who_made_it_or_anything_else(prepare: Any, name: str):
    with (
        pytest.raises(corrections.InvalidCorrection, match=f"^In change 1: {name}: Extra inputs"),
        prepare({**LADDER, name: "Eve"}),
    ):
        pass


def test_text_of_several_lines_becomes_one_line(prepare: Any, tmp_path: Path):
    with prepare({"fields": {"shop": " Corner \r\n\tLadder\n"}}) as (name, _):
        assert recorded(tmp_path, name)["fields"] == {"shop": "Corner Ladder"}


@pytest.mark.parametrize(
    "change",
    [
        {"page": 2, "line": 1, "text": "x"},
        {"row": 1, "values": {}},
        {"segment": 1, "text": "x"},
        {"item": 9, "values": {}},
    ],
)
def test_change_of_another_kind_of_document_is_refused(prepare: Any, change: corrections.Change):
    with pytest.raises(corrections.InvalidCorrection), prepare(change):
        pass


@pytest.mark.parametrize("document", [{"pages": []}, {"statements": []}, {"segments": []}])
@pytest.mark.parametrize("change", [{"page": 2, "line": 1, "text": "x"}, {"item": 1, "values": {}}])
def test_place_that_the_document_lacks_is_refused(tmp_path: Path, document: dict[str, Any], change: corrections.Change):
    site = Site(tmp_path)
    job = site.add(files={"x.json": json.dumps(document)})
    answer = site.client.post(f"/api/v1/jobs/{job.id}/corrections", json={"changes": [change]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "wrong_correction")
    assert list((tmp_path / "state" / "corrections").iterdir()) == []
    site.close()
