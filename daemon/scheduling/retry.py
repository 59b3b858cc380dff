"""Decides what to do after a failed attempt; `outcomes` carries it out. Pure."""

from dataclasses import dataclass

from daemon.core.job import Job
from processors.contract import FailureKind

MAX_INTERRUPTIONS = 5  # a job that was running at this many crashes in a row is given up, because it may be their cause


@dataclass(frozen=True, kw_only=True)
class Again:
    """Queue the job again."""

    after_seconds: float = 0.0
    charged: bool = True  # whether the attempt counts toward the limit
    alone: bool = False  # in a batch of its own from now on
    on_cpu: bool = False  # from now on


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """Publish the original below outbox/failed, with the reason."""


@dataclass(frozen=True, kw_only=True)
class Park:
    """Keep the job queued, uncharged, and start nothing of its pool until a probe succeeds."""


Decision = Again | GiveUp | Park


def is_last_attempt(job: Job, attempts: int) -> bool:
    """True if a charged failure of the attempt that starts would be the last. attempts: of `[retry]`."""
    return job.charged + 1 >= attempts


def decide(
    job: Job,
    failure: FailureKind,
    *,
    batch_size: int,
    attempts: int,
    backoff: float,
    backoff_max: float,
    may_use_cpu: bool = False,
    has_first_result: bool = False,
) -> Decision:
    """Decide what to do with `job` after `failure` in a batch of `batch_size` jobs.

    attempts, backoff, backoff_max: `[retry]` of config.toml; seconds. may_use_cpu: it ran out of the memory of a
    GPU, and the CPU may do it instead. has_first_result: its worker died while a recipe in `then` ran; one more
    attempt publishes the first result.
    """
    attempts = max(attempts, 2) if has_first_result and failure is not FailureKind.BAD_INPUT else attempts
    match failure:
        case FailureKind.BAD_INPUT:
            return GiveUp()
        case FailureKind.UNAVAILABLE:
            return Park()
        case FailureKind.STORAGE:
            return Again(charged=False, alone=job.alone)  # nothing starts until the disks are writable
        case FailureKind.OUT_OF_MEMORY if batch_size > 1:
            return Again(charged=False)  # the pool makes its batches smaller
        case FailureKind.OUT_OF_MEMORY if may_use_cpu:  # once more alone, in a fresh worker; then on the CPU
            return Again(charged=False, alone=True, on_cpu=job.alone)
        case FailureKind.CRASHED | FailureKind.TIMEOUT | FailureKind.ERROR if batch_size > 1:
            return Again(charged=False, alone=True)  # one by one, to find the cause: it may be another job
    charged = job.charged + 1
    if charged >= attempts:
        return GiveUp()
    return Again(after_seconds=min(backoff * 2 ** (charged - 1), backoff_max), alone=job.alone)


def is_quarantined(job: Job) -> bool:
    """True if this job was running at too many crashes of the daemon in a row to be retried."""
    return job.interruptions >= MAX_INTERRUPTIONS
