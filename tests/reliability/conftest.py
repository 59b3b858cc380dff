"""Fixtures that several rigs share, such as one fork server for all tests (see faults.py); the mark of negative
controls."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import ForkServer
from hostile_rig import Canary, HostilePlace

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


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[HostilePlace]:
    """A place for hostile files."""
    made = HostilePlace(tmp_path)
    yield made
    made.remove()


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "canary")
