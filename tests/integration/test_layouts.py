"""Remembered layouts through the real daemon: a long statement teaches, a short one of its bank profits."""

import json
from pathlib import Path

import pytest
from sandbox import Place
from typed_pages import typed_pdf

pytestmark = pytest.mark.slow

TOML = """
    [inbox]
    image = "bank-statement"
    settle_seconds = 0.2
    [inbox.folders.private]
    options = {remember_layouts = false}
"""
HEAD = """
    Kesk Pank
    Konto 7720194458     Jaan Tamm
    Period 01/01/2025 - 31/01/2025
"""
LONG = f"""{HEAD}
    Kuupäev     Selgitus               Väljaminek    Laekumine      Jääk
                Algsaldo                                         1,000.00
    02/01/2025  CARD PAYMENT                20.00                  980.00
    05/01/2025  SALARY                                2,000.00   2,980.00
    09/01/2025  RENT                       880.00                2,100.00
    17/01/2025  ELECTRICITY                100.00                2,000.00
    18/01/2025  REFUND                                   50.00   2,050.00
"""
SHORT = f"""{HEAD}
    Kuupäev     Selgitus               Väljaminek    Laekumine      Jääk
    22/01/2025  CARD PAYMENT                20.00
    25/01/2025  SALARY                                2,000.00
"""
CHANGED = f"""{HEAD}
    Kuupäev     Laekumine   Väljaminek    Jääk       Selgitus
                                        2,050.00     Algsaldo
    02/01/2025                  20.00   2,030.00     CARD PAYMENT
    05/01/2025   2,000.00               4,030.00     SALARY
    09/01/2025                 880.00   3,150.00     RENT
    17/01/2025                 100.00   3,050.00     ELECTRICITY
    18/01/2025      50.00               3,100.00     REFUND
"""
EARLIER = "earlier statements of this bank (layout kesk-pank)"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, TOML)


def drop(place: Place, name: str, text: str, **how: float) -> None:
    place.drop(name, typed_pdf(text, place.home / "made.pdf", **how).read_bytes())


def read(place: Place, name: str) -> tuple[dict, list[str]]:
    """The JSON of a statement that is done, and its review."""
    review, path = place.result(name)["review"], Path(name)
    return json.loads((place.outbox / path.parent / path.stem / f"{path.stem}.json").read_text()), review


def rows(document: dict) -> list[tuple[str, str | None, str | None]]:
    return [(row["date"], row["debit"], row["credit"]) for each in document["statements"] for row in each["rows"]]


SHORT_ROWS = [("2025-01-22", "20.00", None), ("2025-01-25", None, "2000.00")]


def test_short_statement_profits_from_a_long_one_of_its_bank(place: Place):
    place.start()
    drop(place, "long.pdf", LONG)
    place.ended("long.pdf")
    assert read(place, "long.pdf")[1] == []
    drop(place, "short.pdf", SHORT, shift=12)
    place.ended("short.pdf")
    document, review = read(place, "short.pdf")
    assert rows(document) == SHORT_ROWS
    assert f"the columns are those of {EARLIER}" in review
    assert "too few balances are printed to verify the rows" in review
    drop(place, "changed.pdf", CHANGED)
    place.ended("changed.pdf")
    document, review = read(place, "changed.pdf")
    assert review == []
    assert f"the layout differs from that of {EARLIER}; it is now remembered as kesk-pank-2" in document["notes"]


def test_layouts_are_listed_shown_and_forgotten(place: Place):
    assert place.inboxd("layouts").stdout == "No layouts are remembered.\n"
    drop(place, "long.pdf", LONG)
    place.drain()
    assert "kesk-pank" in place.inboxd("layouts").stdout
    (listed,) = json.loads(place.inboxd("layouts", "--json").stdout)
    assert (listed["name"], listed["confirmed"]) == ("kesk-pank", 1)
    shown = place.inboxd("layouts", "show", "kesk-pank").stdout
    assert "Kesk Pank" in shown and "valjaminek" in shown and "debit" in shown
    assert json.loads(place.inboxd("layouts", "show", "kesk-pank", "--json").stdout) == listed
    (place.state / "layouts" / "torn.json").write_text("{")
    assert "inboxd layouts forget torn" in place.inboxd("layouts").stderr
    assert place.inboxd("layouts", "forget", "kesk-pank", "torn").stdout == "Forgot kesk-pank.\nForgot torn.\n"
    for command in ("show", "forget"):
        refused = place.inboxd("layouts", command, "kesk-pank", check=64)
        assert "No layout kesk-pank is remembered" in refused.stderr
    drop(place, "short.pdf", SHORT)
    place.drain()
    assert rows(read(place, "short.pdf")[0]) == []


def test_folder_may_remember_nothing(place: Place):
    drop(place, "private/long.pdf", LONG)
    place.drain()
    assert read(place, "private/long.pdf")[1] == []
    assert not (place.state / "layouts").exists()


def test_process_without_a_daemon_remembers_too(place: Place):
    for name, text in (("long", LONG), ("short", SHORT)):
        typed_pdf(text, place.home / f"{name}.pdf")
        place.inboxd("process", f"{name}.pdf", "--recipe", "bank-statement")
    document = json.loads((place.home / "results/short/short.json").read_text())
    assert rows(document) == SHORT_ROWS
    assert document["layout"] == "kesk-pank"
