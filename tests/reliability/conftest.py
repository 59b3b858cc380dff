"""The fork server of daemons with faults, one for all tests; see faults.py."""

from collections.abc import Iterator

import pytest
from faults import ForkServer


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    server = ForkServer(tmp_path_factory.mktemp("faults"))
    yield server
    server.stop()
