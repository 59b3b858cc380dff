"""What a worker's bytes mean, byte by byte."""

import logging

import pytest

from daemon.workers.decoder import Allowance, Hearing, LastWords, Unintelligible
from processors import protocol
from processors.contract import WorkProgress

LOADED = protocol.WorkerLoaded(engine="e", model="m", device="d", seconds=1.0)
DONE = protocol.BatchDone()


def _failed(job: str) -> protocol.WorkFailed:
    return protocol.WorkFailed(job=job, attempt=1, kind="error", message="no")


def _hear(hearing: Hearing, *messages: object) -> list:
    return list(hearing.take(b"".join(protocol.encode(message) for message in messages), 0.0))


def test_messages_in_any_pieces_are_heard_whole():
    hearing = Hearing(number=1)
    hearing.expect(1)
    line = b"".join(protocol.encode(message) for message in (LOADED, _failed("a"), DONE))
    heard = [message for at in range(len(line)) for message in hearing.take(line[at : at + 1], 0.0)]
    assert heard == [LOADED, _failed("a"), DONE]


def test_what_was_not_asked_for_is_not_heard():
    hearing = Hearing(number=1)
    assert _hear(hearing, DONE, LOADED, LOADED, protocol.Batch(works=[])) == [LOADED]
    hearing.expect(1)
    assert _hear(hearing, DONE, DONE) == [DONE]


def test_answers_in_excess_are_left_to_who_knows_the_jobs():
    hearing = Hearing(number=1)
    hearing.expect(2)
    answers = [_failed("a"), _failed("a"), _failed("b")]
    assert _hear(hearing, *answers) == answers


def test_who_breaks_the_rules_too_often_is_unintelligible():
    hearing = Hearing(number=1)
    assert list(hearing.take(b"noise\n" * 10, 0.0)) == []
    with pytest.raises(Unintelligible, match="noise"):
        list(hearing.take(b"noise\n" * 10, 0.0))


def test_line_without_an_end_is_unintelligible_before_it_fills_the_memory():
    hearing = Hearing(number=1)
    with pytest.raises(Unintelligible, match="16 MB"):
        for _ in range(17 * 16):
            list(hearing.take(b"x" * 65536, 0.0))


def test_flood_of_progress_is_thinned():
    hearing = Hearing(number=1)
    progress = WorkProgress(job="a", attempt=1, done=1, total=2, unit="pages")
    assert len(_hear(hearing, *[progress] * 5000)) == 100


def test_allowance_is_given_back_with_time():
    allowance = Allowance(a_second=10, at_once=2)
    assert [allowance.grants(0.0) for _ in range(3)] == [True, True, False]
    assert [allowance.grants(0.1) for _ in range(2)] == [True, False]


def test_last_words_are_the_last_of_many_and_of_readable_length():
    words = LastWords(number=1, log=logging.getLogger("test"))
    for number in range(1000):
        words.take(b"line %d\n" % number, 0.0)
    assert str(words).splitlines()[-1] == "line 999" and len(str(words).splitlines()) == 20
    words.take(b"x" * 10_000_000, 0.0)
    assert len(str(words)) <= 1000
