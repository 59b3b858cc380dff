"""Metrics over HTTP: clients that connect often, say nothing, or drip."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import wait_for

from daemon.telemetry import exporter

_REQUEST = b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that waits for its clients as long as they like."""
    monkeypatch.setattr(exporter._Handler, "timeout", 60)
    path = str(tmp_path / "metrics.sock")
    server = exporter._open_server(path, lambda: "inboxd_up 1\n")
    yield path
    server.stop()


@contextlib.contextmanager
def connected(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)  # waits while the queue is full
        client.settimeout(30)
        yield client


def ask(path: str) -> bytes:
    """The complete answer; empty: the connection was closed without one."""
    with connected(path) as client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(_REQUEST)
        return client.makefile("rb").read()
    return b""


def test_connections_are_limited_and_their_places_are_free_again_afterwards(listen: str):
    with contextlib.ExitStack() as silent:
        for _ in range(exporter._MAX_CONNECTIONS):
            silent.enter_context(connected(listen))
        assert ask(listen) == b""
    wait_for(lambda: b"inboxd_up 1" in ask(listen), "a free place")
    for _ in range(3 * exporter._MAX_CONNECTIONS):
        wait_for(lambda: b"inboxd_up 1" in ask(listen), "an answer")


def test_client_that_never_finishes_its_request_is_disconnected(listen: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exporter, "_REQUEST_SECONDS", 0.2)
    with connected(listen) as client:
        client.sendall(_REQUEST[:10])
        assert client.recv(1) == b""
