"""Writes the corrected files of a result into the current folder: a program of its own, as results are not trusted.

Reads from standard input: {"document": the content of NAME.json, "stem", "title", "formats": the suffixes that the
result has, "options": of the recipe, "changes"}. Prints {"files": [names], "review": [reasons that remain]}, or
{"error": what is wrong with a change}.
"""

import json
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from processors.corrections.changes import (
    Change,
    Changes,
    FieldsChange,
    InvalidChange,
    ItemChange,
    JsonObject,
    LineChange,
    RowChange,
    SegmentChange,
    problems,
)
from processors.statements.records import MIN_CONFIDENCE

C = TypeVar("C", RowChange, LineChange, SegmentChange)
_PLACES = {RowChange: "rows", LineChange: "lines", SegmentChange: "segments"}

_MEMORY_BYTES = 2 << 30  # address space
_CPU_SECONDS = 60


def write(order: JsonObject, folder: Path) -> dict[str, object]:
    """Carry an order out; import only what its kind of document needs, because each correction starts this program.

    Raises:
        InvalidChange: a change is wrong.
        KeyError, TypeError, ValueError, ValidationError: the document is not one that inboxd wrote.
    """
    document, stem, formats = order["document"], order["stem"], order["formats"]
    try:
        changes = Changes.validate_python(order["changes"])
    except ValidationError as error:
        raise InvalidChange(problems(error, earlier=order.get("earlier", 0))) from error
    options = order.get("options") or {}
    least = float(options.get("min_row_confidence", MIN_CONFIDENCE))
    if "statements" in document:
        from processors.corrections import statement

        found = statement.load(document)
        statement.correct(found, _only(RowChange, changes), min_confidence=least)
        wanted = [form for form in statement.FORMATS if form in formats]
        files, review = statement.write(found, folder, stem, wanted, title=order["title"], options=options)
        return {"files": files, "review": review}
    if {"shop", "items"} <= document.keys():
        from processors.corrections import receipt

        bought = receipt.load(document)
        receipt.correct(bought, _of_figures(changes), min_confidence=least)
        files = receipt.write(bought, folder, stem, [form for form in receipt.FORMATS if form in formats], options)
        return {"files": files, "review": bought.reasons}
    if {"supplier", "lines"} <= document.keys():
        from processors.corrections import invoice

        billed = invoice.load(document)
        invoice.correct(billed, _of_figures(changes), min_confidence=least)
        files = invoice.write(billed, folder, stem, [form for form in invoice.FORMATS if form in formats], options)
        return {"files": files, "review": billed.reasons}
    if "segments" in document:
        from processors.corrections import transcript

        transcript.correct(document, _only(SegmentChange, changes))
        files = transcript.write(document, folder, stem, transcript.own_formats(document, formats, options))
        return {"files": files, "review": []}
    from processors.corrections import text

    text.correct(document, _only(LineChange, changes))
    return {"files": text.write(document, folder, stem, [f for f in text.FORMATS if f in formats]), "review": []}


def _only(kind: type[C], changes: Sequence[Change]) -> list[C]:
    """The changes, all of which must be of one kind.

    Raises:
        InvalidChange: one is not.
    """
    found = [change for change in changes if isinstance(change, kind)]
    if len(found) < len(changes):
        raise _does_not_fit(_PLACES[kind])
    return found


def _of_figures(changes: Sequence[Change]) -> list[FieldsChange | ItemChange]:
    """The changes of a receipt or an invoice.

    Raises:
        InvalidChange: one is of another document.
    """
    found = [change for change in changes if isinstance(change, FieldsChange | ItemChange)]
    if len(found) < len(changes):
        raise _does_not_fit("fields and items")
    return found


def _does_not_fit(places: str) -> InvalidChange:
    return InvalidChange(f"This kind of correction does not fit the document: you can correct its {places}.")


def main() -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        answer = write(json.load(sys.stdin), Path())
    except ValidationError as error:
        answer = {"error": f"inboxd did not write this document as it is now: {error.errors()[0]['msg']}"}
    except InvalidChange as error:
        answer = {"error": str(error)}
    except (KeyError, TypeError, ValueError) as error:
        answer = {"error": f"inboxd did not write this document as it is now: {error}"}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
