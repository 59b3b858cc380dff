"""The control socket between real threads, processes and users."""

import contextlib
import json
import os
import queue
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

from daemon.core.errors import NotRunning, SetupError, UsageError
from daemon.core.messages import Request
from daemon.server import control_socket
from daemon.server.control_socket import ControlServer, ask


def echo(request: Request) -> dict[str, Any]:
    return {"ok": True, "command": request.command, "arguments": request.arguments}


@contextlib.contextmanager
def serving(path: Path, answer: Callable[[Request], Any] = echo) -> Iterator[ControlServer]:
    """A control server, and a main loop that answers; an answer of None is none."""
    mailbox: queue.SimpleQueue = queue.SimpleQueue()

    def loop() -> None:
        while (request := mailbox.get()) is not None:
            if (given := answer(request)) is not None:
                request.reply.put(given)

    main = threading.Thread(target=loop)
    main.start()
    server = ControlServer(path, mailbox.put)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        mailbox.put(None)
        main.join()


@contextlib.contextmanager
def connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(path))
        yield client


def send(path: Path, line: bytes) -> dict[str, Any]:
    with connected(path) as client:
        client.sendall(line)
        return json.loads(client.makefile().readline())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inboxd.sock"


def test_request_reaches_the_loop_and_its_reply_the_client(path):
    with serving(path):
        answer = ask(path, "retry", job="1f", failed=True, name="caf\udce9 €")
    assert answer == {"ok": True, "command": "retry", "arguments": {"job": "1f", "failed": True, "name": "caf\udce9 €"}}


def test_refusal_reaches_the_client(path):
    refusal = {"ok": False, "error": "There is no job 1f.", "fix": "List them: inboxd jobs"}
    with serving(path, lambda request: refusal):
        assert ask(path, "retry", job="1f") == refusal


def test_large_replies_arrive_complete(path):
    with serving(path, lambda request: {"ok": True, "jobs": ["x" * 100] * 50_000}):
        assert len(ask(path, "status")["jobs"]) == 50_000


