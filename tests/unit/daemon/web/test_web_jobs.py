"""API v1: the list of jobs, one job, and its files."""

import pytest
from web_site import Site

from daemon.core.job import JobState

SEVERAL = range(7)


def names(site: Site, query: str) -> list[str]:
    answer = site.client.get(f"/api/v1/jobs?{query}")
    assert answer.status_code == 200, answer.text
    return [job["file"] for job in answer.json()["jobs"]]


def test_pages_show_every_job_once_newest_first(site: Site):
    for number in SEVERAL:
        site.add(name=f"{number}.txt", received_at=1_000_000 * (number // 3))
    seen: list[str] = []
    query = "limit=2"
    while query:
        answer = site.client.get(f"/api/v1/jobs?{query}").json()
        seen += [job["file"] for job in answer["jobs"]]
        query = answer["next"] and f"limit=2&before={answer['next']}"
    assert sorted(seen) == [f"{number}.txt" for number in SEVERAL]
    assert [int(name[0]) // 3 for name in seen] == [2, 1, 1, 1, 0, 0, 0]


def test_filters_select_jobs(site: Site):
    site.add(name="a.txt", folder="bank", state=JobState.FAILED)
    site.add(name="b.txt", folder="bank/2024", recipe="read")
    site.add(name="Çc.txt", folder="banking", state=JobState.DONE, review=("Check the total.",))
    site.add(name="100%_d.txt")
    assert names(site, "folder=bank") == ["bank/2024/b.txt", "bank/a.txt"]
    assert names(site, "state=failed,done") == ["banking/Çc.txt", "bank/a.txt"]
    assert names(site, "state=failed&state=done&recipe=count") == ["banking/Çc.txt", "bank/a.txt"]
    assert names(site, "recipe=read") == ["bank/2024/b.txt"]
    assert names(site, "review=true") == ["banking/Çc.txt"]
    assert names(site, "file=%25_") == ["100%_d.txt"]
    assert names(site, "file=BANK/2") == ["bank/2024/b.txt"]
    assert names(site, "since=2100-01-01") == []
    assert len(names(site, "since=1970-01-01T00:00:00Z")) == 4
    assert names(site, "folder=%27%20OR%201=1") == []


@pytest.mark.parametrize(
    "query",
    ["state=busy", "review=maybe", "since=yesterday", "before=1", "before=x.y", "limit=-1", "limit=1e9", "offset=3"],
)
def test_wrong_parameter_is_named(query: str, site: Site):
    answer = site.client.get(f"/api/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_parameter")
    assert query.partition("=")[0] in answer.json()["error"]["message"]


def test_job_shows_its_files_and_history(site: Site):
    job = site.add(files={"a b.csv": "x;y\n"}, original="the original", review=("Row 3",))
    shown = site.client.get(f"/api/v1/jobs/{job.id[:8]}").json()
    assert (shown["id"], shown["state"], shown["review"]) == (job.id, "done", ["Row 3"])
    assert [file["name"] for file in shown["files"]] == ["a b.csv", "result.json"]
    assert site.client.get(shown["files"][0]["href"]).text == "x;y\n"
    assert site.client.get(shown["original"]["href"]).text == "the original"


def test_unknown_job_is_not_found(site: Site):
    site.add(files={})
    for path in ("ffff", "ffff/original", "ffff/files/result.json"):
        answer = site.client.get(f"/api/v1/jobs/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "name",
    [
        "../config.toml",
        "..%2fconfig.toml",
        "%2e%2e/%2e%2e/state/web-token",
        "/etc/passwd",
        "unlisted.txt",
        "a.txt%00",
        "%2e/a.txt",
        "",
    ],
)
def test_only_listed_files_are_served(name: str, site: Site):
    job = site.add(files={"a.txt": "text"})
    (site.settings.outbox / "result" / "unlisted.txt").write_text("secret")
    answer = site.client.get(f"/api/v1/jobs/{job.id}/files/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_listed_link_is_not_followed(site: Site):
    job = site.add(files={"a.txt": "text"})
    path = site.settings.outbox / "result" / "a.txt"
    path.unlink()
    path.symlink_to(site.settings.web_token)
    assert site.client.get(f"/api/v1/jobs/{job.id}/files/a.txt").status_code == 404


def test_folder_replaced_by_a_link_is_not_entered(site: Site):
    job = site.add(files={"a.txt": "text"})
    folder = site.settings.outbox / "result"
    folder.rename(site.settings.state / "moved")
    folder.symlink_to(site.settings.state / "moved")
    assert site.client.get(f"/api/v1/jobs/{job.id}/files/a.txt").status_code == 404


def test_result_of_another_job_in_its_place_is_not_shown(site: Site):
    job = site.add(files={"a.txt": "mine"})
    other = site.add()
    (site.settings.outbox / "result" / "result.json").write_text(f'{{"job": "{other.id}", "files": []}}')
    assert site.client.get(f"/api/v1/jobs/{job.id}/files/a.txt").status_code == 404


@pytest.mark.parametrize("content", ["", "[]", "{", '{"job": 1}', '{"files": [{"name": "../x"}, 3, {"name": null}]}'])
def test_edited_result_breaks_nothing(content: str, site: Site):
    job = site.add(files={"a.txt": "text"})
    if content.startswith('{"files'):
        content = content.replace("{", f'{{"job": "{job.id}", ', 1)
    (site.settings.outbox / "result" / "result.json").write_text(content)
    answer = site.client.get(f"/api/v1/jobs/{job.id}")
    assert answer.status_code in (200, 500)
    assert answer.status_code == 200 or answer.json()["error"]["code"] == "damaged_result"
    assert site.client.get(f"/api/v1/jobs/{job.id}/files/a.txt").status_code in (404, 500)


def test_download_is_an_attachment_that_is_never_interpreted(site: Site):
    name = 'a "b"\u202e<c>é.html'
    job = site.add(files={name: "<script>alert(1)</script>"})
    shown = site.client.get(f"/api/v1/jobs/{job.id}").json()["files"][0]
    answer = site.client.get(shown["href"])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="a _b__')
    assert "%22b%22%E2%80%AE%3Cc%3E%C3%A9.html" in answer.headers["content-disposition"]
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("media_type", "served_as"),
    [
        ("image/png", "image/png"),
        ("audio/mpeg", "audio/mpeg"),
        ("image/svg+xml", "application/octet-stream"),
        ("text/html", "application/octet-stream"),
    ],
)
def test_original_is_served_as_media_only_if_it_cannot_hold_scripts(media_type: str, served_as: str, site: Site):
    job = site.add(original="x", media_type=media_type)
    assert site.client.get(f"/api/v1/jobs/{job.id}/original").headers["content-type"] == served_as


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-3", 206, "0123"),
        ("bytes=8-", 206, "89"),
        ("bytes=-3", 206, "789"),
        ("bytes=5-99", 206, "56789"),
        ("bytes=10-", 416, ""),
        ("bytes=3-2", 200, "0123456789"),  # not valid: RFC 9110, 14.1.1
        ("bytes=-", 200, "0123456789"),
        ("bytes=0-1,3-4", 200, "0123456789"),
        ("lines=1-2", 200, "0123456789"),
    ],
)
def test_part_of_a_file(asked: str, status: int, content: str, site: Site):
    job = site.add(files={"a.txt": "0123456789"})
    path = f"/api/v1/jobs/{job.id}/files/a.txt"
    answer = site.client.get(path, headers={"Range": asked})
    assert (answer.status_code, answer.text) == (status, content)
    assert answer.headers["content-length"] == str(len(content))
    head = site.client.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")
    again = site.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert site.client.get(path, headers={"Range": "bytes=0-1", "If-Range": '"old"'}).status_code == 200


def test_archived_original_is_served_and_a_deleted_one_is_reported(site: Site):
    job = site.add(files={}, name="a.pdf", folder="bank")
    home = site.settings.state / "archive" / "bank" / job.id
    home.mkdir(parents=True)
    (home / "a.pdf").write_text("pdf")
    result = site.settings.outbox / "result" / "result.json"
    archived = f'{{"policy": "archive", "path": "archive:bank/{job.id}/a.pdf"}}'
    result.write_text(f'{{"job": "{job.id}", "files": [], "original": {archived}}}')
    assert site.client.get(f"/api/v1/jobs/{job.id}/original").text == "pdf"
    result.write_text(f'{{"job": "{job.id}", "files": [], "original": {{"policy": "delete", "path": null}}}}')
    answer = site.client.get(f"/api/v1/jobs/{job.id}/original")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_original")


def test_without_a_daemon_only_reading_works(site: Site):
    site.add()
    assert site.client.get("/api/v1/jobs").status_code == 200
    for path in ("/ready", "/api/v1/status", "/metrics", "/api/v1/recipes"):
        answer = site.client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "daemon_unavailable")
        assert answer.headers["retry-after"]


