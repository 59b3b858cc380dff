"""Corrections on the page of a job: who made them, and the form for the place that is being corrected."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from daemon.results import corrections, documents, result_files
from daemon.results.numbered_items import next_item, numbered
from daemon.web.pages import correction_forms as forms
from daemon.web.pages.correction_routes import name_of
from daemon.web.pages.formats import Formats

_ADD = "new"  # in the address: the form of a further item
_FIELDS = "fields"


@dataclass(frozen=True, kw_only=True)
class ShownChange:
    what: str  # "Row 2: debit 13.00 → 18.00"
    by: str
    at: str


def is_as_read(request: Request) -> bool:
    """True if the address asks for the document as the processor read it, without corrections."""
    return request.query_params.get("as") == "read"


def view(
    request: Request, result: result_files.Result | None, document: documents.Document | None, formats: Formats
) -> dict[str, object]:
    """The values of the template. `edit`: number of the row, item, line or segment with a form, "fields" or "new"; 0:
    none."""
    asked = request.query_params
    can_correct = document is not None and not is_as_read(request)
    edit = _edited(asked.get("edit", "")) if can_correct else 0
    changes = [_shown(change, formats) for change in result_files.corrections_of(result)] if result else []
    return {
        "can_correct": can_correct,
        "correcting": can_correct and (bool(edit) or asked.get("correct") == "1"),
        "edit": edit,
        "by": name_of(request),
        "changes": changes,
        "as_read": is_as_read(request),
        **_of_items(document, result, edit, as_read=is_as_read(request)),
    }


def _edited(text: str) -> int | str:
    if text in (_FIELDS, _ADD):
        return text
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


def _of_items(
    document: documents.Document | None, result: result_files.Result | None, edit: int | str, *, as_read: bool
) -> dict[str, object]:
    """The items of a receipt or an invoice with their numbers, and the inputs of the form that is open."""
    types = forms.types_of_items(document)
    if not types:
        return {}
    items = numbered(document, None if as_read else result)
    edited = next((each.of for each in items if each.number == edit), None)
    return {
        "numbered": items,
        "new_item": next_item(document, result),
        "inputs": forms.inputs(document, forms.types_of(document))
        if edit == _FIELDS
        else forms.inputs(edited, types)
        if edited is not None or edit == _ADD
        else [],
    }


def _shown(change: Mapping[str, object], formats: Formats) -> ShownChange:
    at = formats.moment(str(change.get("at", "")))
    return ShownChange(what=corrections.describe(change), by=str(change.get("by", "")), at=at)
