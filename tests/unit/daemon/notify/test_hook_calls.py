"""One call of a command hook: what it is given, and when it has succeeded or failed."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.hook import Hook
from daemon.notify import hook_calls

_PAYLOAD = {"event": "done", "id": "1"}


def call(script: str, *, timeout: float = 60.0) -> None:
    hook_calls._run(Hook(command=("sh", "-c", script), timeout=timeout), _PAYLOAD)


def test_command_that_leaves_a_process_in_the_background_has_succeeded(tmp_path: Path):
    left = tmp_path / "left"
    try:
        call(f"sleep 1000 & echo $! > {left}; echo started", timeout=10.0)
    finally:
        os.kill(int(left.read_text()), signal.SIGKILL)


def test_failed_command_is_reported_with_the_end_of_its_output():
    with pytest.raises(hook_calls.CallFailed, match=r"^exit status 3: x+\s+it broke$") as caught:
        call("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo it broke >&2; exit 3")
    assert len(str(caught.value)) < 600


def test_command_receives_the_event_as_json_and_in_its_environment(tmp_path: Path):
    call(f'(cat; echo; echo "$INBOXD_EVENT $INBOXD_JOB") > {tmp_path}/given')
    assert (tmp_path / "given").read_text() == '{"event": "done", "id": "1"}\ndone 1\n'


def test_command_that_hangs_is_killed():
    with pytest.raises(hook_calls.CallFailed, match="killed after its timeout of 0.2 s"):
        call("exec sleep 1000", timeout=0.2)


def test_command_that_does_not_exist_is_reported():
    with pytest.raises(hook_calls.CallFailed, match="cannot start"):
        hook_calls._run(Hook(command=("/nowhere",)), _PAYLOAD)


def test_command_that_is_not_executable_is_reported_with_the_fix(tmp_path: Path):
    (tmp_path / "tell").write_text("#!/bin/sh\n")
    with pytest.raises(hook_calls.CallFailed, match=f"chmod .x {tmp_path}/tell"):
        hook_calls._run(Hook(command=(f"{tmp_path}/tell",)), _PAYLOAD)


# ---------------------------------------------------------------------------------------------- webhooks


class DrippingServer:
    """Answers a request with one byte at a time, and never ends a line; `has_ended` once its client has gone."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.begin = b"HTTP/1.1 200 OK\r\nX-Long: "
        self.has_ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            connection.recv(65536)
            try:
                for byte in self.begin + b"x" * 60_000:
                    connection.send(bytes([byte]))
                    time.sleep(0.01)  # the behavior under test
            except OSError:
                self.has_ended.set()


@pytest.fixture
def dripping_server() -> Iterator[DrippingServer]:
    yield DrippingServer()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_webhook_whose_server_drips_its_answer_ends_at_its_timeout(dripping_server: DrippingServer, scheme: str):
    if scheme == "https":  # the beginning of a TLS record of 16 KiB
        dripping_server.begin = b"\x16\x03\x03\x40\x00"
    began = time.monotonic()
    hook = Hook(webhook=f"{scheme}://127.0.0.1:{dripping_server.port}/", timeout=0.3)
    with pytest.raises(hook_calls.CallFailed):
        hook_calls._post(hook, _PAYLOAD)
    assert time.monotonic() - began < 10, "and not the ten minutes of the whole answer"
    assert dripping_server.has_ended.wait(10), "nothing waits for the server any longer"


def test_webhook_whose_server_does_not_answer_is_reported_with_its_timeout():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(hook_calls.CallFailed, match="timed out|timeout of"),
    ):
        hook_calls._post(Hook(webhook=f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.2), _PAYLOAD)


def test_webhook_with_a_failure_status_has_failed():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hook = Hook(webhook=f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=10)

        def refuse() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        with pytest.raises(hook_calls.CallFailed, match="500"):
            hook_calls._post(hook, _PAYLOAD)
