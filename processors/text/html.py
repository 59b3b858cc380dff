"""Web pages as a browser shows them: without hidden elements, with the values of form fields. Pure.

kreuzberg, which writes them as Markdown afterwards, knows no style sheets, and drops forms and menus with all that is
in them.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from processors.text.visibility import find_hidden

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

_MAX_DEPTH = 500  # the parser takes quadratic time for elements within elements
_TAG = re.compile(r"<(/?)(div|span|table|font|b|i|em|strong|a|section|article|ul|ol|blockquote|center|form)\b", re.I)
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
    hidden: list[str] = field(default_factory=list)  # the texts in the page that a browser does not show
    frames: int = 0  # other pages within it
    pictures: int = 0  # as large as a line of text, or larger
    is_too_deep: bool = False  # nothing was changed

    @property
    def excerpt(self) -> str:
        return "; ".join(text[:_EXCERPT] for text in self.hidden[:3])


def find_visible(page: str) -> Visible:
    """The page as Markdown can be made of it."""
    from selectolax.lexbor import LexborHTMLParser

    if _depth(page) > _MAX_DEPTH:
        return Visible(page, is_too_deep=True)
    tree, found = LexborHTMLParser(page), Visible("")
    hidden = find_hidden(tree)
    found.hidden = hidden.texts
    for node in hidden.nodes:
        node.decompose()
    found.frames = _replace_frames(tree)
    _write_fields(tree)
    found.pictures = _replace_drawings(tree)
    for node in tree.css("[style]"):
        del node.attrs["style"]
    found.html = _RENAMED_TAG.sub(lambda tag: f"{tag[1]}{_RENAMED[tag[2].lower()]}", tree.html or "")
    return found


def _depth(page: str) -> int:
    depth = deepest = 0
    for match in _TAG.finditer(page):
        depth = max(0, depth - 1) if match[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


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
