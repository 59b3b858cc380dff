"""The jobs of the near half that have no outcome yet, and the messages to the daemon. Any thread may use them."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from processors import protocol
from processors.cluster.near_files import RemoteJob
from processors.contract import FailureKind, WorkProgress

_PULSE_SECONDS = 3.0


class NearJobs:
    """on_broken_pipe: called if nobody reads the messages any more."""

    def __init__(self, messages_out: BinaryIO, *, on_broken_pipe: Callable[[], object]):
        self._out, self._on_broken_pipe = messages_out, on_broken_pipe
        self._jobs: dict[str, RemoteJob] = {}  # by id
        self.is_loaded = False  # the outcome of the load was reported
        self._is_ended = False
        self._lock = threading.RLock()  # of the fields above, and of `_out`

    def add(self, jobs: Sequence[RemoteJob]) -> None:
        with self._lock:
            self._jobs |= {job.id: job for job in jobs}

    def all(self) -> list[RemoteJob]:
        return list(self._jobs.values())

    def get(self, name: str) -> RemoteJob | None:
        return self._jobs.get(name)

    def find(self, name: str | None, attempt: int) -> RemoteJob | None:
        """The job, if this is its current attempt."""
        job = self._jobs.get(name or "")
        return job if job is not None and job.attempt == attempt else None

    def close(self, job: RemoteJob, outcome: protocol.WorkFinished | protocol.WorkFailed) -> bool:
        """Report the outcome of a job; False: another thread has reported one."""
        with self._lock:
            if self._is_ended or self._jobs.pop(job.id, None) is None:
                return False
            self.send(outcome)
            return True

    @contextlib.contextmanager
    def ended(self, kind: FailureKind, message: str) -> Iterator[None]:
        """Fail the load, if it is not reported yet, and all jobs. No other thread reports anything in the context."""
        with self._lock:
            if not self.is_loaded:
                self.send(protocol.LoadFailed(kind=kind, message=protocol.cut(message)))
            for job in self._jobs.values():
                self.send(failed_work(job, kind, message))
            self._jobs.clear()
            self.is_loaded = self._is_ended = True
            yield

    # ---------------------------------------------------------------------------------------- messages

    @contextlib.contextmanager
    def pulse(self) -> Iterator[None]:
        """Report progress to the daemon during the context, so that its timeout does not end a slow connection attempt,
        which has limits of its own.
        """
        is_over = threading.Event()

        def report() -> None:
            while not is_over.wait(_PULSE_SECONDS):
                self.send(WorkProgress(job=None, attempt=0, done=0, total=None, unit="nodes"))

        threading.Thread(target=report, name="pulse", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def send(self, message: protocol.Message) -> None:
        self.write(protocol.encode(message))

    def write(self, line: bytes) -> None:
        with self._lock:
            try:
                protocol.write(self._out, line)
            except BrokenPipeError:  # the daemon was killed, perhaps before `die_with_parent`; Ray ends the far half
                self._on_broken_pipe()


def failed_work(job: RemoteJob, kind: FailureKind, message: str) -> protocol.WorkFailed:
    return protocol.WorkFailed(job=job.id, attempt=job.attempt, kind=kind, message=protocol.cut(message))
