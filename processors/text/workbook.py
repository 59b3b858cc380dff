"""Reads Excel workbooks with openpyxl, row by row: saved values as their formats show them, marked hidden sheets, no
computed formulas."""

import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

from processors.contract import BadInput
from processors.text import drawings
from processors.text.document import TextDocument, counted
from processors.text.number_format import show
from processors.text.office import open_archive

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell import Cell
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

_MAX_CELLS = 2_000_000
_MAX_COLUMNS = 2_000
_HIDDEN = re.compile(rb'<(?:row|col)\b[^>]*\bhidden="(?:1|true)"[^>]*>')
_MIN, _MAX = re.compile(rb'\bmin="(\d{1,5})"'), re.compile(rb'\bmax="(\d{1,5})"')
_HEADER = re.compile(rb"<((?:odd|even|first)(?:Header|Footer))>(.*?)</", re.S)  # ECMA-376-1, 18.3.1.46
_CODE = re.compile(r'&(?:"[^"]*"|K[0-9A-F]{6}|K\d\d[+-]\d{3}|\d{1,3}|[LCRPNDTAFZGBIUESXYH])')
_END_BYTES = 64 * 1024  # of a sheet, in which its headers are
_DAMAGED = "This workbook is damaged. Open it on your computer, export it as PDF or CSV and drop that."


def read(source: Path, document: TextDocument) -> None:
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
        with zipfile.ZipFile(source) as archive:
            for title, text in drawings.find_text(archive):
                document.write(f"**{title}:** {text}\n\n")
            for title, text in dict.fromkeys(_headers_and_footers(archive)):
                document.write(f"**{title}:** {text}\n\n")
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


def _write_sheet(sheet: "ReadOnlyWorksheet", document: TextDocument, left: int) -> int:
    """Write a sheet with at most `left` cells; return how many it had."""
    is_hidden = sheet.sheet_state != "visible"
    document.write(f"## {sheet.title}{' (hidden sheet)' if is_hidden else ''}\n\n")
    sheet.reset_dimensions()  # which a program may have written as all of the million rows
    cells = width = 0
    is_too_wide = False
    unseen = 0
    for row in sheet.iter_rows():
        texts = [_text(cell) for cell in row[:_MAX_COLUMNS]]
        is_too_wide = is_too_wide or any(cell.value is not None for cell in row[_MAX_COLUMNS:])
        unseen += sum(not text and cell.value not in (None, "") for text, cell in zip(texts, row, strict=False))
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
    if unseen:
        document.review.append(
            f'Number formats of the sheet "{sheet.title}" hide values, which were left out: {unseen}.'
        )
    return min(cells, left)


def _text(cell: "Cell") -> str:
    if cell.value is None:
        return ""
    return " ".join(show(cell.value, cell.number_format).replace("|", "\\|").split())


def _headers_and_footers(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """What the sheets print above and below each page, without page numbers and dates."""
    for name in archive.namelist():
        if not name.startswith("xl/worksheets/sheet"):
            continue
        end = b""
        with archive.open(name) as part:
            while chunk := part.read(1 << 20):
                end = (end + chunk)[-_END_BYTES:]
        for tag, content in _HEADER.findall(end):
            text = unescape(content.decode("utf-8", "replace"))
            if words := " ".join(_CODE.sub(" ", text).split()):
                yield ("Header" if tag.endswith(b"Header") else "Footer"), words


def _review(book: "Workbook", names: list[str], source: Path, document: TextDocument) -> None:
    if hidden := [sheet.title for sheet in book.worksheets if sheet.sheet_state != "visible"]:
        document.review.append(f"Hidden sheets are included: {', '.join(hidden[:20])}.")
    document.review += _hidden_parts(book, source)
    if charts := len(book.sheetnames) - len(book.worksheets):
        document.review.append(f"{charts} sheets contain only a chart, which was not read.")
    if embedded := drawings.count_charts(names) - charts:
        document.review.append(drawings.report_charts(embedded))
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


def _hidden_parts(book: "Workbook", source: Path) -> list[str]:
    """Rows and columns that a sheet does not show, of which the text has the values."""
    reasons = []
    with zipfile.ZipFile(source) as archive:
        for sheet in book.worksheets:
            rows, columns = _count_hidden(archive, sheet._worksheet_path.lstrip("/"))
            parts = [counted(count, noun) for count, noun in ((rows, "row"), (columns, "column")) if count]
            if parts and sheet.sheet_state == "visible":
                reasons.append(f'Hidden parts of the sheet "{sheet.title}" are included: {" and ".join(parts)}.')
    return reasons


def _count_hidden(archive: zipfile.ZipFile, name: str) -> tuple[int, int]:
    """The hidden rows with cells, and the hidden columns."""
    rows = columns = 0
    overlap = b""
    with archive.open(name) as part:
        while chunk := part.read(1 << 20):
            text = overlap + chunk
            end = text.rfind(b"<")
            text, overlap = (text[:end], text[end:]) if end > 0 else (text, b"")
            for tag in _HIDDEN.findall(text):
                if tag.startswith(b"<row"):
                    rows += not tag.endswith(b"/>")
                else:
                    first, last = (int(found[1]) if (found := each.search(tag)) else 1 for each in (_MIN, _MAX))
                    columns += max(1, min(last, _MAX_COLUMNS) - first + 1) if first <= _MAX_COLUMNS else 0
    return rows, columns


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
