"""Tables of jobs: one line per job, at any width, in any encoding."""

import io
from typing import Any

import pytest
from rich.console import Console

from daemon.cli import terminal, views

_ROW: dict[str, Any] = {
    "id": "7418f7bc-aa",
    "received_at": "2026-01-01T10:00:00.000Z",
    "file": "bank/2026/account statement of the first quarter, final version.pdf",
    "recipe": "bank-statement",
    "state": "done",
    "review": '["row 3 is not verified by a balance", "page 2 has no text"]',
    "run_seconds": 3.25,
    "result_path": "bank/2026/account statement of the first quarter, final version",
    "waiting_for": None,
    "error": None,
}


def shown(renderable: Any, width: int, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    console = Console(width=width, file=file, color_system=None)
    console.print(renderable)
    file.flush()
    return file.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
@pytest.mark.parametrize("width", [80, 100, 160])
def test_each_job_has_one_line(width: int, encoding: str):
    error = {**_ROW, "state": "failed", "error": "This PDF is damaged. " * 20 + "\nReplace it."}
    lines = shown(views.JobsTable([_ROW, error]), width, encoding)
    assert len(lines) == 3 and all(len(line) <= width for line in lines)
    assert all("7418f7bc" in line and "bank" in line for line in lines[1:]), lines


def test_file_is_cut_in_the_middle_so_that_its_suffix_stays():
    line = shown(views.JobsTable([_ROW]), 100)[1]
    assert "bank/2026" in line and ".pdf" in line and "…" in line


def test_short_names_are_complete_in_80_columns():
    row = {**_ROW, "file": "bank/2026-03 march.pdf", "result_path": "bank/march", "run_seconds": 1234.5}
    line = shown(views.JobsTable([row]), 80)[1]
    assert "bank/2026-03 march.pdf" in line and "done (review)" in line and "bank/march" in line


def test_columns_stay_aligned_where_the_encoding_lacks_a_character():
    rows = [{**_ROW, "file": "plain.txt"}, {**_ROW, "file": "漢字.txt"}]
    first, second = shown(views.JobsTable(rows), 120, "latin-1")[1:]
    assert r"\u6f22" in second and first.index("bank-statement") == second.index("bank-statement")


def test_heading_names_the_zone_of_the_times():
    assert f"time ({terminal.zone_name()})" in shown(views.JobsTable([_ROW]), 100)[0]


def test_reviews_name_every_reason():
    text = "\n".join(shown(views.reviews_table([_ROW]), 80))
    assert "- row 3 is not verified by a balance" in text and "- page 2 has no text" in text


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("short.pdf", 9, "short.pdf"),
        ("a longer name.pdf", 12, "a long…e.pdf"),
        ("請求書請求書請求書.pdf", 12, "請求書….pdf"),
        ("abc", 2, "ab"),
        ("abc", 0, ""),
    ],
)
def test_cut_fits_the_width_of_a_terminal(text: str, width: int, cut: str):
    assert terminal.cell_len(terminal.cut(text, width, keep_end=True)) <= width
    assert terminal.cut(text, width, keep_end=True) == cut


def test_recipes_that_wait_for_the_same_thing_share_one_reason():
    facts = {"kinds": ["image"], "processor": "vlm", "folders": [""], "note": "", "runs_on": "ocr"}
    waiting = {**facts, "folders": [], "runs_on": None, "note": "The model Qwen/Qwen3-VL-4B-Instruct is not installed."}
    recipes: Any = [{**facts, "name": "read"}, {**waiting, "name": "ask"}, {**waiting, "name": "describe"}]
    lines = [line.rstrip() for line in shown(views.recipes_view(recipes), 80)]
    assert lines[1].endswith("ready, on ocr")
    assert lines[2].endswith("not yet [1]") and lines[3].endswith("not yet [1]")
    assert lines[4:] == ["[1] The model Qwen/Qwen3-VL-4B-Instruct is not installed."]


def test_condition_of_a_recipe_that_is_ready_is_below_the_table():
    facts = {"kinds": ["image"], "processor": "vlm", "folders": [""], "note": "Ask a:1.", "runs_on": "vlm"}
    other = {**facts, "name": "read", "note": "Read by OCR.", "runs_on": "ocr"}
    recipes: Any = [{**facts, "name": "ask"}, other]
    lines = [line.rstrip() for line in shown(views.recipes_view(recipes), 80)]
    assert lines[1].endswith("ready, on vlm [1]") and lines[2].endswith("ready, on ocr")
    assert lines[3:] == ["[1] Ask a:1."]


def test_controls_in_a_name_are_escaped():
    assert "\x1b" not in "".join(shown(terminal.OneLine("evil\x1b]0;owned\x07.txt", keep_end=True), 80))


def test_attention_names_the_commands():
    assert views.attention_lines(0, 0, days=7) == []
    assert views.attention_lines(2, 1, days=7) == [
        "  2 to review in the last 7 days: inboxd jobs --review --since 7d",
        "  1 failed in the last 7 days: inboxd jobs --failed --since 7d",
    ]
