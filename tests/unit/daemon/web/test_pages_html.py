"""The pages of the console: complete without a script, and nothing of a file in them is markup."""

import json
import re
from collections.abc import Callable

import pytest
from web_site import TOKEN, Site

from daemon.core.job import JobState

MakeSite = Callable[[str], Site]
HOSTILE = "\"><img src=x onerror=alert(1)>'{{7*7}}</script><svg/onload=1>"
NAME = HOSTILE.replace("/", "")
BOX = [[0, 0], [50, 0], [50, 20], [0, 20]]
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}

STATEMENT = {
    "statements": [
        {
            "account": "0001",
            "currency": "GBP",
            "opening": "100.00",
            "closing": "75.50",
            "rows": [
                {"page": 1, "date": "2024-05-01", "description": "Rent", "debit": "1234.50", "balance": "100.00"},
                {
                    "page": 2,
                    "date": "x",
                    "description": HOSTILE,
                    "credit": "10",
                    "flags": [HOSTILE],
                    "box": [0, 0, 1, 1],
                },
            ],
            "checks": [{"name": "balances", "passed": False, "text": HOSTILE}],
        }
    ],
    "unread": [{"page": 1, "text": HOSTILE, "why": "odd", "box": None}],
}
TRANSCRIPT = {
    "language": "en",
    "seconds": 30.0,
    "gaps": [{"start": 12.0, "end": 18.0}],
    "segments": [
        {"start": 0.0, "end": 4.0, "text": " Hello.", "channel": 1},
        {
            "start": 5.0,
            "end": 9.0,
            "text": "x",
            "channel": 2,
            "words": [{"word": f" {HOSTILE}", "start": 5.0, "probability": 0.2}],
        },
    ],
}
TEXT = {
    "pages": [
        {
            "number": 1,
            "width": 100,
            "height": 200,
            "lines": [
                {
                    "text": "a",
                    "pieces": [{"text": HOSTILE, "confidence": 0.4, "box": BOX}],
                },
                {"text": "second line", "pieces": []},
            ],
        }
    ]
}
RECEIPT = {
    "shop": HOSTILE,
    "date": "2024-06-08",
    "currency": "GBP",
    "items": [{"description": HOSTILE, "price": "3.40"}],
}
INVOICE = {"supplier": HOSTILE, "customer": "", "number": "7", "gross": "12.00", "lines": [{"description": HOSTILE}]}


def page(site: Site, path: str, **headers: str) -> str:
    answer = site.client.get(path, headers={**PAGE, **headers})
    assert answer.status_code == 200, answer.text
    text = answer.text
    assert "<img src=x" not in text and "<svg/onload" not in text and "'49" not in text
    assert " style=" not in text and "javascript:" not in text
    assert not re.search(r"<script(?![^>]* src=)", text), "no inline script"
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text), "no foreign asset"
    return text


def test_list_without_jobs_or_daemon_is_a_page(site: Site):
    text = page(site, "/")
    assert "Nothing here yet" in text and "Offline" in text


def test_list_shows_states_and_escapes_names(site: Site):
    site.add(name=f"{HOSTILE}.txt", folder=HOSTILE[:20], state=JobState.FAILED, error=HOSTILE, recipe=HOSTILE)
    site.add(name="b.txt", state=JobState.DONE, review=(HOSTILE, "x"))
    site.add(name="c.txt")
    text = page(site, "/")
    assert "Needs review" in text and "Waiting" in text and 'data-action="cancel"' in text
    assert text.index("c.txt") < text.index("b.txt"), "what is open comes first"
    assert "Nothing needs review" in page(site, "/?state=review&folder=none")
    page(site, f"/?q={HOSTILE}&folder={HOSTILE}")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (STATEMENT, ["1 of 2 rows is flagged", "−1,234.50", "+10", 'id="r2"']),
        (TRANSCRIPT, ["0:12", "has no text", "Speaker 2", "<mark"]),
        (TEXT, ["second line", '<polygon points="0.00000,0.00000 0.50000,0.00000']),
        (RECEIPT, ["3.40", "08/06/2024"]),
        (INVOICE, ["12.00"]),
        ({"unknown": HOSTILE}, ["Downloads"]),
    ],
)
def test_job_page_shows_its_document(document: dict[str, object], words: list[str], site: Site):
    files = {"x.json": json.dumps(document), "x.txt": HOSTILE}
    job = site.add(name=f"{NAME}.pdf", files=files, original="x", kind="image", pages=2, review=(HOSTILE,))
    text = page(site, f"/jobs/{job.id}")
    for word in words:
        assert word in text, word
    page(site, f"/jobs/{job.id}?page=2")


