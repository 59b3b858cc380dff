"""Applies what workers report to their jobs: loaded, progress, finished, failed, exited.

`failed_attempts` decides how a failed job goes on; `publishing` carries a result or a failure into the outbox.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from daemon.core.clock import Clock
from daemon.core.errors import StartOver, StorageError
from daemon.core.job import Job
from daemon.core.journald import about
from daemon.core.messages import WorkerExited, WorkerMessage
from daemon.files.folders import Folders
from daemon.files.taken import OriginalGone
from daemon.publishing.finished_attempt import FinishedAttempt
from daemon.publishing.publisher import Publisher
from daemon.publishing.result_documents import MadeBy
from daemon.scheduling.attempts import Attempts
from daemon.scheduling.failed_attempts import FailedAttempts
from daemon.scheduling.pool import Slot
from daemon.scheduling.pools import Pools
from daemon.scheduling.progress import ProgressBoard
from daemon.workers.supervisor import Worker, Workers, WorkerState, describe_exit
from processors import contract, protocol
from processors.contract import FailureKind

log = logging.getLogger(__name__)


class Outcomes:
    """Called by the main thread only."""

    def __init__(
        self,
        failed_attempts: FailedAttempts,
        folders: Folders,
        workers: Workers,
        publishing: Publisher,
        pools: Pools,
        attempts: Attempts,
        progress: ProgressBoard,
        clock: Clock,
    ):
        self._failed_attempts = failed_attempts
        self._folders = folders
        self._workers = workers
        self._publishing = publishing
        self._pools = pools
        self._attempts = attempts
        self._progress = progress
        self._clock = clock

    # ---------------------------------------------------------------------------------------- messages

    def on_message(self, received: WorkerMessage) -> None:
        """Apply a worker's message. One that arrives after the worker's exit is discarded."""
        worker = self._workers.get(received.worker)
        if worker is None:
            return
        worker.last_message = self._clock.monotonic()
        match received.message:
            case protocol.WorkerLoaded() as loaded:
                self._on_loaded(worker, loaded)
            case protocol.LoadFailed() as failed:
                self._on_load_failed(worker, failed)
            case contract.WorkProgress() as progress:
                if progress.job is None or progress.job in worker.jobs:
                    self._progress.report(worker.number, progress)
            case protocol.WorkFinished():
                self.publish([result] if (result := self.accept(received)) else [])
            case protocol.WorkFailed() as failed:
                self._on_failed(worker, failed)
            case protocol.BatchDone():
                self._on_batch_done(worker)

    def _on_loaded(self, worker: Worker, loaded: protocol.WorkerLoaded) -> None:
        device = worker.seat.describe(loaded.device)
        log.info(
            "worker %d: %s has loaded %s in %.1f s",
            *(worker.number, worker.processor, what_loaded(loaded, device), loaded.seconds),
        )
        self._progress.end_loading(worker.number)
        worker.loaded = replace(loaded, device=device)
        slot = self._pools.slot_of(worker)
        slot.parked_times = 0
        slot.pool.pace.load = self._clock.monotonic() - worker.started
        if worker.seat.has_own_gpu and loaded.device.startswith("cpu"):
            log.warning("%s computes on the CPU, although it may use %s", worker.processor, worker.seat.device)
            slot.pool.may_spread = False
        if worker.state is WorkerState.LOADING:
            worker.state = WorkerState.IDLE
        self._begin_idling(worker, slot)

    def _begin_idling(self, worker: Worker, slot: Slot) -> None:
        slot.idle_since = self._clock.monotonic()
        if slot.pool.is_retired:
            worker.end(self._clock.monotonic())

    def _on_load_failed(self, worker: Worker, failed: protocol.LoadFailed) -> None:
        worker.state = WorkerState.ENDING
        self._pools.park(self._pools.slot_of(worker), failed.message)

    def accept(self, received: WorkerMessage) -> FinishedAttempt | None:
        """Remove the job of a `WorkFinished` from its worker, and return its result for `publish`; None: the result
        cannot be used."""
        worker, finished = self._workers.get(received.worker), received.message
        assert isinstance(finished, protocol.WorkFinished)
        if worker is None:
            return None
        worker.last_message = self._clock.monotonic()
        job = self._take_job(worker, finished.job, finished.attempt)
        if job is None:
            return None
        attempt = self._attempts.end(job.id)
        assert attempt is not None  # each job of a worker has one
        assignment, slot = attempt.assignment, attempt.slot
        if self._attempts.take_cancelled(job.id):  # the worker had already sent the result
            self._publishing.cancel(job)
            return None
        slot.storage_failures = 0

        def give_up(error: Exception) -> None:
            self._failed_attempts.settle(job, slot, FailureKind.ERROR, f"Cannot publish the result: {error}.")

        try:
            origins = self._pools.origins(job, assignment.recipe_options)
            made_by = MadeBy(
                options=assignment.shown_options(origins),
                origins=origins,
                processor_options=assignment.processor_options,
                note=assignment.note,
            )
        except Exception as error:  # error boundary: one job
            self._cannot_publish(job, error, give_up)
            return None
        assert job.started_at is not None  # it was running
        seconds = (self._clock.now_us() - job.started_at) / 1e6
        return FinishedAttempt(
            job=job, finished=finished, made_by=made_by, run_seconds=max(0.0, seconds), on_give_up=give_up
        )

    def publish(self, results: Sequence[FinishedAttempt]) -> None:
        """Publish accepted results."""
        for result in self._publishing.publish_results(results):
            try:
                self._publishing.publish_result(result)
            except StartOver:
                raise
            except Exception as error:  # error boundary: one job
                self._cannot_publish(result.job, error, result.on_give_up)

    def _cannot_publish(self, job: Job, error: Exception, give_up: Callable[[Exception], None]) -> None:
        log.error("%s %s: cannot publish the result", job.id[:8], job.path, exc_info=error, extra=about(job))
        give_up(error)

    def _on_failed(self, worker: Worker, failed: protocol.WorkFailed) -> None:
        job = self._take_job(worker, failed.job, failed.attempt)
        if job is None:
            return
        self._attempts.end(job.id)
        if self._attempts.take_cancelled(job.id):
            self._publishing.cancel(job)
            return
        if failed.trace:
            log.warning("%s %s: %s\n%s", job.id[:8], job.path, failed.message, failed.trace, extra=about(job))
        failure, message = FailureKind(failed.kind), failed.message
        if why := self._why_unreadable(job):  # then what the processor reports about the file does not count
            failure, message = FailureKind.STORAGE, why
        slot = self._pools.slot_of(worker)
        is_on_gpu = worker.loaded is not None and worker.seat.is_on_gpu(worker.loaded.device)
        may_use_cpu = slot.pool.options.cpu_fallback and is_on_gpu
        is_its_own = failed.is_its_own and failure is FailureKind.ERROR
        batch_size = 1 if is_its_own else worker.batch_size
        self._failed_attempts.settle(job, slot, failure, message, batch_size=batch_size, may_use_cpu=may_use_cpu)

    def _why_unreadable(self, job: Job) -> str | None:
        """The reason why an original that nobody removed cannot be read now: an absent folder, a failing disk."""
        try:
            self._folders.original(job.id, job.path)
        except OriginalGone:
            return None
        except (OSError, StorageError) as error:
            return str(error)
        return None

    def _take_job(self, worker: Worker, job_id: str, attempt: int) -> Job | None:
        """Remove a job from its worker, which has reported its outcome. None: the worker does not have it."""
        job = worker.jobs.get(job_id)
        self._progress.end_job(worker.number, job_id)
        if job is None or job.attempt != attempt:
            log.warning("worker %d reported an outcome of job %s, which it does not have", worker.number, job_id)
            return None
        now = self._clock.monotonic()
        self._pools.slot_of(worker).pool.pace.note_job(now - worker.last_outcome)
        worker.last_outcome = now
        return worker.jobs.pop(job_id)

    def _on_batch_done(self, worker: Worker) -> None:
        worker.batches = max(0, worker.batches - 1)
        if worker.state is not WorkerState.BUSY or worker.batches:
            return
        slot = self._pools.slot_of(worker)
        for job in list(worker.jobs.values()):  # our worker reports every job; another `python` may run an older one
            worker.jobs.pop(job.id)
            self._progress.end_job(worker.number, job.id)
            self._attempts.end(job.id)
            if self._attempts.take_cancelled(job.id):
                self._publishing.cancel(job)
                continue
            message = f"The processor {worker.processor} reported no outcome."
            self._failed_attempts.settle(job, slot, FailureKind.ERROR, message)
        worker.state = WorkerState.IDLE
        self._begin_idling(worker, slot)

    # ---------------------------------------------------------------------------------------- exits

    def on_worker_exit(self, exited: WorkerExited) -> None:
        """Settle the jobs that a worker still had when its process exited."""
        worker = self._workers.forget(exited.worker)
        if worker is None:
            return
        slot = self._pools.slot_of(worker)
        self._progress.end_worker(worker.number)
        if worker.loaded is None and worker.state is not WorkerState.ENDING:
            self._pools.park(slot, f"{worker.processor} could not be loaded. {describe_exit(exited)}")
        failure, message = worker.why_killed or exited.why, describe_exit(exited)
        if failure is FailureKind.CRASHED and worker.seat.remote is not None:
            failure = FailureKind.UNAVAILABLE  # it was the near half, which runs no code of a processor
        if failure is FailureKind.TIMEOUT:
            message = f"There was no progress for {worker.timeout:g} seconds, so inboxd killed the worker."
        was_interrupted = self._attempts.take_interrupted(worker.number)
        was_asked = worker.why_killed is None and (was_interrupted or worker.state is WorkerState.ENDING)
        self._workers.ends[worker.processor, "asked" if was_asked else str(failure)] += 1
        for job in worker.jobs.values():
            self._attempts.end(job.id)
            if self._attempts.take_cancelled(job.id):
                self._publishing.cancel(job)
            elif was_interrupted:
                self._attempts.requeue(job, outcome="interrupted", detail="the worker of its batch was killed")
            else:
                self._failed_attempts.settle(job, slot, failure, message, batch_size=worker.batch_size)
        slot.worker = None
        self._pools.forget_retired()
        log.info("worker %d: %s has exited", worker.number, worker.processor)


def what_loaded(loaded: protocol.WorkerLoaded, device: str) -> str:
    """What a worker has loaded: "turbo (openai-whisper, cpu)", or without a model "kreuzberg (cpu)"."""
    return f"{loaded.engine} ({device})" if loaded.model == "none" else f"{loaded.model} ({loaded.engine}, {device})"
