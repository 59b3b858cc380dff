"""A summary of a whole document, made from those of its pages; of very many, level by level. No I/O."""

from collections.abc import Sequence

from processors.vlm import prompts
from processors.vlm.document import output, review
from processors.vlm.options import AskOptions
from processors.vlm.page.retry_ladder import Course
from processors.vlm.page_result import PageRecord, Reading

_MOST_CHARACTERS = 24_000  # of what is summarized in one question: about 8,000 tokens
_FEWEST = 2  # texts in one question, however long they are: else there would be no end


class Summary:
    """The questions that lead from the pages' answers to one."""

    def __init__(self, records: Sequence[PageRecord], prompt: prompts.Prompt, options: AskOptions):
        self._texts = [_note(record) for record in records]
        self._prompt, self._options = prompt, options
        self._asked: list[Course] = []
        self._all: list[Course] = []

    def courses(self) -> Sequence[Course]:
        """The next questions, once those before are answered; empty: `text` is there."""
        if self._asked:
            self._texts = [output.text(course.record.reading) for course in self._asked]
            self._asked = []
        elif self._all:
            return ()
        if len(self._texts) == 1 and self._all:
            return ()
        self._asked = [self._course(texts) for texts in _grouped(self._texts)]
        self._all += self._asked
        return self._asked

    @property
    def text(self) -> str:
        return self._texts[0]

    @property
    def readings(self) -> list[Reading]:
        """The answers so far that count."""
        return [course.record.reading for course in self._all if course.record.reading]

    def reasons(self) -> list[str]:
        """Why a person should look at it."""
        found = (reason for course in self._all for reason in review.of_page(course.record, self._options))
        return [f"The summary of the whole: {reason}" for reason in found]

    def _course(self, texts: Sequence[str]) -> Course:
        whose = prompts.SUMMARIZE_ALL if self._prompt.source == "built-in" else self._prompt.text
        return Course(PageRecord(number=0), None, whose + "\n\n" + "\n\n".join(texts), self._options)


def _note(record: PageRecord) -> str:
    text = output.text(record.reading) if record.reading and not record.reading.problem else ""
    return f"[page {record.number}]\n{text or '(this page could not be read)'}"


def _grouped(texts: Sequence[str]) -> list[list[str]]:
    """In order, each group short enough for one question."""
    groups: list[list[str]] = [[]]
    for text in texts:
        full = sum(map(len, groups[-1])) + len(text) > _MOST_CHARACTERS
        if full and len(groups[-1]) >= _FEWEST:
            groups.append([])
        groups[-1].append(text)
    return groups
