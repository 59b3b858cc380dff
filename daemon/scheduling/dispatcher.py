"""Matches queued jobs to workers, and applies what the workers say.

Which recipe goes to which worker is `stages`', what could be handed out next `offers`', what a failed attempt costs
`retry`'s, and how a result or a failure reaches the outbox `publishing`'s.
"""

import errno
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from daemon.config.settings import Settings
from daemon.core.errors import InboxdError, StartOver, StorageError
from daemon.core.job import Job, JobState
from daemon.core.journald import about
from daemon.core.messages import WorkerEnded, WorkerSaid
from daemon.core.names import result_stem
from daemon.files.disk_retry import DiskRetry
from daemon.files.inbox import OriginalGone
from daemon.files.layout import Layout
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.scheduling import placement, retry
from daemon.scheduling.candidates import INTERNAL_ERROR, Offers
from daemon.scheduling.duplicates import Duplicates
from daemon.scheduling.pause import Gate
from daemon.scheduling.placement import Room
from daemon.scheduling.pools import Assignment, Stage, Stages
from daemon.workers.supervisor import Worker, Workers, WorkerState, describe_end
from processors import contract, protocol
from processors.contract import FailureKind

log = logging.getLogger(__name__)

_MACHINE_IS_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}  # of descriptors, memory, processes
_STORAGE_FAILURES = 10  # of a stage's workers in a row, uncharged


