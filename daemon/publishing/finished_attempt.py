"""The outcome of a job from its worker, until it is published."""

from collections.abc import Callable
from dataclasses import dataclass

from daemon.core.job import Job
from daemon.publishing.result_documents import MadeBy
from daemon.queue.changes import ResultFacts
from processors import protocol

_EXCERPT_CHARS = 500


@dataclass(frozen=True, kw_only=True)
class FinishedAttempt:
    """The result of an attempt.

    made_by: how it was made, for result.json.
    run_seconds: since the attempt started; 0 if no worker made the result.
    on_give_up: called if the result cannot be staged although the disks are writable.
    """

    job: Job
    finished: protocol.WorkFinished
    made_by: MadeBy
    run_seconds: float = 0.0
    on_give_up: Callable[[Exception], None]

    @property
    def facts(self) -> ResultFacts:
        """The columns of the job that describe the result."""
        return ResultFacts(
            excerpt=self.finished.excerpt[:_EXCERPT_CHARS],
            review=tuple(self.finished.review),
            pages=self.finished.pages,
            media_seconds=self.finished.media_seconds,
            error=None,
            error_kind=None,
            interruptions=0,
        )
