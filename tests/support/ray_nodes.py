"""Real nodes of a Ray cluster on this machine; see samples/nodes.py."""

import importlib.util
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from paths import PYTHONPATH, ROOT


def require_ray() -> None:
    """Skip unless the extra is installed."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra `ray`: pip install 'inboxd[ray]'")


def load_nodes() -> ModuleType:
    """The module samples/nodes.py; its nodes find the processors of the tests."""
    os.environ["PYTHONPATH"] = PYTHONPATH
    spec = importlib.util.spec_from_file_location("sample_nodes", ROOT / "samples" / "nodes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sample_nodes"] = module
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.create_server(("127.0.0.2", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def three_nodes(token_file: Path) -> Iterator[tuple[list, int]]:
    """Three nodes, and the port of the head."""
    port = free_port()
    nodes = load_nodes().start(3, port=port, token_file=token_file)
    try:
        yield nodes, port
    finally:
        for node in nodes:
            node.kill()
