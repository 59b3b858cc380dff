"""One iteration of the main loop does a bounded amount of work, whatever the mailbox contains."""

import itertools
import queue
import signal
from pathlib import Path

import pytest

from daemon.core.messages import Due, Hint, Request, Signalled, WorkerExited
from daemon.server.backlog import Backlog
from daemon.server.mailbox import Mailbox

FAR_TOO_MANY = 50_000


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def backlog(mailbox: Mailbox) -> Backlog:
    return Backlog(mailbox)


def test_hints_that_arrive_faster_than_they_are_applied_do_not_hold_up_the_loop(backlog: Backlog, mailbox: Mailbox):
    numbers = itertools.count()

    def on_hint(hint: Hint) -> None:
        number = next(numbers)
        assert number < FAR_TOO_MANY, "the turn has no end"
        mailbox.put(Hint(folder=hint.folder, name=f"{number}.txt"))

    backlog.on_hint = on_hint
    mailbox.put(Hint(folder=Path("inbox"), name="first.txt"))
    backlog.collect(wait=0.0)
    assert 0 < next(numbers) < FAR_TOO_MANY


def test_request_does_not_wait_for_outcomes_nor_do_outcomes_wait_for_many_requests(backlog: Backlog, mailbox: Mailbox):
    outcomes = [WorkerExited(worker=number, exit_status=0, stderr_tail="") for number in range(3)]
    requests = [Request(command=f"{number}") for number in range(3)]
    for message in (*outcomes, *requests):
        mailbox.put(message)
    backlog.collect(wait=0.0)
    applied = []
    while backlog.has_messages:
        first = backlog.first()
        applied.append(backlog.next_message())
        assert applied[-1] is first
    assert applied == [message for pair in zip(requests, outcomes, strict=True) for message in pair]
    assert backlog.first() is None


def test_task_that_is_due_again_before_it_was_done_is_done_once(backlog: Backlog, mailbox: Mailbox):
    for _ in range(20):
        for task in ("rescan", "probe"):
            mailbox.put(Due(task=task))
    backlog.collect(wait=0.0)
    assert [backlog.next_message().task for _ in range(2)] == ["rescan", "probe"] and not backlog.has_messages
    mailbox.put(Due(task="rescan"))
    backlog.collect(wait=0.0)
    assert backlog.next_message() == Due(task="rescan")


def test_signal_is_collected_in_the_turn_it_arrives_in_whatever_waits(backlog: Backlog, mailbox: Mailbox):
    for number in range(100):
        mailbox.put(Due(task=str(number)))
    backlog.collect(wait=0.0)
    mailbox.put(Signalled(number=signal.SIGTERM))
    backlog.collect(wait=0.0)
    assert list(backlog.signals) == [Signalled(number=signal.SIGTERM)]
    assert [backlog.next_message() for _ in range(100)] and not backlog.has_messages


def test_request_is_collected_before_the_hints_of_a_flood(backlog: Backlog, mailbox: Mailbox):
    for number in range(FAR_TOO_MANY):
        mailbox.put(Hint(folder=Path("inbox"), name=str(number)))
    request = Request(command="status")
    mailbox.put(request)
    backlog.collect(wait=0.0)
    assert backlog.next_message() is request


def test_signal_is_collected_before_the_hints_of_a_flood(backlog: Backlog, mailbox: Mailbox):
    for number in range(FAR_TOO_MANY):
        mailbox.put(Hint(folder=Path("inbox"), name=str(number)))
    mailbox.put(Signalled(number=signal.SIGTERM))
    backlog.collect(wait=0.0)
    assert backlog.signals
    with pytest.raises(queue.Empty):
        while not isinstance(mailbox.get(), Signalled):
            pass
