"""Posts the JSON of a hook to a URL, with one time limit for everything: name lookup, connection, TLS, proxy,
redirects and headers.

urllib's timeout applies to each read: a server that sends a byte now and then would block its caller for hours.
"""

import contextlib
import http.client
import queue
import socket
import threading
import urllib.request
from typing import Any

from daemon import __version__


def post(url: str, content: bytes, *, timeout: float) -> None:
    """Post JSON, and wait for a response with a success status.

    Raises:
        OSError: there was none (URLError, which also stands for any other status, is an OSError).
        ValueError, HTTPException: the response is not HTTP.
    """
    sockets, outcome = _Sockets(), queue.SimpleQueue[Exception | None]()
    arguments = (url, content, timeout, sockets, outcome)
    threading.Thread(target=_post, args=arguments, name="webhook", daemon=True).start()
    try:
        error = outcome.get(timeout=timeout)
    except queue.Empty:
        error = TimeoutError(f"no complete answer within its timeout of {timeout:g} s")
    finally:
        sockets.end()
    if error is not None:
        raise error


def _post(
    url: str,
    content: bytes,
    timeout: float,
    sockets: "_Sockets",
    outcome: "queue.SimpleQueue[Exception | None]",
) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": f"inboxd/{__version__}"}
    opener = urllib.request.build_opener(_HTTPHandler(sockets), _HTTPSHandler(sockets))
    try:
        with opener.open(urllib.request.Request(url, content, headers, method="POST"), timeout=timeout):
            outcome.put(None)
    except Exception as error:  # the caller raises it
        outcome.put(error)


class _Sockets:
    """The connections of one request. Another thread may call `end` to end them, whatever they wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: list[socket.socket] = []  # TLS takes the original's descriptor away
        self._has_ended = False

    def connect(self, *arguments: Any, **options: Any) -> socket.socket:
        """`socket.create_connection`, noted."""
        connection = socket.create_connection(*arguments, **options)
        with self._lock:
            if self._has_ended:
                connection.close()
                raise TimeoutError
            self._copies.append(connection.dup())
        return connection

    def end(self) -> None:
        with self._lock:
            self._has_ended = True
            for copy in self._copies:
                with contextlib.suppress(OSError):  # the server has ended it
                    copy.shutdown(socket.SHUT_RDWR)
                copy.close()


class _HTTPHandler(urllib.request.HTTPHandler):
    def __init__(self, sockets: _Sockets):
        super().__init__()
        self._sockets = sockets

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, /, **options: Any) -> http.client.HTTPConnection:
        return _noted(http.client.HTTPConnection(host, **options), self._sockets)


class _HTTPSHandler(urllib.request.HTTPSHandler):
    def __init__(self, sockets: _Sockets):
        super().__init__()
        self._sockets = sockets

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, /, **options: Any) -> http.client.HTTPConnection:
        return _noted(http.client.HTTPSConnection(host, **options), self._sockets)


def _noted(connection: http.client.HTTPConnection, sockets: _Sockets) -> http.client.HTTPConnection:
    connection._create_connection = sockets.connect  # type: ignore[attr-defined]  # its only hook before TLS
    return connection
