"""Tasks off the main thread: their outcomes arrive as messages, in order."""

import queue
import threading
from typing import Any

import pytest

from daemon.core.background import Background
from daemon.core.messages import BackgroundDone

_DEADLINE = 30.0  # seconds


@pytest.fixture
def mailbox() -> queue.SimpleQueue:
    return queue.SimpleQueue()


@pytest.fixture
def background(mailbox: queue.SimpleQueue):
    made = Background(mailbox.put)
    yield made
    made.stop()


def finish_next(background: Background, mailbox: queue.SimpleQueue) -> None:
    message = mailbox.get(timeout=_DEADLINE)
    assert isinstance(message, BackgroundDone)
    background.finish(message)


def test_outcomes_are_applied_on_the_thread_that_reads_them_in_the_order_of_the_requests(background, mailbox):
    seen: list[Any] = []
    for number in range(3):
        background.run(
            lambda number=number: (number, threading.current_thread().name),
            lambda outcome: seen.append((*outcome, threading.current_thread() is threading.main_thread())),
            size_bytes=1,
        )
    assert background.pending == 3
    for _ in range(3):
        finish_next(background, mailbox)
    assert seen == [(number, "background", True) for number in range(3)] and background.pending == 0


def test_exception_is_an_outcome_and_does_not_end_the_thread(background, mailbox):
    seen: list[Any] = []
    background.run(lambda: 1 / 0, seen.append, size_bytes=1)
    background.run(lambda: "after it", seen.append, size_bytes=1)
    for _ in range(2):
        finish_next(background, mailbox)
    assert isinstance(seen[0], ZeroDivisionError) and seen[1] == "after it"


def test_small_file_does_not_wait_for_giants(background, mailbox):
    gate, seen = threading.Event(), []
    for size_bytes in (10**9, 10**10, 10**11, 10**12, 10**13, 10**13):
        background.run(gate.wait, seen.append, size_bytes=size_bytes)
    background.run(lambda: "small", seen.append, size_bytes=10**8)
    finish_next(background, mailbox)
    assert seen == ["small"] and background.pending == 6
    assert not background.stop()
    gate.set()


def test_unrequested_outcome_changes_nothing(background):
    background.finish(BackgroundDone(number=7, outcome="?"))
    assert background.pending == 0


def test_stop_ends_the_thread_and_reports_whether_it_has_ended(mailbox):
    idle = Background(mailbox.put)
    assert idle.stop(), "it had no thread yet"
    busy, gate = Background(mailbox.put), threading.Event()
    busy.run(gate.wait, lambda outcome: None, size_bytes=1)
    assert not busy.stop()
    gate.set()
    assert busy.stop()
