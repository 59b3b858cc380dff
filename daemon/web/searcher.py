"""Searches results for the console and the API: updates the index in a separate process, and then reads the index."""

import asyncio
import logging

from anyio import to_thread

from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.search import child, hits, update
from daemon.web.errors import WebError

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 3.0  # to wait for an update; after that, the search uses the index as it is


class Searcher:
    """Searches the results. The process has one `Searcher`, and at most one update of the index runs at a time.

    An update continues after the searches that waited for it have stopped waiting.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._update: asyncio.Task[None] | None = None

    async def search(self, text: str, *, before: int | None, limit: int) -> hits.Found:
        """Return up to `limit` results that match, newest first. `before`: `next` of the previous page.

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
