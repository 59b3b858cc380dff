"""The mailbox stays small however many events arrive, and signals overtake all other messages."""

import queue
import signal
from pathlib import Path

import pytest

from daemon.core.messages import CheckAll, Due, Hint, Signalled
from daemon.server.mailbox import MAX_HINTS, Mailbox

FOLDER = Path("/inbox/a")


def all_of(mailbox: Mailbox) -> list:
    messages = []
    while True:
        try:
            messages.append(mailbox.get())
        except queue.Empty:
            return messages


def test_messages_keep_their_order():
    mailbox = Mailbox()
    messages = [Due(task="a"), Hint(folder=FOLDER, name="x"), Due(task="a"), Hint(folder=FOLDER)]
    for message in messages:
        mailbox.put(message)
    assert all_of(mailbox) == messages


def test_flood_of_events_on_one_name_is_one_message():
    mailbox = Mailbox()
    for _ in range(10_000):
        mailbox.put(Hint(folder=FOLDER, name="x"))
    assert all_of(mailbox) == [Hint(folder=FOLDER, name="x")]
    mailbox.put(Hint(folder=FOLDER, name="x"))
    assert len(all_of(mailbox)) == 1, "a hint after the last was delivered is a new one"


@pytest.mark.parametrize("complete", [True, False])
def test_last_event_of_a_file_counts(complete: bool):
    mailbox = Mailbox()
    for each in (not complete, complete):
        mailbox.put(Hint(folder=FOLDER, name="x", complete=each))
    assert all_of(mailbox) == [Hint(folder=FOLDER, name="x", complete=complete)]


def test_folder_that_was_renamed_in_stays_complete():
    mailbox = Mailbox()
    for complete in (False, True, False):
        mailbox.put(Hint(folder=FOLDER, complete=complete))
    assert all_of(mailbox) == [Hint(folder=FOLDER, complete=True)]


def test_too_many_names_become_a_scan_of_their_folder():
    mailbox = Mailbox()
    for number in range(3 * MAX_HINTS):
        mailbox.put(Hint(folder=FOLDER, name=str(number), complete=True))
    messages = all_of(mailbox)
    assert len(messages) == MAX_HINTS + 1
    assert messages[-1] == Hint(folder=FOLDER)


def test_too_many_folders_become_a_scan_of_the_complete_inbox():
    mailbox = Mailbox()
    for number in range(4 * MAX_HINTS):
        mailbox.put(Hint(folder=FOLDER / str(number), complete=True))
    messages = all_of(mailbox)
    assert len(messages) < 3 * MAX_HINTS
    assert isinstance(messages[-1], CheckAll)


def test_signals_overtake_all_other_messages():
    mailbox = Mailbox()
    for number in range(100):
        mailbox.put(Due(task=str(number)))
    for number in (signal.SIGHUP, signal.SIGTERM):
        mailbox.put(Signalled(number=number))
    messages = all_of(mailbox)
    assert messages[:2] == [Signalled(number=signal.SIGHUP), Signalled(number=signal.SIGTERM)]
    assert len(messages) == 102
    with pytest.raises(queue.Empty):
        mailbox.get()
