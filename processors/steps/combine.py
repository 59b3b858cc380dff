"""The outcome of a job with steps, from its first result and those of the steps. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from processors.contract import Failed, FailureKind, Finished, Step, Work

_MESSAGE_CHARACTERS = 250  # of a failure in the review
_TEXTS = (".md", ".txt")  # the output that a step gets, the best first


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """How a step ended."""

    step: Step
    finished: Finished | None = None  # files relative to the outputs of the job
    failed: Failed | None = None
    may_succeed_later: bool = False  # of a failure
    made_by: Mapping[str, object] = field(default_factory=dict)  # engine, model, device, seconds


def text_file(files: Sequence[str]) -> str | None:
    """The output whose text a step gets; None: there is none."""
    return next((name for ending in _TEXTS for name in files if name.lower().endswith(ending)), None)


def combine(work: Work, first: Finished, results: Sequence[StepResult]) -> Finished | Failed:
    """The outcome of the job: a failure only if a step may succeed in a later attempt, and there will be one."""
    failures = [(each.step, each.failed) for each in results if each.failed is not None]
    if storage := next((failed for _, failed in failures if failed.kind is FailureKind.STORAGE), None):
        return storage
    later = [each for each in results if each.failed is not None and each.may_succeed_later]
    if later and not work.is_last_attempt:
        assert later[0].failed is not None
        return Failed(kind=FailureKind.ERROR, message=f'The recipe "{later[0].step.recipe}": {later[0].failed.message}')
    done = [(each.step, each.finished) for each in results if each.finished is not None]
    text = text_file(first.files)
    return replace(
        first,
        files=(*first.files, *(name for _, finished in done for name in finished.files)),
        review=(
            *first.review,
            *(f"{step.recipe}: {reason}" for step, finished in done for reason in finished.review),
            *(_missing(step, failed, text) for step, failed in failures),
        ),
        details={**first.details, "steps": [_facts(each) for each in results]},
    )


def _missing(step: Step, failed: Failed, text: str | None) -> str:
    message = failed.message
    if len(message) > _MESSAGE_CHARACTERS:
        message = f"{message[: _MESSAGE_CHARACTERS - 2]} …"
    again = f"inboxd submit {shlex.quote(text)} --recipe {shlex.quote(step.recipe)}" if text else ""
    fix = f" Then run in this folder: {again}" if again else ""
    return f'The result of the recipe "{step.recipe}" is missing: {message}{fix}'


def _facts(result: StepResult) -> dict[str, object]:
    """What result.json records of a step."""
    finished, failed = result.finished, result.failed
    return {
        "recipe": result.step.recipe,
        "processor": result.step.processor,
        **result.made_by,
        "outcome": "failed" if failed else "finished" if finished else "no text",
        **({"error_kind": str(failed.kind), "error": failed.message} if failed else {}),
        **({"files": list(finished.files), "details": dict(finished.details)} if finished else {}),
    }
