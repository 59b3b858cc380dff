"""Runs a generator ahead of its consumer, in a thread: it decodes pages while the model answers earlier ones."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Ahead(Generic[Item]):
    """The items of a generator, in order. Up to `most` finished items wait to be taken.

    The caller must close this object, which ends the thread and closes the generator.
    """

    def __init__(self, items: Generator[Item, None, None], most: int):
        self._items, self._most = items, most
        self._ready: deque[Item] = deque()
        self._changed = threading.Condition()  # guards all fields below, and `_ready`
        self._is_over = self._is_closed = False
        self._error: BaseException | None = None
        self._wake: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._make, name="pages-ahead", daemon=True)
        self._thread.start()

    def take(self, most: int, *, wait: bool) -> list[Item]:
        """Remove and return up to `most` items. wait: wait for that many, or for the end; otherwise, return those that
        are ready.

        Raises:
            BaseException: the error of the generator, after the caller has taken all items before it.
        """
        with self._changed:
            self._most = max(self._most, most)  # otherwise this would wait forever
            self._changed.notify_all()
            self._changed.wait_for(lambda: not wait or self._is_over or len(self._ready) >= most)
            taken = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
            if self._error is not None and not taken and not self._ready:
                raise self._error
            self._changed.notify_all()
            return taken

    @property
    def is_empty(self) -> bool:
        """True if all items are taken, and no more will follow."""
        with self._changed:
            return self._is_over and not self._ready and self._error is None

    def call_when_ready(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the thread after each item, and at the end."""
        self._wake = wake

    def close(self) -> None:
        """Stop the thread after the item that it is making, and wait for it."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _make(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._ready.append(item)
                    self._changed.notify_all()
                self._wake()
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closed or len(self._ready) < self._most)
                    if self._is_closed:
                        break
        except BaseException as error:  # raised again in `take`
            self._error = error
        finally:
            self._items.close()  # in this thread: what it has open was opened here
            with self._changed:
                self._is_over = True
                self._changed.notify_all()
            self._wake()
