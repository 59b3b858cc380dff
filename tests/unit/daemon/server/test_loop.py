"""One turn of the main loop does a bounded amount of work, whatever is in the mailbox."""

import itertools
import queue
import signal
from pathlib import Path

import pytest

from daemon.core.messages import Due, LookAt, Signalled
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

    def on_hint(hint: LookAt) -> None:
        number = next(numbers)
        assert number < FAR_TOO_MANY, "the turn has no end"
        mailbox.put(LookAt(folder=hint.folder, name=f"{number}.txt"))

    backlog.on_hint = on_hint
    mailbox.put(LookAt(folder=Path("inbox"), name="first.txt"))
    backlog.collect(wait=0.0)
    assert 0 < next(numbers) < FAR_TOO_MANY


def test_task_that_is_due_again_before_it_was_done_is_done_once(backlog: Backlog, mailbox: Mailbox):
    for _ in range(20):
        for task in ("rescan", "probe"):
            mailbox.put(Due(task=task))
    backlog.collect(wait=0.0)
    assert [backlog.next_message().task for _ in range(2)] == ["rescan", "probe"] and not backlog.messages
    mailbox.put(Due(task="rescan"))
    backlog.collect(wait=0.0)
    assert backlog.next_message() == Due(task="rescan")


def test_signal_is_collected_in_the_turn_it_arrives_in_whatever_waits(backlog: Backlog, mailbox: Mailbox):
    for number in range(100):
        mailbox.put(Due(task=str(number)))
    backlog.collect(wait=0.0)
    mailbox.put(Signalled(number=signal.SIGTERM))
    backlog.collect(wait=0.0)
    assert list(backlog.signals) == [Signalled(number=signal.SIGTERM)] and len(backlog.messages) == 100


def test_signal_is_collected_before_the_hints_of_a_flood(backlog: Backlog, mailbox: Mailbox):
    for number in range(FAR_TOO_MANY):
        mailbox.put(LookAt(folder=Path("inbox"), name=str(number)))
    mailbox.put(Signalled(number=signal.SIGTERM))
    backlog.collect(wait=0.0)
    assert backlog.signals
    with pytest.raises(queue.Empty):
        while not isinstance(mailbox.get(), Signalled):
            pass
