"""Bank statements and receipts out of the answers about their pages: verified and written as those read by OCR are.

The model's answer is one reading; the page's text layer, or OCR of the same picture, is a second one in which each
amount must occur. It costs a few seconds a page on the CPU, and finds the digits that a model makes up.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from processors import statements, wellformed
from processors.contract import Work
from processors.vlm.document import output
from processors.vlm.page_result import PageRecord, Problem, Strategy

if TYPE_CHECKING:
    from processors.ocr.engine import Engine
    from processors.pages import Page

_LEAST_CHARACTERS = 20  # a text layer with fewer is a page number or a stamp
_POINTER = re.compile(r"/(?:rows|items)/(\d+)/")


@dataclass(frozen=True, kw_only=True)
class Finish:
    """What became of a document."""

    line: str  # in a few words
    files: Sequence[str] = ()
    reasons: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_again(page: "Page") -> tuple[str, str]:
    """The text of a page by other means than the model, and which: "text layer" or "OCR"."""
    if len(page.text.strip()) >= _LEAST_CHARACTERS:
        return page.text, "text layer"
    found = _ocr().read_upright(page.image)
    return "\n".join(piece.text for piece in [*found.pieces, *found.faint]), "OCR"


def finish(work: Work, records: Sequence[PageRecord]) -> Finish:
    """Put the answers together, verify and write them."""
    answers = [(record.number, data) for record in records if (data := _data(record)) is not None]
    certainty: dict[tuple[int, int], float] = {}
    for record in records:
        certainty |= _certainty(record)
    evidence = {record.number: record.second_reading for record in records if record.second_reading}
    if work.options.task == "receipt":
        sure = work.options.threshold
        receipt = statements.receipt_from_answers(answers, certainty, least_confidence=sure)
        for item in receipt.items:
            if item.page in evidence and not statements.occurs(item.price, evidence[item.page]):
                receipt.reasons.append(f"{item.description!r}: {item.price} does not occur in another reading")
        line, facts = statements.summarize_receipt(receipt)
        files = statements.write_receipt(receipt, work.outputs, work.stem, work.options.written_formats)
        return Finish(line=line, files=files, reasons=receipt.reasons, facts=facts)
    document = statements.from_page_answers(answers, certainty)
    document.pages = len(records)
    for statement in document.statements:
        statements.check(statement, evidence, least_confidence=work.options.threshold)
    for by in ("text layer", "OCR"):
        if pages := [str(record.number) for record in records if record.second_reading_by == by]:
            document.notes.append(f"read by a model; each amount is looked for in the {by} of page {', '.join(pages)}")
    reasons = statements.reasons(document)
    line, facts = statements.summarize_document(document)
    formats = work.options.written_formats
    title = wellformed.text(work.source.name)
    files, lacking = statements.write_document(document, work.outputs, work.stem, formats, title=title)
    return Finish(line=line, files=files, reasons=[*reasons, *lacking], facts=facts)


def _data(record: PageRecord) -> Any:
    return output.data(record.reading).data if record.reading else None


def _certainty(record: PageRecord) -> dict[tuple[int, int], float]:
    """By page and row, the probability of the least certain value of the row."""
    reading = record.reading
    if reading is None or reading.problem not in (None, Problem.EMPTY):
        return {}
    if reading.strategy is Strategy.HALVES:  # which row is which is not told: all are as certain as the least
        lowest = reading.lowest_token_probability
        rows = (_data(record) or {}).get("rows" if "rows" in (_data(record) or {}) else "items") or []
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
