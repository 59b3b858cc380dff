"""What could be handed to the workers next: queued jobs by stage. Jobs that cannot be worked on, or need not be, are
settled on the way: parked, given up, or given an earlier result.

What of it is done now is `scheduling`'s to say.
"""

import logging
from collections.abc import Callable, Sequence

from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.core.job import Job
from daemon.core.journald import about
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.scheduling import placement
from daemon.scheduling.duplicates import Duplicates
from daemon.scheduling.placement import Offer, rank
from daemon.scheduling.pools import Assignment, Stage, Stages
from daemon.workers.supervisor import WorkerState
from processors import contract
from processors.contract import FailureKind

INTERNAL_ERROR = "Internal error in inboxd: its log has the details. Please report it."
_MOST_TO_PARK = 1000  # jobs at once

log = logging.getLogger(__name__)


class Offers:
    """Called by the main thread only."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        stages: Stages,
        duplicates: Duplicates,
        publishing: Publisher,
        *,
        now_us: Callable[[], int],
    ):
        self._settings = settings
        self._store = store
        self._stages = stages
        self._duplicates = duplicates
        self._publishing = publishing
        self._now_us = now_us
        self.has_more = False  # jobs that another `gather` would deal with at once

    def use(self, settings: Settings) -> None:
        """Go by other settings from now on."""
        self._settings = self._duplicates.settings = settings

    def gather(self) -> list[Offer]:
        """For each stage that is not parked: the jobs of its next batch, or those that could join its worker's."""
        self.has_more = False
        by_stage: dict[int, tuple[Stage, list[Job]]] = {}
        for recipe in self._store.queued_recipes():
            parked: dict[str, list[Job]] = {}  # by what they wait for
            for job in self._first_of(recipe):
                try:
                    self._sort(job, by_stage, parked)
                except (OSError, InboxdError):
                    raise
                except Exception as error:  # error boundary: one job
                    log.error("%s %s: internal error", job.id[:8], job.path, exc_info=error, extra=about(job))
                    self._set_aside(job)
            for why, jobs in parked.items():
                self._park(jobs, why)
        batches = [(stage, self._batch(stage, sorted(jobs, key=rank))) for stage, jobs in by_stage.values()]
        return [Offer(stage=stage, jobs=batch) for stage, batch in batches if batch]

    def _sort(self, job: Job, by_stage: dict[int, tuple[Stage, list[Job]]], parked: dict[str, list[Job]]) -> None:
        """Add a queued job to those of its stage or to those that are `parked`, by what they wait for; or settle it."""
        if self._publishing.is_busy_with(job.id):
            return
        if job.recipe is None:
            self._publishing.give_up(job, FailureKind.BAD_INPUT, _why_unsupported(job))
            return
        own = self._stages.assign_job(job)
        if isinstance(own, contract.Missing):
            parked.setdefault(own.why, []).append(job)
        elif own.stage.is_parked:
            parked.setdefault(own.stage.parked_for, []).append(job)
        elif self._duplicates.settles(job, own):
            self.has_more = True  # those behind it may be, too
        elif self._duplicates.may_start(job):
            stage = self._lane(own.stage, job)
            by_stage.setdefault(id(stage), (stage, []))[1].append(job)

    def _set_aside(self, job: Job) -> None:
        """Give a job up after an internal error; if even that fails, park it, so that others can start."""
        try:
            self._publishing.give_up(job, FailureKind.ERROR, INTERNAL_ERROR)
        except (OSError, InboxdError):
            raise
        except Exception as error:  # error boundary: one job
            log.error("%s %s: it cannot be given up", job.id[:8], job.path, exc_info=error, extra=about(job))
            self._park([job], INTERNAL_ERROR)

    def _first_of(self, recipe: str | None) -> list[Job]:
        """The first jobs of a recipe, as many as could start; with the smallest, where only a small one could."""
        assignment, now = self._stages.assign(recipe), self._now_us()
        if not isinstance(assignment, Assignment):
            return self._store.queued(recipe, now=now, limit=_MOST_TO_PARK)
        stage = assignment.stage
        first = self._store.queued(recipe, now=now, limit=stage.batch_limit)
        if stage.may_be_joined and len(stage.worker.jobs) == stage.batch_limit - 1:
            smallest = self._store.smallest_queued(recipe, now=now)
            first += [smallest] if smallest and smallest not in first else []
        return first

    def _lane(self, stage: Stage, job: Job) -> Stage:
        """The stage for a job that may start now: of its recipe, or where that is busy the one for short jobs."""
        is_busy = stage.worker is not None and stage.worker.state is WorkerState.BUSY
        if is_busy and job.size_bytes <= self._settings.workers.short_bytes and not self._batch(stage, [job]):
            return self._stages.lane(stage)
        return stage

    def _batch(self, stage: Stage, jobs: Sequence[Job]) -> list[Job]:
        """Those of `jobs` that the stage's worker could be handed next."""
        worker, patience_us = stage.worker, int(self._settings.workers.patience * 1e6)
        if worker is None or worker.state is not WorkerState.BUSY:
            may_be_joined = worker is not None and worker.loaded is not None and worker.loaded.joins
            return placement.batch(jobs, stage.batch_limit, may_be_joined=may_be_joined)
        is_to_end = any(job.alone and placement.is_overdue(job, patience_us, self._now_us()) for job in jobs)
        if is_to_end or not worker.may_be_joined:
            return []
        return placement.batch(jobs, stage.batch_limit, held=worker.jobs.values(), may_be_joined=True)

    def _park(self, jobs: list[Job], why: str) -> None:
        for job in jobs:
            log.warning("%s %s waits: %s", job.id[:8], job.path, why, extra=about(job))
        self._store.park([job.id for job in jobs], why)


def _why_unsupported(job: Job) -> str:
    if job.size_bytes == 0:
        return "The file is empty (0 bytes). Drop it again once it has content."
    if job.kind is None:
        return "This is no image, PDF, audio, video or text file that inboxd knows, or it is damaged at its beginning."
    table = f'[inbox.folders."{job.folder}"]' if job.folder else "[inbox]"
    return (
        f"This is {job.kind} ({job.media_type}), and no recipe is bound to {job.kind} in this folder. "
        f'To have such files processed, bind one in config.toml: {table} {job.kind} = "RECIPE".'
    )
