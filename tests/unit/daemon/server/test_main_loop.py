"""One turn of the main loop does a bounded amount of work, whatever is in the mailbox."""

import itertools
import queue
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon import config
from daemon.core.messages import Due, LookAt, Signalled
from daemon.server.service import Service

FAR_TOO_MANY = 50_000


@pytest.fixture
def service(tmp_path: Path) -> Service:
    (tmp_path / "config.toml").write_text('[inbox]\ntext = "count"\n[recipes.count]\nprocessor = "plaintext"\n')
    made = Service(config.load(tmp_path / "config.toml"))
    made.storage = SimpleNamespace(note=lambda error: None)
    return made


def test_hints_that_come_faster_than_they_are_applied_do_not_hold_up_the_loop(service: Service, tmp_path: Path):
    numbers = itertools.count()

    def look_at(hint: LookAt, now: float) -> None:
        number = next(numbers)
        assert number < FAR_TOO_MANY, "the turn has no end"
        service._mailbox.put(LookAt(folder=tmp_path, name=f"{number}.txt"))

    service.intake = SimpleNamespace(look_at=look_at)
    service._mailbox.put(LookAt(folder=tmp_path, name="first.txt"))
    service._apply_all(wait=0.0)
    assert 0 < next(numbers) < FAR_TOO_MANY


def test_task_that_is_due_again_before_it_was_done_is_done_once(service: Service, monkeypatch):
    done = []
    monkeypatch.setattr(service, "_due", done.append)
    for _ in range(20):
        for task in ("rescan", "probe"):
            service._mailbox.put(Due(task=task))
    service._apply_all(wait=0.0)
    assert done == ["rescan", "probe"]
    service._mailbox.put(Due(task="rescan"))
    service._apply_all(wait=0.0)
    assert done == ["rescan", "probe", "rescan"]


def test_signal_is_seen_in_the_turn_it_comes_in_whatever_waits(service: Service, monkeypatch):
    applied = []
    monkeypatch.setattr("daemon.server.service._APPLY_SECONDS", 0.0)  # one message in a turn
    monkeypatch.setattr(service, "_due", applied.append)
    for number in range(100):
        service._mailbox.put(Due(task=str(number)))
    service._apply_all(wait=0.0)
    service._mailbox.put(Signalled(number=signal.SIGTERM))
    service._apply_all(wait=0.0)
    assert service._is_finished() and len(applied) == 2


def test_signal_is_seen_before_the_hints_of_a_flood(service: Service, tmp_path: Path):
    service.intake = SimpleNamespace(look_at=lambda hint, now: None)
    for number in range(FAR_TOO_MANY):
        service._mailbox.put(LookAt(folder=tmp_path, name=str(number)))
    service._mailbox.put(Signalled(number=signal.SIGTERM))
    assert service.was_asked_to_stop()
    with pytest.raises(queue.Empty):
        while not isinstance(service._mailbox.get(), Signalled):
            pass
