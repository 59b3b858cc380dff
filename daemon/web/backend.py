"""What the routes need of the rest of inboxd: the settings, the job log, the daemon, the events."""

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from starlette.requests import HTTPConnection

from daemon.config.settings import Settings
from daemon.queue.reader import JobLog
from daemon.server import api, client
from daemon.web.auth import Access
from daemon.web.events import EventHub
from daemon.web.uploads import Receiver

T = TypeVar("T")
R = TypeVar("R", bound=api.Reply)

_CONNECTIONS = 6  # to the control socket at once: it serves 16, and the command line needs some
_ANSWER_SECONDS = 20.0


class Backend:
    """One for the process; `backend_of` finds it."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.access = Access(settings)
        self.receiver = Receiver(settings)
        self.events = EventHub(self)
        self._to_daemon = CapacityLimiter(_CONNECTIONS)

    async def read(self, query: Callable[[JobLog], T]) -> T:
        """Ask the job log, in a thread.

        Raises:
            UsageError, StorageError, StoreError: see `JobLog`.
        """

        def run() -> T:
            with JobLog(self.settings.database) as log:
                return query(log)

        return await to_thread.run_sync(run)

    async def ask(self, command: api.Command, reply: type[R], *, seconds: float = _ANSWER_SECONDS) -> R:
        """Send a command to the daemon.

        Raises:
            NotRunning, UsageError, Refused: see `client.ask`.
        """
        return await to_thread.run_sync(
            lambda: client.ask(self.settings.socket, command, reply, timeout=seconds), limiter=self._to_daemon
        )

    async def run(self) -> None:
        """Follow the events, until cancelled."""
        await anyio.to_thread.run_sync(self.receiver.prepare)
        await self.events.run()


def backend_of(connection: HTTPConnection) -> Backend:
    found = connection.app.state.backend
    assert isinstance(found, Backend)
    return found
