"""The daemon of `daemon.server.app`, driven by hand: real files, a real database and its own loop, one turn at a time.

No process, no thread, no clock of its own, so that a thousand lives of it take seconds. What stands in: workers that
only receive, a hasher and a background that act when their turn comes, and a clock that the test sets.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from daemon.config.settings import Settings
from daemon.core import durable, regular_files
from daemon.core.job import Job
from daemon.core.messages import Due, Hashed, Hint, Request, WorkerExited, WorkerMessage
from daemon.core.syncer import Syncer
from daemon.files.folders import Folders
from daemon.notify.systemd import Notifier
from daemon.server.app import build
from daemon.server.backlog import Backlog
from daemon.server.loop import Loop
from daemon.server.mailbox import Mailbox
from daemon.workers.supervisor import Worker, WorkerState
from processors import contract, protocol
from processors.contract import FailureKind

_EPOCH_US = 1_750_000_000_000_000


class ManualClock:
    """Both of the daemon's clocks."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now_us(self) -> int:
        return _EPOCH_US + int(self.seconds * 1e6)


class FakeConnection:
    """Stands in for a worker process: records what it is sent."""

    pid = 0

    def __init__(self) -> None:
        self.sent: list[protocol.Message] = []
        self.is_closed = self.is_killed = self.is_released = False

    def send(self, message: protocol.Message) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.is_closed = True

    def kill(self) -> None:
        self.is_killed = True

    def release(self) -> None:
        self.is_released = True


class ManualHasher:
    """Stands in for the hashing thread: it posts in one iteration what the previous one requested."""

    def __init__(self, post: Callable[[Any], None], scratch: Path):
        self._post = post
        self._syncer = Syncer(scratch)
        self._paths: dict[str, Path] = {}
        self._requested: list[str] = []
        self.pending = 0

    def submit(self, job_id: str, path: Path) -> None:
        self.pending += 1
        self._paths[job_id] = path
        self._requested.append(job_id)

    def forget(self, job_id: str) -> None:
        self.pending -= 1
        self._paths.pop(job_id, None)

    def resubmit(self, job_id: str, after_seconds: float) -> None:
        self._requested.append(job_id)

    def stop(self) -> bool:
        return True

    def turn(self) -> None:
        requested, self._requested = self._requested, []
        for job_id in requested:
            self._post(self._hash(job_id, self._paths[job_id]))

    def _hash(self, job_id: str, path: Path) -> Hashed:
        try:
            self._syncer.sync(path)
            durable.fsync_folder(path.parent)
            return Hashed(job=job_id, sha256=regular_files.sha256_of(path))
        except OSError as error:
            return Hashed(job=job_id, sha256=None, error=str(error))


class InlineBackground:
    """Stands in for the background thread: does each task at once."""

    pending = 0

    def run(self, work: Callable[[], Any], then: Callable[[Any], None], *, size_bytes: int) -> None:
        then(_outcome(work))

    def turn(self) -> None: ...

    def stop(self) -> bool:
        return True


class ManualBackground:
    """Stands in for the background thread: does each task when its turn comes."""

    def __init__(self) -> None:
        self._tasks: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []

    @property
    def pending(self) -> int:
        return len(self._tasks)

    def run(self, work: Callable[[], Any], then: Callable[[Any], None], *, size_bytes: int) -> None:
        self._tasks.append((work, then))

    def turn(self) -> None:
        """Run the tasks that were submitted before this turn."""
        tasks, self._tasks = self._tasks, []
        for work, then in tasks:
            then(_outcome(work))

    def stop(self) -> bool:
        return True


def _outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        return error


