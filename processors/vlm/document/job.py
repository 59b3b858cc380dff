"""One job: turns pages into requests, and answers into result files. The review reports each page that is left out.

Answered pages are saved (see `processors.checkpoints`): an attempt after a crash continues with the next one.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

from pydantic import TypeAdapter, ValidationError

from processors import pages
from processors.checkpoints import Checkpoints
from processors.contract import BadInput, Failed, FailureKind, Finished, JobError, Kind, Outcome, Progress, Work
from processors.pages import Page
from processors.pages.page import reduce
from processors.vlm import prompts
from processors.vlm.assess import Problem
from processors.vlm.document import output, review, statements, times
from processors.vlm.document.layout_stage import LayoutStage
from processors.vlm.document.output import MergedData, page_text
from processors.vlm.document.summary import DocumentSummary
from processors.vlm.document.texts import text_parts
from processors.vlm.extract import dumps
from processors.vlm.families import GENERAL, Family
from processors.vlm.options import AskOptions
from processors.vlm.retry_ladder import PageAttempt, PageResult, RetryLadder

_EXCERPT_CHARACTERS = 200
_NO_SECOND_READING = "Internal error in OCR of this page; see the log."
_CHECKPOINT_VERSION = 3  # of a saved page; another version is not read
_PAGE = TypeAdapter(PageResult)

log = logging.getLogger(__name__)


class VlmJob:
    """The pages and answers of one job."""

    def __init__(
        self,
        work: Work[AskOptions],
        made_by: Mapping[str, object],
        progress: Progress,
        family: Family = GENERAL,
        layout: LayoutStage | None = None,
    ):
        """layout: of the task `read`, finds the regions of a page; None: the model reads complete pages."""
        self.work, self._family, self._layout = work, family, layout
        self._progress = progress
        self._text_review: tuple[str, ...] = ()  # of the text of a document
        self._times: set[int] | None = None  # in a transcript, in seconds
        self.total: int | None = None  # pages; None: not known yet
        self._made_by = made_by
        self._options = work.options
        self._pages: dict[int, PageResult] = {}
        self._checkpoints: Checkpoints  # set, as is the prompt, once `open_pages` has chosen the prompt
        self._prompt: prompts.Prompt
        self._summary: DocumentSummary | None = None
        self._failure: Failed | Exception | None = None
        self._is_decoded = False  # no more pages will follow

    # ------------------------------------------------------------------------------------------ pages

    def open_pages(self, max_pixels: int) -> Iterator[RetryLadder]:
        """Yield the retry ladder of each page that can be decoded, in order; never raise for a bad file."""
        try:
            self._prompt = prompts.choose_prompt(self.work, self._options, self._family.read_prompt)
            made_by = {**self._made_by, "prompt": self._prompt.text, "version": _CHECKPOINT_VERSION}
            self._checkpoints = Checkpoints(self.work, made_by)
            yield from self._decode(max_pixels, self._prompt.text)
        except BadInput as error:
            self._failure = Failed(kind=error.kind, message=str(error))
        except OSError as error:
            log.warning("job %s (%s): %s", self.work.job, self.work.source.name, error)
            why = error.strerror or "the disk failed"
            self._failure = Failed(kind=FailureKind.ERROR, message=f"Cannot read the file: {why}.")
        except (JobError, MemoryError):
            raise
        except Exception as error:  # error boundary: one job of a batch
            self._failure = error
        self._is_decoded = True

    def _decode(self, max_pixels: int, prompt: str) -> Iterator[RetryLadder]:
        if self.work.kind is Kind.TEXT:
            yield from self._decode_text(prompt)
            return
        with pages.open_pages(
            self.work.source,
            self.work.media_type,
            max_pixels=max_pixels,
            dpi=self._options.dpi,
            password=pages.read_password(self.work),
        ) as opened:
            self.total = opened.total
            for number in range(1, opened.total + 1):
                if result := self._saved_page(number):
                    self._pages[number] = result
                    continue
                result = self._pages[number] = PageResult(number=number)
                try:
                    page = opened.read(number)
                except BadInput as error:
                    result.error = str(error)
                    continue
                self._describe(result, page)
                beside = self._text_beside(result, page)
                regions = self._layout.apply(page.image, result) if self._layout else ()
                image = reduce(page.image, self._layout.max_pixels) if self._layout else page.image
                yield RetryLadder(result, image, prompt, self._options, beside, self._family, regions)

    def _decode_text(self, prompt: str) -> Iterator[RetryLadder]:
        """The text of a document, in parts instead of pages."""
        if not self._options.takes_text:
            raise BadInput(
                f'The task "{self._options.task}" needs pages, but this file is text: use the recipe "text".'
            )
        parts, self._text_review = text_parts(self.work, self._progress)
        self.total = len(parts)
        if self._options.task == "minutes":
            self._times = set().union(*map(times.times_in, parts))
        for number, part in enumerate(parts, 1):
            result = self._pages[number] = self._saved_page(number) or PageResult(number=number)
            if not result.attempts:
                yield RetryLadder(result, None, prompt, self._options, prompts.instead_of_page(part))

    def _text_beside(self, result: PageResult, page: Page) -> str:
        """The end of the prompt, with the text of the page, if the recipe asks for it; else ""."""
        if not self._options.page_text:
            return ""
        where = f"job {self.work.job} ({self.work.source.name}), page {result.number}"
        try:
            with pages.unexpected_as_bad_input(where, _NO_SECOND_READING):
                return prompts.beside_page(*statements.read_again(page))
        except BadInput as error:
            result.page_text_error = str(error)
            return ""

    def _saved_page(self, number: int) -> PageResult | None:
        saved = self._checkpoints.get(f"page-{number}")
        try:
            return saved and _PAGE.validate_python(saved)
        except ValidationError as error:
            log.warning("page %d is read again, as its checkpoint cannot be used: %s", number, error)
            return None

    def _describe(self, result: PageResult, page: Page) -> None:
        result.source_size, result.size, result.notes = page.source_size, page.image.size, page.notes
        if self.work.media_type == "application/pdf":
            result.dpi = self._options.dpi * page.scale
        if self._options.is_of_money and self._options.second_reading == "auto":
            where = f"job {self.work.job} ({self.work.source.name}), page {result.number}"
            try:
                with pages.unexpected_as_bad_input(where, _NO_SECOND_READING):
                    result.second_reading, result.second_reading_by = statements.read_again(page)
            except BadInput as error:
                result.second_reading_error = str(error)

    def save_page(self, result: PageResult) -> None:
        """Save an answered page, unless it failed only because of the server."""
        if self._summary is None and result.best and result.best.problem is not Problem.ERROR:
            self._checkpoints.put(f"page-{result.number}", _PAGE.dump_python(result, mode="json"))

    def next_summaries(self) -> Sequence[RetryLadder]:
        """The next requests for the summary of the document, once all pages are answered; empty: it is complete."""
        if not self._options.is_summary or self._failure or not self._answered() or len(self._pages) == 1:
            return ()
        if self._summary is None:
            self._summary = DocumentSummary(list(self._pages.values()), self._prompt, self._options)
        return self._summary.next_level()

    @property
    def done(self) -> int:
        """The number of pages that are answered, or that no request can answer."""
        # a copy: another thread may decode further pages meanwhile
        return sum(bool(page.attempts) or page.error is not None for page in list(self._pages.values()))

    @property
    def is_answered(self) -> bool:
        """True if all pages are answered; pages that are being retried count, so call it between two batches."""
        return self._is_decoded and self.done == len(self._pages)

    def _answered(self) -> list[PageAttempt]:
        return [page.best for page in self._pages.values() if page.best]

    # ------------------------------------------------------------------------------------------ outcome

    def outcome(self) -> Outcome:
        """Write the result of a complete document, or return the failure.

        Raises:
            Exception: an unexpected error.
        """
        if isinstance(self._failure, Exception):
            raise self._failure
        if self._failure:
            return self._failure
        results = [self._pages[number] for number in sorted(self._pages)]
        answered = self._answered()
        if not answered:
            why = results[0].error
            assert why is not None  # a page has an answer or an error
            return Failed(kind=FailureKind.BAD_INPUT, message=why)
        problems = {attempt.problem for attempt in answered}
        if problems == {Problem.NO_ROOM}:
            message = "The prompt is too long for this model. Shorten it and drop both again."
            return Failed(kind=FailureKind.BAD_INPUT, message=message)
        summarized = self._summary.attempts if self._summary else []
        failed = next((each for each in [*answered, *summarized] if each.problem is Problem.ERROR), None)
        if failed and (problems == {Problem.ERROR} or failed in summarized or self.work.attempt == 1):
            # retried once, with the other pages saved; then the document is published without this page
            return Failed(kind=FailureKind.ERROR, message=failed.parts[0].detail)
        return self._finished(results, answered)

    def _finished(self, results: list[PageResult], answered: list[PageAttempt]) -> Finished:
        options = self._options
        merged = output.merge_pages(results) if options.answer_schema is not None else MergedData()
        of_money = statements.finish(self.work, results) if options.is_of_money else None
        text = self._summary_text or " ".join(map(page_text, answered))
        excerpt = of_money.summary if of_money else text
        return Finished(
            files=self._write(merged, results, of_money.files if of_money else ()),
            excerpt=" ".join(excerpt.split())[:_EXCERPT_CHARACTERS],
            review=(
                *(of_money.reasons if of_money else ()),
                *self._text_review,
                *review.reasons(results, options),
                *review.merge_reasons(merged, options, len(answered)),
                *(self._summary.reasons() if self._summary else ()),
                *(times.reasons(text, self._times) if self._times is not None else ()),
            ),
            pages=len(results),
            details={**(of_money.facts if of_money else {}), **self._details(results, answered)},
        )

    @property
    def _summary_text(self) -> str:
        return self._summary.text if self._summary else ""

    def _details(self, results: list[PageResult], answered: list[PageAttempt]) -> dict[str, object]:
        known = [each.lowest_token_probability for each in answered if each.lowest_token_probability is not None]
        return {
            "task": self._options.task,
            "prompt": self._prompt.text,
            "prompt_source": self._prompt.source,
            "tokens": sum(part.answer.tokens for attempt in answered for part in attempt.parts),
            "lowest_token_probability": min(known, default=None),
            "min_token_probability": self._options.threshold,
            "stop_reasons": [page.best.stop_reason if page.best else "unreadable" for page in results],
            "asked_again": {
                str(page.number): [attempt.strategy for attempt in page.attempts[1:]]
                for page in results
                if len(page.attempts) > 1
            },
        }

    # ------------------------------------------------------------------------------------------ files

    def _write(self, merged: MergedData, results: list[PageResult], written: Sequence[str]) -> tuple[str, ...]:
        if self._options.is_of_money:
            return (*written, self._write_pages(results))
        return self._write_text(results) if self._options.json_schema is None else self._write_data(merged, results)

    def _write_text(self, results: list[PageResult]) -> tuple[str, ...]:
        files = []
        for form in self._options.written_formats:
            path = self.work.outputs / f"{self.work.stem}.{form}"
            if form == "json":
                output.write_json(path, self._pages_json(results))
            elif self._summary:
                path.write_text(f"{self._summary.text}\n", encoding="utf-8")
            else:
                write = output.markdown if form == "md" else output.plain
                path.write_text(write(results), encoding="utf-8")
            files.append(path.name)
        return tuple(files)

    def _write_data(self, merged: MergedData, results: list[PageResult]) -> tuple[str, ...]:
        """Write NAME.json with the data, if there is any, and NAME.pages.json with the answers that it comes from."""
        about = self._write_pages(results)
        if merged.data is None:
            return (about,)
        data = self.work.outputs / f"{self.work.stem}.json"
        data.write_text(dumps(merged.data) + "\n", encoding="utf-8")
        return data.name, about

    def _write_pages(self, results: list[PageResult]) -> str:
        return output.write_json(self.work.outputs / f"{self.work.stem}.pages.json", self._pages_json(results))

    def _pages_json(self, results: list[PageResult]) -> dict[str, object]:
        return {
            "task": self._options.task,
            "prompt": self._prompt.text,
            "prompt_source": self._prompt.source,
            "token_limit": self._options.token_limit,
            **({"summary": self._summary.text} if self._summary else {}),
            "pages": [output.page_json(page) for page in results],
        }
