"""Serves the web application until SIGTERM or Ctrl-C."""

import logging
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from daemon.config.settings import Settings
from daemon.core.errors import SetupError
from daemon.notify import systemd
from daemon.web import app
from processors import malloc

log = logging.getLogger(__name__)

_BACKLOG = 256  # connections that wait in the kernel
_IDLE_SECONDS = 30  # without a request, after which a connection is closed
_READ_BYTES = 64 << 10  # from a connection, at once
_LEAST_READ_BYTES, _ALL_READ_BYTES = 8 << 10, 512 << 10  # limits with many uploads: of one connection, of all uploads
_STOP_SECONDS = 5  # for requests in progress to finish when the process stops
_FIRST_PASSED_DESCRIPTOR = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)


def serve(settings: Settings, *, on_bound: Callable[[str], None] = lambda address: None) -> None:
    """Serve on the socket that systemd passes, or else on `[web] listen`. Returns after SIGTERM or Ctrl-C.

    on_bound: called with the address once connections wait there.

    Raises:
        SetupError: the address or the access token cannot be used.
    """
    malloc.compact()
    application = app.build(settings)
    listener = _passed_socket() or _bind(settings.web.listen)
    server = _Server(configure(application, settings))
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    log.info("the console is at %s", address(settings, listener))
    on_bound(address(settings, listener))
    server.run(sockets=[listener])


def configure(application: Starlette, settings: Settings) -> uvicorn.Config:
    """Return the configuration of uvicorn for the application."""
    return uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
        lifespan="on",
        ws="none",
        http=_Protocol,
        loop="asyncio",
        forwarded_allow_ips=list(settings.web.trusted_proxies),  # uvicorn's default trusts every local program
    )


def address(settings: Settings, listener: socket.socket | None = None) -> str:
    """The URL of the console, or the path of its Unix socket.

    listener: the bound socket, which has the port number that the kernel chose for port 0.
    """
    if settings.web.listen.startswith("/"):
        return settings.web.listen
    host, _, port = settings.web.listen.rpartition(":")
    port = str(listener.getsockname()[1]) if listener is not None and port == "0" else port
    return f"http://{host}:{port}{settings.web.prefix}/"


class _Protocol(H11Protocol):
    """Reads less at once, and less ahead of the application, than uvicorn does.

    Otherwise, many uploads at the same time would fill much memory with buffers.
    """

    def data_received(self, data: bytes) -> None:
        most = self._most_bytes()
        if hasattr(self.transport, "max_size"):  # of the transports of asyncio's selector loop
            self.transport.max_size = most
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:  # uvicorn discards the rest of a refused body
            return
        if len(self.cycle.body) >= most:
            self.flow.pause_reading()  # until the application has consumed the buffer, or has responded

    def _most_bytes(self) -> int:
        """The number of bytes to read from a connection at once."""
        uploads: int = self.config.app.state.backend.receiver.open_uploads  # type: ignore[union-attr]
        return max(_LEAST_READ_BYTES, min(_READ_BYTES, _ALL_READ_BYTES // max(1, uploads)))


class _Server(uvicorn.Server):
    """A server of uvicorn that notifies systemd when it is ready and when it stops."""

    def __init__(self, config: uvicorn.Config):
        super().__init__(config)
        self._notifier = systemd.Notifier()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._notifier.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._notifier.stopping(within_seconds=_STOP_SECONDS)
        await super().shutdown(sockets)


def _passed_socket() -> socket.socket | None:
    """The listening socket that systemd passed to this process, see sd_listen_fds(3); None: there is none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return socket.socket(fileno=_FIRST_PASSED_DESCRIPTOR)


def _bind(listen: str) -> socket.socket:
    try:
        if listen.startswith("/"):
            return _bind_unix(Path(listen))
        host, _, port = listen.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), int(port)))
        listener.listen(_BACKLOG)
        return listener
    except OSError as error:
        raise SetupError(
            f"Cannot listen on {listen}: {error.strerror or error}.",
            "Stop the program that uses it, or set [web] listen in config.toml to another address.",
        ) from error


def _bind_unix(path: Path) -> socket.socket:
    """Listen on a Unix socket that only this user and its group may use."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(listener.fileno(), 0o660)  # before bind(2): the mode of the file
    listener.bind(str(path))
    listener.listen(_BACKLOG)
    return listener