def test_head_of_the_events_ends(site: Site):
    assert site.client.head("/api/v1/events").status_code == 200


@pytest.mark.parametrize("number", ["9" * 5000, "x", "1.5", "-1"])
def test_page_that_cannot_exist_is_not_found(number: str, site: Site):
    job = site.add(files={}, original="x", kind="image")
    assert site.client.get(f"/jobs/{job.id}/pages/{number}").status_code == 404


def test_wait_ends_after_its_time(site: Site):
    job = site.add()
    assert site.client.get(f"/api/v1/jobs/{job.id}?wait=0.05").json()["state"] == "queued"


def test_every_route_of_the_api_is_described(site: Site):
    described = site.client.get("/api/v1/openapi.json").json()
    assert described["openapi"] == "3.1.0"
    operations = {(path, method): each for path, of in described["paths"].items() for method, each in of.items()}
    assert all(each["summary"].endswith(".") for each in operations.values())
    for (path, _), each in operations.items():
        named = {parameter["name"] for parameter in each["parameters"] if parameter["in"] == "path"}
        assert named == {part.strip("{}") for part in path.split("/") if part.startswith("{")}
    assert ("/api/v1/files", "post") in operations and ("/api/v1/jobs/{job}/files/{name}", "get") in operations


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"If-None-Match": '"other", {etag}'}, 304),
        ({"If-None-Match": "W/{etag}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Match": "{etag}"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"Range": "bytes=0-0,2-3"}, 200),  # several parts: all of it
        ({"Range": "bytes=0-1", "If-Range": "{etag}"}, 206),
    ],
)
def test_conditions_of_a_download(sent: dict[str, str], status: int, site: Site):
    job = site.add(files={"a.txt": "0123456789"})
    path = f"/api/v1/jobs/{job.id}/files/a.txt"
    etag = site.client.get(path).headers["etag"]
    answer = site.client.get(path, headers={name: value.replace("{etag}", etag) for name, value in sent.items()})
    assert answer.status_code == status
    assert answer.text == {200: "0123456789", 206: "01"}.get(status, "")
    assert answer.headers["etag"] == etag


