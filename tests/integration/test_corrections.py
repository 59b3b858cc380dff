"""A person corrects results through the API and the forms of the console, with a real daemon."""

import csv
from typing import Any

import pytest
from sandbox import Place, wait_for
from web_process import WebProcess
from web_results import add_results


@pytest.fixture(scope="module")
def paths(web_place: Place, web: WebProcess) -> dict[str, str]:
    return add_results(web_place, web)


def correct(web: WebProcess, path: str, *changes: dict[str, Any], by: str = "Ann") -> Any:
    return web.client.post(f"/api/v1{path}/corrections", json={"by": by, "changes": list(changes)})


def test_corrected_files_lie_beside_the_result_as_read(web: WebProcess, web_place: Place, paths: dict[str, str]):
    path = paths["statement"]
    folder = web_place.outbox / web.get(f"/api/v1{path}")["result_path"]
    as_read = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    answer = correct(web, path, {"row": 2, "values": {"description": "Card Pike Lane"}})
    assert answer.status_code == 200, answer.text
    [change] = answer.json()["changes"]
    assert (change["by"], change["was"]) == ("Ann", {"description": "Card Pike Lone"})
    assert change["at"].startswith("20")
    assert answer.json()["review"] == []
    assert {each: each.read_bytes() for each in as_read} == as_read
    with (folder / "corrected" / "statement.csv").open() as table:
        assert [row["description"] for row in csv.DictReader(table)][1] == "Card Pike Lane"
    shown = web.get(f"/api/v1{path}")
    assert "corrected/statement.csv" in [file["name"] for file in shown["files"]]
    assert web.client.get(f"/api/v1{path}/files/corrected/statement.json").status_code == 200
    assert shown["events"][-1]["event"] == "corrected"
    assert list((web_place.state / "corrections").iterdir()) == []

    def found() -> list[str]:
        return [each["file"] for each in web.get("/api/v1/search", q='"pike lane"')["results"]]

    wait_for(lambda: found() == ["statement.txt"], "the corrected text in the search")


def test_form_corrects_an_amount_and_shows_who_did(web: WebProcess, paths: dict[str, str]):
    path = paths["statement"]
    page = web.client.get(f"{path}?edit=2", headers={"Accept": "text/html"}).text
    assert 'value="10.38"' in page
    fields = {"row": "2", "page": "1", "date": "2024-05-03", "description": "Card Pike Lane", "reference": ""}
    amounts = {"debit": "10,39", "credit": "", "balance": "1048.80", "by": "Bo <b>"}
    headers = {"Accept-Language": "de", "Origin": web.address}
    answer = web.client.post(f"{path}/correct", data=fields | amounts, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?page=1#r2")
    page = web.client.get(path, headers={"Accept": "text/html"}).text
    assert "Row 2: debit 10.38 → 10.39" in page
    assert "Bo &lt;b&gt;" in page
    assert "do not follow from the rows before" in page, "the checks ran again"
    as_read = web.client.get(f"{path}?as=read", headers={"Accept": "text/html"}).text
    assert "do not follow" not in as_read
    web.client.post(f"{path}/correct", data=fields | amounts | {"debit": "10.38"}, headers={"Origin": web.address})
    assert "all 3 printed balances" in web.client.get(path, headers={"Accept": "text/html"}).text


def test_transcript_and_text_are_corrected(web: WebProcess, web_place: Place, paths: dict[str, str]):
    assert correct(web, paths["transcript"], {"segment": 2, "text": "Gutenberg"}).status_code == 200
    assert correct(web, paths["text"], {"page": 1, "line": 1, "text": "CORNER LADDER"}).status_code == 200
    transcript = web.client.get(f"/api/v1{paths['transcript']}/files/corrected/transcript.json").json()
    assert transcript["segments"][1]["words"][0]["word"] == " Gutenberg"
    assert "CORNER LADDER" in web.client.get(paths["text"], headers={"Accept": "text/html"}).text


def test_receipt_and_invoice_are_corrected(web: WebProcess, web_place: Place, paths: dict[str, str]):
    changes = [{"item": 2, "values": {"price": "4.10"}}, {"fields": {"shop": "Corner Ladder"}}]
    answer = correct(web, paths["receipt"], *changes)
    assert answer.status_code == 200, answer.text
    assert answer.json()["review"] == []
    assert [each["was"] for each in answer.json()["changes"]] == [{"price": "4.70"}, {"shop": "Corner Larder"}]
    table = web.client.get(f"/api/v1{paths['receipt']}/files/corrected/receipt.csv").text
    assert [row["price"] for row in csv.DictReader(table.splitlines())] == ["3.40", "4.10"]
    assert correct(web, paths["invoice"], {"fields": {"number": "R-7"}}).json()["review"] == []
    assert web.client.get(f"/api/v1{paths['invoice']}/files/corrected/invoice.json").json()["number"] == "R-7"


def test_form_adds_and_removes_items(web: WebProcess, paths: dict[str, str]):
    path = paths["invoice"]
    assert correct(web, path, {"fields": {"number": "R-8"}}).json()["review"] == []

    def send(**fields: str) -> str:
        answer = web.client.post(f"{path}/correct", data={"by": "Ann"} | fields, headers={"Origin": web.address})
        assert answer.status_code == 303, answer.text
        return str(web.client.get(path, headers={"Accept": "text/html"}).text)

    assert "the lines add up to 60.00" in send(item="2", remove="1")
    page = web.client.get(f"{path}?edit=new", headers={"Accept": "text/html"}).text
    assert 'name="item" value="3"' in page
    assert "agree with each other" in send(item="3", description="Oil", amount="40.00")
    page = web.client.get(path, headers={"Accept": "text/html"}).text
    assert 'id="i3"' in page and 'id="i2"' not in page
    assert "“Parts” removed" in page


@pytest.mark.parametrize(
    ("kind", "change", "status", "words"),
    [
        ("statement", {"row": 99, "values": {}}, 422, "no row 99"),
        ("statement", {"row": 2, "values": {"debit": "x"}}, 422, "must be a number"),
        ("statement", {"segment": 1, "text": "x"}, 422, "does not fit"),
        ("receipt", {"row": 1, "values": {}}, 422, "does not fit"),
        ("receipt", {"fields": {"total": "x"}}, 422, "must be a number"),
        ("receipt", {"item": 9, "values": {}}, 422, "no item 9"),
        ("invoice", {"fields": {"total": "1"}}, 422, "no value"),
        ("failed", {"row": 1, "values": {}}, 404, "no result"),
        ("statement", {"row": -1, "values": {}}, 422, "greater"),
        ("statement", {}, 422, ""),
    ],
)
def test_wrong_correction_is_refused(
    kind: str, change: dict[str, Any], status: int, words: str, web: WebProcess, paths: dict[str, str]
):
    answer = correct(web, paths[kind], change)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"changes": 1}', b'{"changes": [1]}', b'{"changes": [], "by": 1}'])
def test_body_that_is_no_correction_is_refused(body: bytes, web: WebProcess, paths: dict[str, str]):
    answer = web.client.post(f"/api/v1{paths['statement']}/corrections", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_parameter")