def long_statement(rows: int, per_page: int) -> dict[str, object]:
    """The rows begin on page 2; row 40 is flagged."""
    made = [{"page": 2 + at // per_page, "date": "2024-05-01", "description": f"row-{at + 1}."} for at in range(rows)]
    made[39]["flags"] = ["low confidence (0.6)"]
    return {"statements": [{"rows": made, "checks": []}]}


def test_long_statement_shows_the_rows_beside_their_page(site: Site):
    files = {"x.json": json.dumps(long_statement(300, 25))}
    job = site.add(files=files, original="x", kind="image", pages=13)
    text = page(site, f"/jobs/{job.id}")
    assert "row-1." in text and "row-25." in text and "row-26." not in text, "the first page that has rows"
    assert "/pages/2" in text
    assert '<a href="?page=3#r40">row 40</a>' in text and "All 300 rows" in text
    assert 'aria-label="flagged rows: 1"' in text
    text = page(site, f"/jobs/{job.id}?page=3")
    assert "row-26." in text and "row-25." not in text and '<a href="#r40">row 40</a>' in text
    assert "No rows were read on this page" in page(site, f"/jobs/{job.id}?page=1")
    text = page(site, f"/jobs/{job.id}?page=3&rows=all&edit=40")
    assert "row-1." in text and "row-300." in text and 'name="rows" value="all"' in text
    assert '<a href="#r40">row 40</a>' in text


def test_short_statement_shows_all_rows(site: Site):
    job = site.add(files={"x.json": json.dumps(long_statement(60, 25))}, original="x", kind="image", pages=4)
    text = page(site, f"/jobs/{job.id}")
    assert "row-1." in text and "row-60." in text and "rows=all" not in text


def test_transcript_of_an_hour_has_places_to_jump_to(site: Site):
    segments = [
        {"start": 5.0 * at, "end": 5.0 * at + 4.9, "text": f"s{at}", "channel": 1 + at // 60 % 2} for at in range(720)
    ]
    job = site.add(files={"x.json": json.dumps({"segments": segments, "seconds": 3600.0})}, original="x", kind="audio")
    text = page(site, f"/jobs/{job.id}")
    for clock in ("0:00", "10:00", "50:00"):
        assert re.search(rf'<a href="#t\d+">{clock}</a>', text), clock
    assert text.count('height="8"') == 12, "one bar for each turn of a speaker"


def test_transcript_shows_who_speaks_by_name(site: Site):
    """Speakers that inboxd distinguished by their voices have names, but no channels."""
    said = [("Anna", "Good morning."), ("Anna", "Shall we begin?"), ("Ben", "Yes."), ("Speaker 3", "Please.")]
    segments = [
        {"start": 2.0 * at, "end": 2.0 * at + 2.0, "text": text, "speaker": name}
        for at, (name, text) in enumerate(said)
    ]
    job = site.add(files={"x.json": json.dumps({"segments": segments, "seconds": 8.0})}, original="x", kind="audio")
    text = page(site, f"/jobs/{job.id}")
    assert re.findall(r"<b(?: class=\"b\")?>([^<]*)</b>", text) == ["Anna", "Ben", "Speaker 3"], "one for each turn"
    assert text.count('height="8"') == 3, "one bar for each turn"


@pytest.mark.parametrize(
    "content", ["", "[]", "null", '{"statements": 3}', '{"segments": [{"start": "x"}]}', "[" * 5000]
)
def test_edited_document_is_not_shown_and_breaks_nothing(content: str, site: Site):
    job = site.add(files={"x.json": content, "x.md": "the text"})
    assert "the text" in page(site, f"/jobs/{job.id}")


@pytest.mark.parametrize(
    "content",
    [
        '{"segments": [{"start": NaN, "end": 1}]}',
        '{"segments": [], "gaps": [{"start": 0, "end": 1e999}]}',
        '{"segments": [{"start": 0, "end": 1, "text": "\\ud800"}]}',
        '{"pages": [{"number": 1, "width": 1%s, "height": 5, "lines": []}]}' % ("0" * 400),
    ],
)
def test_document_with_impossible_numbers_or_texts_is_not_shown(content: str, site: Site):
    job = site.add(files={"x.json": content, "x.md": "the text"})
    assert "the text" in page(site, f"/jobs/{job.id}")


@pytest.mark.parametrize(
    "amount", ["1E+999999", "9E-999999", "9E+999999999999999999", "sNaN", "Infinity", "9" * 10_000]
)
def test_impossible_amount_is_left_out(amount: str, site: Site):
    row = {"debit": amount, "credit": amount, "balance": amount, "description": "Rent"}
    statement = {"statements": [{"opening": amount, "rows": [row, row]}]}
    receipt = {"shop": "Rent", "items": [{"price": amount}], "total": amount}
    invoice = {"supplier": "Rent", "lines": [{"amount": amount}], "gross": amount}
    for number, document in enumerate((statement, receipt, invoice)):
        job = site.add(files={"x.json": json.dumps(document)}, result_path=f"result-{number}")
        text = page(site, f"/jobs/{job.id}")
        assert "Rent" in text
        assert len(text) < 30_000


@pytest.mark.parametrize(
    "facts",
    [
        {"files": [{"name": "a.txt", "size_bytes": 10**30}, {"name": "b.txt", "size_bytes": -1}]},
        {"files": [{"name": "\udcff.txt"}]},
        {"details": "\ud800"},
        {"options": {"a": "\ud800"}, "options_from": {"a": "config"}},
    ],
)
def test_edited_result_is_a_page_and_a_document(facts: dict[str, object], site: Site):
    job = site.add(files={})
    (site.settings.outbox / "result" / "result.json").write_text(json.dumps({"job": job.id, **facts}))
    assert "Downloads" in page(site, f"/jobs/{job.id}")
    assert site.client.get(f"/api/v1/jobs/{job.id}").json()["id"] == job.id


@pytest.mark.parametrize(
    "state", [JobState.QUEUED, JobState.RUNNING, JobState.FAILED, JobState.CANCELLED, JobState.DONE]
)
def test_job_page_of_every_state(state: JobState, site: Site):
    job = site.add(state=state, error=HOSTILE if state is JobState.FAILED else None)
    page(site, f"/jobs/{job.id}")


def test_numbers_and_dates_follow_the_language_of_the_browser(site: Site):
    job = site.add(files={"x.json": json.dumps(STATEMENT)})
    assert "−1.234,50" in page(site, f"/jobs/{job.id}", **{"Accept-Language": "de-DE,de;q=0.9"})
    assert "−1,234.50" in page(site, f"/jobs/{job.id}", **{"Accept-Language": "xx;q=1,*,en-US;q=0.5"})
    assert "01.05.24" in page(site, f"/jobs/{job.id}", **{"Accept-Language": "de"})
    page(site, f"/jobs/{job.id}", **{"Accept-Language": "," * 400 + "../../etc;q=x"})


def test_system_page_without_a_daemon(site: Site):
    assert "inboxd is not running" in page(site, "/system")


def test_all_links_stay_below_the_prefix(make_site: MakeSite):
    site = make_site('prefix = "/in/boxd"')
    job = site.add(files={"x.txt": "text"}, original="x", kind="image", review=("x",))
    for path in ("/in/boxd/", f"/in/boxd/jobs/{job.id}", "/in/boxd/system"):
        text = page(site, path)
        links = re.findall(r'(?:href|src|action)="(/[^"]*)"', text)
        assert links and all(link.startswith("/in/boxd/") for link in links)
        for link in {link for link in links if "/static/" in link}:
            assert site.stranger.get(link).status_code == 200


def test_login_sets_a_cookie_that_scripts_and_other_sites_do_not_get(site: Site):
    browser = site.stranger
    refused = browser.get("/?state=done", headers=PAGE, follow_redirects=False)
    assert (refused.status_code, refused.headers["location"]) == (303, "/login?to=%2F%3Fstate%3Ddone")
    wrong = browser.post("/login", data={"token": "wrong"}, follow_redirects=False)
    assert wrong.status_code == 401 and "The token is wrong" in wrong.text and "wrong" not in wrong.headers
    right = browser.post("/login", data={"token": f" {TOKEN} ", "to": "/?state=done"}, follow_redirects=False)
    assert (right.status_code, right.headers["location"]) == (303, "/?state=done")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie and "Max-Age" not in cookie
    assert browser.get("/", headers=PAGE).status_code == 200
    browser.post("/logout", follow_redirects=False)
    assert browser.get("/", headers=PAGE, follow_redirects=False).status_code == 303


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_login_leads_nowhere_else(to: str, site: Site):
    answer = site.stranger.post("/login", data={"token": TOKEN, "to": to}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_rows_are_served_for_a_script(site: Site):
    job = site.add(name=f"{HOSTILE}.txt")
    text = page(site, f"/rows?ids={job.id},{HOSTILE},ffff")
    assert f'id="j-{job.id}"' in text and 'data-count="waiting" value="1"' in text


def test_unknown_page_is_a_page_and_an_api_error_is_json(site: Site):
    missing = site.client.get("/jobs/ffff", headers=PAGE)
    assert missing.status_code == 404 and "No job id begins" in missing.text and "<main" in missing.text
    assert site.client.get("/api/v1/jobs/ffff", headers=PAGE).json()["error"]["code"] == "not_found"
