"""Queries of the job log from a route, which must not block the event loop."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from anyio import to_thread

from daemon.queue.reader import JobLog

T = TypeVar("T")


async def read(database: Path, query: Callable[[JobLog], T]) -> T:
    """Run a query on the job log, in a thread.

    Raises:
        UsageError, StorageError, StoreError: see `JobLog`.
    """

    def run() -> T:
        with JobLog(database) as log:
            return query(log)

    return await to_thread.run_sync(run)