class Dispatch:
    """The stages and the jobs on their workers. Called by the main thread only."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        folders: Layout,
        storage: DiskRetry,
        workers: Workers,
        publishing: Publisher,
        gate: Gate,
        *,
        monotonic: Callable[[], float],
        now_us: Callable[[], int],
    ):
        self.settings = settings
        self._store = store
        self._folders = folders
        self._storage = storage
        self._workers = workers
        self._publishing = publishing
        self._gate = gate
        self._monotonic = monotonic
        self._now_us = now_us
        self._stages = Stages(settings, monotonic=monotonic)
        duplicates = Duplicates(settings, store, folders, publishing)
        self._offers = Offers(settings, store, self._stages, duplicates, publishing, now_us=now_us)
        self._running: dict[str, Assignment] = {}  # by job
        self._cancelled: set[str] = set()  # running jobs whose worker was ended for that
        self._interrupted: set[int] = set()  # those workers
        self.progress: dict[str, contract.WorkProgress] = {}  # by job; by " NAME" for a processor that loads

    def use(self, settings: Settings) -> None:
        """Go by other settings with all that starts from now on; what runs goes on as it began."""
        self.settings = settings
        self._stages.use(settings)
        self._offers.use(settings)
        self._end_idle(lambda stage: stage.is_retired, "its options have changed")

    # ---------------------------------------------------------------------------------------- feeding

    def feed(self) -> None:
        """Give work to idle workers, and start workers for work that has none; while the gate is closed, end them."""
        if self._storage.trouble is not None:
            return
        if self._gate.why_closed is not None:
            self._end_idle(lambda stage: True, "work may not be started now")
            return
        offers, table = self._offers.gather(), self.settings.workers
        room = Room(workers=table.at_once, memory_bytes=table.memory_bytes, patience_us=int(table.patience * 1e6))
        plan = placement.plan(offers, list(self._stages), room, now_us=self._now_us())
        for stage in plan.unload:
            log.info("worker %d: %s ends, to make room", stage.worker.number, stage.processor)
            stage.worker.end(self._monotonic())
        for offer in plan.run:
            self._start_batch(offer.stage, offer.jobs)
        for stage in plan.load:
            self._start_worker(stage)

    def _start_worker(self, stage: Stage) -> None:
        try:
            stage.worker = self._workers.spawn(stage.processor, stage.options)
        except OSError as error:
            if error.errno in _MACHINE_IS_SHORT:
                self._storage.note(error, can_take=True)
            else:
                self._stages.park(stage, f"The worker for {stage.processor} could not be started: {error}.")

    def _start_batch(self, stage: Stage, jobs: Sequence[Job]) -> None:
        worker, loaded = stage.worker, stage.worker.loaded
        started = self._store.start(
            jobs,
            processor=stage.processor,
            worker_pid=worker.pid,
            engine=loaded.engine,
            model=loaded.model,
            device=loaded.device,
        )
        works, given = [], {}
        for job in started:
            try:
                works.append(self._prepare(job))
            except OriginalGone as error:
                self._publishing.give_up(job, FailureKind.ERROR, f"The file was removed from inbox/.taken: {error}.")
            except (OSError, StorageError) as error:
                log.warning("%s %s: %s", job.id[:8], job.path, error, extra=about(job))
                self._storage.note(error, can_take=True)
                self._requeue(job, outcome=FailureKind.UNAVAILABLE, detail=str(error))
            except InboxdError:
                raise
            except Exception as error:  # error boundary: one job
                log.error("%s %s: internal error", job.id[:8], job.path, exc_info=error, extra=about(job))
                self._publishing.give_up(job, FailureKind.ERROR, INTERNAL_ERROR)
            else:
                given[job.id] = job
                self._running[job.id] = replace(self._stages.assign_job(job), stage=stage)
        if works:
            worker.give(given, works, self._monotonic())

    def _prepare(self, job: Job) -> dict:
        original = self._folders.original(job.id)
        log.info("%s %s: %s, attempt %d", job.id[:8], job.path, job.recipe, job.attempt, extra=about(job))
        return protocol.work_to_wire(
            contract.Work(
                job=job.id,
                attempt=job.attempt,
                source=original.path,
                kind=job.kind,
                media_type=job.media_type,
                outputs=self._folders.outbox.prepare_attempt(job),
                stem=result_stem(job.name),
                recipe=job.recipe or "",
                options=self._stages.assign_job(job).recipe_options,
                sidecars=original.sidecars,
                kept=self._folders.checkpoints / job.id,
            )
        )

    # ---------------------------------------------------------------------------------------- outcomes

    def hear(self, said: WorkerSaid) -> None:
        """Apply a worker's message. One that comes too late (its worker was given up) is thrown away."""
        worker = self._workers.get(said.worker)
        if worker is None:
            return
        worker.last_sign = self._monotonic()
        match said.message:
            case protocol.WorkerLoaded() as loaded:
                self._loaded(worker, loaded)
            case protocol.LoadFailed() as failed:
                self._load_failed(worker, failed)
            case contract.WorkProgress() as progress:
                if progress.job is None or progress.job in worker.jobs:
                    self.progress[progress.job or f" {worker.processor}"] = progress
            case protocol.WorkFinished() as finished:
                self._finished(worker, finished)
            case protocol.WorkFailed() as failed:
                self._failed(worker, failed)
            case protocol.BatchDone():
                self._batch_done(worker)

    def _loaded(self, worker: Worker, loaded: protocol.WorkerLoaded) -> None:
        log.info(
            "worker %d: %s has loaded %s (%s, %s) in %.1f s",
            *(worker.number, worker.processor, loaded.model, loaded.engine, loaded.device, loaded.seconds),
        )
        self.progress.pop(f" {worker.processor}", None)
        worker.loaded = loaded
        if worker.state is WorkerState.LOADING:
            worker.state = WorkerState.IDLE
        stage = self._stages.of(worker)
        stage.idle_since, stage.parked_times = self._monotonic(), 0
        if stage.is_retired:
            worker.end(self._monotonic())

    def _load_failed(self, worker: Worker, failed: protocol.LoadFailed) -> None:
        worker.state = WorkerState.ENDING
        self._stages.park(self._stages.of(worker), failed.message)

    def _finished(self, worker: Worker, finished: protocol.WorkFinished) -> None:
        job = self._answered(worker, finished.job, finished.attempt)
        if job is None:
            return
        assignment = self._running.pop(job.id)
        if self._is_cancelled(job):  # it was told so, and this was on its way already
            self._publishing.cancel(job)
            return
        stage = assignment.stage
        stage.storage_failures = 0

        def on_give_up(error: Exception) -> None:
            self._settle_failure(job, stage, FailureKind.ERROR, f"Cannot publish the result: {error}.")

        try:
            told = {
                "options": assignment.shown_options,
                "origins": self._stages.origins(job, assignment.recipe_options),
                "processor_options": assignment.processor_options,
                "note": assignment.note,
            }
            self._publishing.publish_result(job, finished, told, on_give_up=on_give_up)
        except StartOver:
            raise
        except Exception as error:  # one of the three borders: one job
            log.exception("%s %s: the result could not be published", job.id[:8], job.path, extra=about(job))
            on_give_up(error)

    def _failed(self, worker: Worker, failed: protocol.WorkFailed) -> None:
        job = self._answered(worker, failed.job, failed.attempt)
        if job is None:
            return
        self._running.pop(job.id)
        if self._is_cancelled(job):
            self._publishing.cancel(job)
            return
        if failed.trace:
            log.warning("%s %s: %s\n%s", job.id[:8], job.path, failed.message, failed.trace, extra=about(job))
        failure, message = FailureKind(failed.kind), failed.message
        if why := self._why_out_of_reach(job):  # then what the processor says of the file is no verdict
            failure, message = FailureKind.STORAGE, why
        stage = self._stages.of(worker)
        may_use_cpu = stage.options.cpu_fallback and worker.loaded.device.startswith("cuda")
        is_its_own = failed.is_its_own and failure is FailureKind.ERROR
        batch_size = 1 if is_its_own else worker.batch_size
        self._settle_failure(job, stage, failure, message, batch_size=batch_size, may_use_cpu=may_use_cpu)

    def _why_out_of_reach(self, job: Job) -> str | None:
        """Why the original could not be read just now, though nobody removed it: its folder is away, its disk fails."""
        try:
            self._folders.original(job.id)
        except OriginalGone:
            return None
        except (OSError, StorageError) as error:
            return str(error)
        return None

    def _answered(self, worker: Worker, job_id: str, attempt: int) -> Job | None:
        job = worker.jobs.get(job_id)
        self.progress.pop(job_id, None)
        if job is None or job.attempt != attempt:
            log.warning("worker %d answered for job %s, which it does not have", worker.number, job_id)
            return None
        return worker.jobs.pop(job_id)

    def _batch_done(self, worker: Worker) -> None:
        worker.batches = max(0, worker.batches - 1)
        if worker.state is not WorkerState.BUSY or worker.batches:
            return
        stage = self._stages.of(worker)
        for job in list(worker.jobs.values()):  # our worker answers for every job; another `python` may hold an older
            worker.jobs.pop(job.id)
            self._running.pop(job.id)
            self._settle_failure(job, stage, FailureKind.ERROR, f"The processor {worker.processor} gave no answer.")
        worker.state = WorkerState.IDLE
        stage.idle_since = self._monotonic()
        if stage.is_retired:
            worker.end(self._monotonic())

    def _settle_failure(
        self,
        job: Job,
        stage: Stage,
        failure: FailureKind,
        message: str,
        *,
        batch_size: int = 1,
        may_use_cpu: bool = False,
    ) -> None:
        """Do with a failed attempt what `retry` decides."""
        if failure is FailureKind.STORAGE:
            stage.storage_failures += 1
            self._storage.note(StorageError(message), can_take=True)
            if stage.storage_failures > _STORAGE_FAILURES:  # in a row, and yet the daemon itself can write
                failure = FailureKind.ERROR
        elif failure is FailureKind.OUT_OF_MEMORY:
            stage.batch_limit = max(1, min(stage.batch_limit, batch_size // 2))
            if stage.worker is not None:  # a fresh one: what the batch holds of the memory is truly given back
                stage.worker.end(self._monotonic())
        rules = self.settings.retry
        decision = retry.decide(
            job,
            failure,
            batch_size=batch_size,
            attempts=rules.attempts,
            backoff=rules.backoff,
            backoff_max=rules.backoff_max,
            may_use_cpu=may_use_cpu,
        )
        match decision:
            case retry.GiveUp():
                self._publishing.give_up(replace(job, charged=job.charged + 1), failure, message)
            case retry.Park():
                self._requeue(job, outcome=failure, detail=message, waiting_for=message)
                self._stages.park(stage, message)
            case retry.Again() as again:
                log.warning(
                    "%s %s: attempt %d: %s: %s; again in %g s%s",
                    *(job.id[:8], job.path, job.attempt, failure, message, again.after_seconds),
                    ", on the CPU" if again.on_cpu else "",
                    extra=about(job),
                )
                self._requeue(
                    job,
                    outcome=failure,
                    detail=message,
                    charged=job.charged + again.charged,
                    alone=again.alone,
                    overrides=job.moved_to_cpu() if again.on_cpu else job.overrides,
                    interruptions=0,
                    run_at=self._now_us() + int(again.after_seconds * 1e6),
                )

    def _requeue(self, job: Job, **changes: Any) -> None:
        """running -> queued, as soon as the job log can be written."""
        step = functools.partial(self._store.requeue, job, **changes)
        self._storage.run(f"queueing of {job.path} ({job.id[:8]})", step)

    def bury(self, ended: WorkerEnded) -> None:
        """A worker's process is gone: settle the jobs it still had."""
        worker = self._workers.forget(ended.worker)
        if worker is None:
            return
        stage = self._stages.of(worker)
        self.progress.pop(f" {worker.processor}", None)
        if worker.loaded is None and worker.state is not WorkerState.ENDING:
            self._stages.park(stage, f"{worker.processor} could not be loaded. {describe_end(ended)}")
        failure, message = worker.why_killed or ended.why, describe_end(ended)
        if failure is FailureKind.TIMEOUT:
            message = f"There was no progress for {worker.timeout:g} seconds, so the worker was ended."
        is_interrupted = ended.worker in self._interrupted
        is_asked = worker.why_killed is None and (is_interrupted or worker.state is WorkerState.ENDING)
        self._workers.ends[worker.processor, "asked" if is_asked else str(failure)] += 1
        self._interrupted.discard(ended.worker)
        for job in worker.jobs.values():
            self._running.pop(job.id, None)
            self.progress.pop(job.id, None)
            if self._is_cancelled(job):
                self._publishing.cancel(job)
            elif is_interrupted:
                self._requeue(job, outcome="interrupted", detail="its batch's worker was ended")
            else:
                self._settle_failure(job, stage, failure, message, batch_size=worker.batch_size)
        stage.worker = None
        self._stages.forget_retired()
        log.info("worker %d: %s has ended", worker.number, worker.processor)

    # ---------------------------------------------------------------------------------------- parking

    def probe(self, *, at_once: bool = False) -> None:
        """Look again at what parked jobs wait for; `at_once`: whatever the pause."""
        self._stages.forget_assignments()
        self._stages.unpark(at_once=at_once)
        for job in self._store.waiting():
            assignment = self._stages.assign_job(job)
            if isinstance(assignment, Assignment) and not assignment.stage.is_parked:
                self._store.park([job.id], None)
            elif isinstance(assignment, contract.Missing) and assignment.why != job.waiting_for:
                self._store.reassign(job, waiting_for=assignment.why)

    # ---------------------------------------------------------------------------------------- commands

    def end_idle_workers(self) -> None:
        """End the workers that had nothing to do for their processor's `keep_alive`: their memory is truly freed."""
        now = self._monotonic()
        self._end_idle(lambda stage: now - stage.idle_since >= stage.options.keep_alive, "it had nothing to do")

    def _end_idle(self, which: Callable[[Stage], bool], why: str) -> None:
        for stage in self._stages:
            if stage.is_idle and which(stage):
                log.info("worker %d: %s ends, as %s", stage.worker.number, stage.processor, why)
                stage.worker.end(self._monotonic())

    def cancel(self, job: Job) -> bool:
        """Cancel an unfinished job; its original goes to outbox/failed. False: delayed until a disk permits it."""
        step = functools.partial(self._cancel, job.id)
        return self._storage.run(f"cancellation of {job.path} ({job.id[:8]})", step)

    def _cancel(self, job_id: str) -> None:
        """Cancel the job in its current state: it may have started or ended while the step waited."""
        job = self._store.get(job_id)
        if job is not None and job.state is JobState.QUEUED:
            self._publishing.cancel_now(job, functools.partial(self.cancel, job))
        if job is None or job.state is not JobState.RUNNING:
            return
        for worker in self._workers:
            if job.id in worker.jobs:
                self._cancelled.add(job.id)
                self._interrupted.add(worker.number)
                worker.kill()

    def _is_cancelled(self, job: Job) -> bool:
        """Was it cancelled while it ran? True once."""
        if job.id not in self._cancelled:
            return False
        self._cancelled.discard(job.id)
        return True

    def put_back_running(self) -> None:
        """Kill the workers, as the daemon ends or is paused; their jobs are queued again, uncharged."""
        jobs = []
        for worker in self._workers:
            worker.state = WorkerState.ENDING
            worker.kill()
            jobs += worker.jobs.values()
            worker.jobs.clear()
        for job in jobs:
            self._running.pop(job.id, None)
            self.progress.pop(job.id, None)
            log.info("%s %s: put back into the queue", job.id[:8], job.path, extra=about(job))
            self._requeue(job, outcome="interrupted", detail="the daemon was stopped or paused")

    @property
    def has_more(self) -> bool:
        """Are there jobs that another `feed` would deal with at once?"""
        return self._offers.has_more

    @property
    def is_busy(self) -> bool:
        return any(worker.jobs for worker in self._workers)

    @property
    def parked(self) -> dict[str, str]:
        """The processors that cannot work now, and what they wait for."""
        return {stage.processor: stage.parked_for for stage in self._stages if stage.is_parked}
