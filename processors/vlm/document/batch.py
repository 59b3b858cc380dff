"""Batches of pages: those of all jobs of a batch go to the model in order, a few at a time.

At most `VlmEngine.pages_at_once` decoded pages are in memory; a job's outcome follows once its last page is answered.
"""

from collections.abc import Iterator, Sequence

from processors.contract import Outcome, Progress, Work
from processors.vlm.document.job import VlmJob
from processors.vlm.retry_ladder import RetryLadder
from processors.vlm.types import VlmEngine


class PageBatcher:
    """Answers the pages of one batch of jobs."""

    def __init__(self, engine: VlmEngine, progress: Progress):
        self._engine, self._progress = engine, progress
        self._waiting: list[tuple[VlmJob, RetryLadder]] = []

    def outcomes(self, batch: Sequence[Work]) -> Iterator[tuple[Work, Outcome | Exception]]:
        """Yield the outcome of each job as soon as it is known.

        Raises:
            OutOfMemory: a single page does not fit.
            Unavailable: the server is unavailable; answered pages are saved.
        """
        unfinished: list[VlmJob] = []
        for work in batch:
            job = VlmJob(work, self._engine.made_by, self._progress)
            unfinished.append(job)
            most = self._engine.max_pixels_of_money if work.options.is_of_money else self._engine.max_pixels
            for ladder in job.open_pages(most):
                self._waiting.append((job, ladder))
                if len(self._waiting) >= self._engine.pages_at_once:
                    self._answer_waiting()
                    yield from self._completed(unfinished)
            yield from self._completed(unfinished)
        self._answer_waiting()
        yield from self._completed(unfinished)

    def _completed(self, unfinished: list[VlmJob]) -> Iterator[tuple[Work, Outcome | Exception]]:
        """Remove the answered jobs from `unfinished` and finish them."""
        waiting = [job for job, _ in self._waiting]
        answered = [job for job in unfinished if job.is_answered and job not in waiting]
        unfinished[:] = [job for job in unfinished if job not in answered]
        for job in answered:
            while ladders := job.next_summaries():
                self._climb([(job, ladder) for ladder in ladders])
            try:
                outcome: Outcome | Exception = job.outcome()
            except Exception as error:  # error boundary: one job of a batch
                outcome = error
            yield job.work, outcome

    def _answer_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._climb(waiting)

    def _climb(self, ladders: Sequence[tuple[VlmJob, RetryLadder]]) -> None:
        """Answer all requests and their retries, until all `ladders` are done."""
        jobs = list(dict.fromkeys(job for job, _ in ladders))
        while ladders:
            requests = [request for _, ladder in ladders for request in ladder.requests]
            answers = iter(self._engine.answer(requests, lambda: self._report(jobs)))
            for job, ladder in ladders:
                ladder.add_answers([next(answers) for _ in ladder.requests])
                if ladder.is_done:
                    job.save_page(ladder.result)
            ladders = [(job, ladder) for job, ladder in ladders if not ladder.is_done]
            self._report(jobs)

    def _report(self, jobs: Sequence[VlmJob]) -> None:
        for job in jobs:
            self._progress.job(job.work, done=job.done, total=job.total, unit="pages")
