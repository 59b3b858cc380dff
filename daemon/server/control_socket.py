"""The Unix socket through which the command line sends commands to the running daemon.

A connection carries one request: the client sends a line of JSON (at most 64 KiB), the daemon replies with a line of
JSON, and closes the connection. Requests go into the mailbox as `Request`, and the main thread answers them (see
`commands`). This module handles only the command `subscribe` itself: its connection stays open (see `feed`).
"""

import contextlib
import json
import logging
import os
import queue
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from daemon.core.errors import NotRunning, SetupError, UsageError
from daemon.core.messages import Request

log = logging.getLogger(__name__)

REPLY_SECONDS = 30.0  # for the main loop to answer
REQUEST_SECONDS = 5.0  # for a client to send its line; the same time again for it to read the reply
MAX_CONNECTIONS = 16  # at once
MAX_REQUEST_BYTES = 64 * 1024

_WAITING_CONNECTIONS = 64  # further connections that wait in the kernel's queue
_MAX_REPLY_BYTES = 64 * 1024 * 1024  # maximum length of a reply that a client reads
_MAX_ADDRESS_BYTES = 107  # sun_path of unix(7) holds 108, with the closing NUL


Subscribe = Callable[[socket.socket, Mapping[str, object]], Mapping[str, object] | None]


class ControlServer:
    """Listens on a Unix socket that only this user and root can use, and posts the requests."""

    def __init__(self, path: Path, post: Callable[[Request], None], subscribe: Subscribe | None = None):
        """post: puts a request into the mailbox. subscribe: takes over the connection of a request `subscribe`, or
        returns its refusal.
        """
        self._path = path
        self._post = post
        self._subscribe = subscribe
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._inode = 0

    def start(self) -> None:
        """Start listening. Replaces an existing socket file: the caller holds the lock of the folders, so no other
        daemon uses it.

        Raises:
            SetupError: the socket cannot be created.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._bind(listener)
            listener.listen(_WAITING_CONNECTIONS)
        except OSError as error:
            listener.close()
            raise SetupError(
                f"The control socket {self._path} cannot be created: {error.strerror or error}.",
                "Move the existing file away, or set [paths] state to a local folder that this user may write.",
            ) from error
        self._listener = listener
        self._thread = threading.Thread(target=self._accept, args=(listener,), name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and remove the socket file. Requests in progress still get an answer if the main loop runs."""
        listener, self._listener = self._listener, None
        if listener is None or self._thread is None:
            return
        listener.shutdown(socket.SHUT_RDWR)  # shutdown() wakes accept(); close() would not
        self._thread.join()
        listener.close()
        with contextlib.suppress(OSError):  # somebody else has removed or replaced it
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()

    def _bind(self, listener: socket.socket) -> None:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise FileExistsError("there is a file of this name that is not a socket")
            self._path.unlink()
        # fchmod(2) before bind(2) sets the mode with which the file is created, for this socket alone; umask belongs to
        # the process, and would briefly affect other threads
        os.fchmod(listener.fileno(), 0o600)
        with _address(self._path) as address:
            listener.bind(address)
        self._inode = self._path.lstat().st_ino

    # ---------------------------------------------------------------------------------------- the threads

    def _accept(self, listener: socket.socket) -> None:
        while True:
            while not self._slots.acquire(timeout=1.0):  # all slots are busy: `stop` must not wait for them
                if self._listener is None:
                    return
            try:
                connection, _ = listener.accept()
            except OSError as error:
                self._slots.release()
                if self._listener is None:
                    return
                log.warning("A command could not be received: %s. If this continues, raise LimitNOFILE.", error)
                time.sleep(0.1)  # out of descriptors: accept() would fail again at once
                continue
            try:
                threading.Thread(target=self._serve, args=(connection,), name="control-client", daemon=True).start()
            except RuntimeError as error:  # no more threads, or no memory for one
                connection.close()
                self._slots.release()
                log.warning("Cannot answer a command: %s. If this continues, raise TasksMax or LimitNPROC.", error)
                time.sleep(0.1)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                reply = self._reply_to(connection)
                if reply is None:
                    return
                connection.settimeout(REQUEST_SECONDS)
                connection.sendall(json.dumps(reply, default=str).encode() + b"\n")
        except OSError as error:
            log.debug("a client of the control socket disconnected: %s", error)
        finally:
            self._slots.release()

    def _reply_to(self, connection: socket.socket) -> Mapping[str, object] | None:
        """Return the reply for this client, which may be a refusal; None: `subscribe` has taken over the connection."""
        try:
            line = _read_line(connection, MAX_REQUEST_BYTES, REQUEST_SECONDS)
            if _peer_uid(connection) not in (
                0,
                os.geteuid(),
            ):  # after reading, because unread bytes make close() a reset
                fix = "Run the command as root, or as the daemon's user."
                return _refusal("This user may not control the daemon.", fix)
            fields = json.loads(line)
            command, arguments = fields["command"], fields.get("arguments", {})
            if not isinstance(command, str) or not isinstance(arguments, dict):
                raise TypeError("command and arguments must be text and an object")
        except TimeoutError:
            return _refusal(f"No request arrived within {REQUEST_SECONDS:g} s.", "Send one line of JSON.")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            fix = 'Send one line: {"command": "status", "arguments": {}}'
            return _refusal(f"This is not a valid request: {error}", fix)
        if command == "subscribe" and self._subscribe is not None:
            return self._subscribe(connection, arguments)
        replies: queue.SimpleQueue[Mapping[str, object]] = queue.SimpleQueue()
        request = Request(command=command, arguments=arguments, reply=replies)
        self._post(request)
        try:
            return replies.get(timeout=REPLY_SECONDS)
        except queue.Empty:
            return _refusal(
                f"The daemon is too busy to answer within {REPLY_SECONDS:g} s; it may still carry the command out.",
                "See `journalctl -u inboxd`, and try again.",
            )


