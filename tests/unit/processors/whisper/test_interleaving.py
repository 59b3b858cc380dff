"""Generators as jobs: answers reach the job that asked, errors stay in it, and all are closed at the end."""

import pytest

from processors.whisper.track import interleaving


def ask(*questions):
    """A job that makes these requests, and returns the answers."""
    answers = []
    for question in questions:
        answers.append((yield question))
    return answers


def echo(requests):
    return {number: f"{request}!" for number, request in requests.items()}


def test_answers_reach_the_job_that_asked_and_an_error_is_its_own():
    def fail():
        yield 5
        raise ValueError("mine")

    rounds = []

    def answer(requests):
        rounds.append(dict(requests))
        return {number: request * 10 for number, request in requests.items()}

    ended = dict(interleaving.run([ask(1, 2), fail(), ask()], answer))
    assert ended[0] == [10, 20] and str(ended[1]) == "mine" and ended[2] == []
    assert rounds == [{0: 1, 1: 5}, {0: 2}]


def test_job_that_arrives_later_joins_and_may_end_first():
    coming = [[], [ask("late")]]
    ended = list(interleaving.run([ask(0, 1, 2, 3)], echo, lambda: coming.pop(0) if coming else []))
    assert ended == [(1, ["late!"]), (0, ["0!", "1!", "2!", "3!"])]


def test_request_without_an_answer_stays_open():
    def answer(requests):
        first = min(requests)
        return {first: requests[first]}

    assert list(interleaving.run([ask(0), ask(1), ask(2)], answer)) == [(0, [0]), (1, [1]), (2, [2])]


def test_answer_that_is_an_exception_is_raised_in_the_job():
    def recover():
        try:
            yield 1
        except OverflowError as error:
            return f"recovered from {error}"

    answers = {0: OverflowError("too much"), 1: OverflowError("too much")}
    ended = dict(interleaving.run([recover(), ask(1)], lambda requests: answers))
    assert ended[0] == "recovered from too much" and isinstance(ended[1], OverflowError)


def test_error_of_the_answering_function_closes_all_jobs():
    closed = []

    def wait():
        try:
            yield 1
        finally:
            closed.append(True)

    def answer(requests):
        raise MemoryError

    with pytest.raises(MemoryError):
        list(interleaving.run([wait(), wait()], answer))
    assert closed == [True, True]


# ---------------------------------------------------------------------------------------------- intercepted requests


def doubled(request):
    answer = yield request * 2
    return f"<{answer}>"


def test_intercepted_requests_and_answers_pass_through_the_handler():
    assert list(interleaving.run([interleaving.intercept(ask(1, 2), doubled)], echo)) == [(0, ["<2!>", "<4!>"])]


def test_handler_may_answer_without_a_request():
    def answer_here(request):
        return "here"
        yield

    assert list(interleaving.run([interleaving.intercept(ask(1, 2), answer_here)], echo)) == [(0, ["here", "here"])]


def test_error_of_a_handler_or_an_answer_is_raised_in_the_intercepted_job():
    def recover():
        try:
            yield 1
        except ValueError as error:
            return str(error)

    def refuse(request):
        raise ValueError("refused")
        yield

    jobs = [interleaving.intercept(recover(), refuse), interleaving.intercept(recover(), doubled)]
    ended = dict(interleaving.run(jobs, lambda requests: dict.fromkeys(requests, ValueError("failed"))))
    assert ended == {0: "refused", 1: "failed"}


def test_closing_closes_the_intercepted_job():
    closed = []

    def wait():
        try:
            yield 1
        finally:
            closed.append(True)

    job = interleaving.intercept(wait(), doubled)
    next(job)
    job.close()
    assert closed == [True]
