"""What counts as a loop, and what only looks like one."""

import random

import pytest

from processors.vlm.assess import find_loop, is_endless

STATEMENT = "\n".join(
    f"| 2024-{number % 12 + 1:02}-03 | CARD TESCO | {amount:.2f} | | |"
    for number, amount in enumerate(random.Random(1).choices(range(100), k=200))
)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("The end is near. " * 12, "The end is near. "),
        ("A report.\n" + "| 0.00 | 0.00 |\n" * 40, "| 0.00 | 0.00 |\n"),
        ("0" * 400, "0"),
        (STATEMENT + "\n" + "und so weiter " * 30 + "\n" + STATEMENT, "und so weiter "),
        ("All work and no play makes Jack a dull boy.\n" * 2 + "ha" * 120, "ha"),
    ],
)
def test_loop_is_found(text, unit):
    loop = find_loop(text)
    assert loop is not None
    assert sorted(loop.unit) == sorted(unit) and loop.times == pytest.approx(text.count(unit), abs=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        STATEMENT,
        "Total ............................................................ 12.00\n" * 5,
        "| | | |\n" * 40,
        "\n" * 3000,
        "No! " * 7,
        "Row, row, row your boat, gently down the stream.\n" * 3,
        "-" * 400,
    ],
    ids=["nothing", "letter", "statement", "leaders", "blank form", "blank lines", "emphasis", "refrain", "rule"],
)
def test_likeness_is_no_loop(text):
    assert find_loop(text) is None


def test_answer_that_will_not_end_is_seen_by_its_tokens():
    words = list(range(1000, 1200))
    assert is_endless(words + [1, 2, 3] * 100)
    assert is_endless([7] * 256)
    assert is_endless(list(range(100)) * 24)


def test_answer_that_may_yet_end_is_let_go_on():
    assert not is_endless([])
    assert not is_endless([7] * 255)
    assert not is_endless([1, 2, 3] * 80)
    assert not is_endless([7] * 300 + [8])
    assert not is_endless(list(range(100)) * 20)
    assert not is_endless(list(range(5000)))
