"""Serves the web application on its address, until SIGTERM or Ctrl-C."""

import logging
import os
import socket
import stat
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from daemon.config.settings import Settings
from daemon.core.errors import LayoutError
from daemon.notify import systemd
from daemon.web import app
from processors import malloc

log = logging.getLogger(__name__)

_BACKLOG = 256  # connections that wait in the kernel
_IDLE_SECONDS = 30  # then a connection without a request is closed
_READ_BYTES = 64 << 10  # from a connection, at once
_LEAST_READ_BYTES, _ALL_READ_BYTES = 8 << 10, 512 << 10  # with many uploads at once
_STOP_SECONDS = 5  # for requests under way
_FIRST_PASSED_DESCRIPTOR = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)


def serve(settings: Settings) -> None:
    """Serve, on the socket that systemd passes or else on `[web] listen`.

    Raises:
        LayoutError: the address or the access token cannot be used.
    """
    malloc.compact()
    application = app.build(settings)
    listener = _passed_socket() or _bind(settings.web.listen)
    server = _Server(configure(application, settings))
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    log.info("the console is at %s", address(settings, listener))
    server.run(sockets=[listener])


def configure(application: Starlette, settings: Settings) -> uvicorn.Config:
    """How to serve the application."""
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
        forwarded_allow_ips=list(settings.web.trusted_proxies),  # by default, uvicorn believes every local program
    )


def address(settings: Settings, listener: socket.socket | None = None) -> str:
    """Where a browser finds the console. `listener`: for a port that the kernel chooses."""
    if settings.web.listen.startswith("/"):
        return settings.web.listen
    host, _, port = settings.web.listen.rpartition(":")
    port = str(listener.getsockname()[1]) if listener is not None and port == "0" else port
    return f"http://{host}:{port}{settings.web.prefix}/"


class _Protocol(H11Protocol):
    """Reads less at once, and less ahead of the application, than uvicorn does: many uploads are many copies."""

    def data_received(self, data: bytes) -> None:
        most = self._most_bytes()
        if hasattr(self.transport, "max_size"):  # of the transports of asyncio's selector loop
            self.transport.max_size = most
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:  # the rest of a refused body is read and dropped
            return
        if len(self.cycle.body) >= most:
            self.flow.pause_reading()  # until the application has taken this, or has responded

    def _most_bytes(self) -> int:
        """How much to read from a connection at once."""
        uploads: int = self.config.app.state.backend.receiver.open_uploads  # type: ignore[union-attr]
        return max(_LEAST_READ_BYTES, min(_READ_BYTES, _ALL_READ_BYTES // max(1, uploads)))


class _Server(uvicorn.Server):
    """Also reports to systemd."""

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
    """The socket that systemd listens on for us, see sd_listen_fds(3)."""
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
        raise LayoutError(
            f"Cannot listen on {listen}: {error.strerror or error}.",
            "Stop the program that uses it, or set [web] listen in config.toml to another address.",
        ) from error


def _bind_unix(path: Path) -> socket.socket:
    """A Unix socket for this user and its group."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(listener.fileno(), 0o660)  # before bind(2): the mode of the file
    listener.bind(str(path))
    listener.listen(_BACKLOG)
    return listener
