"""The outcome of a job with steps."""

from pathlib import Path

import pytest

from processors.contract import Failed, FailureKind, Finished, Kind, RecipeOptions, Step, Work
from processors.steps.combine import StepResult, combine, text_file

MINUTES = Step(
    recipe="minutes",
    processor="vlm",
    options={},
    recipe_options={},
    python=None,
    timeout=1.0,
    wants_prompt=False,
)
FIRST = Finished(files=("talk.txt", "talk.srt"), excerpt="hello", review=("unsure",), details={"language": "en"})
AWAY = Failed(kind=FailureKind.UNAVAILABLE, message="The server does not respond.")


def _work(*, is_last_attempt: bool) -> Work:
    return Work(
        job="1",
        attempt=1,
        source=Path("talk.mp3"),
        kind=Kind.AUDIO,
        media_type="audio/mpeg",
        outputs=Path("out"),
        stem="talk",
        recipe="transcribe",
        options=RecipeOptions(then="minutes"),
        then=(MINUTES,),
        is_last_attempt=is_last_attempt,
    )


def test_files_and_reviews_of_a_step_follow_those_of_the_first():
    minutes = Finished(files=("talk.minutes.md",), review=("the answer is empty.",), details={"tokens": 3})
    made_by = {"engine": "openai", "model": "m", "device": "d", "seconds": 1.0}
    found = combine(_work(is_last_attempt=True), FIRST, [StepResult(step=MINUTES, finished=minutes, made_by=made_by)])
    assert isinstance(found, Finished)
    assert found.files == ("talk.txt", "talk.srt", "talk.minutes.md") and found.excerpt == "hello"
    assert found.review == ("unsure", "minutes: the answer is empty.")
    (step,) = found.details["steps"]
    assert step["outcome"] == "finished" and step["model"] == "m" and found.details["language"] == "en"


def test_failed_step_is_retried_while_there_are_attempts():
    result = StepResult(step=MINUTES, failed=AWAY, may_succeed_later=True)
    found = combine(_work(is_last_attempt=False), FIRST, [result])
    assert isinstance(found, Failed) and found.kind is FailureKind.ERROR and "The server does not" in found.message


def test_review_shows_what_is_missing_and_what_to_do_after_the_last_attempt():
    result = StepResult(step=MINUTES, failed=AWAY, may_succeed_later=True)
    found = combine(_work(is_last_attempt=True), FIRST, [result])
    assert isinstance(found, Finished) and found.files == FIRST.files
    assert found.review[1] == (
        'The result of the recipe "minutes" is missing: The server does not respond. Then run in this folder: '
        "inboxd submit talk.txt --recipe minutes"
    )


def test_failure_that_a_retry_would_repeat_is_reported_at_once():
    result = StepResult(step=MINUTES, failed=Failed(kind=FailureKind.BAD_INPUT, message="Too long."))
    assert isinstance(combine(_work(is_last_attempt=False), FIRST, [result]), Finished)


def test_full_disk_is_no_failure_of_the_step():
    full = Failed(kind=FailureKind.STORAGE, message="No space left on device.")
    assert combine(_work(is_last_attempt=True), FIRST, [StepResult(step=MINUTES, failed=full)]) == full


@pytest.mark.parametrize(
    ("files", "expected"),
    [(["a.txt", "a.md"], "a.md"), (["a.json", "a.TXT"], "a.TXT"), (["a.json"], None), ([], None)],
)
def test_text_for_a_step_is_markdown_if_there_is_some(files: list[str], expected: str | None):
    assert text_file(files) == expected
