"""Why a person should look at a result. Pure: it judges what was answered and changes nothing."""

from collections.abc import Iterator, Sequence

from processors.vlm import AskOptions, prompts, repetition
from processors.vlm.question import PageRecord, StopReason

_LEGIBLE_DPI = 70  # of a PDF page as seen: at 75 dpi every row of ten statements was read, smaller print is lost below
_MOST_UNIT_CHARACTERS = 40  # of what is repeated, quoted in a reason


def reasons(records: Sequence[PageRecord], options: AskOptions) -> tuple[str, ...]:
    """One sentence for each thing seen, page by page; empty if there is none."""
    return tuple(
        f"Page {record.number} of {len(records)}: {reason}" for record in records for reason in _of(record, options)
    )


def _of(record: PageRecord, options: AskOptions) -> Iterator[str]:
    answer = record.answer
    if answer is None:
        yield f"it could not be decoded and is missing here. {record.error}"
        return
    if record.dpi is not None and record.dpi < _LEGIBLE_DPI:
        yield f"it was seen at {record.dpi:.0f} dpi: small print may be lost. Raise `max_pixels`."
    match answer.stop_reason:
        case StopReason.NO_ROOM:
            yield "the prompt and this page are too long for the model: it was not answered."
            return
        case StopReason.LENGTH:
            yield f"the answer is cut off after {answer.tokens} tokens. Raise `max_new_tokens`."
    loop = repetition.find(answer.text)
    if loop:
        said = " ".join(loop.unit.split())[:_MOST_UNIT_CHARACTERS]
        yield f'the model was caught in a loop: "{said}" {loop.times} times.'
    elif answer.stop_reason is StopReason.LOOP:
        yield f"the model was caught in a loop, and was stopped after {answer.tokens} tokens."
    if not answer.text:
        yield "the answer is empty."
    elif options.task == "read" and answer.text.strip("`. \n") == prompts.NO_TEXT:
        yield "no text was found."
    probability = answer.lowest_token_probability
    if probability is not None and probability < options.min_token_probability:
        yield f"the model was unsure (a token of probability {probability:.2f}): compare it with the original."
