"""`inboxd correct`: the numbers of a result, corrections of each kind, and what remains to be reviewed."""

import json

import pytest
from sandbox import Place
from web_process import WebProcess
from web_results import add_results


@pytest.fixture(scope="module")
def jobs(web_place: Place, web: WebProcess) -> dict[str, str]:
    """The ids of jobs with a result of each kind."""
    return {kind: path.rpartition("/")[2] for kind, path in add_results(web_place, web).items()}


def test_result_is_shown_with_its_numbers(web_place: Place, jobs: dict[str, str]):
    words = {
        "statement": ["Card Pike Lone", "low confidence", "--row 2"],
        "receipt": ["Oat milk", "the items add up to 8.10", "--item 3"],
        "invoice": ["Workshop", "due_date", "Parts"],
        "text": ["CORNER LARDER", "--line"],
        "transcript": ["Gudenburg", "--segment"],
    }
    for kind, expected in words.items():
        shown = web_place.inboxd("correct", jobs[kind][:8]).stdout
        for each in (*expected, f"inboxd correct {jobs[kind][:8]} "):
            assert each in shown, (kind, each)
    assert json.loads(web_place.inboxd("correct", jobs["text"], "--json").stdout)["changes"] == []


def test_each_kind_is_corrected_and_the_rest_of_the_review_shown(web_place: Place, jobs: dict[str, str]):
    shown = web_place.inboxd("correct", jobs["statement"], "--row", "2", "debit=10.39", "--by", "Ann").stdout
    assert "Row 2: debit 10.38 → 10.39" in shown
    assert "Still to review" in shown and "row is flagged" in shown
    record = json.loads(web_place.inboxd("correct", jobs["statement"], "--row", "2", "debit=10.38", "--json").stdout)
    assert (len(record["changes"]), record["review"]) == (2, [])
    shown = web_place.inboxd("correct", jobs["receipt"], "--item", "2", "price=4.10").stdout
    assert "no other figure confirms the tax of 0.62" in shown
    assert "find nothing to review" in web_place.inboxd("correct", jobs["receipt"], "--confirm").stdout
    web_place.inboxd("correct", jobs["invoice"], "number=R-7", "due_date=")
    invoice = json.loads((web_place.outbox / "invoice/corrected/invoice.json").read_text())
    assert (invoice["number"], invoice["due_date"]) == ("R-7", None)
    web_place.inboxd("correct", jobs["text"], "--line", "1", "CORNER LADDER")
    shown = web_place.inboxd("correct", jobs["transcript"], "--segment", "2", "Gutenberg").stdout
    assert "1 row is flagged, on page 1" in shown, "no check repeats the reasons of a transcript"
    assert "To close the review: inboxd reviewed" in shown
    shown = web_place.inboxd("correct", jobs["transcript"]).stdout
    assert "Gutenberg" in shown and "“Gudenburg” → “Gutenberg”" not in shown
    assert "Segment 2" in shown


def test_changes_of_a_file_are_made_at_once(web_place: Place, jobs: dict[str, str]):
    path = web_place.home / "changes.json"
    changes = [{"item": 2, "values": None}, {"item": 3, "values": {"description": "Oil", "amount": "40.00"}}]
    path.write_text(json.dumps({"changes": changes}))
    shown = web_place.inboxd("correct", jobs["invoice"], "--from", str(path)).stdout
    assert "“Parts” removed" in shown and "Item 3: description none → Oil" in shown
    lines = json.loads((web_place.outbox / "invoice/corrected/invoice.json").read_text())["lines"]
    assert [line["description"] for line in lines] == ["Repair", "Oil"]


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        ("statement", ["--row", "9", "debit=1"], "no row 9"),
        ("statement", ["--row", "2"], "--confirm"),
        ("statement", ["--row", "2", "debit"], "is not NAME=VALUE"),
        ("statement", ["--row", "2", "--item", "1", "debit=1"], "one place"),
        ("statement", ["--row", "2", "debit=x"], "must be a number"),
        ("statement", ["--row", "2", "--remove"], "--remove removes one item"),
        ("statement", ["debit=1"], "you can correct its rows"),
        ("text", ["--page", "1", "x"], "one place"),
        ("text", ["--line", "1"], "new text"),
        ("text", ["--from", "missing.json"], "cannot be read"),
        ("receipt", ["totl=1"], "no value 'totl'"),
        ("failed", ["total=1"], "no result"),
    ],
)
def test_mistake_is_reported(kind: str, arguments: list[str], words: str, web_place: Place, jobs: dict[str, str]):
    assert words in web_place.inboxd("correct", jobs[kind], *arguments, check=64).stderr
