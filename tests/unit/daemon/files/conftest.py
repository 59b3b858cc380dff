"""The folders of a daemon."""

from pathlib import Path

import pytest

from daemon.files.folders import Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(inbox=tmp_path / "inbox", outbox=tmp_path / "outbox", state=tmp_path / "state")
    made.prepare()
    return made
