"""Parts of Word and OpenDocument files, rewritten where kreuzberg would lose or join words. Pure.

It drops spaces, tabs and hyphens that are elements of their own, symbols, and the text around a text box.
"""

import re

from processors.pages.symbols import SYMBOLS

_BODY = re.compile(r"word/(?:document|header|footer|footnotes|endnotes)\d*\.xml|content\.xml|styles\.xml")
_OPEN_SPACE = re.compile(rb"<text:(?:s|tab)(?:\s[^>]*)?(?:/>|></text:(?:s|tab)>)")
_OPEN_PARAGRAPHS = re.compile(rb"</text:p>(\s*<text:p\b)")
_OPEN_BREAK = re.compile(rb"<text:line-break\s*/>")
_OPEN_CELL = re.compile(rb"<table:table-cell\b[^>]*[^/]>.*?</table:table-cell>", re.S)
_OPEN_VALUE = re.compile(rb'\s(?:office:(?:(?:date-|time-|boolean-)?value|currency)|calcext:value-type)="[^"]*"')
_OPEN_TYPE = re.compile(rb'office:value-type="[^"]*"')
_OPEN_INLINE = re.compile(rb"</?text:(?!(?:p|h|list|list-item|list-header|note|note-citation|note-body)[\s/>])[^>]*>")
_WORD_TAB = re.compile(rb"<w:tab\s*/>")  # those of a paragraph's style have attributes
_WORD_HYPHEN = re.compile(rb"<w:noBreakHyphen\s*/>")
_WORD_SYMBOL = re.compile(rb'<w:sym\b[^>]*\bw:char="([0-9A-Fa-f]{4})"[^>]*/>')
_WORD_CHECK_BOX = re.compile(
    rb"<w:fldChar\b[^>]*[^>/]>(?:(?!</?w:fldChar\b).)*?<w:checkBox\b[^>]*>(.*?)</w:checkBox>.*?</w:fldChar>", re.S
)
_WORD_CHECKED = re.compile(rb'<w:checked\s*(?:/>|w:val="(?:1|true|on)")')
_WORD_DEFAULT = re.compile(rb'<w:default\s*(?:/>|w:val="(?:1|true|on)")')
_DRAWN = re.compile(rb"<(mc:AlternateContent|w:pict|w:drawing)\b[^>]*>(?:(?!<\1\b).)*?</\1>", re.S)
_BOX = re.compile(rb"<w:txbxContent\b[^>]*>(.*?)</w:txbxContent>", re.S)
_FALLBACK, _PARAGRAPH_END = b"<mc:Fallback", b"</w:p>"
_UNKNOWN = "\ufffd"


def is_prepared(name: str) -> bool:
    """True for a part that may have to be rewritten."""
    return _BODY.fullmatch(name) is not None


def prepare(part: bytes) -> bytes:
    """The part, with plain text in place of what kreuzberg drops."""
    if b"<text:" in part:
        return _OPEN_CELL.sub(_without_inline, _OPEN_PARAGRAPHS.sub(rb" </text:p>\1", _OPEN_SPACE.sub(b" ", part)))
    part = _WORD_TAB.sub(_run_text(" "), part)
    part = _WORD_CHECK_BOX.sub(_check_box, part)
    part = _WORD_HYPHEN.sub(_run_text("-"), part)
    part = _WORD_SYMBOL.sub(lambda found: _run_text(_symbol(int(found[1], 16))), part)
    return _after_their_paragraphs(part) if b"<w:txbxContent" in part else part


def _without_inline(cell: "re.Match[bytes]") -> bytes:
    """A cell with plain text as it is shown: kreuzberg reads that of no element in it, and prefers other values."""
    plain = _OPEN_INLINE.sub(b"", _OPEN_BREAK.sub(b" ", cell[0]))
    tag, end, content = plain.partition(b">")
    if b"<text:p" not in content:
        return plain
    return _OPEN_TYPE.sub(b'office:value-type="string"', _OPEN_VALUE.sub(b"", tag)) + end + content


def _run_text(text: str) -> bytes:
    return f'<w:t xml:space="preserve">{text}</w:t>'.encode()


def _check_box(field: "re.Match[bytes]") -> bytes:
    """The state of a check box of an old form, in place of the start of its field."""
    is_set = _WORD_CHECKED if b"<w:checked" in field[1] else _WORD_DEFAULT
    return _run_text("☒" if is_set.search(field[1]) else "☐")


def _symbol(code: int) -> str:
    """The character of a symbol font; U+FFFD if its meaning is not known."""
    return SYMBOLS.get(chr(code | 0xF000), _UNKNOWN)


def _after_their_paragraphs(part: bytes) -> bytes:
    """Move the text of each text box behind the paragraph that it is anchored in."""
    done, waiting, start = [], b"", 0
    for found in _DRAWN.finditer(part):
        boxes = _BOX.findall(found[0].partition(_FALLBACK)[0])
        if not boxes:
            continue
        between, waiting = _with_waiting(part[start : found.start()], waiting)
        done.append(between)
        waiting += b"".join(boxes)
        start = found.end()
    rest, _ = _with_waiting(part[start:], waiting)
    return b"".join([*done, rest])


def _with_waiting(part: bytes, waiting: bytes) -> tuple[bytes, bytes]:
    """Insert the waiting text behind the first end of a paragraph; return what still waits."""
    before, end, after = part.partition(_PARAGRAPH_END)
    return (before + end + waiting + after, b"") if end else (part, waiting)
