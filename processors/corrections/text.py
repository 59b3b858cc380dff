"""Corrected lines of pages of text."""

from collections.abc import Sequence
from pathlib import Path

from processors import wellformed
from processors.corrections.changes import InvalidChange, JsonObject, LineChange

FORMATS = ("txt", "json")


def correct(document: JsonObject, changes: Sequence[LineChange]) -> None:
    """Apply the changes to NAME.json of OCR. A corrected line is one piece, at the place of its pieces.

    Raises:
        InvalidChange: there is no such line.
    """
    pages = {page["number"]: page for page in document["pages"]}
    for change in changes:
        lines = pages.get(change.page, {}).get("lines", [])
        if change.line > len(lines):
            raise InvalidChange(f"There is no line {change.line} on page {change.page}.")
        line = lines[change.line - 1]
        line["text"] = change.text
        line["pieces"] = [{"text": change.text, "confidence": 1.0, "box": _around(line.get("pieces") or [])}]


def write(document: JsonObject, folder: Path, stem: str, formats: Sequence[str]) -> list[str]:
    """Write the files; return their names."""
    contents = {
        "txt": "\f".join("\n".join([*(line["text"] for line in page["lines"]), ""]) for page in document["pages"]),
        "json": wellformed.dumps(document, indent=1) + "\n",
    }
    for form in formats:
        (folder / f"{stem}.{form}").write_text(contents[form], encoding="utf-8")
    return [f"{stem}.{form}" for form in formats]


def _around(pieces: Sequence[JsonObject]) -> list[list[float]]:
    """The corners of a rectangle around all pieces; none without boxes."""
    corners = [corner for piece in pieces for corner in piece.get("box") or []]
    if not corners:
        return []
    left, right = min(x for x, _ in corners), max(x for x, _ in corners)
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    return [[left, top], [right, top], [right, bottom], [left, bottom]]
