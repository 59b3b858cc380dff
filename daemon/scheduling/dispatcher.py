"""Gives queued jobs to workers, starts and ends workers, and carries out the commands that concern them.

`candidates` finds the jobs that could start, `placement` decides which do, and `outcomes` applies what the workers
report.
"""

import errno
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core.clock import Clock
from daemon.core.errors import InboxdError, StorageError
from daemon.core.job import Job, JobState
from daemon.core.journald import about
from daemon.core.messages import ClusterChanged
from daemon.core.names import output_stem
from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.files.taken import OriginalGone
from daemon.intake import unsupported
from daemon.publishing.park_reasons import CANCELLING, INTERNAL_ERROR
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.scheduling import placement, retry
from daemon.scheduling.assignment import Assignment
from daemon.scheduling.attempts import Attempt, Attempts
from daemon.scheduling.candidates import Candidates, Selection
from daemon.scheduling.duplicates import Duplicates
from daemon.scheduling.idle_workers import IdleWorkers
from daemon.scheduling.parked_jobs import ParkedJobs
from daemon.scheduling.pause import Pause
from daemon.scheduling.pool import Slot
from daemon.scheduling.pools import Pools
from daemon.scheduling.progress import ProgressBoard
from daemon.workers.supervisor import Seat, Workers, WorkerState
from processors import contract, protocol
from processors.contract import FailureKind

log = logging.getLogger(__name__)

_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}  # descriptors, memory, processes