class ManualDaemon:
    """One life of the daemon, from its start on."""

    def __init__(
        self,
        settings: Settings,
        clock: Any = None,
        *,
        background: InlineBackground | ManualBackground | None = None,
    ):
        self.settings = settings
        self.clock = clock or ManualClock()
        self.background = background or ManualBackground()
        folders = Folders(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
        folders.prepare()
        mailbox = Mailbox()
        self.hasher = ManualHasher(mailbox.put, folders.taken.path / ".copy.hasher")
        self.app = app = build(
            settings,
            folders=folders,
            mailbox=mailbox,
            clock=self.clock,
            spawn=lambda number, processor, options, seat: FakeConnection(),
            hasher=self.hasher,
            background=self.background,
            notifier=Notifier({}),
        )
        self.folders, self.store, self.disk_retry, self.intake = app.folders, app.store, app.disk_retry, app.intake
        self.workers, self.dispatcher, self.progress = app.workers, app.dispatcher, app.progress
        self.publishing = app.publishing
        self._post = mailbox.put
        self._backlog = Backlog(mailbox)
        self._loop = Loop(app, self._backlog)
        self.guard = self._loop.guard
        app.rebuild.run()
        app.recovery.run()
        self.guard(self.dispatcher.probe, at_once=True)
        self.intake.check_all(self.clock.monotonic())

    @property
    def is_calm(self) -> bool:
        """True if nothing waits for a disk or for a background task."""
        return self.disk_retry.next_try() is None and not self.background.pending

    # ---------------------------------------------------------------------------------------- the loop

    def turn(self) -> None:
        """One turn of the main loop, with all messages that have arrived."""
        self.guard(self.background.turn)
        self.compute_checksums()
        self._loop.advance()

    def compute_checksums(self) -> None:
        """The hasher computes what it was asked for, and the daemon records it."""
        self.hasher.turn()
        self.apply_all()

    def apply_all(self) -> None:
        self._loop.apply_all(wait=0.0)
        while self._backlog.has_messages:
            self._loop.apply_all(wait=0.0)

    def do(self, task: str) -> None:
        """Carry out a task of the timetable."""
        self._post(Due(task=task))
        self.apply_all()

    def hint(self, hint: Hint) -> None:
        self._post(hint)
        self.apply_all()

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self.app.commands.answer(Request(command=command, arguments=arguments))

    def check_inbox(self) -> None:
        """Scan the entire inbox, and take the files that have settled."""
        self.intake.check_all(self.clock.monotonic())
        self.guard(self.intake.step, self.clock.monotonic())

    def go_on(self) -> None:
        """Do the work of one loop iteration for queued jobs, including the probe of the timetable."""
        self.guard(self.disk_retry.retry)
        self.guard(self.dispatcher.probe)
        self.guard(self.dispatcher.feed)

    def stop(self) -> None:
        """An orderly end."""
        self.guard(self.dispatcher.put_back_running)
        self.store.close()

    def die(self) -> None:
        """Close the database as the end of a process does: nothing more is committed or tidied."""
        self.store._connection.connection.dbapi_connection.close()

    # ---------------------------------------------------------------------------------------- workers

    def receive(self, worker: int, message: protocol.Message) -> None:
        """A worker sends a message."""
        self.guard(self.app.outcomes.on_message, WorkerMessage(worker=worker, message=message))

    def exit_worker(self, worker: int, **facts: Any) -> None:
        """The process of a worker exits, by default as if it had been killed."""
        exited = WorkerExited(worker=worker, **{"exit_status": -9, "stderr_tail": "", **facts})
        self.guard(self.app.outcomes.on_worker_exit, exited)

    def connection(self, worker: int = 1) -> FakeConnection:
        found = self.workers.get(worker)
        assert found is not None and isinstance(found.connection, FakeConnection)
        return found.connection

    def load(self, worker: int = 1, *, takes_more_jobs: bool = False, device: str = "cpu") -> None:
        loaded = protocol.WorkerLoaded(
            engine="fake", model="m", device=device, seconds=0.0, takes_more_jobs=takes_more_jobs
        )
        self.receive(worker, loaded)

    def finish(self, worker: int, job: Job) -> None:
        """A worker writes an output and reports it."""
        self.receive(worker, finished(self, job))

    def finish_together(self, worker: int, jobs: Iterable[Job]) -> None:
        """A worker reports several results before the daemon looks at the first."""
        for job in jobs:
            self._post(WorkerMessage(worker=worker, message=finished(self, job)))
        self.apply_all()

    def fail(self, worker: int, job: Job, kind: FailureKind = FailureKind.ERROR, **facts: Any) -> None:
        fields = {"job": job.id, "attempt": job.attempt, "kind": kind, "message": f"{job.name} failed", **facts}
        self.receive(worker, protocol.WorkFailed(**fields))

    def report_progress(self, worker: int, job: Job | None, done: float = 1.0) -> contract.WorkProgress:
        """A worker reports how far it is with a job, or with loading."""
        job_id, attempt = (job.id, job.attempt) if job else (None, 0)
        progress = contract.WorkProgress(job=job_id, attempt=attempt, done=done, total=2.0, unit="pages")
        self.receive(worker, progress)
        return progress

    def end_batch(self, worker: int = 1) -> None:
        self.receive(worker, protocol.BatchDone())

    def finish_all(self) -> None:
        """Obedient workers do all there is to do."""
        self.go_on()
        for worker in self.workers:
            if worker.state is WorkerState.LOADING:
                self.load(worker.number, takes_more_jobs=is_odd(worker))
            for job in list(worker.jobs.values()):
                self.finish(worker.number, job)
            if worker.state is WorkerState.BUSY:
                for _ in range(worker.batches):
                    self.end_batch(worker.number)
            elif worker.state is WorkerState.ENDING:
                self.exit_worker(worker.number)


def is_odd(worker: Worker) -> bool:
    return worker.number % 2 == 1


def finished(daemon: ManualDaemon, job: Job, *, lies: bool = False) -> protocol.WorkFinished:
    """Write an output and return the worker's report of it; `lies`: report it without writing it."""
    content = f"output of {job.id}.{job.attempt}".encode()
    folder = daemon.folders.outbox.staging / job.staging_name()
    with contextlib.suppress(FileNotFoundError):
        (folder / "out.txt").write_bytes(content)
        if lies:
            (folder / "out.txt").unlink()
    file = {"name": "out.txt", "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    nothing = {"excerpt": "", "review": [], "pages": None, "media_seconds": None, "details": {}}
    return protocol.WorkFinished(job=job.id, attempt=job.attempt, files=[file], **nothing)
