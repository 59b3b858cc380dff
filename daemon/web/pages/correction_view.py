"""What the page of a job shows of corrections: who made them, and the form of the place that is being corrected."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from daemon.results import documents, result_files
from daemon.web.pages.corrections import name_of
from daemon.web.pages.formats import Formats

_CORRECTABLE = (documents.Statement, documents.TextPages, documents.Transcript)


@dataclass(frozen=True, kw_only=True)
class ShownChange:
    what: str  # "Row 2: debit 13.00 → 18.00"
    by: str
    at: str


def is_as_read(request: Request) -> bool:
    """True if the address asks for the document as it was read."""
    return request.query_params.get("as") == "read"


def view(
    request: Request, result: result_files.Result | None, document: documents.Document | None, formats: Formats
) -> dict[str, object]:
    """The values of the template. `edit`: number of the row, line or segment with a form; 0: none."""
    asked = request.query_params
    edit = asked.get("edit", "")
    can_correct = isinstance(document, _CORRECTABLE) and not is_as_read(request)
    number = int(edit) if edit.isascii() and edit.isdecimal() and len(edit) < 9 and can_correct else 0
    changes = [_shown(change, formats) for change in result_files.corrections_of(result)] if result else []
    return {
        "can_correct": can_correct,
        "correcting": can_correct and (bool(number) or asked.get("correct") == "1"),
        "edit": number,
        "by": name_of(request),
        "changes": changes,
        "as_read": is_as_read(request),
    }


def _shown(change: Mapping[str, object], formats: Formats) -> ShownChange:
    return ShownChange(what=_what(change), by=str(change.get("by", "")), at=formats.moment(str(change.get("at", ""))))


def _what(change: Mapping[str, object]) -> str:
    values, was = change.get("values"), change.get("was")
    if isinstance(values, Mapping):
        before = was if isinstance(was, Mapping) else {}
        words = [f"{name} {_or_none(before.get(name))} → {_or_none(value)}" for name, value in values.items()]
        return f"Row {change.get('row')}: {', '.join(words) or 'confirmed'}"
    line = f"Page {change.get('page')}, line {change.get('line')}"
    place = f"Segment {change['segment']}" if "segment" in change else line
    return f"{place}: “{was}” → “{change.get('text')}”"


def _or_none(value: object) -> str:
    return "none" if value in (None, "") else str(value)