def test_index_lists_the_paths(site: Site):
    index = site.client.get("/api/v1").json()
    assert index["name"] == "inboxd" and "/api/v1/jobs/{job}" in index["paths"]
    assert site.client.get(index["openapi"]).json()["openapi"].startswith("3.1")


def test_head_describes_the_complete_file(site: Site):
    job = site.add(files={"a.txt": "0123456789"})
    answer = site.client.head(f"/api/v1/jobs/{job.id}/files/a.txt", headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.headers["content-length"], answer.text) == (200, "10", "")
    for path in ("/api/v1/jobs", f"/api/v1/jobs/{job.id}", "/api/v1/openapi.json", "/health"):
        answer = site.client.head(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), path


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/jobs", "GET, HEAD"),
        ("PUT", "/api/v1/jobs/ffff/corrections", "GET, HEAD, POST"),
        ("GET", "/api/v1/files", "POST"),
        ("GET", "/api/v1/files/a.txt", "HEAD, PUT"),
        ("GET", "/v1/convert/file", "POST"),
        ("OPTIONS", "/api/v1/pause", "POST"),
        ("PATCH", "/login", "GET, HEAD, POST"),
        ("POST", "/static/console.css", "GET, HEAD"),
    ],
)
def test_other_method_is_refused_with_those_that_are_possible(method: str, path: str, allowed: str, site: Site):
    answer = site.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert method in str(answer.json())


def test_browser_keeps_files_that_a_page_names_with_their_version(site: Site):
    versioned = site.stranger.get("/static/console.css?v=1")
    assert "immutable" in versioned.headers["cache-control"]
    plain = site.stranger.get("/static/dom.js")
    assert plain.headers["cache-control"] == "no-cache"
    assert site.stranger.get("/static/dom.js", headers={"If-None-Match": plain.headers["etag"]}).status_code == 304
    assert site.stranger.get("/static/missing.js").status_code == 404
