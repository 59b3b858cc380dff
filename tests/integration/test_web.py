"""The HTTP API with a real daemon and a real `inboxd web`."""

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable

import httpx2 as httpx
import pytest
from sandbox import Place, wait_for
from web_process import TOML, WebProcess

MakePlace = Callable[[str], Place]


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    place = make_place(TOML)
    place.start()
    return place


@pytest.fixture
def web(place: Place) -> WebProcess:
    return WebProcess(place)


def test_upload_becomes_a_result(web: WebProcess, place: Place):
    job = web.upload("bank/letter.txt", "one two three", wait=30)
    assert (job["state"], job["file"]) == ("done", "bank/letter.txt")
    names = [file["name"] for file in job["files"]]
    assert "result.json" in names
    assert web.client.get(job["original"]["href"]).text == "one two three"
    assert all(web.client.get(file["href"]).status_code == 200 for file in job["files"])
    assert web.get(f"/api/v1/jobs/{job['id'][:8]}")["id"] == job["id"]
    place.verify()


def test_text_of_new_results_is_found(web: WebProcess):
    def files(words: str) -> list[str]:
        return [each["file"] for each in web.get("/api/v1/search", q=words)["results"]]

    web.upload("first.txt", "common words", wait=30)
    wait_for(lambda: files("common") == ["first.txt"], "the first result in the index")
    web.upload("second.txt", "common news", wait=30)
    wait_for(lambda: files("common") == ["second.txt", "first.txt"], "the second result in the index")


def test_form_uploads_several_files_with_options(web: WebProcess):
    files = [("file", ("a.txt", b"a")), ("file", ("../b.txt", b"b")), ("file", ("c.txt", b"c"))]
    answer = web.client.post("/api/v1/files?wait=30", files=files, data={"folder": "x", "priority": "5"})
    assert answer.status_code == 201, answer.text
    assert [(job["file"], job["state"]) for job in answer.json()["jobs"]] == [
        ("x/a.txt", "done"),
        ("x/b.txt", "done"),
        ("x/c.txt", "done"),
    ]
    assert answer.json()["refused"] == []


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("a.txt?recipe=nothing", 422, "nothing"),
        ('a.txt?options={"x":1}', 422, "options"),
        ("a.txt?options=[]", 400, "options"),
        ("a.txt?priority=high", 400, "priority"),
        (".taken/a.txt", 422, "folder"),
        ("..%2f..%2fa.txt", 422, "folder"),
        ("a.txt.toml", 422, "sidecar"),
    ],
)
def test_wrong_order_is_refused_and_leaves_nothing(path: str, status: int, words: str, web: WebProcess, place: Place):
    answer = web.client.put(f"/api/v1/files/{path}", content=b"x")
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]["message"]
    assert list((place.inbox / ".incoming").iterdir()) == []
    assert place.rows() == []


def test_upload_in_parts_continues_after_an_interruption(web: WebProcess, place: Place):
    content, upload = b"0123456789" * 400_000, str(uuid.uuid4())
    path = f"/api/v1/files/long.txt?upload={upload}"

    def part(first: int, end: int) -> httpx.Response:
        headers = {"Content-Range": f"bytes {first}-{end - 1}/{len(content)}"}
        return web.client.put(path + "&wait=30", content=content[first:end], headers=headers)

    assert web.client.head(path).status_code == 404
    assert part(0, 4000).status_code == 202
    assert part(5000, 6000).json()["error"]["code"] == "wrong_offset"
    size = _send_half(web, path, content, first=4000)
    assert 4000 < size < len(content)
    web.process.kill()
    web.process.wait()
    web.start()
    assert _offset(web, path) == size
    done = part(size, len(content))
    assert (done.status_code, done.json()["id"], done.json()["state"]) == (201, upload, "done")
    assert web.client.get(done.json()["original"]["href"]).content == content
    assert part(size, len(content)).json()["id"] == upload  # the answer was lost
    assert len(place.rows()) == 1


def test_file_name_with_a_line_feed_and_capital_uuid_are_accepted(web: WebProcess, place: Place):
    upload = str(uuid.uuid4())
    path = f"/api/v1/files/a%0Ab.txt?upload={upload.upper()}&wait=30"
    assert web.client.put(path, content=b"d", headers={"Content-Range": "bytes 3-3/4"}).status_code == 409
    assert list((place.inbox / ".incoming").iterdir()) == []
    done = web.client.put(path, content=b"abcd", headers={"Content-Range": "bytes 0-3/4"})
    assert (done.status_code, done.json()["id"], done.json()["file"]) == (201, upload, "a\\x0ab.txt")
    assert web.client.head(path).headers["x-inboxd-job"] == upload


def test_one_wait_is_for_all_files(web: WebProcess):
    web.client.post("/api/v1/pause")
    started = time.monotonic()
    files = [("file", (f"{number}.txt", b"x")) for number in range(10)]
    assert web.client.post("/api/v1/files?wait=1", files=files).status_code == 201
    assert time.monotonic() - started < 9
    web.client.post("/api/v1/resume")


