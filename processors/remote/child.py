"""A model server as a child of the worker: started on a private port, supervised, and ended with the worker.

The child stays in the worker's process group, which the daemon kills as one, and the kernel kills it if the worker is
killed alone. Only processes that know the key of this start can use it: vLLM and llama.cpp read it from the
environment.
"""

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import httpx2

from processors.contract import Unavailable

KEY = "INBOXD_SERVER_KEY"  # environment variable: the key that requests must send
_KEYS = (KEY, "VLLM_API_KEY", "LLAMA_API_KEY")
_HOST = "127.0.0.1"
_POLL_SECONDS, _PROBE_SECONDS = 0.2, 5.0
_END_SECONDS = 3.0
_STOP_SECONDS = 10.0  # from SIGTERM to SIGKILL
_TAIL_LINES = 5  # of its output, for messages
_READY_PATHS = ("/health", "/v1/models")  # vLLM and llama.cpp; any server of OpenAI's API

log = logging.getLogger(__name__)


class ChildServer:
    """One command, and its process while it runs."""

    def __init__(self, command: Sequence[str], fields: Mapping[str, str], start_timeout: float):
        """command: its arguments may contain {port}, {host}, {key} and the names of `fields`."""
        self._fields, self._command, self._start_timeout = dict(fields), list(command), start_timeout
        self._key = os.environ.setdefault(KEY, secrets.token_urlsafe(24))
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._lock = threading.Lock()  # of starting

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self._port}/v1"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ensure_running(self, alive: Callable[[float], None]) -> None:
        """Start the server if it does not run, and wait until it is ready; call `alive` with the seconds so far.

        Raises:
            Unavailable: it ends, or is not ready within the timeout.
        """
        with self._lock:
            if self.is_running:
                return
            if self._process is not None:
                log.warning("the model server ended (%s); starting it again", self.why_ended())
            self._start()
            self._wait_until_ready(alive)

    def has_ended(self) -> bool:
        """True if the process ended. A process that closed its port may need a moment to end."""
        if self._process is None:
            return True
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def why_ended(self) -> str:
        """Its exit status and last lines, for messages."""
        status = self._process.poll() if self._process else None
        said = f": {' | '.join(self._tail)}" if self._tail else ""
        return f"status {status}{said}"

    def stop(self) -> None:
        """End the process: SIGTERM, then SIGKILL."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        command = [_filled(each, self._values()) for each in self._command]
        log.info("starting the model server: %s", " ".join(self._command))  # without the key
        self._tail.clear()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "processors.remote.launch", str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(self._key),
        )
        threading.Thread(target=self._copy_output, args=[self._process], name="server-log", daemon=True).start()

    def _values(self) -> dict[str, str]:
        return {**self._fields, "port": str(self._port), "host": _HOST, "key": self._key}

    def _copy_output(self, process: subprocess.Popen[bytes]) -> None:
        """Copy its output to the worker's log. Runs in a thread until the output ends."""
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                text = line.decode(errors="replace").rstrip()
                self._tail.append(text[:200])
                sys.stderr.write(f"{text}\n")

    def _wait_until_ready(self, alive: Callable[[float], None]) -> None:
        started = time.monotonic()
        while (waited := time.monotonic() - started) < self._start_timeout:
            alive(waited)
            if not self.is_running:
                raise Unavailable(
                    f"The model server ended while it started ({self.why_ended()}). Correct `server`, `server_args` or "
                    "`model` in [processors.vlm]; its complete output is in the log (journalctl -u inboxd)."
                )
            if self._is_ready():
                log.info("the model server is ready after %.0f s", waited)
                return
            time.sleep(_POLL_SECONDS)
        self.stop()
        raise Unavailable(
            f"The model server was not ready within {self._start_timeout:g} s. See its output in the log (journalctl "
            "-u inboxd), or raise `start_timeout` in [processors.vlm]."
        )

    def _is_ready(self) -> bool:
        """True if it serves: the first path that it knows responds with 200."""
        root, headers = f"http://{_HOST}:{self._port}", {"Authorization": f"Bearer {self._key}"}
        try:
            # no certificates: loading them takes 0.02 s of CPU time, and this is plain HTTP
            with httpx2.Client(verify=False, trust_env=False, timeout=_PROBE_SECONDS, headers=headers) as client:
                for path in _READY_PATHS:
                    status = client.get(f"{root}{path}").status_code
                    if status != httpx2.codes.NOT_FOUND:
                        return status == httpx2.codes.OK
        except httpx2.TransportError:
            pass  # not listening yet
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _filled(argument: str, values: Mapping[str, str]) -> str:
    """Replace each {name} by its value; other braces stay, for example those of JSON."""
    for name, value in values.items():
        argument = argument.replace(f"{{{name}}}", value)
    return argument


def _environment(key: str) -> dict[str, str]:
    """The worker's environment with the key; without the network of Hugging Face's hub: only a command downloads."""
    return {**os.environ, **dict.fromkeys(_KEYS, key), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
