"""Several pieces of plain, sequential work at once, whose questions are answered together.

`whisper.transcribe` asks for one decoded window at a time. Each transcription gets a thread of its own here, but only
one of them ever runs: the others wait for an answer. So nothing they share needs a lock, and the rounds are the same on
every machine. Who is answered first is `rounds`' to say.
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

Ask = Callable[[Any], Any]
Job = Callable[[Ask], Any]
Item = TypeVar("Item")


def run(
    jobs: Iterable[Job],
    answer: Callable[[Mapping[int, Any]], Mapping[int, Any]],
    more: Callable[[], Iterable[Job]] = tuple,
) -> Iterator[tuple[int, Any | Exception]]:
    """Run all jobs; yields the number of each and what it returned or raised, as soon as it ends.

    A job calls its argument with a question, and gets the answer. `answer` gets the open questions by the numbers of
    their jobs, and returns answers to some of them; an exception among them is raised in the job that asked. What
    `answer` itself raises ends all jobs, and is raised here. `more` is asked
    on the way for jobs that have come since: they are numbered on.
    """
    live: dict[int, _Member] = {}
    numbers = itertools.count()
    coming = list(jobs)
    try:
        while coming or live:
            for job in coming:
                live[next(numbers)] = member = _Member(job)
                member.start()
            for number in [number for number, member in live.items() if member.has_ended]:
                yield number, live.pop(number).outcome
            if live:
                for number, each in answer({number: member.question for number, member in live.items()}).items():
                    live[number].resume(each)
            coming = list(more())
    finally:
        for member in live.values():
            member.stop()


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made by a thread of its own while the caller works on the one before. One at a time."""
    end: Any = object()
    with ThreadPoolExecutor(1, "ahead") as maker:
        coming = maker.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = maker.submit(next, items, end)
            yield item


class _Stop(BaseException):
    """Ends a job that nobody waits for any more."""


class _Member:
    def __init__(self, job: Job):
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
        if isinstance(answer, Exception):
            raise answer
        return answer
