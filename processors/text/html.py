"""Web pages as a browser shows them: without hidden elements, with the values of form fields. Pure.

kreuzberg, which writes them as Markdown afterwards, knows no style sheets, and drops forms and menus with all that is
in them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_MAX_DEPTH = 500  # the parser takes quadratic time for elements within elements
_MAX_RULES = 3000
_TAG = re.compile(r"<(/?)(div|span|table|font|b|i|em|strong|a|section|article|ul|ol|blockquote|center|form)\b", re.I)
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_HIDDEN = {  # property: values that hide an element and all that is in it
    "display": re.compile(r"none\b", re.I),
    "mso-hide": re.compile(r"all\b", re.I),
    "opacity": re.compile(r"0(?:\.0*)?\s*(?:!|$)"),
    "visibility": re.compile(r"(?:hidden|collapse)\b", re.I),
}
_DECLARATION = re.compile(r"([a-z-]+)\s*:\s*([^;]+)", re.I)
_SHOWN_ON_SCREEN = re.compile(r"\s*(?:(?:only\s+)?(?:screen|all))?\s*", re.I)
_DYNAMIC = re.compile(r":(?:hover|focus|active|visited|target|checked|before|after|[a-z-]*backdrop)|::|@", re.I)
_NEVER_SHOWN = "script, style, template, head, noscript, [hidden], dialog:not([open]), input[type=hidden], datalist"
_RENAMED = {"form": "div", "nav": "div", "fieldset": "div", "legend": "p", "label": "span", "menu": "ul"}
_RENAMED_TAG = re.compile(rf"(</?)({'|'.join(_RENAMED)})\b", re.I)
_BUTTONS = ("submit", "reset", "button", "image")
_MARKS = ("checkbox", "radio")
_SECRET = ("password", "file", "color", "range")
_EXCERPT = 60
_PIXELS = re.compile(r"\d{1,6}")
_LEAST_SIDE = 20  # pixels; a smaller picture is an icon, a rule or a beacon
_ICON = 2000  # characters of its data; an icon has fewer


@dataclass
class Visible:
    """A page without what it hides."""

    html: str
    hidden: list[str] = field(default_factory=list)  # the texts that style sheets hide
    frames: int = 0  # other pages within it
    pictures: int = 0  # as large as a line of text, or larger
    is_too_deep: bool = False  # nothing was changed

    @property
    def excerpt(self) -> str:
        return "; ".join(text[:_EXCERPT] for text in self.hidden[:3])


@dataclass(frozen=True)
class _Rule:
    selector: str
    name: str  # of a property
    hides: bool
    weight: tuple[bool, int, int, int]  # as of the cascade: important, specificity, order


def find_visible(page: str) -> Visible:
    """The page as Markdown can be made of it."""
    from selectolax.lexbor import LexborHTMLParser

    if _depth(page) > _MAX_DEPTH:
        return Visible(page, is_too_deep=True)
    tree, found = LexborHTMLParser(page), Visible("")
    never_shown = {node.mem_id: node for node in tree.css(_NEVER_SHOWN)}
    by_style = {node.mem_id: node for node in _hidden_by_style(tree) if node.mem_id not in never_shown}
    unseen = never_shown | by_style
    outermost = [node for node in unseen.values() if not _is_within(node, unseen)]
    for node in outermost:
        text = " ".join(node.text(deep=True, separator=" ").split()) if node.mem_id in by_style else ""
        found.hidden += [text] if text else []
    for node in outermost:
        node.decompose()
    found.frames = _replace_frames(tree)
    _write_fields(tree)
    found.pictures = _replace_drawings(tree)
    for node in tree.css("[style]"):
        del node.attrs["style"]
    found.html = _RENAMED_TAG.sub(lambda tag: f"{tag[1]}{_RENAMED[tag[2].lower()]}", tree.html or "")
    return found


def _is_within(node: "LexborNode", others: Mapping[int, object]) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.mem_id in others:
            return True
        parent = parent.parent
    return False


def _depth(page: str) -> int:
    depth = deepest = 0
    for match in _TAG.finditer(page):
        depth = max(0, depth - 1) if match[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


# ------------------------------------------------------------------------------------------ style


def _hidden_by_style(tree: "LexborHTMLParser") -> list["LexborNode"]:
    """The elements that style sheets or their own style hide, outer ones first."""
    sheets = [node.text(deep=True) for node in tree.css("style") if _is_for_screens(node)]
    rules = [rule for number, sheet in enumerate(sheets) for rule in _rules(sheet, number * _MAX_RULES)][:_MAX_RULES]
    decided: dict[tuple[int, str], tuple[tuple[bool, int, int, int], bool, LexborNode]] = {}
    if any(rule.hides for rule in rules):
        for rule in rules:
            for node in _matching(tree, rule.selector):
                _decide(decided, node, rule.name, rule.weight, hides=rule.hides)
    for node in tree.css("[style]"):
        for name, value, is_important in _declarations(node.attributes.get("style") or ""):
            weight = (is_important, 1 << 30, 0, 0)
            _decide(decided, node, name, weight, hides=_HIDDEN[name].match(value) is not None)
    nodes = {mem_id: node for (mem_id, _), (_, hides, node) in decided.items() if hides}
    return [node for node in nodes.values() if node.tag not in ("html", "body")]


def _decide(
    decided: dict[tuple[int, str], tuple[tuple[bool, int, int, int], bool, "LexborNode"]],
    node: "LexborNode",
    name: str,
    weight: tuple[bool, int, int, int],
    *,
    hides: bool,
) -> None:
    before = decided.get((node.mem_id, name))
    if before is None or weight >= before[0]:
        decided[node.mem_id, name] = weight, hides, node


def _is_for_screens(sheet: "LexborNode") -> bool:
    return _SHOWN_ON_SCREEN.fullmatch(sheet.attributes.get("media") or "") is not None


def _rules(sheet: str, first: int) -> Iterator[_Rule]:
    """The rules that may hide or show an element on a screen of any size."""
    for order, (selectors, body) in enumerate(_blocks(_COMMENT.sub("", sheet)), start=first):
        declarations = list(_declarations(body))
        for selector in selectors.split(",") if declarations else ():
            if selector.strip() and not _DYNAMIC.search(selector):
                for name, value, is_important in declarations:
                    hides = _HIDDEN[name].match(value) is not None
                    weight = (is_important, _specificity(selector), order, 0)
                    yield _Rule(selector.strip(), name, hides, weight)


def _blocks(sheet: str) -> Iterator[tuple[str, str]]:
    """Selectors and declarations, also of `@media screen`."""
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
    for match in _DECLARATION.finditer(body):
        if (name := match[1].lower()) in _HIDDEN:
            yield name, match[2].strip(), "!important" in match[2].replace(" ", "").lower()


def _specificity(selector: str) -> int:
    """Of Selectors Level 4, 17: IDs, then classes and attributes, then elements."""
    ids, classes = selector.count("#"), len(re.findall(r"[.\[]|:(?!:)", selector))
    elements = len(re.findall(r"(?:^|[\s>+~])[a-z]", selector, re.I))
    return ids * 10_000 + classes * 100 + elements


def _matching(tree: "LexborHTMLParser", selector: str) -> list["LexborNode"]:
    from selectolax.lexbor import SelectolaxError

    try:
        return tree.css(selector)
    except SelectolaxError:
        return []


# ------------------------------------------------------------------------------------------ content


def _replace_frames(tree: "LexborHTMLParser") -> int:
    """Insert the pages that frames contain; count those that only have an address."""
    count = 0
    for node in tree.css("iframe, frame"):
        inner = node.attributes.get("srcdoc")
        if inner:
            node.replace_with(" ".join(plain_text(inner).split()))
        elif node.attributes.get("src") not in (None, "", "about:blank"):
            count += 1
    return count


def plain_text(page: str) -> str:
    """The visible words of a page; "" if it is nested too deeply."""
    from selectolax.lexbor import LexborHTMLParser

    found = find_visible(page)
    body = None if found.is_too_deep else LexborHTMLParser(found.html).body
    return body.text(deep=True, separator=" ") if body else ""


def _write_fields(tree: "LexborHTMLParser") -> None:
    """Replace form fields by their values: what a browser shows in them."""
    for node in tree.css("input"):
        kind = (node.attributes.get("type") or "text").lower()
        value = node.attributes.get("value") or ""
        if kind in _MARKS:
            text = "[x] " if "checked" in node.attributes else "[ ] "
        elif kind in _SECRET:
            text = ""
        else:
            text = value or (node.attributes.get("placeholder") or "" if kind not in _BUTTONS else "")
        node.replace_with(f" {text} " if text else "")
    for node in tree.css("textarea"):
        text = node.text(deep=True) or node.attributes.get("placeholder") or ""
        node.replace_with(f" {text} ")
    for node in tree.css("select"):
        options = node.css("option")
        chosen = [option for option in options if "selected" in option.attributes]
        if not chosen and "multiple" not in node.attributes:
            chosen = options[:1]
        node.replace_with(f" {', '.join(' '.join(option.text(deep=True).split()) for option in chosen)} ")


def _replace_drawings(tree: "LexborHTMLParser") -> int:
    """Replace drawings and formulas by their text, and remove the data of pictures; return the number of pictures."""
    for node in tree.css("svg"):
        texts = [" ".join(each.text(deep=True, separator=" ").split()) for each in node.css("text")]
        node.replace_with(f" {' '.join(texts)} " if any(texts) else "")
    for node in tree.css("math"):
        node.replace_with(node.attributes.get("alttext") or node.text(deep=True))
    count = 0
    for node in tree.css("img"):
        source = node.attributes.get("src") or ""
        is_data = source.startswith("data:")
        given = (_PIXELS.match(node.attributes.get(name) or "") for name in ("width", "height"))
        is_small = any(int(side[0]) < _LEAST_SIDE for side in given if side) or is_data and len(source) < _ICON
        count += bool(source) and not is_small
        if is_data:
            node.attrs["src"] = "picture"
    return count
