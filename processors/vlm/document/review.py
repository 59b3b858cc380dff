"""Why a person should look at a result. Pure: it judges what was answered and changes nothing."""

import json
from collections.abc import Iterator, Sequence

from processors.vlm import prompts
from processors.vlm.document import output
from processors.vlm.document.merge import Merged
from processors.vlm.extract import decimal_json, schema
from processors.vlm.options import AskOptions
from processors.vlm.page_result import PageRecord, Part, Problem, Reading, Strategy

_LEGIBLE_DPI = 70  # of a PDF page as seen: at 75 dpi every row of ten statements was read, smaller print is lost below
_SMALLER = 0.75  # the share of its pixels below which a page was shown smaller than it was meant to be
_MOST_VALUES = 3  # named of those that the model was unsure of
_PLAIN_ENOUGH = {Strategy.PLAIN, Strategy.LONGER}  # the page itself was asked about, in the recipe's own words


def reasons(records: Sequence[PageRecord], options: AskOptions) -> list[str]:
    """One sentence for each thing seen, page by page; empty if there is none."""
    return [
        f"Page {record.number} of {len(records)}: {reason}" for record in records for reason in of_page(record, options)
    ]


def of_page(record: PageRecord, options: AskOptions) -> Iterator[str]:
    reading = record.reading
    if reading is None:
        yield f"it could not be decoded and is missing here. {record.error}"
        return
    yield from _about_sight(record, reading)
    bad = next((part for part in reading.parts if part.problem is reading.problem), None)
    if reading.problem and bad:
        yield _problem(bad, options)
        if len(record.readings) > 1:
            yield f"{len(record.readings)} ways of asking were tried, and none helped; all answers are kept."
    elif reading.strategy not in _PLAIN_ENOUGH:
        why = record.readings[0].problem
        yield f"it was answered only when asked again ({reading.strategy}); the first answer was no good ({why})."
    if options.task == "read" and not reading.problem and reading.text.strip("`. \n") == prompts.NO_TEXT:
        yield "no text was found."
    if record.second_reading_error:
        yield f"its amounts are not verified by a second reading. {record.second_reading_error}"
    yield from _unsure(reading, options)


def about_merge(merged: Merged, options: AskOptions, pages: int) -> list[str]:
    """What is to be said of the data of several pages as a whole."""
    if merged.data is None or pages == 1 or options.is_of_money:
        return []
    reasons = [f"Two pages differ: {conflict}. The first is in the result." for conflict in merged.conflicts]
    if found := schema.errors(json.loads(decimal_json.dumps(merged.data)), options.answer_schema):
        reasons.append(f"The pages together do not fit the schema: {'; '.join(found)}.")
    return reasons


def _unsure(reading: Reading, options: AskOptions) -> Iterator[str]:
    values = sorted((probability, name) for name, probability in output.probabilities(reading).items())
    low = [f"{name} ({probability:.2f})" for probability, name in values if probability < options.threshold]
    lowest = reading.lowest_token_probability
    if low:
        more = f" and {len(low) - _MOST_VALUES} more" if len(low) > _MOST_VALUES else ""
        yield f"the model was unsure of {', '.join(low[:_MOST_VALUES])}{more}: compare with the original."
    elif lowest is not None and lowest < options.threshold:
        yield f"the model was unsure (a token of probability {lowest:.2f}): compare it with the original."


def _about_sight(record: PageRecord, reading: Reading) -> Iterator[str]:
    """Was the page seen large enough?"""
    seen = reading.parts[0].answer.size_seen
    share = 1.0
    if seen is not None and record.size is not None and reading.strategy is not Strategy.HALVES:
        share = min(1.0, seen[0] * seen[1] / (record.size[0] * record.size[1]))
    if share < _SMALLER:
        yield f"memory ended, and it was seen with {seen[0]} x {seen[1]} pixels only: small print may be lost."
    elif record.dpi is not None and record.dpi < _LEGIBLE_DPI:
        yield f"it was seen at {record.dpi:.0f} dpi: small print may be lost. Raise `max_pixels`."


def _problem(part: Part, options: AskOptions) -> str:
    answer, detail = part.answer, part.detail.rstrip(".")
    match part.problem:
        case Problem.NO_ROOM:
            return "the prompt and this page are too long for the model: it was not answered."
        case Problem.CUT_OFF:
            return f"the answer is cut off after {answer.tokens} tokens. Raise `max_new_tokens`."
        case Problem.LOOP if detail:
            return f"the model was caught in a loop: {detail}."
        case Problem.LOOP:
            return f"the model was caught in a loop, and was stopped after {answer.tokens} tokens."
        case Problem.EMPTY if options.answer_schema is not None:
            return "nothing was extracted: the answer has not a single value."
        case Problem.EMPTY:
            return "the answer is empty."
        case Problem.NOT_A_NUMBER:
            return (
                "unreliable answer: the token probabilities are NaN. "
                'Set `dtype = "float32"` in [processors.vlm], or check the weights; for a server, see its log.'
            )
        case Problem.REFUSED:
            return f"the model refused. {detail}".rstrip()
        case Problem.UNPARSABLE:
            return f"the answer is no JSON ({detail}). It is kept as it is."
        case Problem.INVALID:
            return f"the answer does not fit the schema ({detail}). It is kept as it is."
        case _:
            return f"it was not answered: {detail}."