def ask(path: Path, command: str, timeout: float = REPLY_SECONDS, **arguments: object) -> dict[str, Any]:
    """Send a command to the daemon that listens on `path`, and return its reply: {"ok": true, …} or a refusal,
    {"ok": false, "error": …, "fix": …}.

    Raises:
        NotRunning: no daemon answers within `timeout` seconds, or this user may not use the socket.
        UsageError: the request is longer than the daemon reads.
    """
    request = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
    if len(request) > MAX_REQUEST_BYTES:
        raise UsageError("The command exceeds 64 KiB.", "Shorten its arguments.")
    with explained(path, timeout), connect(path, timeout) as connection:
        connection.sendall(request)
        reply: dict[str, Any] = json.loads(_read_line(connection, _MAX_REPLY_BYTES, timeout))
    return reply


def connect(path: Path, timeout: float = REPLY_SECONDS) -> socket.socket:
    """Connect to the daemon that listens on `path`.

    Raises:
        OSError: nobody listens there, or this user may not use the socket.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout)
        with _address(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def explained(path: Path, timeout: float) -> Iterator[None]:
    """Raise NotRunning, with what to do, for an error of a connection."""
    try:
        yield
    except PermissionError as error:
        fix = "Run the command as root, or as the user inboxd runs as."
        raise NotRunning(f"This user may not use {path}.", fix) from error
    except (TimeoutError, BlockingIOError) as error:  # BlockingIOError: the kernel's queue is full
        raise NotRunning(
            f"inboxd did not answer within {timeout:g} s.", "See what it is doing: journalctl -u inboxd -n 50"
        ) from error
    except (OSError, ValueError) as error:
        raise NotRunning(
            f"No inboxd is running here (nobody answers on {path}).",
            "Start it: `inboxd run` in a terminal, or `systemctl start inboxd` if it is installed as a service. If it "
            "runs with another config.toml, name that file with --config.",
        ) from error


def _read_line(connection: socket.socket, limit: int, seconds: float) -> bytes:
    """Read one line of at most `limit` bytes, including its line feed.

    The complete line must arrive within `seconds`, so a client cannot extend the time by sending byte after byte.

    Raises:
        TimeoutError: the line took longer.
        ValueError: the line is longer, or the connection was closed before its end.
    """
    until = time.monotonic() + seconds
    line = bytearray()
    while not line.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the line did not arrive in time")
        connection.settimeout(left)
        chunk = connection.recv(min(65536, limit - len(line)))
        if not chunk:
            raise ValueError(
                f"the line is longer than {limit} bytes" if len(line) == limit else "the line is incomplete"
            )
        line += chunk
    return bytes(line)


def _peer_uid(connection: socket.socket) -> int:
    """The uid of the process at the other end, from the kernel: SO_PEERCRED of unix(7), struct ucred."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    _, user, _ = struct.unpack("iII", credentials)
    return int(user)


@contextlib.contextmanager
def _address(path: Path) -> Iterator[bytes]:
    """Yield `path` as a socket address; if it is too long for sockaddr_un, through a descriptor of its folder."""
    full = os.fsencode(path.absolute())
    if len(full) <= _MAX_ADDRESS_BYTES:
        yield full
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield b"/proc/self/fd/%d/%s" % (folder, os.fsencode(path.name))
    finally:
        os.close(folder)


def _refusal(error: str, fix: str) -> dict[str, object]:
    return {"ok": False, "error": error, "fix": fix}
