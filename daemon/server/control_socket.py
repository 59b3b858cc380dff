"""The local socket by which the command line asks the running daemon to act.

One connection, one question: a line of JSON in (at most 64 KiB), a line of JSON out, the end. Knows no command:
questions go into the mailbox as `Request`, and the main thread answers them (see `commands`).
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

from daemon.core.errors import LayoutError, NotRunning, UsageError
from daemon.core.messages import Request

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0  # how long the main loop may take to answer
QUESTION_SECONDS = 5.0  # how long a client may take to send its line, and to take the answer
MAX_CONNECTIONS = 16  # at once
MAX_QUESTION_BYTES = 64 * 1024

_WAITING_CONNECTIONS = 64  # further ones, in the kernel's queue
_MAX_ANSWER_BYTES = 64 * 1024 * 1024  # a client does not read without end
_MAX_ADDRESS_BYTES = 107  # sun_path of unix(7) holds 108, with the closing NUL


class ControlServer:
    """Listens on a Unix socket that only this user and root can use, and posts what it is asked."""

    def __init__(self, path: Path, post: Callable[[Any], None]):
        self._path = path
        self._post = post
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._inode = 0

    def start(self) -> None:
        """Listen from now on. A socket file that is there is replaced: the caller holds the lock of the instance.

        Raises:
            LayoutError: the socket cannot be made.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._bind(listener)
            listener.listen(_WAITING_CONNECTIONS)
        except OSError as error:
            listener.close()
            raise LayoutError(
                f"The control socket {self._path} cannot be made: {error.strerror or error}.",
                "Move away what is there, or let [paths] state name a local folder that this user may write.",
            ) from error
        self._listener = listener
        self._thread = threading.Thread(target=self._accept, args=(listener,), name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more and remove the socket file. Questions on their way are still answered if the loop does."""
        listener, self._listener = self._listener, None
        if listener is None or self._thread is None:
            return
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() would not
        self._thread.join()
        listener.close()
        with contextlib.suppress(OSError):  # removed or replaced by another hand: nothing of ours is left
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()

    def _bind(self, listener: socket.socket) -> None:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise FileExistsError("there is a file of this name that is no socket")
            self._path.unlink()
        # fchmod(2) before bind(2) sets the mode the file is born with, for this socket alone; umask is the process's,
        # and would for an instant be another thread's, too
        os.fchmod(listener.fileno(), 0o600)
        with _address(self._path) as address:
            listener.bind(address)
        self._inode = self._path.lstat().st_ino

    # ---------------------------------------------------------------------------------------- the threads

    def _accept(self, listener: socket.socket) -> None:
        while True:
            while not self._slots.acquire(timeout=1.0):  # all are busy: `stop` must not have to wait for them
                if self._listener is None:
                    return
            try:
                connection, _ = listener.accept()
            except OSError as error:
                self._slots.release()
                if self._listener is None:
                    return
                log.warning("A question to the daemon was lost: %s. If that goes on, raise LimitNOFILE.", error)
                time.sleep(0.1)  # out of descriptors: accept() would fail again at once
                continue
            try:
                threading.Thread(target=self._serve, args=(connection,), name="control-client", daemon=True).start()
            except RuntimeError as error:  # no more threads, or no memory for one
                connection.close()
                self._slots.release()
                log.warning("Cannot answer a command: %s. If that goes on, raise TasksMax or LimitNPROC.", error)
                time.sleep(0.1)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                answer = self._answer(connection)
                connection.settimeout(QUESTION_SECONDS)
                connection.sendall(json.dumps(answer, default=str).encode() + b"\n")
        except OSError as error:
            log.debug("a client of the control socket went away: %s", error)
        finally:
            self._slots.release()

    def _answer(self, connection: socket.socket) -> Mapping[str, Any]:
        """What to tell this client; a refusal is an answer, too."""
        try:
            line = _read_line(connection, MAX_QUESTION_BYTES, QUESTION_SECONDS)
            if _peer_uid(connection) not in (0, os.geteuid()):  # not before: a close with bytes unread is a reset
                return _refusal("This user may not control the daemon.", "Ask as root, or as the daemon's user.")
            question = json.loads(line)
            command, arguments = question["command"], question.get("arguments", {})
            if not isinstance(command, str) or not isinstance(arguments, dict):
                raise TypeError("command and arguments must be text and an object")
        except TimeoutError:
            return _refusal(f"No question came in {QUESTION_SECONDS:g} s.", "Send one line of JSON.")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return _refusal(f"This is no question: {error}", 'Send one line: {"command": "status", "arguments": {}}')
        asked = Request(command=command, arguments=arguments, reply=queue.SimpleQueue())
        self._post(asked)
        try:
            return asked.reply.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            return _refusal(
                f"The daemon is too busy to answer within {ANSWER_SECONDS:g} s; it may still do what was asked.",
                "Look at `journalctl -u inboxd`, and ask again.",
            )


def ask(path: Path, command: str, timeout: float = ANSWER_SECONDS, **arguments: Any) -> dict[str, Any]:
    """Ask the daemon that listens on `path`; its answer: {"ok": true, …} or {"ok": false, "error": …, "fix": …}.

    Raises:
        NotRunning: nobody answers within `timeout` seconds, or this user may not ask.
        UsageError: the question is longer than the daemon reads.
    """
    question = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
    if len(question) > MAX_QUESTION_BYTES:
        raise UsageError("That is too much for one command.", "Ask for fewer things at once.")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _address(path) as address:
            connection.settimeout(timeout)
            connection.connect(address)
            connection.sendall(question)
            return json.loads(_read_line(connection, _MAX_ANSWER_BYTES, timeout))
    except PermissionError as error:
        raise NotRunning(f"This user may not use {path}.", "Ask as root, or as the user inboxd runs as.") from error
    except (TimeoutError, BlockingIOError) as error:  # BlockingIOError: the kernel's queue is full
        raise NotRunning(
            f"inboxd did not answer within {timeout:g} s.", "See what it does: journalctl -u inboxd -n 50"
        ) from error
    except (OSError, ValueError) as error:
        raise NotRunning(
            f"No inboxd is running here (nobody answers on {path}).",
            "Start it: `systemctl start inboxd`, or `inboxd run` in a terminal.",
        ) from error


def _read_line(connection: socket.socket, limit: int, seconds: float) -> bytes:
    """One line, at most `limit` bytes with its end, all of it within `seconds`: a client that drips is no better than
    a silent one.

    Raises:
        TimeoutError: it took longer.
        ValueError: it is longer, or the other side ended before its end.
    """
    until = time.monotonic() + seconds
    line = bytearray()
    while not line.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the line did not end in time")
        connection.settimeout(left)
        chunk = connection.recv(min(65536, limit - len(line)))
        if not chunk:
            raise ValueError(f"the line is longer than {limit} bytes" if len(line) == limit else "the line has no end")
        line += chunk
    return bytes(line)


def _peer_uid(connection: socket.socket) -> int:
    """The user on the other side, told by the kernel: SO_PEERCRED of unix(7), struct ucred."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    return struct.unpack("iII", credentials)[1]


@contextlib.contextmanager
def _address(path: Path) -> Iterator[bytes]:
    """`path` as a socket address. One too long for sockaddr_un is reached through a descriptor of its folder."""
    full = os.fsencode(path.absolute())
    if len(full) <= _MAX_ADDRESS_BYTES:
        yield full
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield b"/proc/self/fd/%d/%s" % (folder, os.fsencode(path.name))
    finally:
        os.close(folder)


def _refusal(error: str, fix: str) -> dict[str, Any]:
    return {"ok": False, "error": error, "fix": fix}
