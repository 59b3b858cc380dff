"""Invented statements with known rows as PDF files, through the processor and through the daemon."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import pypdfium2
import pytest
from ofxtools.Parser import OFXTree
from sandbox import Place
from works import work_on

from benchmarks.statement_pages.drawing import draw
from benchmarks.statement_pages.layouts import LAYOUTS
from processors import statements
from processors.contract import Progress
from processors.ocr import Ocr, OcrOptions, ReadOptions
from processors.ocr.file_reader import FileReader
from tests.unit.processors.statements.layout_parameters import each_layout


def _run(source: Path, outputs: Path, by: Ocr | None = None, **options):
    outputs.mkdir(exist_ok=True)
    chosen = ReadOptions(**{"task": "bank-statement"} | options)
    work = work_on(source, outputs=outputs, stem="read", recipe="bank-statement", options=chosen)
    ocr = by or Ocr()  # never loaded: a text layer needs no engine
    return ocr.process_one(work, Progress(lambda message: None))


def _text(value) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize("layout", each_layout("uk-tight", "us-card", "fr-releve", "unsigned-newest"))
def test_every_row_of_each_layout_is_right_and_nothing_is_flagged(layout, tmp_path: Path):
    truth = draw(layout, 1, tmp_path / "statement.pdf")
    finished = _run(tmp_path / "statement.pdf", tmp_path / "out", dpi=100)
    with (tmp_path / "out" / "read.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    read = sorted((r["date"], r["debit"], r["credit"], r["balance"], r["page"], r["description"]) for r in rows)
    wanted = [
        (str(t.date), _text(t.debit), _text(t.credit), _text(t.balance), str(t.page), t.description) for t in truth
    ]
    assert read == sorted(wanted)
    assert finished.review == ()
    assert finished.files[0] == "read.md"
    assert finished.details["flagged_rows"] == 0


def test_page_whose_corner_is_not_at_zero_is_read(tmp_path: Path):
    truth = draw(LAYOUTS[0], 1, tmp_path / "upright.pdf")
    with pypdfium2.PdfDocument(tmp_path / "upright.pdf") as pdf:
        for page in pdf:
            width, height = page.get_size()
            page.set_mediabox(-20, -30, width, height)
        pdf.save(tmp_path / "moved.pdf")
    _run(tmp_path / "moved.pdf", tmp_path / "out")
    assert len(json.loads((tmp_path / "out" / "read.json").read_text())["statements"][0]["rows"]) == len(truth)


def test_formats_of_another_task_are_refused():
    with pytest.raises(ValueError, match="cannot write xlsx; choose from: txt, md, json"):
        ReadOptions(formats=("xlsx",))


@pytest.mark.slow
def test_statement_in_the_inbox_becomes_a_table_and_ofx(tmp_path: Path):
    toml = """
        [inbox]
        settle_seconds = 0.2
        [inbox.folders.bank]
        image = "bank-statement"
    """
    place = Place(tmp_path, toml)
    truth = draw(LAYOUTS[0], 1, tmp_path / "made.pdf")
    place.drop("bank/may.pdf", (tmp_path / "made.pdf").read_bytes())
    place.drain()
    result = place.result("bank/may.pdf")
    assert (result["recipe"], result["review"]) == ("bank-statement", [])
    folder = place.outbox / "bank" / "may"
    assert {path.suffix for path in folder.iterdir()} >= {".md", ".csv", ".xlsx", ".json", ".ofx"}
    tree = OFXTree()
    with (folder / "may.ofx").open("rb") as file:
        tree.parse(file)
    assert len(tree.convert().statements[0].transactions) == len(truth)


class _Misread(Ocr):
    def _file_reader(self):
        self.reader = _Misreader(lambda: self._engine, self._models)
        return self.reader


class _Misreader(FileReader):
    """Misreads one amount of the text layer."""

    def _read(self, page, options, was_turned):
        read = super()._read(page, options, was_turned)
        if page.number > 1:
            return read
        lines = [list(line) for line in read.lines]
        places = [
            (line, n) for line in lines for n, piece in enumerate(line) if re.fullmatch(r"[\d,]+\.\d\d", piece.text)
        ]
        line, place = places[4]
        self.harmed = line[place].text
        wrong = self.harmed[:-1] + ("7" if self.harmed[-1] != "7" else "1")
        line[place] = dataclasses.replace(line[place], text=wrong)
        return dataclasses.replace(read, lines=tuple(map(tuple, lines)))


@pytest.mark.slow
def test_page_that_does_not_agree_is_read_again_by_ocr_which_finds_the_row(tmp_path: Path):
    truth = draw(next(layout for layout in LAYOUTS if layout.name == "uk-classic"), 2, tmp_path / "statement.pdf")
    ocr = _Misread()
    ocr.load(OcrOptions(threads=1), tmp_path, Progress(lambda message: None))
    _run(tmp_path / "statement.pdf", tmp_path / "out", by=ocr)
    (statement,) = json.loads((tmp_path / "out" / "read.json").read_text())["statements"]
    assert len(statement["rows"]) == len(truth)
    (flagged,) = [row for row in statement["rows"] if row["flags"]]
    amount = ocr.reader.harmed.replace(",", "")
    assert any(f" {amount}" in flag and "the second reading (OCR)" in flag for flag in flagged["flags"])
    assert amount not in (flagged["debit"], flagged["credit"], flagged["balance"])  # as it was read first
    (second,) = [check for check in statement["checks"] if check["name"] == "second reading"]
    assert (second["passed"], second["text"].split(" rows")[0]) == (False, f"{len(truth) - 1} of {len(truth)}")


@pytest.mark.parametrize(
    ("task", "reader"),
    [("bank-statement", "read_statements"), ("receipt", "read_receipt"), ("invoice", "read_invoice")],
)
def test_internal_error_while_reading_is_a_reason_for_a_review_and_fails_no_job(task, reader, tmp_path, monkeypatch):
    draw(LAYOUTS[0], 1, tmp_path / "statement.pdf")

    def fail(*_):
        raise AttributeError("a bug")

    monkeypatch.setattr(statements, reader, fail)
    finished = _run(tmp_path / "statement.pdf", tmp_path / "out", task=task, formats=["md", "txt"])
    assert any("Internal error" in reason for reason in finished.review)
    assert finished.files == ("read.md", "read.txt")
