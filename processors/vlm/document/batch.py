"""Which pages go to the model together: those of all jobs of a batch, in order, a few at a time.

At most `Engine.pages_at_once` decoded pages are in memory; a job's outcome is there once its last page was answered.
"""

from collections.abc import Iterator, Sequence

from processors.contract import Outcome, Progress, Work
from processors.vlm.document.job import Document
from processors.vlm.page.retry_ladder import Course
from processors.vlm.types import Engine


class Rounds:
    """The rounds of one batch."""

    def __init__(self, engine: Engine, progress: Progress):
        self._engine, self._progress = engine, progress
        self._waiting: list[tuple[Document, Course]] = []

    def outcomes(self, batch: Sequence[Work]) -> Iterator[tuple[Work, Outcome | Exception]]:
        """The outcome of each job, as soon as it is there.

        Raises:
            OutOfMemory: a single page does not fit.
            Unavailable: the server is away; what was answered is kept.
        """
        open_documents: list[Document] = []
        for work in batch:
            document = Document(work, self._engine.made_by)
            open_documents.append(document)
            for course in document.courses(self._engine.max_pixels):
                self._waiting.append((document, course))
                if len(self._waiting) >= self._engine.pages_at_once:
                    self._ask()
                    yield from self._completed(open_documents)
            yield from self._completed(open_documents)
        self._ask()
        yield from self._completed(open_documents)

    def _completed(self, documents: list[Document]) -> Iterator[tuple[Work, Outcome | Exception]]:
        """Take the complete ones out of `documents`."""
        complete = [document for document in documents if document.is_answered and not self._waits(document)]
        documents[:] = [document for document in documents if document not in complete]
        for document in complete:
            while courses := document.closing():
                self._pursue([(document, course) for course in courses])
            try:
                outcome: Outcome | Exception = document.outcome()
            except Exception as error:  # error boundary: one job of a batch
                outcome = error
            yield document.work, outcome

    def _waits(self, document: Document) -> bool:
        return any(waiting is document for waiting, _ in self._waiting)

    def _ask(self) -> None:
        """Have all waiting pages answered."""
        waiting, self._waiting = self._waiting, []
        self._pursue(waiting)

    def _pursue(self, courses: Sequence[tuple[Document, Course]]) -> None:
        """Ask, and ask again, until all `courses` are over."""
        asked = list(dict.fromkeys(document for document, _ in courses))
        while courses:
            questions = [question for _, course in courses for question in course.questions]
            answers = iter(self._engine.answer(questions, lambda: self._tell(asked)))
            for document, course in courses:
                course.put([next(answers) for _ in course.questions])
                if course.is_over:
                    document.put(course)
            courses = [(document, course) for document, course in courses if not course.is_over]
            self._tell(asked)

    def _tell(self, documents: Sequence[Document]) -> None:
        for document in documents:
            self._progress.job(document.work, done=document.done, total=document.total, unit="pages")
