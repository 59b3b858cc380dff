"""The complete intake, with real files and a clock passed in."""

import operator

import pytest
from inbox_harness import TOML, InboxHarness


@pytest.mark.parametrize("seconds", [0.5, 5])
def test_new_settings_apply_to_files_taken_afterwards(inbox: InboxHarness, seconds: float):
    other = TOML.replace("settle_seconds = 2", f"settle_seconds = {seconds}\npriority = 3")
    inbox.configure(other)
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    assert [inbox.intake.step(10.0 + seconds + more) for more in (-0.1, 0.1)] == [0, 1]
    assert inbox.store.open_jobs()[0].priority == 3


class UnexpectedError(Exception):
    """An error that no code provides for."""


@pytest.mark.parametrize("error", [UnexpectedError, RecursionError, MemoryError])
@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("intake._files", "consider"),
        ("intake._files", "_is_written"),
        ("folders.inbox", "sidecars"),
        ("intake._files._prerequisites", "check"),
        ("intake._describer", "describe"),
        ("intake._describer", "_describe_sidecars"),
    ],
)
def test_unexpected_error_in_one_file_affects_that_file_only(
    inbox: InboxHarness, monkeypatch, caplog, part: str, place: str, error
):
    owner = operator.attrgetter(part)(inbox)
    real = getattr(owner, place)
    broken = True

    def breaks(*arguments, **keywords):
        if broken and any("bad.txt" in str(getattr(each, "path", each)) for each in arguments):
            raise error("mistake")
        return real(*arguments, **keywords)

    monkeypatch.setattr(owner, place, breaks)
    for name in ("a.txt", "bad.txt", "c.txt"):
        inbox.write(name)
    for now in (10.0, 13.0, 20.0, 30.0):
        inbox.scan(now)
    assert inbox.files() == ["a.txt", "c.txt"] and (inbox.path / "bad.txt").exists()
    assert "Internal error" in inbox.left("bad.txt") and inbox.intake.is_quiet
    assert [record.exc_info is not None for record in caplog.records if "bad.txt" in record.message] == [True], "once"
    broken = False
    assert inbox.scan(40.0) == 0, "nothing has changed"
    inbox.write("bad.txt.toml", "upper = true")
    assert inbox.scan(50.0) + inbox.intake.step(53.0) + inbox.intake.step(56.0) == 1
    assert inbox.files() == ["a.txt", "bad.txt", "c.txt"] and inbox.intake.left == {}


def test_file_that_waits_for_the_disk_is_not_examined_meanwhile(inbox: InboxHarness):
    inbox.write("a.txt")
    inbox.scan(now=10.0)
    inbox.disk_retry.can_take = False
    inbox.intake.step(12.1)
    assert inbox.intake.next_check(12.1) is None and not inbox.intake.is_quiet
    inbox.disk_retry.can_take = True
    assert inbox.intake.next_check(12.1) == 0.0 and inbox.intake.step(12.2) == 1
