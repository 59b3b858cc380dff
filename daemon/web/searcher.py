"""Searcher for the console and the API: brings the index up to date in a separate process, and then reads it."""

import asyncio
import logging

from anyio import to_thread

from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.search import child, hits, update
from daemon.web.errors import WebError

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 3.0  # for an update; after that, the search goes without


class Searcher:
    """One for the process. At most one update runs at a time; it goes on when nobody waits any longer."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._update: asyncio.Task[None] | None = None

    async def search(self, text: str, *, before: int | None, limit: int) -> hits.Found:
        """The newest results that match.

        Raises:
            WebError: the query has no words.
            UsageError, StorageError, StoreError: the job log cannot be read.
        """
        await self._bring_up_to_date()

        def run() -> hits.Found:
            return hits.search(self._settings.state, self._settings.outbox, text, before=before, limit=limit)

        try:
            return await to_thread.run_sync(run)
        except hits.NoWords as error:
            raise WebError(400, "bad_parameter", error.what, error.fix) from error

    async def _bring_up_to_date(self) -> None:
        try:
            if await to_thread.run_sync(update.is_current, self._settings):
                return
        except InboxdError:
            return  # the search itself reports it
        if self._update is None or self._update.done():
            self._update = asyncio.create_task(self._run())
        await asyncio.wait([self._update], timeout=_PATIENCE_SECONDS)

    async def _run(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *child.command("update", self._settings),
                env=child.environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("The search index cannot be updated: %s", error)
            return
        try:
            _, problem = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            log.warning("The search index cannot be updated: %s", problem.decode("utf-8", "replace").strip()[-500:])
