"""The folders of a daemon."""

from pathlib import Path

import pytest

from daemon.files.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(inbox=tmp_path / "inbox", outbox=tmp_path / "outbox", state=tmp_path / "state")
    made.prepare()
    return made
