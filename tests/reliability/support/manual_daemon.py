"""The daemon's parts, driven by hand: real files, a real database, and workers whose words are the test's.

No process, no thread, no clock of its own, so that a thousand lives of it take seconds. It can be made to die, or its
disk to fail, at the n-th durable call or commit from now.
"""

import errno
import hashlib
import queue
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from manual_background import InlineBackground

from daemon.config.settings import Settings
from daemon.core import durable
from daemon.core.messages import Hashed, WorkerEnded, WorkerSaid
from daemon.files.disk_retry import DiskRetry
from daemon.files.layout import Layout
from daemon.intake.intake import Intake
from daemon.intake.watcher import Watcher
from daemon.publishing.publisher import Publisher
from daemon.queue.database import _Transaction
from daemon.queue.store import Store
from daemon.recovery.rebuild import Rebuild
from daemon.recovery.startup import Recovery
from daemon.scheduling.dispatcher import Dispatch
from daemon.scheduling.pause import Gate
from daemon.workers.supervisor import Worker, WorkerState
from processors import protocol
from processors.contract import FailureKind

_CALLS = ("rename_noreplace", "fsync_folder", "write_file", "link_or_copy", "remove_tree", "make_folder")
_REAL = {name: getattr(durable, name) for name in _CALLS}
_REAL_COMMIT = _Transaction.__exit__


class Died(BaseException):
    """The process is no more: no `except Exception` may stop it."""


