"""The search of the console and of API v1."""

import json

import pytest
from web_site import Site

from daemon.search import update

STATEMENT = {
    "statements": [
        {
            "account": "0001",
            "rows": [
                {"page": 1, "date": "2024-05-01", "description": "Rent", "debit": "1234.50"},
                {"page": 2, "date": "2024-05-02", "description": "Miete Müller <b>", "debit": "10.00"},
            ],
        }
    ]
}


@pytest.fixture
def site(site: Site) -> Site:
    site.statement = site.add(  # type: ignore[attr-defined]
        files={"s.json": json.dumps(STATEMENT)}, result_path="s", name="statement.pdf", folder="bank"
    )
    site.letter = site.add(files={"l.txt": "Dear Sir,\nthe rent"}, result_path="l", name="letter.png")  # type: ignore[attr-defined]
    update.update(site.settings)  # the client of these tests ends a process that a request has started
    return site


def test_api_finds_results_with_their_places(site: Site):
    answer = site.client.get("/api/v1/search", params={"q": "mueller"}).json()
    [result] = answer["results"]
    assert (result["id"], result["file"], answer["next"], answer["is_complete"]) == (
        site.statement.id,
        "bank/statement.pdf",
        None,
        True,
    )
    [hit] = result["hits"]
    assert (hit["page"], hit["seconds"]) == (2, None)
    assert hit["href"] == f"/jobs/{site.statement.id}?page=2#r2"
    assert [part["text"] for part in hit["parts"] if part["match"]] == ["Müller"]
    assert [each["file"] for each in site.client.get("/api/v1/search?q=rent").json()["results"]] == [
        "letter.png",
        "bank/statement.pdf",
    ]


def test_api_pages_through_the_results(site: Site):
    first = site.client.get("/api/v1/search?q=rent&limit=1").json()
    second = site.client.get(f"/api/v1/search?q=rent&limit=1&before={first['next']}").json()
    assert [each["file"] for each in (*first["results"], *second["results"])] == ["letter.png", "bank/statement.pdf"]


@pytest.mark.parametrize("query", ["q=", "q=%22", "q=a&before=x", "q=a&before=99999999999999999999", "q=a&limit=x"])
def test_wrong_search_is_refused(query: str, site: Site):
    answer = site.client.get(f"/api/v1/search?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_parameter")


def test_stranger_finds_nothing(site: Site):
    assert site.stranger.get("/api/v1/search?q=rent").status_code == 401


def test_page_links_to_the_places_and_escapes_them(site: Site):
    page = site.client.get("/search?q=m%C3%BCller", headers={"Accept": "text/html"}).text
    assert f'href="/jobs/{site.statement.id}?page=2#r2">page 2</a>' in page
    assert "<mark>Müller</mark> &lt;b&gt;" in page
    shown = site.client.get(f"/jobs/{site.statement.id}?page=2", headers={"Accept": "text/html"}).text
    assert 'id="r2"' in shown
    assert f'href="/jobs/{site.letter.id}#l2"' in site.client.get("/search?q=rent").text
    assert 'id="l2">the rent</span>' in site.client.get(f"/jobs/{site.letter.id}").text


@pytest.mark.parametrize(
    ("query", "words"),
    [("", "Finds words in"), ("?q=zzz", "Nothing found for “zzz”"), ("?q=%3F", "The search has no words")],
)
def test_page_without_results_shows_why(query: str, words: str, site: Site):
    assert words in site.client.get(f"/search{query}", headers={"Accept": "text/html"}).text


def test_page_works_without_a_job_log(make_site):
    empty = make_site("")
    empty.store.close()
    for path in empty.settings.state.glob("jobs.db*"):
        path.unlink()
    assert "job log" in empty.client.get("/search?q=x", headers={"Accept": "text/html"}).text
