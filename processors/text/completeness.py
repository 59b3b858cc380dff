"""Paragraphs of a Word or OpenDocument file that are not in the text which was found in it. Pure."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from xml.etree.ElementTree import Element

_CHECKED = re.compile(r"word/(document|header|footer|footnotes|endnotes)\d*\.xml|(content|styles)\.xml")
_TITLES = {"header": "Header", "footer": "Footer", "footnotes": "Footnote", "endnotes": "Endnote"}
_SKIPPED = {"tracked-changes", "instrText", "delText", "note-citation", "hidden-text", "Fallback"}
_LINK = re.compile(r"\]\([^)\s]*\)")
_REFERENCE = re.compile(r"\[\^\d+\]")
_VALUE_TYPE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}value-type"


class Text:
    """The text that was found, to look for paragraphs in."""

    def __init__(self, markdown: str):
        self._letters = _letters(_REFERENCE.sub("", _LINK.sub("]", markdown)))
        self._position = 0

    def has(self, paragraph: str) -> bool:
        """True if it contains the paragraph, or at least each of its words."""
        letters = _letters(paragraph)
        found = self._letters.find(letters, self._position)  # paragraphs follow each other
        if found >= 0:
            self._position = found + len(letters)
            return True
        return all(_letters(word) in self._letters for word in paragraph.split())


def is_checked(name: str) -> bool:
    return _CHECKED.fullmatch(name) is not None


def find_missing(name: str, part: bytes, text: Text) -> Iterator[tuple[str, str]]:
    """What each missing paragraph is ("" for one of the body, else a title), and its words."""
    try:
        root = ElementTree.fromstring(part)
    except ElementTree.ParseError:
        return
    found = _CHECKED.fullmatch(name)
    title = _TITLES.get(found[1] or "", "") if found else ""
    for kind, paragraph in _paragraphs(root, title):
        words = " ".join(paragraph.split())
        if not text.has(words):
            yield kind, words


def _paragraphs(root: Element, title: str) -> Iterator[tuple[str, str]]:
    waiting = [(root, title)]
    while waiting:
        element, title = waiting.pop()
        name = _name(element)
        if name in _SKIPPED or name == "table-cell" and element.get(_VALUE_TYPE, "string") != "string":
            continue  # a number is written in another form
        title = _TITLES.get(name, title)
        if name in ("p", "h"):
            yield title, "".join(_own_text(element, is_word="wordprocessingml" in element.tag))
        waiting += [(child, title) for child in reversed(element)]


def _own_text(element: Element, *, is_word: bool) -> Iterator[str]:
    """The text of a paragraph, without that of paragraphs in it."""
    name = _name(element)
    if name in ("br", "cr", "line-break"):
        yield " "
    if element.text and (not is_word or name == "t"):
        yield element.text
    for child in element:
        if _name(child) not in _SKIPPED | {"p", "h", "annotation", "note", "txbxContent", "frame"}:
            yield from _own_text(child, is_word=is_word)
        if child.tail and not is_word:
            yield child.tail


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))
