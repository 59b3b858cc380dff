"""Finds the reasons why a person should review a result. Pure."""

import json
from collections.abc import Iterator, Sequence

from processors.vlm import prompts
from processors.vlm.assess import AssessedAnswer, Problem
from processors.vlm.document.output import MergedData, page_probabilities
from processors.vlm.extract import dumps, schema_errors
from processors.vlm.options import AskOptions
from processors.vlm.retry_ladder import PageAttempt, PageResult, Strategy

_LEGIBLE_DPI = (
    70  # of a PDF page as the model sees it: at 75 dpi every row of ten statements was read; below, small print is lost
)
_SMALLER = 0.75  # share of its pixels below which a page counts as reduced
_MAX_VALUES = 3  # uncertain values that are named
_PLAIN_ENOUGH = {Strategy.PLAIN, Strategy.LONGER}  # a request about the complete page, in the recipe's own words


def reasons(pages: Sequence[PageResult], options: AskOptions) -> list[str]:
    """The reasons for a review, page by page, each as a sentence."""
    return [f"Page {page.number} of {len(pages)}: {reason}" for page in pages for reason in page_reasons(page, options)]


def page_reasons(page: PageResult, options: AskOptions) -> Iterator[str]:
    best = page.best
    if best is None:
        yield f"it could not be decoded and is missing. {page.error}"
        return
    yield from _about_resolution(page, best)
    bad = next((part for part in best.parts if part.problem is best.problem), None)
    if best.problem and bad:
        yield _about_problem(bad, options)
        if len(page.attempts) > 1:
            yield f"{len(page.attempts)} attempts failed; all answers are saved."
    elif best.strategy not in _PLAIN_ENOUGH:
        why = page.attempts[0].problem
        yield f"it was answered only on a retry ({best.strategy}); the first answer was rejected ({why})."
    if options.task == "read" and not best.problem and best.text.strip("`. \n") == prompts.NO_TEXT:
        yield "no text was found."
    if page.page_text_error:
        yield f"the model got only its image, without its text. {page.page_text_error}"
    if page.second_reading_error:
        yield f"its amounts are not verified by a second reading. {page.second_reading_error}"
    yield from _about_confidence(best, options)


def merge_reasons(merged: MergedData, options: AskOptions, pages: int) -> list[str]:
    """The reasons in the merged data of several pages."""
    schema = options.answer_schema
    if merged.data is None or schema is None or pages == 1 or options.is_of_money:
        return []
    reasons = [f"Two pages disagree: {conflict}. The first value is used." for conflict in merged.conflicts]
    if found := schema_errors(json.loads(dumps(merged.data)), schema):
        reasons.append(f"The pages together do not fit the schema: {'; '.join(found)}.")
    return reasons


def _about_confidence(best: PageAttempt, options: AskOptions) -> Iterator[str]:
    values = sorted((probability, name) for name, probability in page_probabilities(best).items())
    low = [f"{name} ({probability:.2f})" for probability, name in values if probability < options.threshold]
    lowest = best.lowest_token_probability
    if low:
        more = f" and {len(low) - _MAX_VALUES} more" if len(low) > _MAX_VALUES else ""
        yield f"the model was unsure of {', '.join(low[:_MAX_VALUES])}{more}: compare with the original."
    elif lowest is not None and lowest < options.threshold:
        yield f"the model was unsure (a token of probability {lowest:.2f}): compare it with the original."


def _about_resolution(page: PageResult, best: PageAttempt) -> Iterator[str]:
    """Yield reasons for a page that was too small in the resolution in which the model saw it."""
    seen = best.parts[0].answer.size_seen
    share = 1.0
    if seen is not None and page.size is not None and best.strategy is not Strategy.HALVES:
        share = min(1.0, seen[0] * seen[1] / (page.size[0] * page.size[1]))
    if seen is not None and share < _SMALLER:
        yield f"memory ran out, so the model saw only {seen[0]} x {seen[1]} pixels: small print may be lost."
    elif page.dpi is not None and page.dpi < _LEGIBLE_DPI:
        yield f"the model saw it at {page.dpi:.0f} dpi: small print may be lost. Raise `max_pixels`."


def _about_problem(part: AssessedAnswer, options: AskOptions) -> str:
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
            return "nothing was extracted: the answer contains no values."
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
            return f"the answer is not JSON ({detail}). It is saved unchanged."
        case Problem.INVALID:
            return f"the answer does not fit the schema ({detail}). It is saved unchanged."
        case _:
            return f"it was not answered: {detail}."
