"""Sends the pages of all jobs of a batch to the model, in order, while a thread decodes the next pages.

At most three times `VlmEngine.pages_at_once` decoded pages are in memory. A job ends as soon as its last page is
answered.
"""

import queue
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from processors.contract import Outcome, Progress, Work, WorkProgress
from processors.vlm.document.ahead import Ahead
from processors.vlm.document.job import VlmJob
from processors.vlm.document.layout_stage import LayoutStage
from processors.vlm.families import PIXELS_OF_REGIONS
from processors.vlm.options import AskOptions
from processors.vlm.retry_ladder import RetryLadder
from processors.vlm.types import PageAnswer, VlmEngine

_AHEAD = 2  # times `pages_at_once`: pages that are decoded before the model needs them
_HEARTBEAT_SECONDS = 1.0

Page = tuple[VlmJob, RetryLadder]
Outcomes = Iterator[tuple[Work[AskOptions], Outcome | Exception]]


class PageBatcher:
    """Answers the pages of one batch of jobs."""

    def __init__(self, engine: VlmEngine, progress: Progress, layout: LayoutStage | None = None):
        self._engine, self._progress, self._layout = engine, progress, layout
        self._reports: queue.SimpleQueue[WorkProgress] = queue.SimpleQueue()  # of the thread that decodes
        self._unfinished: list[VlmJob] = []
        self._open: list[Page] = []  # pages that were taken from the decoding thread and need further requests

    def outcomes(self, batch: Sequence[Work[AskOptions]]) -> Outcomes:
        """Yield the outcome of each job as soon as it is known.

        Raises:
            OutOfMemory: a single page does not fit into memory.
            Unavailable: the server is unavailable; answered pages are saved.
        """
        progress = Progress(self._reports.put)
        self._unfinished = [self._job(work, progress) for work in batch]
        ahead = Ahead(self._pages(list(self._unfinished)), _AHEAD * self._engine.pages_at_once)
        try:
            yield from self._as_they_come(ahead) if self._engine.is_concurrent else self._in_batches(ahead)
        finally:
            ahead.close()

    def _job(self, work: Work[AskOptions], progress: Progress) -> VlmJob:
        layout = self._layout if work.options.task == "read" else None
        made_by = {**self._engine.made_by, **({"layout": layout.name} if layout else {})}
        return VlmJob(work, made_by, progress, self._engine.family, layout)

    def _pages(self, jobs: Sequence[VlmJob]) -> Generator[Page, None, None]:
        """Yield the pages of all jobs. Runs in the decoding thread."""
        for job in jobs:
            is_of_money = job.work.options.is_of_money
            most = self._engine.max_pixels_of_money if is_of_money else self._engine.max_pixels
            if self._layout and job.work.options.task == "read":
                most = PIXELS_OF_REGIONS
            for ladder in job.open_pages(most):
                yield job, ladder

    # ------------------------------------------------------------------------------------------ one batch at a time

    def _in_batches(self, ahead: Ahead[Page]) -> Outcomes:
        """Answer the pages in batches. Pages that need a retry share a batch with the next pages."""
        while self._take(ahead, wait=True):
            self._climb(self._open)
            yield from self._completed()
        yield from self._completed()

    def _take(self, ahead: Ahead[Page], *, wait: bool) -> list[Page]:
        """Open further pages, up to `pages_at_once` in all; return the new ones, or all if `wait`."""
        taken = ahead.take(max(0, self._engine.pages_at_once - len(self._open)), wait=wait)
        self._open += taken
        self._report()
        return self._open if wait else taken

    def _climb(self, pages: Sequence[Page]) -> None:
        """Answer the next requests of all `pages`, once."""
        requests = [request for _, ladder in pages for request in ladder.requests]
        answers = iter(self._engine.answer(requests, self._report))
        for job, ladder in pages:
            self._add((job, ladder), [next(answers) for _ in ladder.requests])

    # ------------------------------------------------------------------------------------------ one by one

    def _as_they_come(self, ahead: Ahead[Page]) -> Outcomes:
        """Send the next request as soon as one is answered, because a server forms its own batches."""
        wake: queue.SimpleQueue[Future[list[PageAnswer]] | None] = queue.SimpleQueue()
        ahead.call_when_ready(lambda: wake.put(None))
        asked: dict[Future[list[PageAnswer]], Page] = {}

        def ask(page: Page) -> None:
            future = threads.submit(self._answer_alone, page[1])
            asked[future] = page
            future.add_done_callback(wake.put)

        with ThreadPoolExecutor(self._engine.pages_at_once, thread_name_prefix="page") as threads:
            try:
                while True:
                    for page in self._take(ahead, wait=False):
                        ask(page)
                    yield from self._completed()
                    if not asked and ahead.is_empty:
                        break
                    if (done := self._next(wake, is_asking=bool(asked))) is not None:
                        page = asked.pop(done)
                        if not self._add(page, done.result()):
                            ask(page)
            except BaseException:
                self._rescue(asked)
                raise
        yield from self._completed()

    def _answer_alone(self, ladder: RetryLadder) -> list[PageAnswer]:
        """The answers to the next requests about one page. Runs in a thread."""
        return [self._engine.answer_one(request) for request in ladder.requests]

    def _next(
        self, wake: "queue.SimpleQueue[Future[list[PageAnswer]] | None]", *, is_asking: bool
    ) -> "Future[list[PageAnswer]] | None":
        """Wait until a request is answered, or until a page is decoded (None).

        Report progress only while the server works on a request: decoding may hang, and must then time out."""
        while True:
            try:
                return wake.get(timeout=_HEARTBEAT_SECONDS if is_asking else None)
            except queue.Empty:
                self._report()

    def _rescue(self, asked: dict[Future[list[PageAnswer]], Page]) -> None:
        """Cancel the requests that have not been sent, and save the pages whose answers still arrive."""
        for future in asked:
            future.cancel()
        for future, page in asked.items():
            if not future.cancelled() and future.exception() is None:
                self._add(page, future.result())

    # ------------------------------------------------------------------------------------------ jobs

    def _add(self, page: Page, answers: Sequence[PageAnswer]) -> bool:
        """Add answers about a page; return true if the page needs no further request."""
        job, ladder = page
        ladder.add_answers(answers)
        if ladder.is_done:
            job.save_page(ladder.result)
            self._open = [each for each in self._open if each[1] is not ladder]
        return ladder.is_done

    def _completed(self) -> Outcomes:
        """Remove the answered jobs from the unfinished ones and finish them."""
        is_open = {id(job) for job, _ in self._open}
        answered = [job for job in self._unfinished if job.is_answered and id(job) not in is_open]
        self._unfinished = [job for job in self._unfinished if job not in answered]
        self._report(answered)
        for job in answered:
            while ladders := job.next_summaries():
                pages = [(job, ladder) for ladder in ladders]
                while pages := [page for page in pages if not page[1].is_done]:
                    self._climb(pages)
            try:
                outcome: Outcome | Exception = job.outcome()
            except Exception as error:  # error boundary: one job of a batch
                outcome = error
            yield job.work, outcome

    def _report(self, answered: Sequence[VlmJob] = ()) -> None:
        """Report the progress of the jobs whose pages the model is answering, and the reports of the decoding
        thread."""
        while not self._reports.empty():
            self._progress.forward(self._reports.get())
        for job in dict.fromkeys((*(job for job, _ in self._open), *answered)):
            self._progress.job(job.work, done=job.done, total=job.total, unit="pages")
