"""Reads Excel workbooks with openpyxl, row by row: saved values, marked hidden sheets, no computed formulas."""

import datetime
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from processors.contract import BadInput
from processors.text.document import Document
from processors.text.office import open_archive

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

_MAX_CELLS = 2_000_000
_MAX_COLUMNS = 2_000
_DAMAGED = "This workbook is damaged. Open it on your computer, export it as PDF or CSV and drop that."


def read(source: Path, document: Document) -> None:
    """Write each sheet as a Markdown table.

    Raises:
        BadInput: it is damaged, encrypted, or a decompression bomb.
    """
    with open_archive(source) as archive:
        names = archive.namelist()
    import openpyxl

    try:
        book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
        cells = 0
        for sheet in book.worksheets:
            cells += _write_sheet(sheet, document, _MAX_CELLS - cells)
        if not cells:
            document.review.append("No cell of the workbook has a value.")
        _review(book, names, source, document)
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        EOFError,
        SyntaxError,
    ) as error:
        raise BadInput(_DAMAGED) from error  # SyntaxError: of XML


def _write_sheet(sheet: "ReadOnlyWorksheet", document: Document, left: int) -> int:
    """Write a sheet with at most `left` cells; return how many it had."""
    is_hidden = sheet.sheet_state != "visible"
    document.write(f"## {sheet.title}{' (hidden sheet)' if is_hidden else ''}\n\n")
    sheet.reset_dimensions()  # which a program may have written as all of the million rows
    cells = width = 0
    is_too_wide = False
    for row in sheet.iter_rows(values_only=True):
        texts = [_text(value) for value in row[:_MAX_COLUMNS]]
        is_too_wide = is_too_wide or any(value is not None for value in row[_MAX_COLUMNS:])
        while texts and not texts[-1]:
            texts.pop()
        if not texts:
            continue
        cells += len(texts)
        if cells > left:
            document.review.append(f'The sheet "{sheet.title}" has too many cells: the text has its first rows only.')
            break
        document.write(f"| {' | '.join(texts)} |\n")
        if not width:
            width = len(texts)
            document.write(f"|{' --- |' * width}\n")
    document.write("\n")
    if is_too_wide:
        document.review.append(f'The sheet "{sheet.title}" has more than {_MAX_COLUMNS} columns: the rest is missing.')
    return min(cells, left)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case datetime.datetime():
            return value.isoformat(" ").removesuffix(" 00:00:00")
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return " ".join(str(value).replace("|", "\\|").split())


def _review(book: "Workbook", names: list[str], source: Path, document: Document) -> None:
    if hidden := [sheet.title for sheet in book.worksheets if sheet.sheet_state != "visible"]:
        document.review.append(f"Hidden sheets are included: {', '.join(hidden[:20])}.")
    if charts := len(book.sheetnames) - len(book.worksheets):
        document.review.append(f"{charts} sheets contain only a chart, which was not read.")
    if any(name.startswith("xl/media/") for name in names):
        document.review.append("The workbook contains pictures, which were not read.")
    if any(name.endswith("vbaProject.bin") for name in names):
        document.review.append("The workbook contains macros, which were not run.")
    if any(name.startswith("xl/comments") for name in names):
        document.review.append("The workbook has comments, which are not in the text.")
    if unsaved := _formulas_without_values(source, names):
        document.review.append(
            f"Formulas without a saved value ({unsaved}) are empty in the text: open and save the workbook in Excel."
        )


def _formulas_without_values(source: Path, names: list[str]) -> int:
    """Formulas without a saved value: cells with <f> and without a value."""
    count, overlap = 0, b""
    with zipfile.ZipFile(source) as archive:
        for name in names:
            if not name.startswith("xl/worksheets/sheet"):
                continue
            with archive.open(name) as part:
                while chunk := part.read(1 << 20):
                    text = overlap + chunk
                    count += text.count(b"</f><v></v>") + text.count(b"</f><v/>") + text.count(b"</f><v />")
                    count += text.count(b"</f></c>")
                    overlap = b""
    return count
