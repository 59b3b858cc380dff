"""The fork server of daemons with faults, one for all tests (see faults.py), and the mark of the negative controls."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import ForkServer

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the negative controls as slow: they test the rigs, which change less often than the daemon."""
    for item in items:
        if item.path.parent == _HERE and "_detects_" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    server = ForkServer(tmp_path_factory.mktemp("faults"))
    yield server
    server.stop()
