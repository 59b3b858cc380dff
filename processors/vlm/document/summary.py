"""Summarizes a document from the summaries of its pages; if they are too many for one request, in levels. No I/O."""

from collections.abc import Sequence

from processors.vlm import prompts
from processors.vlm.document.output import page_text
from processors.vlm.document.review import page_reasons
from processors.vlm.options import AskOptions
from processors.vlm.retry_ladder import PageAttempt, PageResult, RetryLadder

_MAX_CHARACTERS = 24_000  # summarized in one request: about 8,000 tokens
_FEWEST = 2  # texts in one request, however long they are: otherwise the levels would never end


class DocumentSummary:
    """The requests that reduce the pages' summaries to one."""

    def __init__(self, pages: Sequence[PageResult], prompt: prompts.Prompt, options: AskOptions):
        self._texts = [_labeled_text(page) for page in pages]
        self._prompt, self._options = prompt, options
        self._level: list[RetryLadder] = []  # not read yet
        self._all: list[RetryLadder] = []

    def next_level(self) -> Sequence[RetryLadder]:
        """The next requests, after the previous ones are answered; empty: `text` is the complete summary."""
        if self._level:
            self._texts = [page_text(best) for ladder in self._level if (best := ladder.result.best)]
            self._level = []
        elif self._all:
            return ()
        if len(self._texts) == 1 and self._all:
            return ()
        self._level = [self._ladder(texts) for texts in _groups(self._texts)]
        self._all += self._level
        return self._level

    @property
    def text(self) -> str:
        return self._texts[0]

    @property
    def attempts(self) -> list[PageAttempt]:
        """The best attempt of each request so far."""
        return [ladder.result.best for ladder in self._all if ladder.result.best]

    def reasons(self) -> list[str]:
        """The reasons for which a person should review it."""
        found = (reason for ladder in self._all for reason in page_reasons(ladder.result, self._options))
        return [f"The summary of the document: {reason}" for reason in found]

    def _ladder(self, texts: Sequence[str]) -> RetryLadder:
        prompt = prompts.OF_DOCUMENT[self._options.task] if self._prompt.source == "built-in" else self._prompt.text
        return RetryLadder(PageResult(number=0), None, prompt + "\n\n" + "\n\n".join(texts), self._options)


def _labeled_text(page: PageResult) -> str:
    text = page_text(page.best) if page.best and not page.best.problem else ""
    return f"[page {page.number}]\n{text or '(this page could not be read)'}"


def _groups(texts: Sequence[str]) -> list[list[str]]:
    """Divide the texts, in order, into groups that are short enough for one request."""
    groups: list[list[str]] = [[]]
    for text in texts:
        full = sum(map(len, groups[-1])) + len(text) > _MAX_CHARACTERS
        if full and len(groups[-1]) >= _FEWEST:
            groups.append([])
        groups[-1].append(text)
    return groups
