"""Several pieces of plain, sequential work at once, whose questions are answered together.

`whisper.transcribe` asks for one decoded window at a time. Each transcription gets a thread of its own here, but only
one of them ever runs: the others wait for an answer. So nothing they share needs a lock, and the rounds are the same on
every machine.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

Ask = Callable[[Any], Any]
Item = TypeVar("Item")

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # mallopt(3), <malloc.h>
_KEPT_BYTES, _LARGE_BYTES = (
    1 << 30,
    32 << 20,
)  # freed, at most; and blocks that have their own pages: whole parts of sound


def run(jobs: Sequence[Callable[[Ask], Any]], answer: Callable[[list], list]) -> Iterator[tuple[int, Any | Exception]]:
    """Run all jobs; yields the number of each and what it returned or raised, as soon as it ends.

    A job calls its argument with a question, and gets the answer. `answer` gets the questions of all jobs that go on,
    in their order, and returns one answer each; what it raises ends all jobs, and is raised here.
    """
    members = [_Member(job) for job in jobs]
    try:
        for member in members:
            member.start()
        live = members
        while live:
            for member in live:
                if member.has_ended:
                    yield members.index(member), member.outcome
            live = [member for member in live if not member.has_ended]
            if live:
                for member, each in zip(live, answer([member.question for member in live]), strict=True):
                    member.resume(each)
    finally:
        for member in members:
            member.stop()


def run_one_by_one(jobs: Sequence[Callable[[Ask], Any]]) -> Iterator[tuple[int, Any | Exception]]:
    """As `run`, for jobs that ask nothing: one behind the other."""
    for number, job in enumerate(jobs):
        try:
            outcome = job(_ask_nobody)
        except Exception as error:
            outcome = error
        yield number, outcome


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made by a thread of its own while the caller works on the one before. One at a time."""
    end: Any = object()
    with ThreadPoolExecutor(1, "ahead") as maker:
        coming = maker.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = maker.submit(next, items, end)
            yield item


def share_heap() -> None:
    """Let all threads of this process allocate from one heap, which keeps what is freed (glibc only).

    Each thread would keep what it has freed in a heap of its own: a quarter of a gigabyte for eight transcriptions. And
    large tensors would go back to the kernel, and come from it again page by page: up to a tenth of all time.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _ask_nobody(question: Any) -> Any:
    raise AssertionError(f"nobody answers: {question!r}")


class _Stop(BaseException):
    """Ends a job that nobody waits for any more."""


class _Member:
    def __init__(self, job: Callable[[Ask], Any]):
        self._job = job
        self._asked: SimpleQueue = SimpleQueue()
        self._answered: SimpleQueue = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.has_ended = False
        self.question: Any = None
        self.outcome: Any = None

    def start(self) -> None:
        """Run to the first question, or to the end."""
        self._thread.start()
        self.question = self._asked.get()

    def resume(self, answer: Any) -> None:
        """Run to the next question, or to the end."""
        self._answered.put(answer)
        self.question = self._asked.get()

    def stop(self) -> None:
        if self._thread.is_alive() and not self.has_ended:
            self._answered.put(_Stop)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self.outcome = self._job(self._ask)
        except _Stop:
            pass
        except Exception as error:
            self.outcome = error
        self.has_ended = True
        self._asked.put(None)

    def _ask(self, question: Any) -> Any:
        self._asked.put(question)
        answer = self._answered.get()
        if answer is _Stop:
            raise _Stop
        return answer
