"""One job: its pages become questions, the answers its result files. Every page is answered, or its absence told."""

import json
import logging
from collections.abc import Iterator
from typing import Any

from processors import pages
from processors.base import BadInput, Failed, FailureKind, Finished, Outcome, Work
from processors.pages import Page
from processors.vlm import AskOptions, prompts, review
from processors.vlm.question import Answer, PageRecord, Question, StopReason

_EXCERPT_CHARACTERS = 200

log = logging.getLogger(__name__)


class Document:
    """The pages and answers of one job."""

    def __init__(self, work: Work):
        self.work = work
        self.total: int | None = None  # pages; None: not known yet
        self._options: AskOptions = work.options
        self._records: dict[int, PageRecord] = {}
        self._prompt: prompts.Prompt | None = None
        self._failure: Failed | None = None
        self._is_decoded = False  # no more questions will come

    def questions(self, max_pixels: int) -> Iterator[tuple[int, Question]]:
        """(page number, question) of each page that can be decoded, in order; never raises for a bad file."""
        try:
            self._prompt = prompts.of(self.work, self._options)
            yield from self._pages(max_pixels, self._prompt.text)
        except BadInput as error:
            self._failure = Failed(kind=error.kind, message=str(error))
        except OSError as error:
            log.warning("job %s (%s): %s", self.work.job, self.work.source.name, error)
            self._failure = Failed(kind=FailureKind.ERROR, message=f"The file cannot be read: {error}")
        self._is_decoded = True

    def _pages(self, max_pixels: int, prompt: str) -> Iterator[tuple[int, Question]]:
        dpi, limit = self._options.dpi, self._options.token_limit
        with pages.open_pages(self.work.source, self.work.media_type, max_pixels=max_pixels, dpi=dpi) as opened:
            self.total = opened.total
            for number in range(1, opened.total + 1):
                record = self._records[number] = PageRecord(number=number)
                try:
                    page = opened.read(number)
                except BadInput as error:
                    record.error = str(error)
                    continue
                self._note(record, page)
                yield number, Question(image=page.image, prompt=prompt, token_limit=limit)

    def _note(self, record: PageRecord, page: Page) -> None:
        record.source_size, record.notes = page.source_size, page.notes
        if self.work.media_type == "application/pdf":
            record.dpi = self._options.dpi * page.scale

    def put(self, number: int, answer: Answer) -> None:
        self._records[number].answer = answer

    @property
    def done(self) -> int:
        """How many pages are answered, or cannot be."""
        return sum(record.answer is not None or record.error is not None for record in self._records.values())

    @property
    def is_complete(self) -> bool:
        return self._is_decoded and self.done == len(self._records)

    def outcome(self) -> Outcome:
        """Write the result of a complete document, or say why there is none."""
        if self._failure:
            return self._failure
        records = list(self._records.values())
        answers = [record.answer for record in records if record.answer]
        if not answers:
            return Failed(kind=FailureKind.BAD_INPUT, message=records[0].error)
        if all(answer.stop_reason is StopReason.NO_ROOM for answer in answers):
            return Failed(
                kind=FailureKind.BAD_INPUT,
                message="The prompt is too long for this model. Shorten it and drop both again.",
            )
        found = [answer.lowest_token_probability for answer in answers if answer.lowest_token_probability is not None]
        return Finished(
            files=tuple(self._write(form, records) for form in self._options.formats),
            excerpt=" ".join(" ".join(answer.text for answer in answers).split())[:_EXCERPT_CHARACTERS],
            review=review.reasons(records, self._options),
            pages=len(records),
            details={
                "task": self._options.task,
                "prompt": self._prompt.text,
                "prompt_source": self._prompt.source,
                "tokens": sum(answer.tokens for answer in answers),
                "lowest_token_probability": min(found, default=None),
                "stop_reasons": [record.answer.stop_reason if record.answer else "unreadable" for record in records],
            },
        )

    def _write(self, form: str, records: list[PageRecord]) -> str:
        path = self.work.outputs / f"{self.work.stem}.{form}"
        path.write_text(_markdown(records) if form == "md" else self._json(records), encoding="utf-8")
        return path.name

    def _json(self, records: list[PageRecord]) -> str:
        content = {
            "task": self._options.task,
            "prompt": self._prompt.text,
            "prompt_source": self._prompt.source,
            "token_limit": self._options.token_limit,
            "pages": [_json_page(record) for record in records],
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _json_page(record: PageRecord) -> dict[str, Any]:
    if record.answer is None:
        return {"number": record.number, "error": record.error}
    answer = record.answer
    return {
        "number": record.number,
        "answer": answer.text,
        "stop_reason": answer.stop_reason,
        "tokens": answer.tokens,
        "prompt_tokens": answer.prompt_tokens,
        "lowest_token_probability": answer.lowest_token_probability,
        "size_seen": list(answer.size_seen),
        "source_size": list(record.source_size),
        "notes": list(record.notes),
    }


def _markdown(records: list[PageRecord]) -> str:
    """The answers; those of several pages each below a marker, which Markdown does not show."""
    if len(records) == 1:
        return f"{records[0].answer.text}\n"
    parts = []
    for record in records:
        parts.append(f"<!-- page {record.number} of {len(records)} -->")
        parts.append(record.answer.text if record.answer else f"*This page could not be read: {record.error}*")
    return "\n\n".join(parts) + "\n"
