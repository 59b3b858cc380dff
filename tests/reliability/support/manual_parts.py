"""The daemon's own parts, driven by hand: real files and a real database, no process, no thread, no clock of its own.

`House` does what `Service` does with them, one step at a time. What stands in: workers that only listen, a hasher that
hashes when its turn comes, and the time, which is told.
"""

import contextlib
import hashlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from manual_background import HandBackground

from daemon.config.settings import Settings
from daemon.core import durable
from daemon.core.errors import StorageError
from daemon.core.job import Job
from daemon.core.messages import Asked, Hashed, LookAt, WorkerEnded, WorkerSaid
from daemon.files.disk_retry import DiskRetry
from daemon.files.layout import Layout
from daemon.intake.intake import Intake
from daemon.intake.watcher import Watcher
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.recovery.rebuild import Rebuild
from daemon.recovery.retention import Retention
from daemon.recovery.startup import Recovery
from daemon.scheduling.dispatcher import Dispatch
from daemon.scheduling.pause import Gate
from daemon.server.commands import Commands
from daemon.telemetry.exporter import Exporter
from daemon.workers.supervisor import Worker, Workers
from processors import protocol
from processors.contract import FailureKind

_EPOCH_US = 1_750_000_000_000_000


class Clock:
    """Both of the daemon's clocks."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now_us(self) -> int:
        return _EPOCH_US + int(self.seconds * 1e6)


class MortalStore(Store):
    """Can let go of its file as a dying process does: nothing more is committed or tidied."""

    living: list[Any] = []

    def _connect(self) -> Any:
        connection = super()._connect()
        self.living.append(connection)
        return connection

    @classmethod
    def die(cls) -> None:
        while cls.living:
            cls.living.pop().close()


@dataclass(kw_only=True)
class HandWorker(Worker):
    """Has no process: what it says, the test says."""

    heard: list[Any] = field(default_factory=list)
    is_killed: bool = False
    is_closed: bool = False
    is_for_cancel: bool = False  # killed for the sake of one of its jobs

    def kill(self, why: FailureKind | None = None) -> None:
        self.why_killed, self.is_killed = self.why_killed or why, True

    def batches(self) -> list[list[dict]]:
        """The works it was sent since this was asked last."""
        batches = [message.works for message in self.heard if isinstance(message, protocol.Batch)]
        self.heard.clear()
        return batches


class HandWorkers(Workers):
    """`Workers` that start no process."""

    def spawn(self, processor: str, options: Any) -> HandWorker:
        self._count += 1
        worker = HandWorker(
            number=self._count,
            processor=processor,
            timeout=options.timeout,
            process=SimpleNamespace(pid=0, returncode=0),
            conversation=SimpleNamespace(),
            last_sign=self._clock(),
        )
        worker.conversation.say = worker.heard.append
        worker.conversation.close = lambda: setattr(worker, "is_closed", True)
        worker.conversation.release = lambda: None
        self._living[worker.number] = worker
        return worker


class HandHasher:
    """Stands where the hashing thread does: what was asked in one turn is answered in the next."""

    def __init__(self, post: Any, scratch: Any):
        self._syncer = durable.Syncer(scratch)
        self._paths: dict[str, Any] = {}
        self._asked: list[str] = []
        self.pending = 0

    def submit(self, job_id: str, path: Any) -> None:
        self.pending += 1
        self._paths[job_id] = path
        self._asked.append(job_id)

    def forget(self, job_id: str) -> None:
        self.pending -= 1
        self._paths.pop(job_id, None)

    def resubmit(self, job_id: str, after_seconds: float) -> None:
        self._asked.append(job_id)

    def stop(self) -> None:
        pass

    def answers(self) -> list[Hashed]:
        asked, self._asked = self._asked, []
        return [self._answer(job_id, self._paths[job_id]) for job_id in asked]

    def _answer(self, job_id: str, path: Any) -> Hashed:
        try:
            self._syncer.sync(path)
            durable.fsync_folder(path.parent)
            return Hashed(job=job_id, sha256=durable.sha256_of(path))
        except OSError as error:
            return Hashed(job=job_id, sha256=None, error=str(error))


class House:
    """One life of the daemon, from its start on."""

    def __init__(self, settings: Settings, clock: Clock):
        self.settings, self.clock = settings, clock
        self.folders = Layout(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
        self.folders.prepare()
        self.store = MortalStore(settings.database, clock=clock.now_us)
        self.storage = DiskRetry(self.folders, self.store, clock=clock.monotonic)
        self.workers = HandWorkers(lambda _: None, settings.models, at_once=1, clock=clock.monotonic)
        self.background = HandBackground()
        self.publishing = Publisher(settings, self.store, self.folders, self.storage, self.background)
        shared = (settings, self.store, self.folders, self.storage)
        times = {"monotonic": clock.monotonic, "now_us": clock.now_us}
        gate = Gate(settings)
        self.dispatch = Dispatch(*shared, self.workers, self.publishing, gate, **times)
        watcher = Watcher(lambda _: None)
        self.intake = Intake(*shared, watcher, lambda _: None, now_us=clock.now_us, hasher=HandHasher)
        self.commands = Commands(
            settings,
            store=self.store,
            folders=self.folders,
            storage=self.storage,
            workers=self.workers,
            publishing=self.publishing,
            dispatch=self.dispatch,
            intake=self.intake,
            watcher=watcher,
            gate=gate,
            retention=Retention(settings.retention, self.store, self.folders),
            exporter=Exporter(lambda _: None),
            reload=list,
        )
        Rebuild(self.store, self.folders).run()
        Recovery(self.store, self.folders, self.storage, self.publishing, self.intake).run()
        self._guard(self.dispatch.probe, at_once=True)
        self.intake.look_everywhere(clock.seconds)

    @property
    def is_calm(self) -> bool:
        """Does nothing wait for a disk, or for the background?"""
        return self.storage.next_try() is None and not self.background.pending

    def turn(self) -> None:
        """What the main loop does between two messages, and the messages of the hasher and the background."""
        self._guard(self.background.turn)
        for answer in self.intake._hasher.answers():
            self._guard(self._hashed, answer)
        was_in_trouble = self.storage.trouble is not None
        self._guard(self.storage.retry)
        if was_in_trouble and self.storage.trouble is None:
            self.intake.look_everywhere(self.clock.seconds)
        self._guard(self.intake.step, self.clock.seconds)
        self.workers.kill_overdue()
        self._guard(self.dispatch.feed)

    def hear(self, worker: int, message: Any) -> None:
        self._guard(self.dispatch.hear, WorkerSaid(worker=worker, message=message))

    def bury(self, worker: int) -> None:
        self._guard(self.dispatch.bury, WorkerEnded(worker=worker, exit_status=-9, last_words=""))

    def hint(self, hint: LookAt) -> None:
        self.intake.look_at(hint, self.clock.seconds)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self.commands.answer(Asked(command=command, arguments=arguments))

    def do(self, task: str) -> None:
        """What is done from time to time."""
        tasks = {
            "rescan": lambda: self.intake.look_everywhere(self.clock.seconds),
            "probe": self.dispatch.probe,
            "unload": self.dispatch.end_idle_workers,
            "tidy": self.store.tidy,
        }
        self._guard(tasks[task])

    def stop(self) -> None:
        """An orderly end."""
        self._guard(self.dispatch.put_back_running)
        self.store.close()

    def _hashed(self, hashed: Hashed) -> None:
        error = self.intake.hashed(hashed)
        if error is not None and (job := self.store.get(hashed.job)) is not None:
            self.publishing.give_up(job, FailureKind.ERROR, f"Cannot read the file: {error}.")

    def _guard(self, step: Any, *arguments: Any, **options: Any) -> None:
        try:
            step(*arguments, **options)
        except (OSError, StorageError) as error:
            self.storage.note(error)


def finished(house: House, job: Job, *, lies: bool = False) -> protocol.WorkFinished:
    """A worker's report of a result, and the output it wrote for it; `lies`: it wrote none."""
    content = f"output of {job.id}.{job.attempt}".encode()
    folder = house.folders.outbox.staging / job.staging_name()
    with contextlib.suppress(FileNotFoundError):
        (folder / "out.txt").write_bytes(content)
        if lies:
            (folder / "out.txt").unlink()
    file = {"name": "out.txt", "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    nothing = {"excerpt": "", "review": [], "pages": None, "media_seconds": None, "details": {}, "seconds": 0.0}
    return protocol.WorkFinished(job=job.id, attempt=job.attempt, files=[file], **nothing)
