"""The hook in docs/documents.md that adds categories, run as inboxd runs it."""

import csv
import json
import re
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from paths import ROOT

from processors import statements
from processors.statements import Row, Statement, StatementDocument

_SCRIPT = re.compile(r"^```python\n(#!/usr/bin/env python3\n.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (text,) = _SCRIPT.findall((ROOT / "docs" / "documents.md").read_text())
    (tmp_path / "add-categories").write_text(text)
    return tmp_path / "add-categories"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    rows = [
        Row(1, date(2024, 5, 1), "Direct debit Brindle WATER, May", debit=Decimal("31.46")),
        Row(1, date(2024, 5, 2), "Something else", credit=Decimal("5.00")),
    ]
    folder = tmp_path / "bank" / "may"
    folder.mkdir(parents=True)
    statements.write_csv(StatementDocument([Statement(account="1", rows=rows)], pages=1), folder / "may.csv")
    (folder / "may.pdf").write_bytes(b"%PDF")
    return folder


def _call(script: Path, result: Path, recipe: str = "bank-statement") -> None:
    report = {"event": "done", "file": "bank/may.pdf", "recipe": recipe, "result": str(result)}
    subprocess.run([sys.executable, script], input=json.dumps(report).encode(), check=True, timeout=60)


def test_hook_writes_a_category_for_each_row_into_a_file_of_its_own(script: Path, result: Path):
    before = (result / "may.csv").read_bytes()
    for _ in range(2):  # a hook may be called again after a crash
        _call(script, result)
    with (result / "may.categories.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["category"] for row in rows] == ["Utilities", ""]
    assert [row["debit"] for row in rows] == ["31.46", ""]
    assert (result / "may.csv").read_bytes() == before
    assert {path.name for path in result.iterdir()} == {"may.pdf", "may.csv", "may.categories.csv"}


def test_hook_leaves_results_of_other_recipes_alone(script: Path, result: Path):
    _call(script, result, recipe="receipt")
    assert not (result / "may.categories.csv").exists()
