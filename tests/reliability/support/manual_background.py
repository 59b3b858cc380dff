"""Stand where `Background` does and have no thread: what is asked is done at once, or when the test says so."""

from collections.abc import Callable
from typing import Any


class InlineBackground:
    """Does it at once."""

    pending = 0

    def run(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        then(_outcome(work))


class HandBackground:
    """Does it when its turn comes."""

    def __init__(self) -> None:
        self._asked: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []

    @property
    def pending(self) -> int:
        return len(self._asked)

    def run(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self._asked.append((work, then))

    def turn(self) -> None:
        """Do what was asked before this turn."""
        asked, self._asked = self._asked, []
        for work, then in asked:
            then(_outcome(work))


def _outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        return error
