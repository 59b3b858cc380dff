"""The routes' access to the rest of inboxd: the settings, the job log, the daemon, uploads, and the events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from pydantic import JsonValue
from starlette.requests import HTTPConnection

from daemon.config.settings import Settings
from daemon.core.errors import NotRunning, UsageError
from daemon.queue.reader import JobLog
from daemon.server import api, client
from daemon.web import job_log
from daemon.web.auth import Access
from daemon.web.errors import WebError
from daemon.web.events import EventHub
from daemon.web.previews import Previews
from daemon.web.searcher import Searcher
from daemon.web.uploads import Receiver, Upload

T = TypeVar("T")
R = TypeVar("R", bound=api.Reply)

_CONNECTIONS = 6  # to the control socket at once, which serves 16: this leaves some for the command line
_THREADS = 8  # for files and the job log: two cores do no more at once, and each thread takes memory
_ANSWER_SECONDS = 20.0
_RECORD_TRIES, _RECORD_PAUSE_SECONDS = 20, 1.0  # repeat a submission while a disk delays the job's row


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """How to process an upload: the folder and options that a file in the inbox gets from its place and sidecars."""

    folder: str = ""  # of the inbox, whose rules apply
    options: Mapping[str, JsonValue] = field(default_factory=dict)  # "recipe", and the recipe's options
    priority: int | None = None
    prompt: str = ""
    password: str = ""
    source: str = "api"  # the sending program, in the column `source` of the job log


class Backend:
    """The objects that all routes share. The process has one `Backend`; `backend_of` returns it."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.access = Access(settings)
        self.receiver = Receiver(settings)
        self.previews = Previews(settings)
        self.searcher = Searcher(settings)
        self.events = EventHub(settings)
        self._to_daemon = CapacityLimiter(_CONNECTIONS)

    async def read(self, query: Callable[[JobLog], T]) -> T:
        """See `job_log.read`."""
        return await job_log.read(self.settings.database, query)

    async def reviews(self) -> int:
        """The number of results that still need a review; 0 while there is no job log."""
        try:
            return (await self.read(lambda log: log.tallies()))["review"]
        except UsageError:
            return 0

    async def ask(self, command: api.Command, reply: type[R], *, seconds: float = _ANSWER_SECONDS) -> R:
        """Send a command to the daemon, and return its reply.

        Raises:
            NotRunning, UsageError, Refused: see `client.ask`.
        """
        return await to_thread.run_sync(
            lambda: client.ask(self.settings.socket, command, reply, timeout=seconds), limiter=self._to_daemon
        )

    async def submit(self, upload: Upload, options: "UploadOptions") -> str:
        """Hand a complete upload over to the daemon; return the id of its job once the job log contains it.

        Raises:
            NotRunning: the daemon did not answer, not even the second time. It has taken the file if only its replies
                were lost; a repetition with the same upload is safe.
            Refused: the daemon did not take the file.
            WebError: the daemon took the file, but a disk has prevented the record of the job for 20 s.
        """
        command = api.Submit(
            file=upload.id,
            file_name=upload.name,
            folder=options.folder,
            options=dict(options.options),
            priority=options.priority,
            prompt=options.prompt,
            password=options.password,
            source=options.source,
        )
        try:
            reply = await self.ask(command, api.SubmitReply)
        except NotRunning:  # perhaps only the reply was lost: the daemon answers a repetition with the same job
            reply = await self.ask(command, api.SubmitReply)
        for _ in range(_RECORD_TRIES):
            if reply.waits_for is None:
                return reply.job
            await anyio.sleep(_RECORD_PAUSE_SECONDS)
            reply = await self.ask(command, api.SubmitReply)
        what = f"inboxd took the file as job {reply.job}, but cannot record the job yet: {reply.waits_for}."
        fix = "Do not send the file again: inboxd records the job as soon as it can."
        raise WebError(503, "storage", what, fix, {"X-Inboxd-Job": reply.job})

    def require_daemon(self) -> None:
        """Refuse an upload before its content arrives, if the daemon could not take it.

        Raises:
            WebError: the daemon is unavailable.
        """
        if self.events.is_available is False:
            raise WebError(
                503, "daemon_unavailable", "inboxd is not running.", "Try again later.", {"Retry-After": "5"}
            )

    async def run(self) -> None:
        """Follow the daemon's events until cancelled."""
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        await self.events.run()


def backend_of(connection: HTTPConnection) -> Backend:
    found = connection.app.state.backend
    assert isinstance(found, Backend)
    return found
