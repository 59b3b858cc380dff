"""Statements and receipts that a model reads: verified by arithmetic and by a second reading of the same page."""

import csv
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fake_servers import FakeServer
from paths import ROOT
from pydantic import ValidationError
from recognized_once import recognize_once
from test_vlm_server import load, quick, server  # noqa: F401  the server's fixtures
from tiny_vlm import ANSWERS, DRAWINGS, Asked, a_work

from processors import contract, pages, statements
from processors.contract import Progress, Substitute
from processors.vlm import AskOptions, Vlm, VlmOptions
from processors.vlm.document import statements as document_statements

SAMPLES = ROOT / "samples" / "inbox"
TRUTH = json.loads((ROOT / "samples" / "truth.json").read_text())
STATEMENT, RECEIPT = TRUTH["bank/statement.pdf"], TRUTH["receipt.jpg"]


@pytest.fixture(scope="module", autouse=True)
def second_readings() -> Iterator[None]:
    """OCR, loaded when a page is read for the second time, reads each page once."""
    real = document_statements._ocr
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document_statements, "_ocr", cache(lambda: recognize_once(real())))
        yield


def _page(number: int) -> dict[str, Any]:
    """The answer of a good model about a page of the sample."""
    rows = [
        {
            **dict.fromkeys(("reference", "amount")),
            "date": row["date"],
            "description": row["description"],
            "debit": row["paid_out"],
            "credit": row["paid_in"],
            "balance": row["balance"],
        }
        for row in STATEMENT["pages"][number]["rows"]
    ]
    page = dict.fromkeys(statements.page_schema()["properties"])
    page |= {"account": STATEMENT["account_number"], "rows": rows}
    return page | ({"opening": STATEMENT["opening_balance"]} if number == 0 else {"closing": "1,862.29"})


def _receipt() -> dict[str, Any]:
    receipt = {name: RECEIPT.get(name) for name in statements.receipt_schema()["properties"]}
    return receipt | {"items": [dict(item) for item in RECEIPT["items"]]}


@pytest.fixture
def ask(load: Callable[..., Vlm], server: FakeServer, tmp_path: Path) -> Callable[..., Asked]:  # noqa: F811
    def ask(source: Path, answers: list[dict[str, Any]], **options: Any) -> Asked:
        server.behave(*({"content": json.dumps(answer)} for answer in answers))
        work = a_work(source, tmp_path, AskOptions(retries=0, **options))
        reports: list[contract.WorkProgress] = []
        one_by_one = load(server, pages_at_once=1)  # the server gives its answers in the order of the questions
        ((_, outcome),) = one_by_one.process([work], Progress(reports.append))
        return Asked(outcome, work, reports)

    return ask


def test_statement_becomes_all_its_files(ask, server):  # noqa: F811
    asked = ask(SAMPLES / "bank" / "statement.pdf", [_page(0), _page(1)], task="bank-statement", second_reading="never")
    assert asked.finished.review == ()
    names = ("drop.md", "drop.csv", "drop.xlsx", "drop.json", "drop.ofx", "drop.pages.json")
    assert asked.finished.files == names
    with (asked.work.outputs / "drop.csv").open(newline="") as file:
        read = [(row["date"], row["debit"], row["credit"], row["balance"]) for row in csv.DictReader(file)]
    wanted = [row for page in STATEMENT["pages"] for row in page["rows"]]
    assert read == [(row["date"], row["paid_out"] or "", row["paid_in"] or "", row["balance"]) for row in wanted]
    assert asked.finished.details["rows"] == len(wanted) and asked.finished.details["flagged_rows"] == 0
    request = server.asked()["asked"][-1]
    assert request["response_format"]["json_schema"]["schema"] == statements.page_schema()
    assert request["prompt"].startswith("This is a page of a bank statement.")


@pytest.mark.slow
def test_digit_that_the_model_made_up_is_flagged_and_kept(ask, tmp_path: Path):
    first = _page(0)
    first["rows"][2]["debit"] = "99.99"
    picture = tmp_path / "page.png"
    next(pages.read_pages(SAMPLES / "bank" / "statement.pdf", "application/pdf", max_pixels=2_000_000)).image.save(
        picture
    )
    asked = ask(picture, [first], task="bank-statement")
    read = json.loads((asked.work.outputs / "drop.json").read_text())
    flags = [row["flags"] for statement in read["statements"] for row in statement["rows"]]
    assert [number for number, found in enumerate(flags) if found] == [2]
    assert "the amount 99.99 does not occur in the second reading of page 1" in flags[2]
    assert any("the balance changes by" in flag for flag in flags[2])
    assert read["statements"][0]["rows"][2]["debit"] == "99.99"
    assert "1 row is flagged, on page 1" in asked.review


