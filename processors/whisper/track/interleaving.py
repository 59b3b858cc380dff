"""Run several jobs at once, in one thread, and answer their requests together.

A job is a generator: it yields a request (windows to decode, say), is resumed with the answer, and returns its outcome.
Which of the open requests are answered next is up to the caller: see `engines.fair_batches`.
"""

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")
ResultT = TypeVar("ResultT")
Job = Generator[Any, Any, ResultT]  # its requests and answers are known to the engine alone


def run(
    jobs: Iterable[Job[ResultT]],
    answer: Callable[[Mapping[int, Any]], Mapping[int, object]],
    more: Callable[[], Iterable[Job[ResultT]]] = tuple,
) -> Iterator[tuple[int, ResultT | Exception]]:
    """Run all jobs; yield the number of each and what it returned or raised, as soon as it ends.

    `answer` receives the open requests by the numbers of their jobs and returns answers to some of them; an exception
    among these is raised in the job that made the request. What `answer` itself raises closes all jobs and is raised
    here. `more` is called between rounds for jobs that have arrived since; numbering continues.
    """
    live: dict[int, _Task[ResultT]] = {}
    numbers = itertools.count()
    coming = list(jobs)
    try:
        while coming or live:
            for job in coming:
                live[next(numbers)] = task = _Task(job)
                task.resume(None)
            for number in [number for number, task in live.items() if task.has_ended]:
                yield number, live.pop(number).outcome
            if live:
                for number, each in answer({number: task.request for number, task in live.items()}).items():
                    live[number].resume(each)
            coming = list(more())
    finally:
        for task in live.values():
            task.close()


def intercept(
    job: Generator[RequestT, AnswerT, ResultT], handle: Callable[[RequestT], Generator[RequestT, AnswerT, AnswerT]]
) -> Generator[RequestT, AnswerT, ResultT]:
    """The same job with `handle` between its requests and their answers; what that raises is raised in the job."""
    try:
        request = next(job)
        while True:
            try:
                answer = yield from handle(request)
            except Exception as error:
                request = job.throw(error)
            else:
                request = job.send(answer)
    except StopIteration as end:
        return end.value
    finally:
        job.close()


class _Task(Generic[ResultT]):
    """A job, its open request and, at the end, its outcome."""

    def __init__(self, job: Job[ResultT]):
        self._job = job
        self.has_ended = False
        self.request: object = None
        self.outcome: ResultT | Exception  # once it has ended

    def resume(self, answer: object) -> None:
        """Run to the next request, or to the end; None starts the job."""
        try:
            self.request = self._job.throw(answer) if isinstance(answer, Exception) else self._job.send(answer)
        except StopIteration as end:
            self.has_ended, self.outcome = True, end.value
        except Exception as error:
            self.has_ended, self.outcome = True, error

    def close(self) -> None:
        self._job.close()
