"""Bank statements and receipts from the answers about their pages.

The model's answer is one reading; the page's text layer, or OCR of the same picture, is a second one in which each
amount must occur. It costs a few seconds a page on the CPU, and finds the digits that a model makes up.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from processors import statements
from processors.contract import Work
from processors.statements import FinishedDocument, SecondReading
from processors.vlm.document import output
from processors.vlm.page_result import PageRecord, Problem, Strategy

if TYPE_CHECKING:
    from processors.ocr.engine import Engine
    from processors.pages import Page

_LEAST_CHARACTERS = 20  # a text layer with fewer is a page number or a stamp
_POINTER = re.compile(r"/(?:rows|items)/(\d+)/")


def read_again(page: "Page") -> tuple[str, str]:
    """The text of a page by other means than the model, and which: "text layer" or "OCR"."""
    if len(page.text.strip()) >= _LEAST_CHARACTERS:
        return page.text, "text layer"
    found = _ocr().read_upright(page.image)
    return "\n".join(piece.text for piece in [*found.pieces, *found.faint]), "OCR"


def finish(work: Work, records: Sequence[PageRecord]) -> FinishedDocument:
    """Put the answers together, verify and write them."""
    answers = [(record.number, data) for record in records if (data := _data(record)) is not None]
    certainty: dict[tuple[int, int], float] = {}
    for record in records:
        certainty |= _certainty(record)
    texts = {record.number: record.second_reading for record in records if record.second_reading}
    formats, threshold = work.options.written_formats, work.options.threshold
    if work.options.task == "receipt":
        receipt = statements.receipt_from_answers(answers, certainty)
        return statements.finish_receipt(work, receipt, formats, texts, least_confidence=threshold)
    document = statements.from_page_answers(answers, certainty)
    document.pages = len(records)
    for by in ("text layer", "OCR"):
        if pages := [str(record.number) for record in records if record.second_reading_by == by]:
            document.notes.append(f"read by a model; each amount is looked for in the {by} of page {', '.join(pages)}")
    second = SecondReading(texts=texts)
    return statements.finish_statement(work, document, formats, lambda verified: second, least_confidence=threshold)


def _data(record: PageRecord) -> Any:
    return output.data(record.reading).data if record.reading else None


def _certainty(record: PageRecord) -> dict[tuple[int, int], float]:
    """By page and row, the probability of the least certain value of the row."""
    reading = record.reading
    if reading is None or reading.problem not in (None, Problem.EMPTY):
        return {}
    if reading.strategy is Strategy.HALVES:  # the rows of the halves are merged: all are as certain as the least
        lowest = reading.lowest_token_probability
        data = _data(record) or {}
        rows = data.get("rows" if "rows" in data else "items") or []
        return {} if lowest is None else {(record.number, number): lowest for number in range(len(rows))}
    found: dict[tuple[int, int], float] = {}
    for pointer, probability in output.probabilities(reading).items():
        if match := _POINTER.match(pointer):
            place = record.number, int(match[1])
            found[place] = min(found.get(place, 1.0), probability)
    return found


@cache
def _ocr() -> "Engine":
    """Loaded at the first page without a text layer; it carries its own small models."""
    from processors.ocr.engine import Engine

    return Engine.load(None)
