"""Corrected rows of a statement: the checks run again, and the files are written as the recipe wrote them."""

import copy
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

from pydantic import TypeAdapter

from processors.corrections.changes import AMOUNTS, InvalidChange, RowChange
from processors.corrections.figures import csv_style
from processors.statements.checks.verify import reasons, verify
from processors.statements.records import MIN_CONFIDENCE, Row, StatementDocument
from processors.statements.writing.formats import FORMATS as DEFAULT_FORMATS
from processors.statements.writing.formats import OPTIONAL_FORMATS
from processors.statements.writing.outputs import write_document

_DOCUMENT = TypeAdapter(StatementDocument)
FORMATS = (*DEFAULT_FORMATS["bank-statement"], *OPTIONAL_FORMATS["bank-statement"])


def load(facts: Mapping[str, object]) -> StatementDocument:
    """The document of NAME.json, with the reasons for a review that follow from nothing else in it.

    Raises:
        ValidationError: another program wrote it.
    """
    document = _DOCUMENT.validate_python(facts)
    written = facts.get("review")
    known = set(reasons(document))
    document.doubts = [each for each in written if each not in known] if isinstance(written, list) else []
    return document


def correct(
    document: StatementDocument, changes: Sequence[RowChange], *, min_confidence: float = MIN_CONFIDENCE
) -> None:
    """Apply the changes, and verify the document again.

    Flags that arithmetic and dates explain are computed again. Others, such as differences to a second reading, remain
    on the rows that nobody has corrected or confirmed.

    Raises:
        InvalidChange: there is no such row, or it would have money in and money out.
    """
    others = _other_flags(document, min_confidence)
    rows = document.rows
    for change in changes:
        if change.row > len(rows):
            raise InvalidChange(f"There is no row {change.row}; the last one is {len(rows)}.")
        _apply(rows[change.row - 1], change)
    touched = {change.row - 1 for change in changes}
    for number, row in enumerate(rows):
        row.flags = [] if number in touched else others[number]
    verify(document, min_confidence=min_confidence)


def write(
    document: StatementDocument, folder: Path, stem: str, formats: Sequence[str], *, title: str, options: object
) -> tuple[list[str], list[str]]:
    """Write the files; return their names, and the reasons for a review that remain."""
    style = csv_style(options)
    files, lacking = write_document(document, folder, stem, formats, title=title, csv_style=style)
    return files, [*reasons(document), *lacking]


def _other_flags(document: StatementDocument, min_confidence: float) -> list[list[str]]:
    """The flags of each row that a verification without a second reading does not set."""
    again = copy.deepcopy(document)
    for row in again.rows:
        row.flags = []
    verify(again, min_confidence=min_confidence)
    return [
        [flag for flag in row.flags if flag not in computed.flags]
        for row, computed in zip(document.rows, again.rows, strict=True)
    ]


def _apply(row: Row, change: RowChange) -> None:
    for name, value in change.values.items():
        if name in AMOUNTS:
            setattr(row, name, None if value is None else Decimal(value))
        elif name == "date":
            row.date = None if value is None else date.fromisoformat(value)
        else:
            setattr(row, name, value or "")
    if row.debit and row.credit:
        raise InvalidChange(f"Row {change.row} would have money out and money in; empty one of them.")
    row.confidence, row.confirmed = 1.0, True
