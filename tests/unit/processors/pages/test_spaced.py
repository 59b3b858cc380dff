"""Text that is set letter by letter in the text layer of a PDF page: spaced headings, and cells for one character."""

from pathlib import Path

import pytest
from pdf_files import one_page, show
from works import work_on

from processors.contract import Progress
from processors.ocr import Ocr, OcrOptions, ReadOptions


def _read(folder: Path, content: str) -> str:
    (folder / "x.pdf").write_bytes(one_page(content))
    reader = Ocr()
    reader.load(OcrOptions(threads=1), folder, Progress(lambda message: None))
    work = work_on(folder / "x.pdf", stem="page", options=ReadOptions(formats=("txt",)))
    assert reader.process_one(work, Progress(lambda message: None)).review == ()
    return "\n".join(" ".join(line.split()) for line in (folder / "page.txt").read_text(encoding="utf-8").splitlines())


def _cells(text: str, x: float, y: float, width: float, height: float, *, frame: str = "cells") -> str:
    """Characters of 11 points, each in the middle of a cell. frame: "cells", "ticks" or "none"."""
    drawn = ""
    for number, character in enumerate(text):
        left = x + number * width
        glyph = {"I": 3.06, "M": 9.16, "N": 7.94, "R": 7.94}.get(character, 6.12 if character.isdigit() else 7.34)
        drawn += show(character, left + (width - glyph) / 2, y, 11) if character != " " else ""
        drawn += f"{left} {y - 4} {width} {height} re S\n" if frame == "cells" else ""
        drawn += f"{left} {y - 4} m {left} {y + 3} l S\n" if frame == "ticks" else ""
    return drawn + (f"{x} {y - 4} m {x + width * len(text)} {y - 4} l S\n" if frame == "ticks" else "")


@pytest.mark.parametrize("spacing", [2, 4, 7, 11])
@pytest.mark.parametrize("text", ["INVOICE", "DELIVERY NOTE", "Invoice 2024", "RECHNUNG", "S. A. MARSH LTD"])
def test_letters_of_a_widely_spaced_heading_are_joined_into_words(tmp_path: Path, text: str, spacing: int):
    assert (
        _read(tmp_path, f"{spacing} Tc {show(text, size=14)} 0 Tc {show('Total 9.50', y=700)}") == f"{text}\nTotal 9.50"
    )


@pytest.mark.parametrize(("typed", "text"), [("I N V O I C E", "INVOICE"), ("D A T E   D U E", "DATE DUE")])
def test_letters_of_a_heading_with_typed_spaces_are_joined_into_words(tmp_path: Path, typed: str, text: str):
    assert _read(tmp_path, show(typed, size=14)) == text


@pytest.mark.parametrize("frame", ["cells", "ticks"])
@pytest.mark.parametrize("text", ["DE89370400440532013000", "03052024", "ANNA MARIA", "111"])
def test_characters_in_cells_are_words(tmp_path: Path, text: str, frame: str):
    content = show("Account", 60, 703, 10) + _cells(text, 140, 703, 14, 18, frame=frame)
    assert _read(tmp_path, content) == f"Account {text}"


@pytest.mark.parametrize(
    "text", ["1 2 3 4 5", "A B C D E", "Class A B C D E", "x x x x x", "a 1 b 2 c 3", "Teams 2 : 1"]
)
def test_single_characters_stay_apart(tmp_path: Path, text: str):
    assert _read(tmp_path, show(text)) == text


def test_scale_without_lines_and_digits_of_a_table_stay_apart(tmp_path: Path):
    scale = show("How was it?", 60, 760, 11) + _cells("12345", 160, 760, 20, 20, frame="none")
    table = "".join(_cells(row, 160, 700 - 20 * number, 20, 20) for number, row in enumerate(("5371", "6195")))
    assert _read(tmp_path, scale + table) == "How was it? 1 2 3 4 5\n5 3 7 1\n6 1 9 5"
