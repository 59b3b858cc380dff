"""Carries out what `retry` decides about a failed attempt: again, later, elsewhere, or not at all."""

import logging
from dataclasses import replace

from daemon.config.current import CurrentSettings
from daemon.core.clock import Clock
from daemon.core.errors import InboxdError, StorageError
from daemon.core.job import Job
from daemon.core.journald import about
from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.publishing.park_reasons import INTERNAL_ERROR
from daemon.publishing.publisher import Publisher
from daemon.scheduling import retry
from daemon.scheduling.assignment import Assignment
from daemon.scheduling.attempts import Attempts
from daemon.scheduling.pool import Slot
from daemon.scheduling.pools import Pools
from processors.contract import FailureKind
from processors.steps.saved import FIRST_RESULTS

log = logging.getLogger(__name__)

_MAX_STORAGE_FAILURES = 10  # of a slot's workers in a row, uncharged


class FailedAttempts:
    """Called by the main thread only."""

    def __init__(
        self,
        settings: CurrentSettings,
        folders: Folders,
        disk_retry: DiskRetry,
        publishing: Publisher,
        pools: Pools,
        attempts: Attempts,
        clock: Clock,
    ):
        self._settings = settings
        self._folders = folders
        self._disk_retry = disk_retry
        self._publishing = publishing
        self._pools = pools
        self._attempts = attempts
        self._clock = clock

    def settle(
        self,
        job: Job,
        slot: Slot,
        failure: FailureKind,
        message: str,
        *,
        batch_size: int = 1,
        may_use_cpu: bool = False,
    ) -> None:
        """Carry out what `retry` decides on a failed attempt. No worker has the job any more: whatever happens here, it
        must not stay `running`."""
        try:
            self._decide(job, slot, failure, message, batch_size=batch_size, may_use_cpu=may_use_cpu)
        except (OSError, StorageError) as error:
            self._disk_retry.note(error, can_take=True)
            self._attempts.requeue(job, outcome=failure, detail=message)
        except InboxdError:
            raise
        except Exception as error:  # error boundary: one job
            log.error("%s %s: internal error", job.id[:8], job.path, exc_info=error, extra=about(job))
            self._publishing.give_up(job, FailureKind.ERROR, INTERNAL_ERROR)

    def _decide(
        self, job: Job, slot: Slot, failure: FailureKind, message: str, *, batch_size: int, may_use_cpu: bool
    ) -> None:
        failure = self._note_failure(slot, failure, message, batch_size)
        rules = self._settings.value.retry
        decision = retry.decide(
            job,
            failure,
            batch_size=batch_size,
            attempts=rules.attempts,
            backoff=rules.backoff,
            backoff_max=rules.backoff_max,
            may_use_cpu=may_use_cpu,
            has_first_result=(self._folders.checkpoints / job.id / FIRST_RESULTS).is_dir(),
        )
        match decision:
            case retry.GiveUp():
                self._publishing.give_up(replace(job, charged=job.charged + 1), failure, message)
            case retry.Park():
                self._pools.park(slot, message)
                waiting_for = None if self._may_start_elsewhere(job) else message
                self._attempts.requeue(job, outcome=failure, detail=message, waiting_for=waiting_for)
            case retry.Again() as again:
                self._try_again(job, failure, message, again)

    def _may_start_elsewhere(self, job: Job) -> bool:
        """True if another slot of the job's pool is not parked."""
        assignment = self._pools.assign_job(job)
        return isinstance(assignment, Assignment) and not assignment.pool.is_parked

    def _note_failure(self, slot: Slot, failure: FailureKind, message: str, batch_size: int) -> FailureKind:
        """Apply what a failure shows about the slot and the disks to them. Return the failure to charge."""
        if failure is FailureKind.STORAGE:
            slot.storage_failures += 1
            self._disk_retry.note(StorageError(message), can_take=True)
            if slot.storage_failures > _MAX_STORAGE_FAILURES:  # in a row, although the daemon itself can write
                return FailureKind.ERROR
        elif failure is FailureKind.OUT_OF_MEMORY:
            slot.batch_limit = max(1, min(slot.batch_limit, batch_size // 2))
            if slot.worker is not None:  # replace it: only the exit returns all of its memory
                slot.worker.end(self._clock.monotonic())
        return failure

    def _try_again(self, job: Job, failure: FailureKind, message: str, again: retry.Again) -> None:
        log.warning(
            "%s %s: attempt %d: %s: %s; again in %g s%s",
            *(job.id[:8], job.path, job.attempt, failure, message, again.after_seconds),
            ", on the CPU" if again.on_cpu else "",
            extra=about(job),
        )
        self._attempts.requeue(
            job,
            outcome=failure,
            detail=message,
            charged=job.charged + again.charged,
            alone=again.alone,
            overrides=job.moved_to_cpu() if again.on_cpu else job.overrides,
            interruptions=0,
            run_at=self._clock.now_us() + int(again.after_seconds * 1e6),
        )
