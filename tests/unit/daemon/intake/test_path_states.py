"""One state per path, and when something is to be done with each."""

from pathlib import Path

import pytest

from daemon.core.job import Entry
from daemon.intake.path_states import Agenda, FileState, FileStates, SetAside

A, B, ELSEWHERE = Path("/inbox/a"), Path("/inbox/b"), Path("/inbox/sub/a")


def entry(path: Path) -> Entry:
    return Entry(path=path, inode=1, size_bytes=2, mtime_ns=3, ctime_ns=4)


def test_folder_lists_only_files_that_were_seen():
    states = FileStates()
    states.of(A).entry = entry(A)
    states.of(B).is_renamed_in = True
    states.of(ELSEWHERE).entry = entry(ELSEWHERE)
    assert states.seen_in(A.parent) == {A}
    assert [path for path, _ in states] == [A, B, ELSEWHERE]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FileState(entry=entry(A), failures=3, grace_since=1.0, set_aside=SetAside(snapshot=None)), None),
        (FileState(entry=entry(A), is_refused=True, failures=3), FileState(is_refused=True)),
        (
            FileState(entry=entry(A), is_returning=True, set_aside=SetAside(snapshot=())),
            FileState(is_returning=True, set_aside=SetAside(snapshot=())),
        ),
    ],
)
def test_forgotten_file_leaves_only_facts_that_no_scan_shows(before: FileState, after: FileState | None):
    states = FileStates()
    for name in FileState.__slots__:
        setattr(states.of(A), name, getattr(before, name))
    states.forget(A)
    assert states.get(A) == after


def test_state_without_information_is_discarded():
    states = FileStates()
    states.of(A).failures = 1
    states.discard_empty(A)
    assert states.get(A) is not None
    states.of(A).failures = 0
    states.discard_empty(A)
    assert states.get(A) is None and list(states) == []


def test_agenda_returns_the_longest_due_first():
    agenda = Agenda()
    for path, at in ((A, 3.0), (B, 1.0), (ELSEWHERE, 9.0)):
        agenda.set(path, at)
    agenda.add(B, 5.0)
    assert agenda.due(3.0) == [B, A]
    assert agenda.is_later(ELSEWHERE, 3.0) and not agenda.is_later(A, 3.0)
    assert agenda.seconds_left(0.5) == 0.5 and agenda.seconds_left(2.0) == 0.0
    for path in (A, B, ELSEWHERE):
        agenda.remove(path)
    assert agenda.seconds_left(0.5) is None and A not in agenda
