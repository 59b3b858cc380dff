"""Finds the text of a web page that a browser does not show. Pure.

An element may hide everything in it (`display: none`). Text may also be hidden alone, because it has no size or the
color of its background, while other text in the same element is visible.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from processors.text.styles import Style, has_other_sheets, read_styles

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

Color = tuple[int, int, int, float]  # red, green, blue: 0 to 255; alpha: 0 to 1

_NOTHING = re.compile(r"0*\.?0*(?:px|pt|em|ex|rem|ch|vh|vw|%|cm|mm|in)?")
_TINY = re.compile(r"0*[01](?:\.\d+)?(?:px|pt)|0?\.\d+(?:px|pt)")  # a box or letters of less than two pixels
_RELATIVE = re.compile(r"[\d.]+(?:em|ex|ch|%)|smaller|larger|inherit")  # of the size of the element around it
_FAR = re.compile(r"-\d{3,}(?:\.\d*)?(?:px|pt|em|rem|ex|ch|vw|vh|%)?")  # outside the window
_NO_CLIP = re.compile(r"rect\(\s*[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?\s*\)")
_NO_PATH = re.compile(r"inset\(\s*(?:50|100)%.*\)|circle\(\s*0.*\)")
_HEX = re.compile(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_RGB = re.compile(r"rgba?\(\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)(?:[\s,/]+([\d.]+%?))?\s*\)")
_WORD = re.compile(r"#?[\w-]+(?:\([^)]*\))?")
_SILENT = -1  # in place of a `mem_id`: the content of the element is never text
_FREE = ("absolute", "fixed", "sticky")
_SAME = 8  # of 255: the smallest difference from the background that a person sees, in any channel
_SOLID = 0.5  # alpha of a background that hides most of the one below it
_OWN_COLORS = ("a", "button", "input", "textarea", "select", "option", "mark")  # of the browser
_OWN_PICTURES = ("input", "textarea", "select", "button", "img", "svg", "math", "iframe", "video", "object")
_NEVER_SHOWN = ("-comment", "script", "style", "template", "head", "noscript", "datalist")
_NEVER_HIDDEN = ("html", "body")  # a script may show them later


@dataclass(frozen=True)
class _State:
    """The state that an element passes on to the elements in it. None: unknown."""

    hidden_by: int = 0  # the `mem_id` of an element that hides everything in it; 0: none
    invisible: int = 0  # the same for `visibility`
    sizeless: int = 0  # the same for the size of letters
    colorless: int = 0  # the element that sets a color equal to the background's
    color: Color | None = None
    ground: Color | None = (255, 255, 255, 1.0)


@dataclass
class Hidden:
    """What a browser does not show."""

    nodes: "list[LexborNode]"  # outermost elements, and texts
    texts: list[str]  # one for each element that hides something


def find_hidden(tree: "LexborHTMLParser") -> Hidden:
    styles = read_styles(tree)
    if tree.root is None:
        return Hidden([], [])
    first = _State(ground=None) if has_other_sheets(tree) else _State()
    states: dict[int, _State] = {}
    nodes: list[LexborNode] = []
    texts: dict[int, list[str]] = {}
    for node in tree.root.traverse(include_text=True):
        parent = node.parent
        outer = states.get(parent.mem_id, first) if parent is not None else first
        if node.is_text_node:
            if (why := _hides_text(outer)) and why != _SILENT:
                texts.setdefault(why, []).append(node.text())
                nodes += [] if outer.hidden_by else [node]
            continue
        state = _state(node, outer, styles.get(node.mem_id, {}))
        states[node.mem_id] = state
        if state.hidden_by and not outer.hidden_by:
            nodes.append(node)
    return Hidden(nodes, [text for parts in texts.values() if (text := " ".join(" ".join(parts).split()))])


def _hides_text(state: _State) -> int:
    """The element that hides text in this state; 0: it is visible."""
    return state.hidden_by or state.invisible or state.sizeless or state.colorless


def _state(node: "LexborNode", outer: _State, style: Style) -> _State:
    state, tag = outer, node.tag or ""
    if outer.hidden_by:
        return outer
    if tag in _NEVER_SHOWN or tag == "input" and (node.attributes.get("type") or "").lower() == "hidden":
        return replace(state, hidden_by=_SILENT)
    if tag in _OWN_COLORS and (tag != "a" or "href" in node.attributes):
        state = replace(state, color=None, ground=state.ground if tag == "a" else None, colorless=0)
    if tag not in _NEVER_HIDDEN and _hides_all(style):
        return replace(state, hidden_by=node.mem_id)
    if style:
        state = _with_colors(_with_size(state, node.mem_id, style), node.mem_id, style)
    return replace(state, hidden_by=state.invisible) if tag in _OWN_PICTURES else state


def _hides_all(style: Style) -> bool:
    def is_(name: str, pattern: "re.Pattern[str]") -> bool:
        return pattern.fullmatch(style.get(name, "-")) is not None

    is_free = style.get("position") in _FREE
    has_no_box = any(is_(name, _NOTHING) or is_(name, _TINY) for name in ("height", "max-height", "width", "max-width"))
    return (
        style.get("display") == "none"
        or style.get("mso-hide") == "all"
        or is_("opacity", _NOTHING)
        or has_no_box
        and style.get("overflow", "").split(" ")[0] in ("hidden", "clip")
        or is_free
        and (any(is_(side, _FAR) for side in ("left", "right", "top")) or is_("clip", _NO_CLIP))
        or is_("clip-path", _NO_PATH)
        or is_("text-indent", _FAR)
    )


def _with_size(state: _State, number: int, style: Style) -> _State:
    if shown := style.get("visibility"):
        state = replace(state, invisible=number if shown in ("hidden", "collapse") else 0)
    size = style.get("font-size", "inherit")
    if _NOTHING.fullmatch(size) or _TINY.fullmatch(size):
        return replace(state, sizeless=state.sizeless or number)
    return state if _RELATIVE.fullmatch(size) else replace(state, sizeless=0)


def _with_colors(state: _State, number: int, style: Style) -> _State:
    before = state
    if "color" in style and style["color"] not in ("inherit", "currentcolor"):
        state = replace(state, color=_parse_color(style["color"]))
    if "background-color" in style or "background-image" in style:
        state = replace(state, ground=_ground(style, state.ground))
    if style.get("position") in _FREE or "text-shadow" in style:  # it may lie on something else
        state = replace(state, ground=None)
    if (state.color, state.ground) == (before.color, before.ground):
        return state
    return replace(state, colorless=(before.colorless or number) if _is_unseen(state) else 0)


def _is_unseen(state: _State) -> bool:
    if state.color is None:
        return False
    if state.color[3] == 0:
        return True
    pairs = zip(state.color[:3], state.ground[:3], strict=True) if state.ground else ()
    return state.ground is not None and max(abs(one - other) for one, other in pairs) < _SAME


def _ground(style: Style, below: Color | None) -> Color | None:
    """The color of the background; None if it is a picture or its color is unknown."""
    picture, color = style.get("background-image", ""), style.get("background-color", "")
    if "(" in _RGB.sub("", picture) or picture and "background-color" not in style and picture != "none":
        return None
    if color in ("", "none", "transparent", "inherit", "initial"):
        return below
    known = [found for word in _words(color) if (found := _parse_color(word))]
    if len(known) != 1:
        return None if color else below
    return known[0] if known[0][3] > _SOLID else below if known[0][3] == 0 else None


def _words(value: str) -> Iterator[str]:
    yield from (match[0] for match in _WORD.finditer(value))


def _parse_color(value: str) -> Color | None:
    """A CSS color; None if it is not known, such as that of a variable."""
    if value == "transparent":
        return 0, 0, 0, 0.0
    if match := _RGB.fullmatch(value):
        red, green, blue, alpha = match.groups()
        given = float(alpha.rstrip("%")) / (100 if alpha.endswith("%") else 1) if alpha else 1.0
        return int(red), int(green), int(blue), given
    if not (match := _HEX.fullmatch(value)) and not (match := _HEX.fullmatch(_named(value))):
        return None
    digits = match[1] if len(match[1]) > 4 else "".join(2 * digit for digit in match[1])
    red, green, blue, *rest = (int(digits[at : at + 2], 16) for at in range(0, len(digits), 2))
    return red, green, blue, rest[0] / 255 if rest else 1.0


def _named(name: str) -> str:
    from PIL import ImageColor

    found = ImageColor.colormap.get(name, "")
    return found if isinstance(found, str) else "#{:02x}{:02x}{:02x}".format(*found)
