"""The numbers of paragraphs in Word files, such as "2.", "4.1" and "(b)". Pure.

Word computes them and does not save them. kreuzberg numbers each list from 1, and headings not at all, so the numbers
are written into the paragraphs first (ISO/IEC 29500-1, 17.9).
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from xml.etree.ElementTree import Element

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PARAGRAPH = re.compile(rb"<w:p(?:\s[^>]*)?>")
_NUMBERED = re.compile(rb"<w:numPr\s*(?:/>|>.*?</w:numPr>)", re.S)
_STYLE = re.compile(rb'<w:pStyle\s[^>]*w:val="([^"]*)"')
_LEVEL = re.compile(rb'<w:ilvl\s[^>]*w:val="(\d{1,2})"')
_LIST = re.compile(rb'<w:numId\s[^>]*w:val="(\d{1,9})"')
_PLACE = re.compile(r"%([1-9])")
_MOST_BASED = 20  # styles that are based on each other
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"))
_ROMAN_BELOW_40 = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))


@dataclass(frozen=True)
class _Level:
    start: int = 1
    form: str = "decimal"
    text: str = ""  # with %1 for the number of the first level
    restarts: bool = True
    is_legal: bool = False  # all its numbers are decimal
    style: str = ""  # whose paragraphs have this level


@dataclass
class _List:
    abstract: str  # lists of one abstract list continue each other
    levels: dict[int, _Level]
    starts: dict[int, int] = field(default_factory=dict)  # levels at which it starts again


@dataclass(frozen=True)
class _Numbered:
    """What a style says about the number of its paragraphs."""

    list_id: str | None
    level: int | None
    based_on: str


class Numbering:
    """The lists of one document, and how far each has been counted."""

    def __init__(self, numbering: bytes, styles: bytes):
        """From word/numbering.xml and word/styles.xml.

        Raises:
            ElementTree.ParseError: one of them is damaged.
        """
        self._lists = _lists(ElementTree.fromstring(numbering))
        self._styles = _styles(ElementTree.fromstring(styles)) if styles else {}
        self._counts: dict[str, dict[int, int]] = {}
        self._started: set[str] = set()

    def write(self, part: bytes) -> bytes:
        """The main part of the document with the number of each paragraph at its beginning."""
        done: list[bytes] = []
        at = 0
        for found in _PARAGRAPH.finditer(part):
            start = found.end()
            if part.startswith(b"<w:pPr>", start) and not found[0].endswith(b"/>"):
                end = _end_of_properties(part, start)
                properties = part[start:end]
                if label := self._next_label(properties.partition(b"<w:pPrChange")[0]):
                    run = f'<w:r><w:t xml:space="preserve">{escape(label)} </w:t></w:r>'.encode()
                    done += [part[at:start], _NUMBERED.sub(b"", properties, count=1), run]
                    at = end
        return b"".join([*done, part[at:]])

    def _next_label(self, properties: bytes) -> str:
        style = found[1].decode("utf-8", "replace") if (found := _STYLE.search(properties)) else ""
        own = found[0] if (found := _NUMBERED.search(properties)) else b""
        list_id, level = self._of_style(style)
        if found := _LIST.search(own):
            list_id, level = found[1].decode(), 0
        if found := _LEVEL.search(own):
            level = int(found[1])
        counted = self._lists.get(list_id or "")
        if counted is None or level not in counted.levels:
            return ""
        return self._count(list_id or "", counted, level)

    def _of_style(self, style: str) -> tuple[str | None, int]:
        """The list and level of a style, or of those on which it is based."""
        name, level = style, None
        for _ in range(_MOST_BASED):
            numbered = self._styles.get(name)
            if numbered is None:
                break
            level = numbered.level if level is None else level
            if numbered.list_id is not None:
                levels = self._lists[numbered.list_id].levels if numbered.list_id in self._lists else {}
                linked = (number for number, each in levels.items() if each.style == name)
                return numbered.list_id, level if level is not None else next(linked, 0)
            name = numbered.based_on
        return None, 0

    def _count(self, list_id: str, counted: _List, level: int) -> str:
        counts = self._counts.setdefault(counted.abstract, {})
        if list_id not in self._started:
            self._started.add(list_id)
            for restarted, start in counted.starts.items():
                counts[restarted] = start - 1
        for each, definition in counted.levels.items():
            if each < level:
                counts.setdefault(each, definition.start)
            elif each > level and definition.restarts:
                counts.pop(each, None)
        definition = counted.levels[level]
        counts[level] = counts.get(level, definition.start - 1) + 1
        if definition.form in ("bullet", "none"):
            return ""

        def number(place: re.Match[str]) -> str:
            other = int(place[1]) - 1
            form = "decimal" if definition.is_legal else counted.levels.get(other, definition).form
            return _format(counts.get(other, 1), form)

        return _PLACE.sub(number, definition.text).strip()


def _end_of_properties(part: bytes, start: int) -> int:
    """The end of a paragraph's properties, which may contain those before a tracked change."""
    end = part.find(b"</w:pPr>", start)
    changed = part.find(b"<w:pPrChange", start, end)
    if changed >= 0:
        end = part.find(b"</w:pPr>", part.find(b"</w:pPrChange>", changed))
    return end + len(b"</w:pPr>") if end >= 0 else start


