"""RTF, rewritten with its text in UTF-8 where kreuzberg would lose or misread it (Rich Text Format 1.9.1). Pure.

kreuzberg decodes a document with one code page, whatever its fonts declare, and drops the characters beyond U+FFFF,
the numbers of lists, and text boxes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from processors.pages.symbols import SYMBOLS

_TOKEN = re.compile(
    rb"\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})? ?|\\(?P<mark>[^a-zA-Z])"
    rb"|(?P<open>\{)|(?P<close>\})|(?P<text>[^\\{}]+)",
    re.S,
)
_CHARSETS = {  # \fcharset: code page
    **{77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "cp950", 161: "cp1253"},
    **{162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874"},
    **{238: "cp1250", 254: "cp437", 255: "cp850"},
}
_SYMBOL_CHARSET, _SYMBOL = 2, "symbol"
_SETS = {b"ansi": "cp1252", b"mac": "mac_roman", b"pc": "cp437", b"pca": "cp850"}
_CODE_PAGES = {65001: "utf-8", 10000: "mac_roman", 936: "gb18030"}
_MARKS = {b"~": "\u00a0", b"_": "-", b"-": "", b"\n": "", b"\r": ""}
_LISTS = (b"listtext", b"pntext")  # groups with the number of a list item, as it is shown
_DROPPED = (b"pict", b"nonshppict", b"shprslt", b"sp", b"fontemb", b"objdata")  # no text, or the same again
_LINE_ENDS = re.compile(rb"[\r\n\0]+")
_PARAGRAPH = rb"\par "


@dataclass
class Rewritten:
    content: bytes
    pictures: int = 0
    has_comments: bool = False
    has_deletions: bool = False
    has_hidden: bool = False


@dataclass(frozen=True)
class _State:
    """What a group inherits from the one around it."""

    codec: str
    uc: int = 1  # bytes after \\u for readers without Unicode
    is_fonts: bool = False
    is_dropped: bool = False
    is_deleted: bool = False
    is_shape: bool = False  # a text box, whose text follows the paragraph


@dataclass
class _Rewriter:
    state: _State = field(default_factory=lambda: _State("cp1252"))
    found: Rewritten = field(default_factory=lambda: Rewritten(b""))
    stack: list[_State] = field(default_factory=list)
    out: list[bytes] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)  # the text of boxes, until the paragraph ends
    pending: bytearray = field(default_factory=bytearray)  # text that is not decoded yet
    fonts: dict[int, str] = field(default_factory=dict)
    font: int = 0  # in the table of fonts
    default: str = "cp1252"
    skip: int = 0  # characters that \\u has already given
    high: int = 0  # a high surrogate

    # ------------------------------------------------------------------------------------------ text

    def add(self, content: bytes) -> None:
        """Text in the code page of the font."""
        if self.skip:
            self.skip, content = max(0, self.skip - len(content)), content[self.skip :]
        self.pending += content

    def flush(self) -> None:
        if not self.pending:
            return
        content, self.pending = bytes(self.pending), bytearray()
        if self.state.codec == _SYMBOL:
            text = "".join(map(_symbol, content))
        else:
            text = content.decode(self.state.codec, "replace")
        self.emit(text)

    def emit(self, text: str) -> None:
        self.write(re.sub(r"([\\{}])", r"\\\1", text).encode("utf-8", "replace"))

    def write(self, content: bytes) -> None:
        if self.state.is_deleted:
            self.found.has_deletions = True
        elif not self.state.is_dropped:
            (self.waiting if self.state.is_shape else self.out).append(content)

    def unicode(self, code: int) -> None:
        code &= 0xFFFF
        if 0xD800 <= code < 0xDC00:
            self.high = code
        else:
            if 0xDC00 <= code < 0xE000:
                code = 0x10000 + ((self.high - 0xD800) << 10) + code - 0xDC00 if self.high else 0xFFFD
            self.high = 0
            self.emit(SYMBOLS.get(chr(code), chr(code)))
        self.skip = self.state.uc

    # ------------------------------------------------------------------------------------------ control words

    def open(self) -> None:
        self.flush()
        self.skip = 0
        self.stack.append(self.state)
        self.structure(b"{")

    def close(self) -> None:
        self.flush()
        self.skip = 0
        if self.stack:
            was, self.state = self.state, self.stack.pop()
            if was.is_shape and not self.state.is_shape:
                self.waiting.append(_PARAGRAPH)
        self.structure(b"}")

    def structure(self, content: bytes) -> None:
        """Write what is no text."""
        if not self.state.is_dropped and not self.state.is_shape:
            self.out.append(content)

    def control(self, word: bytes, number: int | None, raw: bytes) -> None:
        if self.skip and word != b"u":
            self.skip -= 1
            return
        self.flush()
        match word:
            case b"u":
                self.skip = 0
                self.unicode(number or 0)
            case b"uc":
                self.state = replace(self.state, uc=max(0, number or 0))
            case b"ansi" | b"mac" | b"pc" | b"pca":
                self.set_default(_SETS[word])
            case b"ansicpg":
                self.set_default(_codec(number or 0))
            case b"fonttbl":
                self.state = replace(self.state, is_fonts=True)
                self.structure(raw)
            case b"f" if self.state.is_fonts:
                self.font = number or 0
                self.structure(raw)
            case b"fcharset" if self.state.is_fonts:
                codec = _SYMBOL if number == _SYMBOL_CHARSET else _CHARSETS.get(number or 0, "")
                self.fonts |= {self.font: codec} if codec else {}
            case b"f" | b"plain":
                self.state = replace(self.state, codec=self.fonts.get(number or 0, self.default))
                self.state = replace(self.state, is_deleted=self.state.is_deleted and word == b"f")
                self.structure(raw)
            case b"deleted":
                self.state = replace(self.state, is_deleted=number != 0)
            case b"v":
                self.found.has_hidden |= number != 0
                self.structure(raw)
            case b"par" | b"sect" | b"page":
                self.end_paragraph(raw)
            case _:
                self.destination(word, raw)

    def destination(self, word: bytes, raw: bytes) -> None:
        if word in _LISTS:
            return  # its number is text
        if word == b"shpinst":
            if self.out and self.out[-1] == b"\\*":
                self.out.pop()
            self.state = replace(self.state, is_shape=True)
        elif word == b"shptxt" or (self.state.is_shape and word in (b"tab", b"line", b"cell")):
            self.write(b" " if word != b"shptxt" else b"")
        elif word in _DROPPED:
            within = [state.is_dropped for state in self.stack]
            self.found.pictures += word == b"pict" and not any(within)
            self.state = replace(self.state, is_dropped=True)
        else:
            self.found.has_comments |= word == b"annotation"
            self.structure(raw)

    def end_paragraph(self, raw: bytes) -> None:
        if self.state.is_shape:
            self.write(_PARAGRAPH)
            return
        self.structure(raw)
        if self.waiting and not self.state.is_dropped:
            self.out += self.waiting
            self.waiting = []

    def set_default(self, codec: str) -> None:
        self.default = codec
        self.state = replace(self.state, codec=codec)

    def mark(self, character: bytes) -> None:
        """A control symbol."""
        if character in b"\\{}":
            self.add(character)
            return
        self.flush()
        if character == b"*":
            self.structure(b"\\*")
        elif character in b"\r\n":
            self.end_paragraph(_PARAGRAPH)
        else:
            self.emit(_MARKS.get(character, ""))


def rewrite(content: bytes) -> Rewritten:
    """The document, with its text in UTF-8."""
    rewriter = _Rewriter()
    for kind, value, number, raw in _tokens(content):
        match kind:
            case "hex":
                rewriter.add(bytes([int(value, 16)]))
            case "text":
                rewriter.add(_LINE_ENDS.sub(b"", value))
            case "word":
                rewriter.control(value, number, raw)
            case "mark":
                rewriter.mark(value)
            case "open":
                rewriter.open()
            case "close":
                rewriter.close()
    rewriter.flush()
    out = rewriter.out
    end = next((index for index in range(len(out) - 1, -1, -1) if out[index] == b"}"), len(out))
    out[end:end] = [_PARAGRAPH, *rewriter.waiting] if rewriter.waiting else []
    rewriter.found.content = b"".join(out)
    return rewriter.found


def _tokens(content: bytes) -> Iterator[tuple[str, bytes, int | None, bytes]]:
    at = 0
    while match := _TOKEN.match(content, at):
        at = match.end()
        kind = str(match.lastgroup) if match.lastgroup != "number" else "word"
        number = int(match["number"]) if match["number"] else None
        if match["word"] == b"bin":
            at += max(0, number or 0)
            continue
        raw = match[0] + b" " if kind == "word" and not match[0].endswith(b" ") else match[0]  # decoded text may follow
        yield kind, match[kind], number, raw


def _symbol(code: int) -> str:
    """The character of a symbol font; U+FFFD if its meaning is not known."""
    return chr(code) if code in b" \t" else SYMBOLS.get(chr(0xF000 | code), "\ufffd")


def _codec(code_page: int) -> str:
    from processors.text.encoding import known_codec

    return _CODE_PAGES.get(code_page) or known_codec(f"cp{code_page}") or "cp1252"
