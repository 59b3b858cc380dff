"""Workers that start before they are needed."""

import queue
from collections.abc import Iterator

import pytest

from daemon.core.messages import WorkerExited, WorkerMessage
from daemon.workers.launcher import Launcher
from daemon.workers.supervisor import Seat
from daemon.workers.worker_process import WorkerProcess
from processors.contract import Options


class Started:
    """A launcher, and the messages of its workers."""

    def __init__(self):
        self.posted: queue.SimpleQueue[WorkerMessage | WorkerExited] = queue.SimpleQueue()
        self.launcher = Launcher(self.posted.put)

    def call(self, seat: Seat) -> WorkerProcess:
        return self.launcher(1, "plaintext", Options(), seat)

    def end(self, worker: WorkerProcess) -> WorkerExited:
        worker.close()
        while not isinstance(message := self.posted.get(timeout=60), WorkerExited):
            pass
        worker.release()
        return message


@pytest.fixture
def started() -> Iterator[Started]:
    started = Started()
    yield started
    started.launcher.end_early()


def test_call_takes_the_worker_that_started_early(started: Started):
    started.launcher.start_early("plaintext", Options(), Seat())
    early = started.launcher._early
    worker = started.call(Seat())
    assert early is not None and worker.pid == early.process.pid
    other = started.call(Seat())
    assert other.pid != worker.pid
    assert [started.end(each).exit_status for each in (worker, other)] == [0, 0]


def test_call_with_other_arguments_ends_the_worker_that_started_early(started: Started):
    started.launcher.start_early("plaintext", Options(), Seat())
    early = started.launcher._early
    worker = started.call(Seat(threads=2))
    assert early is not None and early.process.returncode is not None and worker.pid != early.process.pid
    assert started.end(worker).exit_status == 0


def test_interpreter_that_cannot_be_run_is_left_to_the_call(started: Started):
    options = Options(python="/there/is/none")
    started.launcher.start_early("plaintext", options, Seat())
    with pytest.raises(OSError):
        started.launcher(1, "plaintext", options, Seat())
