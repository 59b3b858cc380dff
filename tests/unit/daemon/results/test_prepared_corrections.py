"""Corrected files that are prepared in state/corrections: the daemon can read them, and nothing stays there."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from web_site import Site

from daemon.queue.reader import JobLog
from daemon.results import corrections, result_files

RECEIPT = {"shop": "Larder", "items": [{"page": 1, "description": "Milk", "price": "1.50"}], "total": "1.50"}
DAEMON_USER = 4242


@pytest.fixture
def prepare(tmp_path: Path) -> Any:
    site = Site(tmp_path)
    job = site.add(files={"x.json": json.dumps(RECEIPT), "x.csv": ""})
    with JobLog(site.settings.database) as log:
        row = log.find(job.id)
    result = result_files.find(row, site.settings)
    assert result is not None
    yield lambda: corrections.prepared(row, result, [{"fields": {"shop": "Ladder"}}], "Ann", site.settings)
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
