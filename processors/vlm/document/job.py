"""One job: its pages become questions, the answers its result files. Every page is answered, or its absence told.

Answered pages are kept (see `processors.checkpoints`): an attempt that comes after a crash goes on at the next one.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from processors import pages
from processors.checkpoints import Parts
from processors.contract import BadInput, Failed, FailureKind, Finished, JobError, Outcome, Work
from processors.pages import Page
from processors.vlm import prompts
from processors.vlm.document import output, review, statements
from processors.vlm.document.merge import Merged
from processors.vlm.document.summary import Summary
from processors.vlm.extract import decimal_json
from processors.vlm.options import AskOptions
from processors.vlm.page.retry_ladder import Course
from processors.vlm.page_result import PageRecord, Problem, Reading

_EXCERPT_CHARACTERS = 200
_NO_SECOND_READING = "Internal error in OCR of this page; see the log."
_KEPT_VERSION = 1  # of what is kept of a page; another one is not read
_RECORD = TypeAdapter(PageRecord)

log = logging.getLogger(__name__)


class Document:
    """The pages and answers of one job."""

    def __init__(self, work: Work, made_by: Mapping[str, Any]):
        self.work = work
        self.total: int | None = None  # pages; None: not known yet
        self._made_by = made_by
        self._options: AskOptions = work.options
        self._records: dict[int, PageRecord] = {}
        self._kept: Parts | None = None
        self._prompt: prompts.Prompt | None = None
        self._summary: Summary | None = None
        self._failure: Failed | Exception | None = None
        self._is_decoded = False  # no more questions will come

    def courses(self, max_pixels: int) -> Iterator[Course]:
        """The course of each page to be answered that can be decoded, in order; never raises for a bad file."""
        try:
            self._prompt = prompts.of(self.work, self._options)
            kept_by = {**self._made_by, "prompt": self._prompt.text, "version": _KEPT_VERSION}
            self._kept = Parts(self.work, kept_by)
            yield from self._pages(max_pixels, self._prompt.text)
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

    def _pages(self, max_pixels: int, prompt: str) -> Iterator[Course]:
        asked = {"max_pixels": max_pixels, "dpi": self._options.dpi, "password": pages.password_of(self.work)}
        with pages.open_pages(self.work.source, self.work.media_type, **asked) as opened:
            self.total = opened.total
            for number in range(1, opened.total + 1):
                if record := self._kept_record(number):
                    self._records[number] = record
                    continue
                record = self._records[number] = PageRecord(number=number)
                try:
                    page = opened.read(number)
                except BadInput as error:
                    record.error = str(error)
                    continue
                self._note(record, page)
                yield Course(record, page.image, prompt, self._options)

    def _kept_record(self, number: int) -> PageRecord | None:
        kept = self._kept.get(f"page-{number}")
        try:
            return kept and _RECORD.validate_python(kept)
        except ValidationError as error:
            log.warning("page %d is read again: what was kept of it cannot be used: %s", number, error)
            return None

    def _note(self, record: PageRecord, page: Page) -> None:
        record.source_size, record.size, record.notes = page.source_size, page.image.size, page.notes
        if self.work.media_type == "application/pdf":
            record.dpi = self._options.dpi * page.scale
        if self._options.is_of_money and self._options.second_reading == "auto":
            where = f"job {self.work.job} ({self.work.source.name}), page {record.number}"
            try:
                with pages.unforeseen_as_bad_input(where, _NO_SECOND_READING):
                    record.second_reading, record.second_reading_by = statements.read_again(page)
            except BadInput as error:
                record.second_reading_error = str(error)

    def put(self, course: Course) -> None:
        """Take in a course that is over; a page that only the server's failure kept from an answer is not kept."""
        record = course.record
        if self._summary is None and record.reading.problem is not Problem.ERROR:
            self._kept.put(f"page-{record.number}", _RECORD.dump_python(record, mode="json"))

    def closing(self) -> Sequence[Course]:
        """What is to be asked once all pages are answered, and again once that is; empty: the document is complete."""
        if self._options.task != "summarize" or self._failure or len(self._read()) == 0 or len(self._records) == 1:
            return ()
        if self._summary is None:
            self._summary = Summary(list(self._records.values()), self._prompt, self._options)
        return self._summary.courses()

    @property
    def done(self) -> int:
        """How many pages are answered, or cannot be."""
        return sum(bool(record.readings) or record.error is not None for record in self._records.values())

    @property
    def is_answered(self) -> bool:
        """Are all pages? Those that are being asked again count as answered, so this is asked between two rounds."""
        return self._is_decoded and self.done == len(self._records)

    def _read(self) -> list[Reading]:
        return [record.reading for record in self._records.values() if record.reading]

    def outcome(self) -> Outcome:
        """Write the result of a complete document, or return the failure.

        Raises:
            Exception: an unexpected error.
        """
        if isinstance(self._failure, Exception):
            raise self._failure
        if self._failure:
            return self._failure
        records = [self._records[number] for number in sorted(self._records)]
        readings = self._read()
        if not readings:
            return Failed(kind=FailureKind.BAD_INPUT, message=records[0].error)
        problems = {reading.problem for reading in readings}
        if problems == {Problem.NO_ROOM}:
            message = "The prompt is too long for this model. Shorten it and drop both again."
            return Failed(kind=FailureKind.BAD_INPUT, message=message)
        summarized = self._summary.readings if self._summary else []
        failed = next((each for each in [*readings, *summarized] if each.problem is Problem.ERROR), None)
        if failed and (problems == {Problem.ERROR} or failed in summarized or self.work.attempt == 1):
            # once more, with the other pages kept; then the document is published with this page missing
            return Failed(kind=FailureKind.ERROR, message=failed.parts[0].detail)
        return self._finished(records, readings)

    def _finished(self, records: list[PageRecord], readings: list[Reading]) -> Finished:
        options = self._options
        merged = output.of_document(records) if options.answer_schema is not None else Merged()
        found = [each.lowest_token_probability for each in readings if each.lowest_token_probability is not None]
        summary = self._summary.text if self._summary else ""
        excerpt = summary or " ".join(output.text(reading) for reading in readings)
        of_money = statements.finish(self.work, records) if options.is_of_money else None
        return Finished(
            files=self._write(merged, records, of_money.files if of_money else ()),
            excerpt=" ".join((of_money.summary if of_money else excerpt).split())[:_EXCERPT_CHARACTERS],
            review=(of_money.reasons if of_money else ())
            + tuple(review.reasons(records, options) + review.about_merge(merged, options, len(readings)))
            + tuple(self._summary.reasons() if self._summary else ()),
            pages=len(records),
            details={
                **(of_money.facts if of_money else {}),
                "task": options.task,
                "prompt": self._prompt.text,
                "prompt_source": self._prompt.source,
                "tokens": sum(part.answer.tokens for reading in readings for part in reading.parts),
                "lowest_token_probability": min(found, default=None),
                "min_token_probability": options.threshold,
                "stop_reasons": [record.reading.stop_reason if record.reading else "unreadable" for record in records],
                "asked_again": {
                    str(record.number): [each.strategy for each in record.readings[1:]]
                    for record in records
                    if len(record.readings) > 1
                },
            },
        )

    def _write(self, merged: Merged, records: list[PageRecord], written: Sequence[str]) -> tuple[str, ...]:
        if self._options.is_of_money:
            about = self.work.outputs / f"{self.work.stem}.pages.json"
            return (*written, output.write_json(about, self._about(records)))
        return self._write_text(records) if self._options.json_schema is None else self._write_data(merged, records)

    def _write_text(self, records: list[PageRecord]) -> tuple[str, ...]:
        summary = self._summary.text if self._summary else None
        files = []
        for form in self._options.written_formats:
            path = self.work.outputs / f"{self.work.stem}.{form}"
            if form == "json":
                output.write_json(path, self._about(records))
            else:
                write = output.markdown if form == "md" else output.plain
                path.write_text(write(records) if summary is None else f"{summary}\n", encoding="utf-8")
            files.append(path.name)
        return tuple(files)

    def _write_data(self, merged: Merged, records: list[PageRecord]) -> tuple[str, ...]:
        """NAME.json: the data alone, if there is any; NAME.pages.json: how it came about."""
        about = self.work.outputs / f"{self.work.stem}.pages.json"
        output.write_json(about, self._about(records))
        if merged.data is None:
            return (about.name,)
        data = self.work.outputs / f"{self.work.stem}.json"
        data.write_text(decimal_json.dumps(merged.data) + "\n", encoding="utf-8")
        return data.name, about.name

    def _about(self, records: list[PageRecord]) -> dict[str, Any]:
        return {
            "task": self._options.task,
            "prompt": self._prompt.text,
            "prompt_source": self._prompt.source,
            "token_limit": self._options.token_limit,
            **({"summary": self._summary.text} if self._summary else {}),
            "pages": [output.page_json(record) for record in records],
        }
