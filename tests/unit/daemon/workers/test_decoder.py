"""Decoding of a worker's output."""

import logging

import pytest

from daemon.workers.decoder import Decoder, ProtocolViolation, RateLimit, StderrTail
from processors import protocol
from processors.contract import WorkProgress

LOADED = protocol.WorkerLoaded(engine="e", model="m", device="d", seconds=1.0)
DONE = protocol.BatchDone()


def _failed(job: str) -> protocol.WorkFailed:
    return protocol.WorkFailed(job=job, attempt=1, kind="error", message="no")


def _feed(decoder: Decoder, *messages: object) -> list:
    return list(decoder.feed(b"".join(protocol.encode(message) for message in messages), 0.0))


def test_messages_in_chunks_of_any_size_are_decoded():
    decoder = Decoder(number=1)
    decoder.expect(1)
    line = b"".join(protocol.encode(message) for message in (LOADED, _failed("a"), DONE))
    decoded = [message for at in range(len(line)) for message in decoder.feed(line[at : at + 1], 0.0)]
    assert decoded == [LOADED, _failed("a"), DONE]


def test_unrequested_messages_are_discarded():
    decoder = Decoder(number=1)
    assert _feed(decoder, DONE, LOADED, LOADED, protocol.Batch(works=[])) == [LOADED]
    decoder.expect(1)
    assert _feed(decoder, DONE, DONE) == [DONE]


def test_surplus_outcomes_are_passed_on_to_the_dispatcher():
    decoder = Decoder(number=1)
    decoder.expect(2)
    answers = [_failed("a"), _failed("a"), _failed("b")]
    assert _feed(decoder, *answers) == answers


def test_too_many_faults_are_a_protocol_violation():
    decoder = Decoder(number=1)
    assert list(decoder.feed(b"noise\n" * 10, 0.0)) == []
    with pytest.raises(ProtocolViolation, match="noise"):
        list(decoder.feed(b"noise\n" * 10, 0.0))


def test_endless_line_is_a_protocol_violation_before_it_fills_the_memory():
    decoder = Decoder(number=1)
    with pytest.raises(ProtocolViolation, match="16 MB"):
        for _ in range(17 * 16):
            list(decoder.feed(b"x" * 65536, 0.0))


def test_progress_is_rate_limited():
    decoder = Decoder(number=1)
    progress = WorkProgress(job="a", attempt=1, done=1, total=2, unit="pages")
    assert len(_feed(decoder, *[progress] * 5000)) == 100


def test_rate_limit_recovers_with_time():
    allowance = RateLimit(per_second=10, burst=2)
    assert [allowance.allows(0.0) for _ in range(3)] == [True, True, False]
    assert [allowance.allows(0.1) for _ in range(2)] == [True, False]


def test_stderr_tail_holds_the_last_lines_cut_to_a_readable_length():
    tail = StderrTail(number=1, log=logging.getLogger("test"))
    for number in range(1000):
        tail.feed(b"line %d\n" % number, 0.0)
    assert str(tail).splitlines()[-1] == "line 999" and len(str(tail).splitlines()) == 20
    tail.feed(b"x" * 10_000_000, 0.0)
    assert len(str(tail)) <= 1000