def _lists(root: Element) -> dict[str, _List]:
    abstracts = {_attribute(each, "abstractNumId"): each for each in root.iter(f"{_W}abstractNum")}
    linked = {name: each for each in abstracts.values() if (name := _value(each, "styleLink"))}
    found = {}
    for each in root.iter(f"{_W}num"):
        abstract = abstracts.get(_value(each, "abstractNumId"))
        if abstract is None:
            continue
        abstract = linked.get(_value(abstract, "numStyleLink"), abstract)
        levels = {_number(_attribute(level, "ilvl")): _level(level) for level in abstract.iter(f"{_W}lvl")}
        numbered = _List(_attribute(abstract, "abstractNumId"), levels)
        for override in each.iter(f"{_W}lvlOverride"):
            _apply(override, numbered)
        found[_attribute(each, "numId")] = numbered
    return found


def _apply(override: Element, numbered: _List) -> None:
    level = _number(_attribute(override, "ilvl"))
    own = override.find(f"{_W}lvl")
    if own is not None:
        numbered.levels[level] = _level(own)
    if start := _value(override, "startOverride"):
        numbered.starts[level] = _number(start)
        if level in numbered.levels:
            numbered.levels[level] = replace(numbered.levels[level], start=_number(start))


def _level(level: Element) -> _Level:
    return _Level(
        start=_number(_value(level, "start") or "1"),
        form=_value(level, "numFmt") or "decimal",
        text=_value(level, "lvlText"),
        restarts=_value(level, "lvlRestart") != "0",
        is_legal=level.find(f"{_W}isLgl") is not None,
        style=_value(level, "pStyle"),
    )


def _styles(root: Element) -> Mapping[str, _Numbered]:
    found = {}
    for style in root.iter(f"{_W}style"):
        level, list_id = style.find(f"{_W}pPr/{_W}numPr/{_W}ilvl"), style.find(f"{_W}pPr/{_W}numPr/{_W}numId")
        numbered = _Numbered(
            list_id=None if list_id is None else _attribute(list_id, "val"),
            level=None if level is None else _number(_attribute(level, "val")),
            based_on=_value(style, "basedOn"),
        )
        found[_attribute(style, "styleId")] = numbered
        if _attribute(style, "type") == "paragraph" and _attribute(style, "default") in ("1", "true"):
            found[""] = numbered
    return found


def _value(parent: Element, name: str) -> str:
    child = parent.find(f"{_W}{name}")
    return "" if child is None else _attribute(child, "val")


def _attribute(element: Element, name: str) -> str:
    return element.get(f"{_W}{name}", "")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _format(number: int, form: str) -> str:
    match form:
        case "decimalZero":
            return f"{number:02d}"
        case "lowerLetter" | "upperLetter":  # a to z, then aa to zz
            text = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1) if 0 < number < 1000 else str(number)
        case "lowerRoman" | "upperRoman":
            text = _roman(number) if 0 < number < 5000 else str(number)
        case "none":
            return ""
        case _:
            return str(number)
    return text.upper() if form.startswith("upper") else text


def _roman(number: int) -> str:
    text = ""
    for value, letters in (*_ROMAN, *_ROMAN_BELOW_40):
        text += number // value * letters
        number %= value
    return text
