"""Shared by all writers of result files: tables as CSV, and text that no program treats as a formula or as markup."""

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from processors.statements.writing.csv_style import CsvStyle

D = TypeVar("D")
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - a text cell that begins so is run (OWASP, CSV injection)
_NEW_CELL = re.compile(rf"(?<=[;\t\r\n])(?={_FORMULA.pattern})")  # where a locale that splits at ; or tab begins a cell


def escape_markdown(text: str) -> str:
    """Escape text within a line or a table cell."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("`", "'").replace("\n", " ")


def begins_formula(text: str) -> bool:
    """True for text that a spreadsheet would run."""
    return _FORMULA.match(text) is not None


def write_table(path: Path, headings: Sequence[str], rows: Iterable[Sequence[object]], style: CsvStyle) -> None:
    with path.open("w", encoding="utf-8-sig" if style.bom else "utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=style.separator)
        writer.writerow(headings)
        writer.writerows([_csv_value(value, style) for value in row] for row in rows)


def _csv_value(value: object, style: CsvStyle) -> object:
    """An amount with its decimal mark; text with a ' before anything that a spreadsheet would run."""
    match value:
        case Decimal():
            return str(value).replace(".", style.decimal)
        case str():
            inside = _NEW_CELL.sub("'", value)
            return f"'{inside}" if begins_formula(value) else inside
    return value


def to_json(value: object) -> str:
    """Amounts and dates as text, for `wellformed.dumps`."""
    if isinstance(value, Decimal | date):
        return str(value)
    raise TypeError(f"{type(value)} cannot be written as JSON")


def write_formats(
    document: D, outputs: Path, stem: str, formats: Sequence[str], writers: Mapping[str, Callable[[D, Path], None]]
) -> list[str]:
    """Write one file per format; return their names."""
    for name in formats:
        writers[name](document, outputs / f"{stem}.{name}")
    return [f"{stem}.{name}" for name in formats]
