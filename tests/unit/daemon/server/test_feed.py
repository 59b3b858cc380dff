"""Subscriptions: every event once and in order, at the pace of each reader, and without delaying anybody else."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import make_job
from sandbox import wait_for

from daemon.core.errors import StorageError
from daemon.queue.reader import JobLog
from daemon.queue.store import Store
from daemon.server import api, feed, feed_lines, subscriber
from daemon.server.feed import Feed


class Lines:
    """The other end of a subscription."""

    def __init__(self, connection: socket.socket):
        self.connection = connection
        connection.settimeout(10)
        self._file = connection.makefile("rb")

    def next(self) -> dict[str, Any]:
        line = self._file.readline()
        assert line.endswith(b"\n"), "the connection ended"
        return json.loads(line)

    def events(self, count: int) -> list[int]:
        numbers: list[int] = []
        while len(numbers) < count:
            if (line := self.next())["type"] == "event":
                numbers.append(line["number"])
        return numbers

    def rest(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file]

    def close(self) -> None:
        self._file.close()
        self.connection.close()


class Source:
    """A feed, and the main thread that records jobs and lets it know."""

    def __init__(self, home: Path):
        self.store = Store(home / "jobs.db")
        self.posted: list[object] = []
        self.feed = Feed(home / "jobs.db", self.posted.append)
        self.feed.start()
        self.progress = feed_lines.ProgressLine(running=[], workers=[])

    def subscribe(self, after: int | None = None) -> Lines:
        own, theirs = socket.socketpair()
        refusal = self.feed.adopt(theirs, {} if after is None else {"after": after})
        assert refusal is None, refusal
        return Lines(own)

    def record(self, count: int = 1, **fields: Any) -> None:
        self.store.insert([make_job(**fields) for _ in range(count)])
        self.turn()

    def turn(self) -> None:
        self.feed.update(time.monotonic(), lambda: self.progress)

    @property
    def count(self) -> int:
        return len(self.feed._subscribers)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    made = Source(tmp_path)
    yield made
    made.feed.stop()
    made.store.close()


def test_events_come_as_they_are_recorded(source: Source):
    lines = source.subscribe()
    first = lines.next()
    assert first["ok"] and (first["type"], first["last"]) == ("subscribed", 0)
    source.record(name="a.txt", folder="bank")
    event = next(line for line in iter(lines.next, None) if line["type"] == "event")
    assert (event["number"], event["file"], event["event"]) == (1, "bank/a.txt", "queued")
    source.record(3)
    assert lines.events(3) == [2, 3, 4]
    assert source.posted, "the main loop turns, to report the progress"


def test_subscriber_continues_after_its_last_event(source: Source):
    source.record(5)
    assert source.subscribe(after=2).events(3) == [3, 4, 5]
    lines = source.subscribe()
    lines.next()
    source.record()
    assert lines.events(1) == [6], "without a number, from now on"


def test_number_of_a_job_log_that_was_replaced_begins_with_the_latest(source: Source):
    source.record(5)
    lines = source.subscribe(after=10**6)
    assert lines.next()["last"] == 5
    source.record()
    assert lines.events(1) == [6]


def test_long_replay_is_complete_and_in_order(source: Source):
    source.record(3000)
    assert source.subscribe(after=0).events(3000) == list(range(1, 3001))


def test_too_many_events_are_skipped_and_the_subscriber_knows_it(source: Source, monkeypatch):
    monkeypatch.setattr(feed, "MAX_REPLAY", 10)
    source.record(20)
    lines = source.subscribe(after=3)
    assert lines.next()["type"] == "subscribed"
    assert lines.next() == {"ok": True, "type": "skipped", "after": 3, "last": 20}
    source.record()
    assert lines.events(1) == [21]


def test_many_subscribers_get_the_same_events(source: Source):
    all_lines = [source.subscribe() for _ in range(feed.MAX_SUBSCRIBERS)]
    for lines in all_lines:
        lines.next()
    source.record(50)
    for lines in all_lines:
        assert lines.events(50) == list(range(1, 51))


def test_one_too_many_is_refused_until_another_leaves(source: Source):
    all_lines = [source.subscribe() for _ in range(feed.MAX_SUBSCRIBERS)]
    for lines in all_lines:
        lines.next()
    own, theirs = socket.socketpair()
    with own, theirs:
        refusal = source.feed.adopt(theirs, {})
        assert refusal is not None and "subscribers already" in str(refusal["error"])
    all_lines.pop().close()
    wait_for(lambda: source.count < feed.MAX_SUBSCRIBERS, "the end of one")
    source.subscribe().next()


@pytest.mark.parametrize("arguments", [{"after": -1}, {"after": "1"}, {"after": 1.5}, {"before": 1}, {"after": True}])
def test_wrong_arguments_are_refused(arguments: dict[str, Any], source: Source):
    own, theirs = socket.socketpair()
    with own, theirs:
        refusal = source.feed.adopt(theirs, arguments)
        assert refusal is not None and not refusal["ok"]
    source.subscribe().next()


def test_subscriber_that_reads_nothing_delays_nobody_and_gets_the_reason(source: Source, monkeypatch):
    monkeypatch.setattr(feed, "STALL_SECONDS", 1.5)
    monkeypatch.setattr(subscriber, "_LAST_LINE_SECONDS", 60.0)
    slow, quick = source.subscribe(), source.subscribe()
    quick.next()
    for first in range(1, 10_001, 500):
        source.record(500)
        assert quick.events(500) == list(range(first, first + 500))
    wait_for(lambda: any(each.closes_at for each in source.feed._subscribers), "its end")
    rest = slow.rest()
    numbers = [line["number"] for line in rest if line["type"] == "event"]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) < 10_000
    assert rest[-1]["type"] == "dropped" and "slowly" in rest[-1]["why"]
    source.record()
    assert quick.events(1) == [10_001]


def test_subscriber_that_never_reads_is_closed(source: Source, monkeypatch):
    monkeypatch.setattr(feed, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(subscriber, "_LAST_LINE_SECONDS", 0.1)
    unread = source.subscribe()
    for _ in range(20):
        source.record(500)
    wait_for(lambda: source.count == 0, "its end")
    unread.close()


def test_buffer_of_a_subscriber_is_bounded(source: Source):
    unread = source.subscribe()
    for _ in range(20):
        source.record(500)
    wait_for(lambda: any(each.buffer for each in source.feed._subscribers), "a full connection")
    (only,) = source.feed._subscribers
    assert len(only.buffer) < 2 * subscriber._BUFFER_BYTES
    unread.close()


def test_silence_is_filled_with_heartbeats(source: Source, monkeypatch):
    monkeypatch.setattr(feed, "HEARTBEAT_SECONDS", 0.05)
    source.record(2)
    lines = source.subscribe()
    lines.next()
    assert [lines.next() for _ in range(2)] == [{"ok": True, "type": "heartbeat", "last": 2}] * 2


def _running(done: float) -> feed_lines.ProgressLine:
    job = {"job": "1", "file": "a.pdf", "recipe": "read", "processor": "vlm", "attempt": 1, "started_at_us": 1}
    amount = {"done": done, "total": 9.0, "unit": "pages"}
    return feed_lines.ProgressLine(running=[api.RunningJob(**job, progress=amount)], workers=[])


def test_progress_is_sampled_and_the_last_report_is_never_missed(source: Source):
    lines = source.subscribe()
    lines.next()
    now, reports = time.monotonic(), []
    for number in range(100):
        source.progress = _running(number)
        source.feed.update(now + number * 0.01, lambda: reports.append(1) or source.progress)
    assert len(reports) <= 6
    due = source.feed.next_sample()
    assert due is not None, "the loop comes back for what it has not reported"
    source.feed.update(due, lambda: source.progress)
    assert source.feed.next_sample() is None
    seen = iter(lambda: lines.next(), None)
    assert next(line for line in seen if line["type"] == "progress" and line["running"][0]["progress"]["done"] == 99.0)


def test_unchanged_progress_is_sent_once(source: Source, monkeypatch):
    lines = source.subscribe()
    lines.next()
    source.progress = _running(1)
    for number in range(5):
        source.feed.update(time.monotonic() + number, lambda: _running(1))
    source.record()
    types = []
    while "event" not in types:
        types.append(lines.next()["type"])
    assert types.count("progress") <= 1


def test_nothing_is_reported_while_nobody_subscribes(source: Source):
    source.feed.update(time.monotonic(), lambda: pytest.fail("nobody wants it"))
    assert source.feed.next_sample() is None


def test_subscribers_get_a_last_line_when_the_daemon_stops(source: Source):
    lines = source.subscribe()
    lines.next()
    source.feed.stop()
    assert lines.rest()[-1]["type"] == "dropped"


def test_job_log_that_cannot_be_read_is_tried_again(source: Source, monkeypatch):
    monkeypatch.setattr(feed, "_RETRY_SECONDS", 0.05)
    real, failures = JobLog.last_event, [3]

    def fails(self: JobLog) -> int:
        if failures[0]:
            failures[0] -= 1
            raise StorageError("locked")
        return real(self)

    monkeypatch.setattr(JobLog, "last_event", fails)
    lines = source.subscribe(after=0)
    source.record(2)
    assert lines.events(2) == [1, 2]


def test_input_of_a_subscriber_is_ignored_and_its_disconnect_noticed(source: Source):
    lines = source.subscribe()
    lines.connection.sendall(b"x" * 100_000)
    lines.next()
    source.record()
    assert lines.events(1) == [1]
    lines.close()
    wait_for(lambda: source.count == 0, "its end")


def test_readers_at_different_speeds_each_get_everything(source: Source):
    """Some read late, some at once, one leaves: 2,000 events, each complete and in order."""
    got: dict[int, list[int]] = {}

    def read(number: int, lines: Lines) -> None:
        time.sleep(0.02 * number)
        got[number] = lines.events(2000)

    readers = []
    for number in range(8):
        lines = source.subscribe(after=0)
        readers.append(threading.Thread(target=read, args=(number, lines)))
        readers[-1].start()
    leaves = source.subscribe(after=0)
    for number in range(20):
        source.record(100)
        if number == 5:
            leaves.close()
    for reader in readers:
        reader.join(30)
    assert got == {number: list(range(1, 2001)) for number in range(8)}
