"""Run several tasks at once, in one thread, and answer their requests together.

A task is a generator: it yields a request (windows to decode, say), is resumed with the answer, and returns its
outcome. The caller decides which of the open requests are answered next: see `engines.fair_batches`.
"""

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")
ResultT = TypeVar("ResultT")
Task = Generator[Any, Any, ResultT]  # only the engine knows its requests and answers


def run(
    tasks: Iterable[Task[ResultT]],
    answer: Callable[[Mapping[int, Any]], Mapping[int, object]],
    more: Callable[[], Iterable[Task[ResultT]]] = tuple,
) -> Iterator[tuple[int, ResultT | Exception]]:
    """Run all tasks; yield the number of each and the value it returned or raised, as soon as it ends.

    `answer` receives the open requests by the numbers of their tasks and returns answers to some of them; an exception
    among these is raised in the task that made the request. An exception of `answer` itself closes all tasks and is
    raised here. `more` is called between rounds for tasks that have arrived since; numbering continues.
    """
    live: dict[int, _RunningTask[ResultT]] = {}
    numbers = itertools.count()
    arrived = list(tasks)
    try:
        while arrived or live:
            for task in arrived:
                live[next(numbers)] = running = _RunningTask(task)
                running.resume(None)
            for number in [number for number, running in live.items() if running.has_ended]:
                yield number, live.pop(number).outcome
            if live:
                for number, each in answer({number: running.request for number, running in live.items()}).items():
                    live[number].resume(each)
            arrived = list(more())
    finally:
        for running in live.values():
            running.close()


def intercept(
    task: Generator[RequestT, AnswerT, ResultT], handle: Callable[[RequestT], Generator[RequestT, AnswerT, AnswerT]]
) -> Generator[RequestT, AnswerT, ResultT]:
    """Return the same task with `handle` between its requests and their answers; an exception of `handle` is raised in
    the task."""
    try:
        request = next(task)
        while True:
            try:
                answer = yield from handle(request)
            except Exception as error:
                request = task.throw(error)
            else:
                request = task.send(answer)
    except StopIteration as end:
        result: ResultT = end.value
        return result
    finally:
        task.close()


class _RunningTask(Generic[ResultT]):
    """A task, its open request and, at the end, its outcome."""

    def __init__(self, task: Task[ResultT]):
        self._task = task
        self.has_ended = False
        self.request: object = None
        self.outcome: ResultT | Exception  # once it has ended

    def resume(self, answer: object) -> None:
        """Run to the next request, or to the end; None starts the task."""
        try:
            self.request = self._task.throw(answer) if isinstance(answer, Exception) else self._task.send(answer)
        except StopIteration as end:
            self.has_ended, self.outcome = True, end.value
        except Exception as error:
            self.has_ended, self.outcome = True, error

    def close(self) -> None:
        self._task.close()
