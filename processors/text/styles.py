"""The styles of a web page's elements that decide whether a person sees their text. Pure.

This is the CSS cascade for the properties in `_READ`: the rules of style sheets for screens, the attribute `style`,
and attributes of old pages, such as `bgcolor`. Style sheets in other files are unknown.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_MAX_RULES = 3000
_READ = {
    *("display", "mso-hide", "opacity", "visibility", "position", "left", "right", "top", "overflow", "clip"),
    *("clip-path", "height", "max-height", "width", "max-width", "text-indent", "text-shadow"),
    *("font-size", "color", "background-color", "background-image"),
}
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_DECLARATION = re.compile(r"([a-z-]+)\s*:\s*([^;]+)", re.I)
_IMPORTANT = re.compile(r"\s*!\s*important\s*$", re.I)
_SHOWN_ON_SCREEN = re.compile(r"\s*(?:(?:only\s+)?(?:screen|all))?\s*", re.I)
_DYNAMIC = re.compile(r":(?:hover|focus|active|visited|target|checked|before|after|[a-z-]*backdrop)|::|@", re.I)
_SIZE = re.compile(r"(?:^|\s)([\d.]+(?:[a-z]+|%)?)(?:\s*/|\s+\D|$)", re.I)  # in the shorthand `font`
_OF_ATTRIBUTES = {  # selector: the property that its attribute sets
    "font[color]": ("color", "color"),
    "body[text]": ("text", "color"),
    "[bgcolor]": ("bgcolor", "background-color"),
    "[background]": ("background", "background-image"),
}
_INLINE = 1 << 30

Style = Mapping[str, str]  # values in lower case, by property
_Weight = tuple[bool, int, int]  # important, specificity, order


@dataclass(frozen=True)
class _Rule:
    selector: str
    name: str  # of a property
    value: str
    weight: _Weight


def read_styles(tree: "LexborHTMLParser") -> dict[int, Style]:
    """The styles of the elements that have any, by their `mem_id`."""
    decided: dict[int, dict[str, tuple[_Weight, str]]] = {}

    def decide(node: "LexborNode", name: str, value: str, weight: _Weight) -> None:
        style = decided.setdefault(node.mem_id, {})
        if name not in style or weight >= style[name][0]:
            style[name] = weight, value

    for node in tree.css("[hidden], dialog:not([open])"):
        decide(node, "display", "none", (False, -1, 0))
    for selector, (attribute, name) in _OF_ATTRIBUTES.items():
        for node in tree.css(selector):
            decide(node, name, (node.attributes.get(attribute) or "").strip().lower(), (False, -1, 0))
    for rule in _rules_of(tree):
        for node in _matching(tree, rule.selector):
            decide(node, rule.name, rule.value, rule.weight)
    for node in tree.css("[style]"):
        for name, value, is_important in _declarations(node.attributes.get("style") or ""):
            decide(node, name, value, (is_important, _INLINE, 0))
    return {number: {name: value for name, (_, value) in style.items()} for number, style in decided.items()}


def has_other_sheets(tree: "LexborHTMLParser") -> bool:
    """True if the page also has style sheets in other files."""
    links = tree.css("link[rel~=stylesheet]")
    return bool(links) or any("@import" in node.text(deep=True) for node in tree.css("style"))


def _rules_of(tree: "LexborHTMLParser") -> list[_Rule]:
    sheets = [node.text(deep=True) for node in tree.css("style") if _is_for_screens(node)]
    return [rule for number, sheet in enumerate(sheets) for rule in _rules(sheet, number * _MAX_RULES)][:_MAX_RULES]


def _is_for_screens(sheet: "LexborNode") -> bool:
    return _SHOWN_ON_SCREEN.fullmatch(sheet.attributes.get("media") or "") is not None


def _rules(sheet: str, first: int) -> Iterator[_Rule]:
    """The rules that apply on a screen of any size."""
    for order, (selectors, body) in enumerate(_blocks(_COMMENT.sub("", sheet)), start=first):
        declarations = list(_declarations(body))
        for selector in selectors.split(",") if declarations else ():
            if selector.strip() and not _DYNAMIC.search(selector):
                for name, value, is_important in declarations:
                    yield _Rule(selector.strip(), name, value, (is_important, _specificity(selector), order))


def _blocks(sheet: str) -> Iterator[tuple[str, str]]:
    """Selectors and declarations, including those of `@media screen`."""
    at = 0
    while (start := sheet.find("{", at)) >= 0:
        head = sheet[at:start].rpartition(";")[2].strip().removeprefix("<!--").strip()
        end = _end_of_block(sheet, start)
        inner = sheet[start + 1 : end]
        if not head.startswith("@"):
            yield head, inner
        elif head.lower().startswith("@media") and _SHOWN_ON_SCREEN.fullmatch(head[6:]):
            yield from _blocks(inner)
        at = end + 1


def _end_of_block(sheet: str, start: int) -> int:
    depth = 0
    for match in re.compile(r"[{}]").finditer(sheet, start):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return len(sheet)


def _declarations(body: str) -> Iterator[tuple[str, str, bool]]:
    """Name, value and importance of each property; `font` and `background` as the properties that they set."""
    for match in _DECLARATION.finditer(body):
        name, given = match[1].lower(), match[2].strip().lower()
        value = _IMPORTANT.sub("", given)
        is_important = value != given
        if name == "background":
            yield "background-image", value, is_important
            yield "background-color", value, is_important
        elif name == "font" and (size := _SIZE.search(value)):
            yield "font-size", size[1], is_important
        elif name in _READ:
            yield name, value, is_important


def _specificity(selector: str) -> int:
    """By section 17 of Selectors Level 4: IDs, then classes and attributes, then elements."""
    ids, classes = selector.count("#"), len(re.findall(r"[.\[]|:(?!:)", selector))
    elements = len(re.findall(r"(?:^|[\s>+~])[a-z]", selector, re.I))
    return ids * 10_000 + classes * 100 + elements


def _matching(tree: "LexborHTMLParser", selector: str) -> list["LexborNode"]:
    from selectolax.lexbor import SelectolaxError

    try:
        return tree.css(selector)
    except SelectolaxError:
        return []
