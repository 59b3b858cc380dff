"""Which pages go to the model together: those of all jobs of a batch, in order, a few at a time.

At most `Engine.pages_at_once` decoded pages are in memory; a job's outcome is there once its last page was answered.
"""

from collections.abc import Iterator, Sequence

from processors.base import Outcome, Progress, Work
from processors.vlm.document import Document
from processors.vlm.engine import Engine
from processors.vlm.question import Question


class Rounds:
    """The rounds of one batch."""

    def __init__(self, engine: Engine, progress: Progress):
        self._engine, self._progress = engine, progress
        self._waiting: list[tuple[Document, int, Question]] = []  # the number is that of the page

    def outcomes(self, batch: Sequence[Work]) -> Iterator[tuple[Work, Outcome]]:
        """The outcome of each job, as soon as it is there.

        Raises:
            OutOfMemory: a single page does not fit.
        """
        open_documents: list[Document] = []
        for work in batch:
            document = Document(work)
            open_documents.append(document)
            for number, question in document.questions(self._engine.max_pixels):
                self._waiting.append((document, number, question))
                if len(self._waiting) >= self._engine.pages_at_once:
                    self._ask()
                    yield from _completed(open_documents)
            yield from _completed(open_documents)
        self._ask()
        yield from _completed(open_documents)

    def _ask(self) -> None:
        """Have all waiting pages answered."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        asked = list(dict.fromkeys(document for document, _, _ in waiting))
        answers = self._engine.answer([question for _, _, question in waiting], lambda: self._tell(asked))
        for (document, number, _), answer in zip(waiting, answers, strict=True):
            document.put(number, answer)
        self._tell(asked)

    def _tell(self, documents: Sequence[Document]) -> None:
        for document in documents:
            self._progress.job(document.work, done=document.done, total=document.total, unit="pages")


def _completed(documents: list[Document]) -> Iterator[tuple[Work, Outcome]]:
    """Take the complete ones out of `documents`."""
    complete = [document for document in documents if document.is_complete]
    documents[:] = [document for document in documents if not document.is_complete]
    for document in complete:
        yield document.work, document.outcome()