def test_another_process_can_ask(path):
    program = "import pathlib, sys; from daemon.server.control_socket import ask;"
    program += "print(ask(pathlib.Path(sys.argv[1]), 'status'))"
    with serving(path):
        command = [sys.executable, "-c", program, str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert "'command': 'status'" in done.stdout, done.stderr


def test_forty_clients_at_once_are_all_answered(path):
    answers = queue.SimpleQueue()
    with serving(path):
        clients = [
            threading.Thread(target=lambda number=number: answers.put(ask(path, "status", number=number)))
            for number in range(40)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert sorted(answers.get()["arguments"]["number"] for _ in clients) == list(range(40))


# ------------------------------------------------------------------------------------------------ who may ask


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_socket_is_for_its_owner_only_from_the_first_instant(path, umask):
    """Whatever the umask, which belongs to all threads and is left alone."""
    seen = []
    stopped = threading.Event()

    def look() -> None:
        while not stopped.is_set():
            with contextlib.suppress(FileNotFoundError):
                seen.append(stat.S_IMODE(path.lstat().st_mode))

    watcher = threading.Thread(target=look)
    before = os.umask(umask)
    try:
        watcher.start()
        with serving(path):
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
        stopped.set()
        watcher.join()
    assert set(seen) <= {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused():
    """Even one who can open the socket file: the kernel tells who is on the other side."""
    request = []
    with tempfile.TemporaryDirectory() as home:  # pytest's own are closed to others
        Path(home).chmod(0o711)
        path = Path(home, "sock")
        with serving(path, request.append):
            assert "may not use" in ask_as_nobody(path)
            path.chmod(0o666)
            assert "may not control the daemon" in ask_as_nobody(path)
    assert request == []


def ask_as_nobody(path: Path) -> str:
    """The answer, or the error; from a child of fork, since others may not read this interpreter's files."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        answer = b"no answer"
        try:
            os.setresuid(65534, 65534, 65534)
            answer = json.dumps(ask(path, "status")).encode()
        except NotRunning as error:
            answer = error.what.encode()
        finally:
            os.write(writer, answer)
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


# ------------------------------------------------------------------------------------------------ bad clients


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"status\n",
        b"[]\n",
        b"{}\n",
        b'"status"\n',
        b'{"command": 1}\n',
        b'{"command": "status", "arguments": [1]}\n',
        b"\xff\xfe\n",
        b"[" * 60_000 + b"\n",
    ],
)
def test_invalid_request_is_refused_with_an_example(path, line):
    with serving(path):
        answer = send(path, line)
        assert ask(path, "status")["ok"]
    assert answer["ok"] is False
    assert '"command"' in answer["fix"]


def test_line_beyond_the_limit_is_refused_and_never_posted(path):
    request = []
    start = b'{"command": "status", "arguments": {"x": "'
    with serving(path, lambda question: request.append(question) or {"ok": True}):
        fits = start + b"a" * (control_socket.MAX_REQUEST_BYTES - len(start) - 4) + b'"}}\n'
        assert len(fits) == control_socket.MAX_REQUEST_BYTES
        assert send(path, fits)["ok"]
        answer = send(path, fits[:-1] + b" ")  # the limit without an end
        assert not answer["ok"] and "longer than" in answer["error"]
        with pytest.raises(UsageError):
            ask(path, "status", x="a" * control_socket.MAX_REQUEST_BYTES)
    assert len(request) == 1


def test_silent_clients_delay_nobody(path, monkeypatch):
    monkeypatch.setattr(control_socket, "REQUEST_SECONDS", 3600.0)
    with serving(path), contextlib.ExitStack() as stack:
        for _ in range(control_socket.MAX_CONNECTIONS - 2):
            stack.enter_context(connected(path))
        stack.enter_context(connected(path)).close()
        assert ask(path, "status")["ok"]


def test_silent_and_dripping_clients_are_cut_off(path, monkeypatch):
    monkeypatch.setattr(control_socket, "REQUEST_SECONDS", 0.5)
    with serving(path), contextlib.ExitStack() as stack:
        silent = stack.enter_context(connected(path))
        dripping = stack.enter_context(connected(path))
        with pytest.raises(OSError):  # however often it shows life
            while True:
                dripping.sendall(b"{")
        assert "No request arrived" in json.loads(silent.makefile().readline())["error"]


def test_more_silent_clients_than_there_are_slots_only_delay(path, monkeypatch):
    monkeypatch.setattr(control_socket, "REQUEST_SECONDS", 0.2)
    with serving(path), contextlib.ExitStack() as stack:
        before = threading.active_count()
        for _ in range(3 * control_socket.MAX_CONNECTIONS):
            stack.enter_context(connected(path))
        assert ask(path, "status", timeout=10)["ok"]
        assert threading.active_count() - before <= control_socket.MAX_CONNECTIONS


def test_client_that_disconnects_before_the_reply_is_harmless(path):
    may_answer = threading.Event()

    def answer(request: Request) -> dict[str, Any]:
        may_answer.wait(10)
        return {"ok": True, "big": "x" * 1_000_000}

    with serving(path, answer):
        with connected(path) as client:
            client.sendall(b'{"command": "status"}\n')
        may_answer.set()
        assert ask(path, "status")["ok"]


def test_loop_that_does_not_answer_is_reported(path, monkeypatch):
    monkeypatch.setattr(control_socket, "REPLY_SECONDS", 0.2)
    with serving(path, lambda request: None):
        answer = ask(path, "status")
    assert answer["ok"] is False and "too busy" in answer["error"]


# ------------------------------------------------------------------------------------------------ the socket file


def test_stale_socket_is_replaced(path):
    program = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    with pytest.raises(NotRunning):
        ask(path, "status")
    with serving(path):
        assert ask(path, "status")["ok"]
    assert not os.path.lexists(path)


def test_server_without_a_thread_to_spare_answers_again_once_there_is_one(path, monkeypatch):
    start, failures = threading.Thread.start, []

    def no_more(thread: threading.Thread) -> None:
        if thread.name == "control-client" and len(failures) <= control_socket.MAX_CONNECTIONS:
            failures.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    with serving(path):
        monkeypatch.setattr(threading.Thread, "start", no_more)
        for _ in range(control_socket.MAX_CONNECTIONS + 1):
            with pytest.raises(NotRunning):
                ask(path, "status")
        assert ask(path, "status")["ok"]


def test_error_without_a_daemon_explains_how_to_start_it(path):
    with pytest.raises(NotRunning) as caught:
        ask(path, "status")
    assert "systemctl start inboxd" in caught.value.fix


def test_hanging_server_is_abandoned_after_the_timeout(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        with pytest.raises(NotRunning, match="did not answer within 0.2 s"):
            ask(path, "status", timeout=0.2)


def test_daemon_that_dies_during_a_request_is_not_running(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        dying = threading.Thread(target=lambda: listener.accept()[0].close())
        dying.start()
        with pytest.raises(NotRunning):
            ask(path, "status")
        dying.join()


def test_path_longer_than_a_socket_address_works(tmp_path):
    home = tmp_path / ("n" * 100) / ("n" * 100)
    home.mkdir(parents=True)
    descriptors = len(os.listdir("/proc/self/fd"))
    with serving(home / "inboxd.sock"):
        assert stat.S_IMODE((home / "inboxd.sock").stat().st_mode) == 0o600
        assert ask(home / "inboxd.sock", "status")["ok"]
    assert list(home.iterdir()) == []
    with pytest.raises(NotRunning):
        ask(home / "inboxd.sock", "status")
    with pytest.raises(NotRunning):
        ask(home / "missing" / "inboxd.sock", "status")
    until = time.monotonic() + 10  # the threads that served end when they like
    while len(os.listdir("/proc/self/fd")) > descriptors:
        assert time.monotonic() < until


@pytest.mark.parametrize("surplus", [-1, 0, 1])
def test_path_just_at_the_limit_works(tmp_path, surplus):
    name = "s" * (107 + surplus - len(os.fsencode(tmp_path)) - 1)
    with serving(tmp_path / name):
        assert ask(tmp_path / name, "status")["ok"]


def test_file_in_the_way_is_not_removed(path):
    path.write_text("precious")
    with pytest.raises(SetupError, match="not a socket"):
        ControlServer(path, lambda message: None).start()
    assert path.read_text() == "precious"


def test_missing_folder_is_reported(tmp_path):
    with pytest.raises(SetupError, match="cannot be created"):
        ControlServer(tmp_path / "missing" / "sock", lambda message: None).start()


def test_stop_leaves_a_socket_of_another_process_alone(path):
    with serving(path):
        path.unlink()
        other = socket.socket(socket.AF_UNIX)
        keeper = path.with_name("keeper")
        keeper.write_text("so that the inode's number is not given again")
        other.bind(str(path))
    assert path.is_socket()
    other.close()


def test_stop_does_not_wait_for_silent_clients_and_leaves_nothing(path, monkeypatch):
    monkeypatch.setattr(control_socket, "REQUEST_SECONDS", 3600.0)
    with contextlib.ExitStack() as stack:
        with serving(path) as server:
            for _ in range(control_socket.MAX_CONNECTIONS + 3):
                stack.enter_context(connected(path))
            server.stop()
            server.stop()
        assert not path.exists()
    with pytest.raises(NotRunning):
        ask(path, "status")
