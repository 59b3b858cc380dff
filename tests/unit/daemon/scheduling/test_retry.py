import pytest
from factories import make_job

from daemon.scheduling.retry import MAX_INTERRUPTIONS, Again, GiveUp, Park, decide, is_last_attempt, is_quarantined
from processors.contract import FailureKind


def _decide(failure: FailureKind, *, charged: int = 0, batch_size: int = 1, **rules):
    rules = {"attempts": 3, "backoff": 30.0, "backoff_max": 3600.0, **rules}
    return decide(make_job(charged=charged), failure, batch_size=batch_size, **rules)


def test_bad_input_is_never_retried():
    assert _decide(FailureKind.BAD_INPUT) == GiveUp()


def test_unavailable_parks_however_often_the_job_was_charged():
    assert _decide(FailureKind.UNAVAILABLE, charged=99) == Park()


@pytest.mark.parametrize("failure", [FailureKind.ERROR, FailureKind.TIMEOUT, FailureKind.CRASHED])
def test_transient_failure_is_retried_with_growing_pauses_and_then_given_up(failure):
    pauses = [_decide(failure, charged=charged, attempts=4).after_seconds for charged in range(3)]
    assert pauses == [30.0, 60.0, 120.0]
    assert _decide(failure, charged=3, attempts=4) == GiveUp()


def test_pauses_do_not_grow_beyond_their_limit():
    assert _decide(FailureKind.ERROR, charged=50, attempts=100).after_seconds == 3600.0


@pytest.mark.parametrize("failure", [FailureKind.TIMEOUT, FailureKind.CRASHED, FailureKind.ERROR])
def test_batch_that_crashed_or_raised_is_retried_one_by_one_uncharged(failure):
    assert _decide(failure, batch_size=4) == Again(charged=False, alone=True)


def test_out_of_memory_in_a_batch_is_not_charged():
    assert _decide(FailureKind.OUT_OF_MEMORY, batch_size=4) == Again(charged=False)


def test_out_of_memory_alone_is_charged_until_given_up():
    assert _decide(FailureKind.OUT_OF_MEMORY).charged
    assert _decide(FailureKind.OUT_OF_MEMORY, charged=2) == GiveUp()


def test_job_out_of_gpu_memory_is_retried_alone_and_then_on_the_cpu_uncharged():
    rules = {"attempts": 1, "backoff": 30.0, "backoff_max": 3600.0, "batch_size": 1, "may_use_cpu": True}
    assert decide(make_job(), FailureKind.OUT_OF_MEMORY, **rules) == Again(charged=False, alone=True)
    moved = decide(make_job(alone=True), FailureKind.OUT_OF_MEMORY, **rules)
    assert moved == Again(charged=False, alone=True, on_cpu=True)
    assert decide(make_job(alone=True), FailureKind.ERROR, **rules) == GiveUp()


def test_job_whose_worker_died_in_a_later_step_gets_an_attempt_to_publish_its_first_result():
    assert _decide(FailureKind.CRASHED, attempts=1) == GiveUp()
    assert isinstance(_decide(FailureKind.CRASHED, attempts=1, has_first_result=True), Again)
    assert _decide(FailureKind.CRASHED, attempts=1, charged=1, has_first_result=True) == GiveUp()
    assert [is_last_attempt(make_job(charged=charged), attempts=2) for charged in range(3)] == [False, True, True]


def test_job_that_ran_at_too_many_unclean_ends_is_quarantined():
    assert not is_quarantined(make_job(interruptions=MAX_INTERRUPTIONS - 1))
    assert is_quarantined(make_job(interruptions=MAX_INTERRUPTIONS))