def test_answer_without_rows_needs_review(ask):
    empty = {**_page(0), "rows": []}
    asked = ask(SAMPLES / "receipt.jpg", [empty], task="bank-statement", second_reading="never")
    assert "no rows of a statement were found" in asked.review


@pytest.mark.slow
def test_receipt_is_verified_by_its_total_and_a_second_reading(ask):
    good = ask(SAMPLES / "receipt.jpg", [_receipt()], task="receipt")
    assert good.finished.review == () and good.finished.details["total"] == "21.10"
    wrong = _receipt()
    wrong["items"][0]["price"] = "3.90"
    asked = ask(SAMPLES / "receipt.jpg", [wrong], task="receipt")
    assert "'Sourdough loaf': 3.90 does not occur in the second reading" in asked.review
    assert "the items add up to 21.60, but the total is 21.10" in asked.review


def test_invoice_becomes_its_files_and_its_lines_have_their_probabilities(ask):
    keys = ("description", "quantity", "unit_price", "amount", "tax_rate")
    lines = [dict(zip(keys, ("Survey", "2", "640.00", "1,280.00", None), strict=True))]
    answer = dict.fromkeys(statements.invoice_schema()["required"]) | {"lines": lines, "taxes": None}
    answer |= {"supplier": "Harrow Ltd", "number": "INV-7", "date": "5 March 2025", "currency": "GBP"}
    answer |= {"net": "£1,280.00", "tax": "£256.00", "gross": "£1,536.00"}
    asked = ask(SAMPLES / "receipt.jpg", [answer], task="invoice", second_reading="never")
    assert asked.finished.files == ("drop.md", "drop.csv", "drop.json", "drop.pages.json")
    assert asked.finished.details["gross"] == "1536.00" and asked.finished.review == ()


@pytest.mark.parametrize("name", ["statement-one.png", "statement-four.png"])
def test_small_model_reads_a_small_statement_and_ocr_agrees(name: str, vlm: Vlm, tmp_path: Path):
    """End to end with a real model: grammar, verification and files. The prompt is the one that it was trained with."""
    prompt = (DRAWINGS / "statement-prompt.txt").read_text().strip()
    work = a_work(DRAWINGS / name, tmp_path, AskOptions(task="bank-statement", prompt=prompt))
    reports: list[contract.WorkProgress] = []
    ((_, outcome),) = vlm.process([work], Progress(reports.append))
    asked, wanted = Asked(outcome, work, reports), json.loads(ANSWERS[name]["task_answer"])
    (page,) = asked.about_pages
    assert page["answer"] == ANSWERS[name]["task_answer"] and len(page["asked"]) == 1
    (statement,) = json.loads((work.outputs / "drop.json").read_text())["statements"]
    read = [(row["date"], row["description"], row["debit"], row["credit"], row["balance"]) for row in statement["rows"]]
    plain = lambda text: text and text.replace(",", "")  # noqa: E731
    assert read == [
        (row["date"], row["description"], plain(row["debit"]), plain(row["credit"]), plain(row["balance"]))
        for row in wanted["rows"]
    ]
    assert [row["flags"] for row in statement["rows"]] == [[]] * len(read)  # OCR of the picture has each amount
    (unverified,) = asked.finished.review  # no opening balance is printed: nothing tells the first row
    assert unverified in ("1 row is not verified by a balance", "too few balances are printed to verify the rows")


def test_ocr_replaces_a_missing_model(tmp_path: Path):
    for task in ("bank-statement", "receipt", "invoice"):
        plan = Vlm.plan(VlmOptions(), AskOptions(task=task), tmp_path)
        assert isinstance(plan, Substitute) and (plan.processor, plan.recipe) == ("ocr", {"task": task})


def test_formats_that_a_task_cannot_write_are_refused():
    with pytest.raises(ValidationError, match='"receipt" cannot write ofx'):
        AskOptions(task="receipt", formats=("ofx",))