class Dispatcher:
    """Called by the main thread only."""

    def __init__(
        self,
        settings: CurrentSettings,
        store: Store,
        folders: Folders,
        disk_retry: DiskRetry,
        workers: Workers,
        publishing: Publisher,
        pause: Pause,
        pools: Pools,
        attempts: Attempts,
        progress: ProgressBoard,
        clock: Clock,
    ):
        self._settings = settings
        self._store = store
        self._folders = folders
        self._disk_retry = disk_retry
        self._workers = workers
        self._publishing = publishing
        self._pause = pause
        self._pools = pools
        self._attempts = attempts
        self._progress = progress
        self._clock = clock
        self._duplicates = Duplicates(settings, store, folders, publishing)
        self._candidates = Candidates(settings, store, pools, self._duplicates, publishing, clock)
        self.idle_workers = IdleWorkers(pools, clock)
        self._parked_jobs = ParkedJobs(store, publishing, pools, cancel=self.cancel)
        self.has_more = False  # another `feed` would settle or probe more jobs at once
        self.again_at: float | None = None  # of the monotonic clock: when another `feed` may start a worker

    def apply(self, settings: Settings) -> None:
        """Apply new settings to everything that starts from now on. Busy workers finish what they have."""
        self._pools.apply(settings)
        self.idle_workers.end_retired()

    def use_cluster(self, changed: ClusterChanged) -> None:
        """Start workers on the nodes that are there now, and no more on those that are lost."""
        self._pools.use_cluster(changed.nodes, changed.problem)
        self.idle_workers.end_retired()
        self.probe()

    # ---------------------------------------------------------------------------------------- feeding

    def feed(self) -> None:
        """Settle the queued jobs that need no worker, give work to idle workers, and start workers for work that has
        none. While the daemon is paused, end the idle workers instead."""
        self.has_more, self.again_at = False, None
        if self._disk_retry.trouble is not None:
            return
        if self._pause.reason is not None:
            self.idle_workers.end_all("the daemon is paused")
            return
        self.has_more = self._parked_jobs.continue_probe()
        moment = self._candidates.moment()
        selection = self._candidates.select(moment)
        self._settle(selection)
        self._carry_out(placement.plan(selection.queues, self._pools.slots(), moment))

    def _settle(self, selection: Selection) -> None:
        """Deal with the queued jobs that need no worker."""
        for why, jobs in selection.parked.items():
            self._parked_jobs.park(jobs, why)
        for job in selection.unsupported:
            self._settle_one(job, functools.partial(self._settle_unsupported, job))
        for duplicate in selection.duplicates:
            self.has_more = True  # the jobs behind it may be duplicates, too
            self._settle_one(duplicate.job, functools.partial(self._duplicates.publish, duplicate))
        for job in selection.broken:
            self._set_aside(job)

    def _settle_unsupported(self, job: Job) -> None:
        """Pass on a file that no recipe applies to, or fail its job. (With `unsupported = "leave"`, inboxd took the
        file before that was set.) An empty file always fails.
        """
        why = unsupported.explain(job.kind, job.media_type, size_bytes=job.size_bytes, folder=job.folder)
        if job.size_bytes and self._settings.value.folder(job.folder).unsupported != "fail":
            self._publishing.pass_on(job, why)
        else:
            self._publishing.give_up(job, FailureKind.BAD_INPUT, why)

    def _settle_one(self, job: Job, step: Callable[[], None]) -> None:
        try:
            step()
        except (OSError, InboxdError):
            raise
        except Exception as error:  # error boundary: one job
            log.error("%s %s: internal error", job.id[:8], job.path, exc_info=error, extra=about(job))
            self._set_aside(job)

    def _set_aside(self, job: Job) -> None:
        """Give a job up after an internal error, so that others can start."""
        self._publishing.give_up(job, FailureKind.ERROR, INTERNAL_ERROR)

    def _carry_out(self, plan: placement.Plan) -> None:
        self.again_at = plan.again_at
        for slot in plan.unload:
            slot.end_worker(self._clock.monotonic(), "to make room")
        for batch in plan.run:
            self._start_batch(batch.slot, batch.jobs)
        for slot in plan.load:
            self._start_worker(slot)

    def _start_worker(self, slot: Slot) -> None:
        pool = slot.pool
        try:
            slot.worker = self._workers.spawn(pool.processor, pool.options, self._pools.seat(slot))
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:
                self._disk_retry.note(error, can_take=True)
            else:
                self._pools.park(slot, f"The worker for {pool.processor} could not be started: {error}.")

    def _start_batch(self, slot: Slot, jobs: Sequence[Job]) -> None:
        worker = slot.worker
        assert worker is not None and worker.loaded is not None  # it is idle, or may be joined
        started = self._store.start(
            jobs,
            processor=slot.pool.processor,
            worker_pid=worker.pid,
            engine=worker.loaded.engine,
            model=worker.loaded.model,
            device=worker.loaded.device,
            node=worker.seat.node,
        )
        works, given = [], {}
        for job in started:
            if (prepared := self._try_to_prepare(job, worker.seat)) is not None:
                work, assignment = prepared
                works.append(work)
                given[job.id] = job
                self._attempts.begin(job.id, Attempt(assignment=replace(assignment, pool=slot.pool), slot=slot))
        if works:
            worker.give(given, works, self._clock.monotonic())

    def _try_to_prepare(self, job: Job, seat: Seat) -> tuple[dict[str, object], Assignment] | None:
        """Return the work of a started job for its worker, and its assignment. None: the attempt failed and was
        settled."""
        self._duplicates.forget(job.id)
        try:
            return self._prepare(job, seat)
        except OriginalGone as error:
            self._publishing.give_up(job, FailureKind.ERROR, f"The file was removed from inbox/.taken: {error}.")
        except (OSError, StorageError) as error:
            log.warning("%s %s: %s", job.id[:8], job.path, error, extra=about(job))
            self._disk_retry.note(error, can_take=True)
            self._attempts.requeue(job, outcome=FailureKind.UNAVAILABLE, detail=str(error))
        except InboxdError:
            raise
        except Exception as error:  # error boundary: one job
            log.error("%s %s: internal error", job.id[:8], job.path, exc_info=error, extra=about(job))
            self._set_aside(job)
        return None

    def _prepare(self, job: Job, seat: Seat) -> tuple[dict[str, object], Assignment]:
        original, assignment = self._folders.original(job.id, job.path), self._pools.assign_job(job)
        assert isinstance(assignment, Assignment) and job.kind is not None  # as when it was selected, in this turn
        log.info("%s %s: %s, attempt %d", job.id[:8], job.path, job.recipe, job.attempt, extra=about(job))
        work = contract.Work(
            job=job.id,
            attempt=job.attempt,
            source=original.path,
            kind=job.kind,
            media_type=job.media_type,
            outputs=self._folders.outbox.prepare_attempt(job),
            stem=output_stem(job.name),
            recipe=job.recipe or "",
            options=assignment.recipe_options,
            sidecars=original.sidecars,
            checkpoints=self._folders.checkpoints / job.id,
            layouts=self._settings.value.layouts,
            then=tuple(replace(step, options=seat.adapt(step.options)) for step in assignment.then),
            is_last_attempt=retry.is_last_attempt(job, self._settings.value.retry.attempts),
        )
        return protocol.work_to_wire(work), assignment

    # ---------------------------------------------------------------------------------------- commands

    def probe(self, *, at_once: bool = False) -> None:
        """Check whether parked jobs can go on; see `ParkedJobs.probe`."""
        self._parked_jobs.probe(at_once=at_once)

    def cancel(self, job: Job) -> bool:
        """Cancel an unfinished job; its original goes to outbox/failed. False: delayed until a disk permits it."""
        step = functools.partial(self._cancel, job.id)
        return self._disk_retry.run(f"cancellation of {job.path} ({job.id})", step)

    def _cancel(self, job_id: str) -> None:
        """Cancel the job in its current state: it may have started or ended while the step waited."""
        job = self._store.get(job_id)
        if job is not None and job.state is JobState.QUEUED:
            self._publishing.cancel_now(job, functools.partial(self.cancel, job))
        if job is None or job.state is not JobState.RUNNING:
            return
        for worker in self._workers:
            if job.id in worker.jobs:
                self._attempts.cancel(job.id, worker.number)
                worker.kill()
        self._store.note_running(job.id, CANCELLING)  # for the next start: publishing a large file takes time

    def put_back_running(self) -> None:
        """Kill the workers because the daemon stops or is paused; their jobs are queued again, uncharged."""
        jobs: list[Job] = []
        for worker in self._workers:
            worker.state = WorkerState.ENDING
            worker.kill()
            self._progress.end_worker(worker.number)
            jobs += worker.jobs.values()
            worker.jobs.clear()
        for job in jobs:
            self._attempts.end(job.id)
            log.info("%s %s: put back into the queue", job.id[:8], job.path, extra=about(job))
            waiting_for = CANCELLING if self._attempts.take_cancelled(job.id) else None
            detail = "the daemon was stopped or paused"
            self._attempts.requeue(job, outcome="interrupted", detail=detail, waiting_for=waiting_for)

    @property
    def is_busy(self) -> bool:
        return any(worker.jobs for worker in self._workers)

    @property
    def parked(self) -> dict[str, str]:
        """The processors that cannot work now, and what they wait for."""
        return {slot.pool.processor: slot.why_parked for slot in self._pools.slots() if slot.is_parked}