def _offset(web: WebProcess, path: str) -> int:
    return int(web.client.head(path).headers["upload-offset"])


def _send_half(web: WebProcess, path: str, content: bytes, *, first: int) -> int:
    """Announce the rest of a file, send half of it, hang up; return how much of the file has arrived."""
    host, port = web.address.removeprefix("http://").split(":")
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {web.token}\r\nContent-Length: {len(content) - first}\r\n"
        f"Content-Range: bytes {first}-{len(content) - 1}/{len(content)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + content[first : len(content) // 2])
        wait_for(lambda: _offset(web, path) > first, "the first bytes")
    wait_for(
        lambda: web.client.put(path, headers={"Content-Range": "bytes 0-1/9"}).json()["error"]["code"] != "upload_busy"
    )
    return _offset(web, path)


def test_disconnected_client_leaves_nothing_behind(web: WebProcess, place: Place):
    host, port = web.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"PUT /api/v1/files/a.txt HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {web.token}\r\nContent-Length: 9\r\n\r\nx"
        )
        connection.sendall(head.encode())
        wait_for(lambda: list((place.inbox / ".incoming").iterdir()), "the upload")
    wait_for(lambda: not list((place.inbox / ".incoming").iterdir()), "its removal")
    assert place.rows() == []


def test_events_arrive_in_order_and_continue_where_a_client_left_off(web: WebProcess):
    seen: list[tuple[int, str]] = []
    done = threading.Event()

    def listen() -> None:
        with web.client.stream("GET", "/api/v1/events", params={"after": 0}) as answer:
            number = 0
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    number = int(line[4:])
                elif line.startswith("data: ") and number:
                    event = json.loads(line[6:])
                    if isinstance(event, dict) and event.get("event"):
                        seen.append((event["number"], event["event"]))
                        if event["event"] == "done":
                            done.set()
                            return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    web.upload("a.txt", "text", wait=30)
    assert done.wait(30)
    assert [number for number, _ in seen] == sorted(number for number, _ in seen)
    assert [event for _, event in seen][0] == "queued"
    with web.client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": str(seen[0][0])}) as answer:
        number = next(line for line in answer.iter_lines() if line.startswith("id: "))
    assert int(number[4:]) == seen[1][0]


def test_failed_job_is_retried_and_a_done_one_is_not(web: WebProcess):
    job = web.upload("a.pdf", b"%PDF-1.4 broken", wait=60)
    assert (job["state"], job["error_kind"]) == ("failed", "bad_input")
    assert {file["name"] for file in job["files"]} == {"error.json", "error.txt"}
    assert web.client.post(f"/api/v1/jobs/{job['id']}/retry").status_code == 200
    done = web.upload("a.txt", "text", wait=30)
    for action in ("retry", "cancel"):
        refused = web.client.post(f"/api/v1/jobs/{done['id']}/{action}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "refused")


def test_paused_daemon_takes_uploads_and_they_can_be_cancelled(web: WebProcess):
    assert web.client.post("/api/v1/pause").status_code == 200
    job = web.upload("a.txt", "text", wait=0.2)
    assert job["state"] == "queued"
    assert web.client.post(f"/api/v1/jobs/{job['id']}/cancel").status_code == 200
    assert web.get(f"/api/v1/jobs/{job['id']}", wait=30)["state"] == "cancelled"
    assert web.client.post("/api/v1/resume").json()["closed"] is None
    assert web.client.post("/api/v1/unload").status_code == 200


def test_status_metrics_and_readiness(web: WebProcess, place: Place):
    assert web.get("/ready")["status"] == "ready"
    assert web.get("/api/v1/status")["inbox"] == str(place.inbox)
    assert {"read", "count"} <= {recipe["name"] for recipe in web.get("/api/v1/recipes")["recipes"]}
    assert "inboxd_" in web.client.get("/metrics").text


def test_daemon_that_restarts_is_found_again(web: WebProcess, place: Place):
    place._daemons[0].terminate()
    place._daemons[0].wait(30)
    wait_for(lambda: web.client.get("/ready").status_code == 503, "the loss of the daemon")
    wait_for(lambda: web.client.put("/api/v1/files/a.txt", content=b"x").status_code == 503, "a refusal")
    place.start()
    wait_for(lambda: web.client.get("/ready").status_code == 200, "the daemon")
    job = wait_for(lambda: web.client.put("/api/v1/files/a.txt?wait=30", content=b"x").status_code == 201)
    assert job


def test_connection_still_works_after_a_large_upload_was_refused_early(web: WebProcess):
    content = bytes(4_000_000)
    for _ in range(3):
        headers = {"Content-Range": f"bytes 5-{len(content) + 4}/{len(content) + 5}"}
        part = web.client.put(f"/api/v1/files/a.txt?upload={uuid.uuid4()}", content=content, headers=headers)
        assert part.json()["error"]["code"] == "wrong_offset"
        assert web.client.get("/health", timeout=10).status_code == 200
