"""The attempts on a page, its halves, and the retry ladder."""

import pytest
from PIL import Image
from tiny_vlm import drawing

from processors.vlm.assess import AssessedAnswer, Problem
from processors.vlm.options import AskOptions
from processors.vlm.retry_ladder import PageAttempt, PageResult, RetryLadder, Strategy, can_split, split
from processors.vlm.types import PageAnswer, StopReason


def an_answer(text: str, stop_reason: StopReason = StopReason.STOP) -> PageAnswer:
    return PageAnswer(
        text=text,
        stop_reason=stop_reason,
        tokens=9,
        prompt_tokens=9,
        lowest_token_probability=0.9,
        size_seen=None,
    )


def an_attempt(*problems: Problem | None, strategy: Strategy = Strategy.PLAIN, text: str = "x") -> PageAttempt:
    parts = tuple(AssessedAnswer(answer=an_answer(text), problem=each) for each in problems)
    return PageAttempt(strategy=strategy, parts=parts)


def test_half_a_page_may_be_empty_but_not_all_of_it():
    assert an_attempt(Problem.EMPTY, None).problem is None
    assert an_attempt(Problem.EMPTY, Problem.EMPTY).problem is Problem.EMPTY
    assert an_attempt(None, Problem.CUT_OFF).problem is Problem.CUT_OFF


def test_best_attempt_is_a_good_one_else_the_least_bad_and_longest():
    page = PageResult(number=1, attempts=(an_attempt(Problem.REFUSED), an_attempt(Problem.CUT_OFF, text="a")))
    assert page.best.problem is Problem.CUT_OFF
    page.attempts += (an_attempt(Problem.CUT_OFF, text="abc"),)
    assert page.best.text == "abc"
    page.attempts += (an_attempt(None),)
    assert page.best.problem is None


@pytest.mark.parametrize("name", ["statement-two", "statement-four"])
def test_page_is_split_between_its_lines(name):
    image = drawing(name)
    upper, lower = split(image)
    assert upper.height + lower.height == image.height and 0.3 < upper.height / image.height < 0.7
    for row in (upper.crop((0, upper.height - 1, *upper.size)), lower.crop((0, 0, lower.width, 1))):
        darkest, lightest = row.convert("L").getextrema()
        assert lightest - darkest <= 24


def test_page_without_a_blank_row_is_still_split():
    stripes = Image.radial_gradient("L").resize((200, 400))
    upper, lower = split(stripes)
    assert upper.height + lower.height == 400 and can_split(stripes)
    assert not can_split(stripes.resize((200, 100)))


# ---------------------------------------------------------------------------------------------- the retry ladder


def a_ladder(**options: object) -> RetryLadder:
    return RetryLadder(PageResult(number=1), drawing("statement-two"), "Read it.", AskOptions(task="read", **options))


def test_good_answer_ends_the_ladder():
    ladder = a_ladder()
    ladder.add_answers([an_answer("A line.")])
    assert ladder.is_done and [attempt.strategy for attempt in ladder.result.attempts] == [Strategy.PLAIN]


def test_answer_that_was_cut_off_is_retried_with_a_higher_limit_and_then_in_halves():
    ladder = a_ladder(max_new_tokens=100)
    ladder.add_answers([an_answer("A", StopReason.LENGTH)])
    (longer,) = ladder.requests
    assert longer.token_limit == 400
    ladder.add_answers([an_answer("A line", StopReason.LENGTH)])
    upper, lower = ladder.requests
    assert upper.image.height + lower.image.height == longer.image.height and lower.token_limit == 400
    ladder.add_answers([an_answer("A line."), an_answer("Another.")])
    assert ladder.is_done and ladder.result.best.text == "A line.\nAnother."


def test_refusal_is_retried_only_in_other_words():
    ladder = a_ladder()
    ladder.add_answers([an_answer("I'm sorry, I cannot help with that.")])
    assert ladder.requests[0].prompt.startswith("Read it.\n\n")
    ladder.add_answers([an_answer("I'm sorry, I cannot help with that.")])
    assert ladder.is_done and ladder.result.best.problem is Problem.REFUSED


@pytest.mark.parametrize("stop_reason", [StopReason.ERROR, StopReason.NO_ROOM])
def test_error_is_not_retried(stop_reason: StopReason):
    ladder = a_ladder()
    ladder.add_answers([an_answer("", stop_reason)])
    assert ladder.is_done


def test_number_of_retries_is_limited():
    ladder = a_ladder(retries=1)
    ladder.add_answers([an_answer("A", StopReason.LENGTH)])
    ladder.add_answers([an_answer("A", StopReason.LENGTH)])
    assert ladder.is_done and len(ladder.result.attempts) == 2
