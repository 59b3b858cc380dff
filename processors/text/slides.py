"""Presentations of LibreOffice (.odp), which kreuzberg does not read: the text of each slide, and its notes. Pure."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from xml.etree.ElementTree import Element

_SKIPPED = {"annotation", "tracked-changes"}
_BLANKS = {"s", "tab", "line-break"}


def to_markdown(content: bytes) -> Iterator[str]:
    """The slides of a content.xml.

    Raises:
        ElementTree.ParseError: it is damaged.
    """
    root = ElementTree.fromstring(content)
    slides = [element for element in root.iter() if _name(element) == "page"]
    for number, slide in enumerate(slides, start=1):
        yield f"## Slide {number}\n\n"
        yield from _blocks(slide)


def _blocks(parent: Element) -> Iterator[str]:
    for element in parent:
        match _name(element):
            case "p" | "h":
                if words := "".join(_text(element)).strip():
                    yield f"{words}\n\n"
            case "notes":
                if notes := " ".join("".join(_blocks(element)).split()):
                    yield f"**Notes:** {notes}\n\n"
            case "list-item":
                if words := " ".join("".join(_blocks(element)).split()):
                    yield f"- {words}\n"
            case "list":
                yield from _blocks(element)
                yield "\n"
            case "table":
                yield from _table(element)
            case name if name not in _SKIPPED:
                yield from _blocks(element)


def _table(table: Element) -> Iterator[str]:
    rows = [element for element in table.iter() if _name(element) == "table-row"]
    for number, row in enumerate(rows):
        cells = [" ".join("".join(_blocks(cell)).split()).replace("|", "\\|") for cell in row]
        yield f"| {' | '.join(cells)} |\n"
        if number == 0:
            yield f"|{' --- |' * len(cells)}\n"
    yield "\n"


def _text(element: Element) -> Iterator[str]:
    if _name(element) in _SKIPPED:
        return
    if _name(element) in _BLANKS:
        yield " "
    yield element.text or ""
    for child in element:
        yield from _text(child)
        yield child.tail or ""


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
