"""Hooks report how jobs end: each end, in order, across crashes, and without delaying any job."""

import http.server
import json
import shlex
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_clock import Clock
from sandbox import Place, wait_for

from daemon.notify import hook_calls

TOML = """
[inbox]
text = "odd"
settle_seconds = 0.0
[recipes.odd]
processor = "fakes.misbehaving"
[retry]
attempts = 1
[schedule]
digest = "08:00"
[[hooks]]
{hook}
"""


@pytest.fixture
def make(make_place) -> Callable[[str], Place]:
    return lambda hook: make_place(TOML.format(hook=hook))


def _script(place_home: Path, body: str) -> str:
    return f"command = {json.dumps(['sh', '-c', body.format(home=shlex.quote(str(place_home)))])}"


def _reports(home: Path) -> list[dict]:
    path = home / "reports.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_command_gets_each_job_that_ended_on_stdin(make, tmp_path: Path):
    place = make(
        'on = ["done", "failed"]\n' + _script(tmp_path, "cat >> {home}/reports.jsonl; echo >> {home}/reports.jsonl")
    )
    place.start()
    place.drop("good.txt", "fine")
    place.ended("good.txt")
    place.drop("a/bad.txt", "bad")
    place.ended("a/bad.txt")
    good, bad = wait_for(lambda: _reports(tmp_path) if len(_reports(tmp_path)) == 2 else None)
    assert (good["event"], good["file"], good["state"]) == ("done", "good.txt", "done")
    assert good["result"] == str(place.outbox / "good") and Path(good["result"]).is_dir()
    assert (bad["event"], bad["error_kind"]) == ("failed", "bad_input")


@pytest.mark.parametrize(
    "payload",
    [
        {"review": ["look at this line"] * 1_000_000},
        {"review": ["x" * 20_000_000], "file": "a" * 255},
        {"failed": [{"file": "a" * 255, "error": "y" * 100_000}] * 200},
    ],
)
def test_very_long_report_is_marked_as_truncated(payload: dict):
    content = hook_calls.encode({"event": "review", "file": "a.txt", **payload})
    found = json.loads(content)
    assert len(content) <= 4 * 1024 * 1024 and found["truncated"] and found["event"] == "review"
    assert found["file"] == payload.get("file", "a.txt") and next(iter(payload)) in found


def test_long_report_is_sent_complete():
    payload = {"event": "review", "review": ["look at this line"] * 50_000}
    assert json.loads(hook_calls.encode(payload)) == payload


def test_only_the_selected_events_are_reported(make, tmp_path: Path):
    place = make('on = ["failed"]\n' + _script(tmp_path, "cat >> {home}/reports.jsonl; echo >> {home}/reports.jsonl"))
    place.start()
    for name, content in (("good.txt", "fine"), ("bad.txt", "bad")):
        place.drop(name, content)
        place.ended(name)
    assert [row["file"] for row in wait_for(lambda: _reports(tmp_path))] == ["bad.txt"]


def test_failing_hook_is_retried_and_then_given_up_in_the_log(make, tmp_path: Path):
    twice = "cat > {home}/last.json; echo no luck; echo x >> {home}/tries; test $(wc -l < {home}/tries) -ge 2"
    place = make('on = ["failed"]\nattempts = 2\n' + _script(tmp_path, twice))
    place.start()
    place.drop("bad.txt", "bad")
    wait_for(lambda: "reported bad.txt" in place.log(), "the second try")
    assert "no luck" in place.log()
    place.write_config(place.config.read_text().replace("-ge 2", "-ge 99").replace("attempts = 2", "attempts = 1"))
    place.inboxd("reload")
    place.drop("worse.txt", "bad")
    wait_for(lambda: "gave up reporting worse.txt" in place.log(), "giving up")


def test_hanging_hook_delays_no_job_and_is_called_again_after_a_crash(make, tmp_path: Path):
    place = make('on = ["done"]\n' + _script(tmp_path, "cat > {home}/begun; exec sleep 1000"))
    daemon = place.start()
    for name in ("one.txt", "two.txt"):
        place.drop(name, "fine")
        place.ended(name)
    wait_for(lambda: (tmp_path / "begun").exists(), "the first call")
    daemon.kill()
    daemon.wait()
    body = _script(tmp_path, "cat >> {home}/reports.jsonl; echo >> {home}/reports.jsonl")
    place.write_config(TOML.format(hook='on = ["done"]\n' + body))
    place.start()
    reports = wait_for(lambda: _reports(tmp_path) if len(_reports(tmp_path)) == 2 else None)
    assert [row["file"] for row in reports] == ["one.txt", "two.txt"]


def test_new_hook_does_not_report_the_past(make, tmp_path: Path):
    place = make('desktop = true\non = ["digest"]')
    place.drop("old.txt", "bad")
    place.drain(check=1)
    body = _script(tmp_path, "cat >> {home}/reports.jsonl; echo >> {home}/reports.jsonl")
    place.write_config(TOML.format(hook=body))
    (place.state / "hooks.json").unlink(missing_ok=True)
    place.start()
    place.drop("new.txt", "bad")
    assert [row["file"] for row in wait_for(lambda: _reports(tmp_path))] == ["new.txt"]


