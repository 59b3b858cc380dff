"""The result files of a document: Markdown, text, JSON of what was answered, and the data that was extracted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from processors import wellformed
from processors.vlm.assess import confidence
from processors.vlm.assess.answer import json_span
from processors.vlm.document.merge import Merged, merge
from processors.vlm.extract import decimal_json
from processors.vlm.page_result import PageRecord, Part, Problem, Reading, Strategy
from processors.vlm.prompts import NO_TEXT


def text(reading: Reading) -> str:
    """What a page says; a half of it that has no text adds none."""
    texts = [part.answer.text for part in reading.parts if part.answer.text]
    with_text = [each for each in texts if each.strip("`. \n") != NO_TEXT]
    return "\n".join(with_text or texts[:1])


def data(reading: Reading) -> Merged:
    """The data of a page; None if none of it fits the schema."""
    good = [part for part in reading.parts if part.problem in (None, Problem.EMPTY)]
    if reading.problem not in (None, Problem.EMPTY):
        good = []
    names = ["upper half", "lower half"] if reading.strategy is Strategy.HALVES else ["page"]
    return merge([(names[reading.parts.index(part)], decimal_json.loads(_json(part))) for part in good])


def of_document(records: Sequence[PageRecord]) -> Merged:
    """The data of all pages that have any, as one."""
    found = [(f"page {record.number}", data(record.reading).data) for record in records if record.reading]
    return merge([(name, each) for name, each in found if each is not None])


def probabilities(reading: Reading) -> dict[str, float]:
    """JSON pointer -> probability of each extracted value; in the second half of a page: below /lower."""
    found = {}
    for part, prefix in zip(reading.parts, ("", "/lower"), strict=False):
        if part.problem in (None, Problem.EMPTY):
            start, _ = json_span(part.answer.text)
            values = confidence.of_values(part.answer.text, part.answer.marks, start)
            found.update({f"{prefix}{pointer}": probability for pointer, probability in values.items()})
    return found


def markdown(records: Sequence[PageRecord]) -> str:
    """The answers; those of several pages each below a marker, which Markdown does not show."""
    if len(records) == 1:
        return f"{text(records[0].reading)}\n"
    parts = []
    for record in records:
        parts.append(f"<!-- page {record.number} of {len(records)} -->")
        parts.append(text(record.reading) if record.reading else f"*This page could not be read: {record.error}*")
    return "\n\n".join(parts) + "\n"


def plain(records: Sequence[PageRecord]) -> str:
    """The answers, a form feed between two pages."""
    parts = [text(record.reading) if record.reading else "[this page could not be read]" for record in records]
    return "\f".join(f"{part}\n" for part in parts)


def write_json(path: Path, content: dict[str, Any]) -> str:
    """Write it; the file's name."""
    path.write_text(wellformed.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path.name


def page_json(record: PageRecord) -> dict[str, Any]:
    """All that is known of a page."""
    reading = record.reading
    if reading is None:
        return {"number": record.number, "error": record.error}
    first = reading.parts[0].answer
    return {
        "number": record.number,
        "answer": reading.text,
        "problem": reading.problem,
        **_numbers(reading),
        "value_probabilities": probabilities(reading) or None,
        "size_seen": list(first.size_seen) if first.size_seen else None,
        "source_size": list(record.source_size),
        "notes": list(record.notes),
        "asked": [_tried(each) for each in record.readings],
    }


def _tried(reading: Reading) -> dict[str, Any]:
    """One way of asking, with the raw answers."""
    return {
        "strategy": reading.strategy,
        "problem": reading.problem,
        "details": [part.detail for part in reading.parts if part.detail],
        "answers": [part.answer.text for part in reading.parts],
        **_numbers(reading),
    }


def _numbers(reading: Reading) -> dict[str, Any]:
    answers = [part.answer for part in reading.parts]
    return {
        "stop_reason": reading.stop_reason,
        "tokens": sum(answer.tokens for answer in answers),
        "prompt_tokens": sum(answer.prompt_tokens for answer in answers),
        "lowest_token_probability": reading.lowest_token_probability,
    }


def _json(part: Part) -> str:
    start, end = json_span(part.answer.text)
    return part.answer.text[start:end]
