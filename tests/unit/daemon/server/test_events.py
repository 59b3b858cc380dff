"""Events are numbered as in the job log; a reader that is slow or new catches up in bounded steps."""

from pathlib import Path
from typing import Any

import pytest
from bench import TABLES, Bench

from daemon import config
from daemon.queue.reader import JobLog
from daemon.server import events


@pytest.fixture
def bench(tmp_path: Path):
    made = Bench(config.parse(TABLES, source=None, home=tmp_path))
    yield made
    made.store.close()


def _events_after(bench: Bench, after: int | None) -> dict[str, Any]:
    answer = bench.ask("events", after=after)
    assert answer["ok"], answer
    return answer


def test_new_reader_learns_only_where_to_continue(bench: Bench):
    bench.begin("x.txt")
    answer = _events_after(bench, None)
    assert answer["events"] == [] and not answer["has_more"]
    with JobLog(bench.settings.database) as log:
        assert answer["last"] == log.last_event()


def test_events_have_the_numbers_of_the_job_log_and_name_their_files(bench: Bench):
    bench.begin("x.txt")
    answer = _events_after(bench, 0)
    with JobLog(bench.settings.database) as log:
        assert answer["events"] == log.events_after(0)
    assert [event["event"] for event in answer["events"]] == ["queued", "running, attempt 1"]
    assert {event["file"] for event in answer["events"]} == {"x.txt"}


def test_reader_gets_each_event_once(bench: Bench):
    bench.begin("x.txt")
    seen = _events_after(bench, 0)
    assert _events_after(bench, seen["last"])["events"] == []
    bench.fail_file("x.txt")
    (event,) = _events_after(bench, seen["last"])["events"]
    assert event["event"] == "queued again: error" and event["number"] > seen["last"]


def test_slow_reader_catches_up_in_bounded_steps(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "_MAX_EVENTS", 2)
    bench.drop("a.txt", "b.txt", "c.txt")
    last, sizes = 0, []
    while (answer := _events_after(bench, last))["events"]:
        last, sizes = answer["last"], [*sizes, len(answer["events"])]
        assert answer["has_more"] == (sum(sizes) < 3)
    assert sizes == [2, 1]


def test_number_beyond_this_job_log_restarts_at_its_latest(bench: Bench):
    bench.drop("x.txt")
    answer = _events_after(bench, 10**9)
    assert answer["events"] == [] and answer["last"] < 10**9


def test_progress_comes_with_the_events(bench: Bench):
    bench.begin("x.txt")
    bench.report_progress(1, bench.job("x.txt"), done=0.5)
    (running,) = _events_after(bench, None)["running"]
    assert running["file"] == "x.txt" and running["progress"] == {"done": 0.5, "total": 2.0, "unit": "pages"}
