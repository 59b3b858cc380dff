"""The demo as a test: the samples that ship, through the daemon and its processors, to what a person reads."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requires
from paths import DATA, ROOT
from sandbox import Place

KENNEDY = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
CONFIG = """
    [paths]
    models = "{models}"
    [inbox]
    settle_seconds = 0.2
    [inbox.folders.bank]
    image = "bank-statement"
    [inbox.folders.pictures]
    image = "look"
    [inbox.folders.scenes]
    image = "describe"
    [recipes.look]
    processor = "vlm"
    engine = "transformers"
    model = "{root}/tests/data/tiny-vlm"
    task = "describe"
    [inbox.folders.by-model]
    image = "model-statement"
    [recipes.model-statement]
    processor = "vlm"
    engine = "transformers"
    model = "{root}/tests/data/tiny-vlm"
    task = "bank-statement"
    prompt = {prompt}
    [processors.whisper]
    model = "tiny.en"
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Place:
    """The samples, drained once."""
    home = tmp_path_factory.mktemp("demo")
    models = os.environ.get("INBOXD_TEST_MODELS") or Path.home() / ".cache/inboxd-tests/models"
    prompt = (DATA / "drawings" / "statement-prompt.txt").read_text().strip()  # that the tiny model was trained with
    place = Place(home, CONFIG.format(models=models, root=ROOT, prompt=json.dumps(prompt)))
    place.inboxd("models", "fetch", "tiny.en", timeout=300)
    shutil.copytree(ROOT / "samples" / "inbox", place.inbox, dirs_exist_ok=True)
    (place.inbox / "scenes").mkdir()
    shutil.copy(ROOT / "samples" / "inbox" / "receipt.jpg", place.inbox / "scenes" / "table.jpg")
    place.drain(check=1, timeout=200)
    return place


def test_kennedy_is_right_word_for_word(demo: Place):
    result = demo.result("speech/kennedy.flac")
    text = (demo.outbox / "speech" / "kennedy" / "kennedy.txt").read_text()
    assert re.sub(r"[^a-z ]", "", " ".join(text.lower().split())) == KENNEDY
    assert (result["engine"], result["model"]) == ("openai-whisper", "tiny.en")
    assert result["media_seconds"] == pytest.approx(11.0, abs=0.1)
    names = {path.suffix for path in (demo.outbox / "speech" / "kennedy").iterdir()}
    assert names >= {".txt", ".srt", ".vtt", ".tsv", ".json", ".flac"}
    with (demo.outbox / "speech" / "kennedy" / "kennedy.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert int(rows[-1]["end"]) <= 11_000


def test_receipt_is_read_by_ocr_and_the_note_gives_the_reason(demo: Place):
    result = demo.result("receipt.jpg")
    assert (result["processor"], result["engine"], result["device"]) == ("ocr", "rapidocr", "cpu")
    assert "det" in result["model"] and "rec" in result["model"]
    assert "inboxd models fetch Qwen/Qwen3-VL-4B-Instruct" in result["note"]
    text = (demo.outbox / "receipt" / "receipt.txt").read_text()
    assert "CORNER LARDER" in text and re.search(r"TOTAL GBP +21\.10", text)


def test_both_pages_of_the_statement_become_rows_that_are_right(demo: Place):
    result = demo.result("bank/statement.pdf")
    assert (result["pages"], result["review"]) == (2, [])
    truth = json.loads((ROOT / "samples" / "truth.json").read_text())["bank/statement.pdf"]
    wanted = [row for page in truth["pages"] for row in page["rows"]]
    with (demo.outbox / "bank" / "statement" / "statement.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    read = [(row["date"], row["debit"] or None, row["credit"] or None, row["balance"] or None) for row in rows]
    assert read == [(row["date"], row["paid_out"], row["paid_in"], row["balance"]) for row in wanted]


def test_broken_pdf_explains_itself(demo: Place):
    row = demo.row("broken.pdf")
    assert (row["state"], row["error_kind"], row["attempts"]) == ("failed", "bad_input", 1)
    told = (demo.outbox / "failed" / "broken" / "error.txt").read_text()
    assert "damaged or cut off" in told and "Copy or download it again" in told
    assert (demo.outbox / "failed" / "broken" / "broken.pdf").exists()


def test_model_answers_the_recipes_question_and_a_sidecars(demo: Place):
    shapes = (demo.outbox / "pictures" / "shapes" / "shapes.md").read_text().strip()
    assert shapes == "yellow square, blue circle, red triangle"
    answer = json.loads((demo.outbox / "pictures" / "small-statement" / "small-statement.md").read_text())
    assert [row["balance"] for row in answer["transactions"]] == [512.31, 577.30, 457.30, 418.05]
    assert (demo.outbox / "pictures" / "small-statement" / "small-statement.png.prompt").exists()
    assert demo.result("pictures/shapes.png")["model"].endswith("tiny-vlm")


def test_model_reads_a_statement_into_the_files_that_ocr_makes_of_one(demo: Place):
    result = demo.result("by-model/statement.png")
    assert result["processor"] == "vlm"
    assert result["review"] == ["1 row is not verified by a balance"]  # no opening balance is printed
    with (demo.outbox / "by-model" / "statement" / "statement.csv").open(newline="") as file:
        rows = [(row["date"], row["description"], row["debit"], row["credit"]) for row in csv.DictReader(file)]
    assert rows == [
        ("2023-11-02", "TRANSFER SALARY", "", "2150.00"),
        ("2023-11-04", "DIRECT DEBIT RENT", "895.50", ""),
    ]


def test_recipe_that_ocr_cannot_serve_waits_and_reports_for_what(demo: Place):
    row = demo.row("scenes/table.jpg")
    assert (row["state"], row["attempts"]) == ("queued", 0)
    assert "inboxd models fetch Qwen/Qwen3-VL-4B-Instruct" in row["waiting_for"]


def test_every_byte_is_accounted_for(demo: Place):
    demo.verify()


def test_speech_waits_offline_for_weights_and_names_the_command_that_fetches_them(make_place):
    requires.network_namespace()
    place = make_place('[inbox]\nsettle_seconds = 0.1\n[processors.whisper]\nmodel = "small"\n')
    shutil.copy(ROOT / "samples" / "inbox" / "speech" / "kennedy.flac", place.inbox)
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "daemon.cli", "run", "--drain", "--config", str(place.config)],
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    row = place.row("kennedy.flac")
    assert (row["state"], row["attempts"]) == ("queued", 0)
    assert "inboxd models fetch small" in row["waiting_for"]
