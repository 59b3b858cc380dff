"""Serves the metrics over HTTP on this machine (`[metrics] listen`) and as a file for node_exporter (`textfile`).

Each has a thread of its own that asks the main loop through the mailbox, as the control socket does: reading the job
log and running nvidia-smi would block the main loop. If neither is configured, nothing runs, and prometheus_client is
not even imported.
"""

import contextlib
import http.server
import logging
import os
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import cast

from daemon.config.settings import Settings
from daemon.core import durable
from daemon.core.errors import InboxdError, NotRunning
from daemon.core.messages import Request

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 10.0  # as long as Prometheus waits by default
_CLIENT_SECONDS = 5.0  # for a client to send its request, and to read the response
_REQUEST_SECONDS = 20.0  # for a connection in all: a client that drips is treated as a silent one
_MAX_CONNECTIONS = 16  # at once; further ones are closed, or local users could use up the daemon's descriptors
_STOP_SECONDS = 2.0
_LOCAL = {"localhost", "127.0.0.1", "[::1]", ""}  # the host names that a local client uses


_Connection = socket.socket | tuple[bytes, socket.socket]  # as socketserver has it; the second form is for UDP


class Exporter:
    """The threads that `[metrics]` configures; `use` starts, changes and ends them."""

    def __init__(self, post: Callable[[Request], None]):
        self._post = post
        self._configured: tuple[object, ...] | None = None
        self._server: _Server | None = None
        self._writer: _Writer | None = None
        self.problem: str | None = None  # why the metrics are not served

    def apply(self, settings: Settings) -> None:
        """Serve according to these settings from now on. What cannot be opened is logged and stored as `problem`."""
        wanted = (settings.metrics, settings.textfile)
        if wanted == self._configured:
            return
        self.stop()
        self._configured, self.problem = wanted, None

        def text() -> str:
            return self._text(settings)

        if settings.metrics.listen:
            try:
                self._server = _open_server(settings.metrics.listen, text)
            except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
                why = getattr(error, "strerror", None) or error
                self._report(f"Cannot serve metrics on {settings.metrics.listen}: {why}.")
        if settings.textfile is not None:
            try:
                self._writer = _Writer(settings.textfile, settings.metrics.every, text, self._report)
            except RuntimeError as error:
                self._report(f"Cannot write metrics to {settings.textfile}: {error}.")

    def stop(self) -> None:
        """End the threads; remove the file for node_exporter, as it would be out of date."""
        for part in (self._server, self._writer):
            if part is not None:
                part.stop()
        self._server = self._writer = self._configured = None

    def _report(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            log.error("%s Correct [metrics] in config.toml, then run `inboxd reload`.", problem)
        self.problem = problem

    def _text(self, settings: Settings) -> str:
        """The current metrics.

        Raises:
            NotRunning: the main loop does not answer in time.
        """
        from daemon.telemetry import metrics

        replies: queue.SimpleQueue[Mapping[str, object]] = queue.SimpleQueue()
        self._post(Request(command="metrics", arguments={}, reply=replies))
        try:
            live = cast(metrics.Live, replies.get(timeout=_ANSWER_SECONDS))
        except queue.Empty:
            raise NotRunning("The main loop is too busy to answer.") from None
        return metrics.render(live, database=settings.database, saved_totals=settings.totals)


# ---------------------------------------------------------------------------------------------- the file


class _Writer:
    """Replaces the file at regular intervals, atomically."""

    def __init__(self, path: Path, every: float, text: Callable[[], str], report: Callable[[str | None], None]):
        self._path = path
        self._every = every
        self._text = text
        self._report = report
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics-file", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                text = self._text()
                if not self._stopping.is_set():
                    self._write(text)
                self._report(None)
            except InboxdError as error:
                log.warning("metrics: %s", error)
            except OSError as error:
                self._report(f"Cannot write metrics to {self._path}: {error.strerror or error}.")
            self._stopping.wait(self._every)

    def _write(self, text: str) -> None:
        scratch = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        scratch.unlink(missing_ok=True)
        try:
            durable.write_file(scratch, text.encode())
            scratch.chmod(0o644)  # node_exporter runs as another user
            scratch.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)
            raise


# ---------------------------------------------------------------------------------------------- HTTP


class _Server(http.server.ThreadingHTTPServer):
    """GET /metrics, on a loopback address or a Unix socket."""

    daemon_threads = True
    block_on_close = False  # a slow client must not delay the stop

    def __init__(self, family: socket.AddressFamily, address: str | tuple[str, int], text: Callable[[], str]):
        self.address_family = family
        self.text = text
        self._unix_path = Path(address) if isinstance(address, str) else None
        super().__init__(address, _Handler)  # type: ignore[arg-type]  # typeshed has no addresses of Unix sockets
        self._is_stopping = False
        self._slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._thread = threading.Thread(target=self._serve, name="metrics-http", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self.server_close()
            raise

    def server_bind(self) -> None:
        if self._unix_path is None:
            super().server_bind()
            return
        if self._unix_path.is_socket():  # left by a killed daemon
            self._unix_path.unlink()
        self.socket.bind(str(self._unix_path))
        self.server_name, self.server_port = "localhost", 0

    def process_request(self, request: _Connection, client_address: object) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError as error:  # no more threads
            self._slots.release()
            self.shutdown_request(request)
            log.warning("Cannot answer a request for metrics: %s.", error)

    def process_request_thread(self, request: _Connection, client_address: object) -> None:
        """Answer one request, in a thread of its own."""
        limit = threading.Timer(_REQUEST_SECONDS, _disconnect, [request])
        limit.daemon = True
        try:
            limit.start()
            super().process_request_thread(request, client_address)
        finally:
            limit.cancel()
            self._slots.release()

    def handle_error(self, request: _Connection, client_address: object) -> None:
        log.debug("metrics: a request failed", exc_info=True)  # by default, it is printed

    def _serve(self) -> None:
        """Handle requests; `serve_forever` would wake up twice a second."""
        while not self._is_stopping:
            self.handle_request()

    def stop(self) -> None:
        self._is_stopping = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join(_STOP_SECONDS)
        self.server_close()
        if self._unix_path is not None:
            with contextlib.suppress(OSError):
                self._unix_path.unlink()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server
    timeout = _CLIENT_SECONDS
    server_version, sys_version = "inboxd", ""

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in _LOCAL and not self._is_called_locally():
            # a web page whose name resolves to this address (DNS rebinding) must not read them
            self.send_error(HTTPStatus.FORBIDDEN, "Use the host name localhost or 127.0.0.1")
            return
        if self.path.split("?")[0] != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND, "Only /metrics exists")
            return
        try:
            content = self.server.text().encode()
        except InboxdError as error:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, error.what)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _is_called_locally(self) -> bool:
        return self.headers.get("Host", "") in _LOCAL

    def address_string(self) -> str:
        return self.client_address[0] if self.client_address else "local"

    def log_message(self, format: str, *arguments: object) -> None:
        log.debug("metrics: %s", format % arguments)


def _disconnect(connection: _Connection) -> None:
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _open_server(listen: str, text: Callable[[], str]) -> _Server:
    if listen.startswith("/"):
        return _Server(socket.AF_UNIX, listen, text)
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return _Server(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port)), text)
