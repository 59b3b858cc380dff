"""Commands for several jobs at once, and the way from one open review to the next."""

import sqlite3

import pytest
from sandbox import Place
from web_process import TOML, WebProcess


@pytest.fixture
def web(make_place) -> WebProcess:
    place = make_place(TOML)
    place.start()
    made = WebProcess(place)
    made.place = place  # type: ignore[attr-defined]
    return made


def states(web: WebProcess) -> dict[str, str]:
    return {job["file"]: job["state"] for job in web.get("/api/v1/jobs")["jobs"]}


def test_several_jobs_are_cancelled_and_retried_and_refusals_are_reported(web: WebProcess):
    done = web.upload("done.txt", "x", wait=30)["id"]
    web.client.post("/api/v1/pause")
    ids = [web.upload(f"{number}.txt", "x")["id"] for number in range(3)]
    answer = web.client.post("/api/v1/actions", json={"action": "cancel", "jobs": [*ids, done, "x", ids[0]]}).json()
    assert (answer["done"], [each["job"] for each in answer["refused"]]) == (ids, [done])
    assert "already done" in answer["refused"][0]["why"]
    assert set(states(web).values()) == {"cancelled", "done"}
    form = {"action": "retry", "job": [*ids, done], "back": "state=failed&x=1"}
    shown = web.client.post("/jobs", data=form, headers={"Origin": web.address})
    assert shown.status_code == 303
    assert shown.headers["location"].startswith("/?state=failed&done=3&refused=1&why=")
    page = web.client.get(shown.headers["location"], headers={"Accept": "text/html"}).text
    assert "Done for 3 jobs. Not possible for 1" in page
    web.client.post("/api/v1/resume")
    for job in ids:
        assert web.get(f"/api/v1/jobs/{job}", wait=30)["state"] == "done"


@pytest.mark.parametrize("body", [b"", b'{"action": "delete", "jobs": []}', b'{"action": "retry", "jobs": "x"}'])
def test_wrong_request_is_refused(body: bytes, web: WebProcess):
    answer = web.client.post("/api/v1/actions", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_parameter")


def test_next_review_goes_through_all_open_ones(web: WebProcess):
    place: Place = web.place  # type: ignore[attr-defined]
    ids = [web.upload(f"{number}.txt", "x", wait=30)["id"] for number in range(4)]
    with sqlite3.connect(place.state / "jobs.db", timeout=30) as log:
        log.execute("""UPDATE jobs SET review = '["look"]' WHERE id <> ?""", (ids[1],))
    log.close()

    def following(job: str) -> str:
        return str(web.client.get("/reviews/next", params={"after": job}).headers["location"])

    assert [following(job) for job in reversed(ids)] == [
        f"/jobs/{job}#flag" for job in (ids[2], ids[0], ids[0], ids[3])
    ]
    web.client.post("/api/v1/actions", json={"action": "reviewed", "jobs": ids})
    assert following("") == "/?state=review"
