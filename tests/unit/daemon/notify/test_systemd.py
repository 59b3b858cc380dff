"""Messages on a service manager's socket; an absent or unresponsive manager does no harm."""

import os
import re
import socket
import subprocess
import sys
import time

import pytest

from daemon.notify import systemd
from daemon.notify.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A socket like systemd's, and the environment that names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        address = f"@inboxd-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
        listener.bind(address.replace("@", "\0"))
        listener.settimeout(5)
        yield listener, {"NOTIFY_SOCKET": address}


def received(listener: socket.socket) -> list[str]:
    """All messages that have arrived."""
    listener.setblocking(False)
    messages = []
    while True:
        try:
            messages.append(listener.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_long_status_is_shortened_to_what_systemd_accepts(manager):
    listener, environment = manager
    Notifier(environment).status("é" * 100_000 + "\ud800")
    (message,) = received(listener)
    assert message == "STATUS=" + "é" * 1024


def test_each_change_of_state_is_sent(manager):
    listener, environment = manager
    notifier = Notifier(environment)
    before = time.monotonic_ns() // 1000
    notifier.ready()
    notifier.reloading()
    notifier.stopping(within_seconds=90.5)
    ready, reloading, stopping = received(listener)
    assert (ready, stopping) == ("READY=1", "STOPPING=1\nEXTEND_TIMEOUT_USEC=90500000")
    started = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading)
    assert before <= int(started[1]) <= time.monotonic_ns() // 1000


def test_status_is_sent_when_it_changes_and_is_one_line(manager):
    listener, environment = manager
    notifier = Notifier(environment)
    for text in ("2 jobs", "2 jobs", "3 jobs\nREADY=1", "3 jobs READY=1", "2 jobs", "caf\udce9"):
        notifier.status(text)
    assert received(listener) == ["STATUS=2 jobs", "STATUS=3 jobs READY=1", "STATUS=2 jobs", "STATUS=caf?"]


def test_ping_is_sent_only_with_a_watchdog(manager):
    listener, environment = manager
    Notifier(environment).ping()
    assert received(listener) == []
    notifier = Notifier({**environment, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    notifier.ping()
    assert received(listener) == ["WATCHDOG=1"]
    assert notifier.watchdog_seconds == 15.0


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "9" * 5000},
    ],
)
def test_no_watchdog_unless_set_for_this_process(environment):
    assert Notifier(environment).watchdog_seconds is None


@pytest.mark.parametrize(
    "address", [None, "", "/nonexistent/notify", "@nobody-listens-here", "vsock:2:1", "/" + "x" * 500]
)
def test_missing_listener_does_no_harm(address):
    environment = {"WATCHDOG_USEC": "1000"} | ({} if address is None else {"NOTIFY_SOCKET": address})
    notifier = Notifier(environment)
    for send in (notifier.ready, notifier.reloading, notifier.ping):
        send()
    notifier.stopping(within_seconds=1)
    notifier.status("fine")


def test_manager_that_does_not_read_blocks_only_briefly(manager, monkeypatch):
    monkeypatch.setattr(systemd, "_SEND_SECONDS", 0.2)
    listener, environment = manager
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                other.sendto(b"noise", listener.getsockname())
    notifier = Notifier(environment)
    started = time.monotonic()
    notifier.status("lost")
    assert 0.15 < time.monotonic() - started < 3
    received(listener)
    notifier.status("lost")  # it did not arrive, so it is sent again
    assert received(listener) == ["STATUS=lost"]


def test_environment_of_the_process_is_used_by_default(manager):
    listener, environment = manager
    program = "from daemon.notify.systemd import Notifier; Notifier().ready()"
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **environment}, check=True, timeout=30)
    assert received(listener) == ["READY=1"]