def _appends(home: Path) -> str:
    return _script(home, "cat >> {home}/reports.jsonl; echo >> {home}/reports.jsonl")


def _reported_files(home: Path, count: int) -> list[str]:
    wait_for(lambda: len(_reports(home)) >= count, f"{count} calls")
    return [row["file"] for row in _reports(home)]


def test_hook_is_called_after_the_history_of_a_quiet_inbox_was_removed(make, tmp_path: Path):
    place = make('on = ["done", "failed", "review"]\n' + _appends(tmp_path))
    place.write_config(place.config.read_text() + '[retention]\nhistory = "1ms"\n')
    daemon = place.start()
    for number, content in enumerate(("fine", "bad", "fine")):
        place.drop(f"{number}.txt", content)
        assert len(_reported_files(tmp_path, number + 1)) == number + 1
        place.inboxd("prune")
        assert place.rows() == []
    daemon.terminate()
    daemon.wait()
    place.start()
    place.drop("last.txt", "fine")
    assert _reported_files(tmp_path, 4) == ["0.txt", "1.txt", "2.txt", "last.txt"]


def test_first_hook_added_by_a_reload_does_not_report_the_past(make_place, tmp_path: Path):
    without = TOML.split("[[hooks]]")[0]
    place = make_place(without)
    place.start()
    for number in range(3):
        place.drop(f"old-{number}.txt", "fine")
        place.ended(f"old-{number}.txt")
    place.write_config(TOML.format(hook='on = ["done"]\n' + _appends(tmp_path)))
    place.inboxd("reload")
    place.drop("new.txt", "fine")
    assert _reported_files(tmp_path, 1) == ["new.txt"]


def test_first_hook_added_by_a_restart_does_not_report_the_past(make_place, tmp_path: Path):
    place = make_place(TOML.split("[[hooks]]")[0])
    for name in ("older.txt", "old.txt"):
        place.drop(name, "fine")
        place.drain()
    place.write_config(TOML.format(hook='on = ["done"]\n' + _appends(tmp_path)))
    place.start()
    place.drop("new.txt", "fine")
    assert _reported_files(tmp_path, 1) == ["new.txt"]


class Garbled(socketserver.StreamRequestHandler):
    """Answers a webhook with something that is not HTTP."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.wfile.write(b"\x00\x01 what?\r\n\r\n")


def test_webhook_with_an_invalid_answer_does_not_end_the_calls(make, tmp_path: Path):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Garbled) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        hook = f'on = ["failed"]\nattempts = 1\nwebhook = "{address}"\n[[hooks]]\non = ["done"]\n'
        place = make(hook + _appends(tmp_path))
        place.start()
        place.drop("bad.txt", "bad")
        wait_for(lambda: "gave up reporting bad.txt" in place.log(), "giving up")
        place.drop("good.txt", "fine")
        assert _reported_files(tmp_path, 1) == ["good.txt"]
        server.shutdown()


class Listener(http.server.BaseHTTPRequestHandler):
    """Refuses the first request, takes the others."""

    seen: list[dict] = []
    tries = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Listener.tries += 1
        if Listener.tries > 1:
            Listener.seen.append(json.loads(body))
        self.send_response(503 if Listener.tries == 1 else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/secret-token"
        server.shutdown()


def test_webhook_gets_the_job_and_its_address_is_not_logged(make, listener: str):
    place = make(f'on = ["failed"]\nwebhook = "{listener}"')
    place.start()
    place.drop("bad.txt", "bad")
    (report,) = wait_for(lambda: Listener.seen)
    assert (report["event"], report["file"]) == ("failed", "bad.txt")
    wait_for(lambda: "reported bad.txt" in place.log())
    assert "503" in place.log() and "secret-token" not in place.log()
    assert "secret-token" not in place.inboxd("config", "show").stdout


def test_digest_reports_failures_and_waiting_jobs_in_the_morning(make, tmp_path: Path):
    place = make('on = ["digest"]\n' + _script(tmp_path, "cat >> {home}/reports.jsonl; echo >> {home}/reports.jsonl"))
    clock = Clock(tmp_path)
    clock.set_time("12:00")
    place.start(TZ="UTC", **clock.environment)
    clock.set_time("07:30", days=1)
    place.drop("bad.txt", "bad")
    place.ended("bad.txt")
    clock.set_time("08:01", days=1)
    place.inboxd("status")
    (digest,) = wait_for(lambda: _reports(tmp_path))
    assert [row["file"] for row in digest["failed"]] == ["bad.txt"]
    assert (digest["review"], digest["waiting"]) == ([], [])


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ("on = ['done']", "exactly one of"),
        ("desktop = true\nwebhook = 'http://x'", "exactly one of"),
        ("webhook = 'example.org'", "must begin with"),
        ("desktop = true\non = ['everything']", "hooks"),
    ],
)
def test_wrong_hook_is_refused(make, hook: str, words: str):
    place = make(hook)
    assert words in place.inboxd("config", "check", check=78).stderr
