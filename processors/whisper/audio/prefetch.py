"""Prepare the next part of a track while the current one is transcribed elsewhere: on a GPU or a server."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterator[Item]) -> Generator[Item]:
    """Yield the same items; a thread prepares the next one while the caller works on the current one."""
    end: Any = object()
    with ThreadPoolExecutor(1, "prefetch") as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item