class Fuse:
    """Burns down by one at each durable call and commit, and then kills, or lets calls fail."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.failures = 0  # so many calls in a row fail; 0: it kills
        self.burnt = 0  # fuses that went off
        for name in _CALLS:
            setattr(durable, name, self._wrap(_REAL[name]))
        fuse = self

        def commit(transaction: _Transaction, *error: Any) -> None:
            if error == (None, None, None):
                try:
                    fuse.burn()
                except BaseException as failure:
                    _REAL_COMMIT(transaction, type(failure), failure, None)  # rolls back
                    raise
            _REAL_COMMIT(transaction, *error)
            if error == (None, None, None) and fuse.failures == 0:
                fuse.burn()

        _Transaction.__exit__ = commit

    def light(self, left: int, failures: int = 0) -> None:
        self.left, self.failures = left, failures

    def put_out(self) -> None:
        self.left, self.failures = None, 0

    def burn(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left > 0:
            return
        self.burnt += 1
        if self.failures == 0:
            self.put_out()
            raise Died
        self.failures -= 1
        if self.failures == 0:
            self.put_out()
        else:
            self.left = 1
        raise OSError(errno.EIO, "an injected error")

    def remove(self) -> None:
        for name in _CALLS:
            setattr(durable, name, _REAL[name])
        _Transaction.__exit__ = _REAL_COMMIT

    def _wrap(self, call: Callable) -> Callable:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            self.burn()
            result = call(*arguments, **keywords)
            if self.failures == 0:
                self.burn()
            return result

        return wrapped


class HandWorkers:
    """Stands where `Workers` does, and starts nothing."""

    def __init__(self) -> None:
        self._living: dict[int, Worker] = {}
        self._count = 0
        self.ends: Counter[tuple[str, str]] = Counter()

    def __iter__(self):
        return iter(list(self._living.values()))

    def __len__(self) -> int:
        return len(self._living)

    def get(self, number: int) -> Worker | None:
        return self._living.get(number)

    def forget(self, number: int) -> Worker | None:
        return self._living.pop(number, None)

    def spawn(self, processor: str, options: Any) -> Worker:
        self._count += 1
        worker = Worker(
            number=self._count,
            processor=processor,
            timeout=options.timeout,
            process=SimpleNamespace(pid=0, returncode=0),
            conversation=SimpleNamespace(say=lambda message: None, close=lambda: None),
        )
        self._living[worker.number] = worker
        return worker


class HandDaemon:
    """One life of the daemon. `clock` tells seconds."""

    def __init__(self, settings: Settings, clock: Callable[[], float]):
        self.settings = settings
        self._clock = clock
        self.folders = Layout(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
        self.folders.prepare()
        self.store = Store(settings.database, clock=self._now_us)
        self.storage = DiskRetry(self.folders, self.store, clock=clock)
        self.publishing = Publisher(settings, self.store, self.folders, self.storage, InlineBackground())
        self.workers = HandWorkers()
        self.dispatch = Dispatch(
            settings,
            self.store,
            self.folders,
            self.storage,
            self.workers,
            self.publishing,
            Gate(settings),
            monotonic=clock,
            now_us=self._now_us,
        )
        self._mailbox: queue.SimpleQueue[Hashed] = queue.SimpleQueue()
        post = self._mailbox.put
        self.intake = Intake(settings, self.store, self.folders, self.storage, Watcher(post), post, now_us=self._now_us)
        Rebuild(self.store, self.folders).run()
        Recovery(self.store, self.folders, self.storage, self.publishing, self.intake).run()
        self.dispatch.probe(at_once=True)

    def _now_us(self) -> int:
        return int(self._clock() * 1e6)

    def die(self) -> None:
        """Let go of the file handles and the thread; nothing else is put in order."""
        self.intake.stop()
        self.store._connection.connection.dbapi_connection.close()

    def guard(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """As `Service` does it."""
        try:
            return step(*arguments)
        except OSError as error:
            self.storage.note(error)
            return None

    def look(self) -> None:
        self.intake.look_everywhere(self._clock())
        self.guard(self.intake.step, self._clock())

    def load(self, worker: Worker) -> None:
        joins = worker.number % 2 == 1  # every other one lets jobs join those it works on
        loaded = protocol.WorkerLoaded(engine="hand", model="m", device="cpu", seconds=0.0, joins=joins)
        self._say(worker, loaded)

    def finish(self, worker: Worker, job: Any) -> None:
        """The worker writes an output and reports it."""
        self._say(worker, self.finished(job))

    def finished(self, job: Any) -> protocol.WorkFinished:
        content = b"result of " + job.id.encode()
        output = self.folders.outbox.staging / job.staging_name() / "out.txt"
        if output.parent.is_dir():
            output.write_bytes(content)
        file = {"name": "out.txt", "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        return protocol.WorkFinished(
            job=job.id,
            attempt=job.attempt,
            files=[file],
            excerpt="",
            review=[],
            pages=None,
            media_seconds=None,
            details={},
            seconds=0.0,
        )

    def fail(self, worker: Worker, job: Any, kind: FailureKind) -> None:
        self._say(worker, protocol.WorkFailed(job=job.id, attempt=job.attempt, kind=kind, message="it failed"))

    def end_batch(self, worker: Worker) -> None:
        self._say(worker, protocol.BatchDone())

    def bury(self, worker: Worker) -> None:
        ended = WorkerEnded(worker=worker.number, exit_status=-9, last_words="")
        self.guard(self.dispatch.bury, ended)

    def say_late(self, number: int, message: Any) -> None:
        self.guard(self.dispatch.hear, WorkerSaid(worker=number, message=message))

    def _say(self, worker: Worker, message: Any) -> None:
        self.say_late(worker.number, message)

    def go_on(self) -> None:
        """What the main loop does at each turn, and the timetable now and then."""
        self.guard(self.storage.retry)
        self.guard(self.dispatch.probe)
        self.guard(self.dispatch.feed)

    def finish_all(self) -> None:
        """Obedient workers do all there is to do."""
        self.go_on()
        for worker in self.workers:
            if worker.state is WorkerState.LOADING:
                self.load(worker)
            for job in list(worker.jobs.values()):
                self.finish(worker, job)
            if worker.state is WorkerState.BUSY:
                for _ in range(worker.batches):
                    self.end_batch(worker)
            elif worker.state is WorkerState.ENDING:
                self.bury(worker)
