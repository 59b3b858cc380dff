"""Parse untrusted TOML, with limits on depth, key length and values.

`tomllib` recurses into nested values, and its time grows with the square of the number of parts in a dotted key. So a
linear scan counts brackets, braces and dots first, and the values are checked last. No I/O.
"""

import math
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, time

MAX_DEPTH = 16  # nested brackets and braces, and nested tables
MAX_KEY_PARTS = 16  # a.b.c has three
MAX_TEXT_CHARS = 16 * 1024  # per string: as long as a prompt may be
MAX_ITEMS = 1000  # per list or table
MAX_SHOWN_CHARS = 60  # of a value, in a message
_INT_BOUNDS = (-(2**63), 2**63 - 1)  # range of an SQLite integer
_MAX_HINT_CHARS = 200
_PAIR = re.compile(r"(?P<key>[\w.-]+)\s*=\s*(?P<value>[^#]*?)\s*(?:\#.*)?")
_ESCAPES = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t", "\r": r"\r"}

# Tokens as tomllib reads them, up to the first syntax error: tomllib stops there, so the scan may stop as well.
_TOKEN = re.compile(
    r'"""(?:[^"\\]++|\\.|""?(?!"))*+"{3,5}'
    r"|'''(?:[^']++|''?(?!'))*+'{3,5}"
    r"|(?P<unclosed>\"\"\"|''')"
    r'|"(?:[^"\\\n]++|\\[^\n])*+"'
    r"|'[^'\n]*+'"
    r"|(?P<quote>[\"'])"
    r"|\#[^\n]*+"
    r"|(?P<mark>[\[\]{},=.\n])",
    re.DOTALL,
)


def parse(content: bytes) -> dict[str, object]:
    """Parse `content` into a table; takes milliseconds per 64 KiB.

    Raises:
        ValueError: it is invalid, nested too deeply, or has a number of more than 64 bits; the message says which.
    """
    text = _decoded(content)
    _check_depth(text)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{error}{_hint(text, str(error))}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:  # int() refuses more than 4,300 digits
        raise ValueError("numbers must fit in 64 bits") from error
    _check_integers(table)
    return table


def check_plain(value: object) -> object:
    """Return `value` if a row of the job log can store it: no dates, NaN or infinity, nothing very long or deep.

    Raises:
        ValueError: the message names the limit.
    """
    for each, depth in walk(value):
        if isinstance(each, date | time):
            raise ValueError("dates and times are not supported; use a quoted string")
        if isinstance(each, float) and not math.isfinite(each):
            raise ValueError("nan and inf are not allowed")
        if isinstance(each, str) and len(each) > MAX_TEXT_CHARS:
            raise ValueError(f"string too long: {len(each):,} characters (maximum {MAX_TEXT_CHARS:,})")
        if isinstance(each, list | tuple | Mapping) and len(each) > MAX_ITEMS:
            raise ValueError(f"list or table too long: {len(each):,} items (maximum {MAX_ITEMS:,})")
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        if isinstance(each, int) and not _INT_BOUNDS[0] <= each <= _INT_BOUNDS[1]:
            raise ValueError("numbers must fit in 64 bits")
    return value


def literal(value: object, *, most: int = MAX_SHOWN_CHARS) -> str:
    """`value` as it is written in TOML, on one printable line of at most `most` characters."""
    text = _literal(value)
    return text if len(text) <= most else f"{text[:most]} …"


def lines(table: Mapping[str, object]) -> str:
    """A table in TOML, with one line for each key; unlike `literal`, it does not shorten a line."""
    return "".join(f"{key_literal(name)} = {_literal(value)}\n" for name, value in table.items())


def has_controls(text: str, *, allowed: str = "") -> bool:
    """True if `text` has control characters other than the `allowed` ones."""
    return any(unicodedata.category(char) == "Cc" and char not in allowed for char in text)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key_literal(str(key))} = {_literal(item)}" for key, item in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, int | float | datetime):
        return str(value).replace(" ", "T")
    if isinstance(value, date | time):
        return value.isoformat()
    return f'"{"".join(map(_escaped, str(value)))}"'


def key_literal(key: str) -> str:
    """`key` as it is written in TOML: with quotes only if it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _literal(key)


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text (byte {error.start}); save the file as UTF-8") from error
    if "\0" in text:
        raise ValueError("not UTF-8 text, but perhaps UTF-16; save the file as UTF-8")
    return text


def _hint(text: str, message: str) -> str:
    """The likeliest mistake in the line that tomllib's `message` names, and its fix; "": no known one."""
    lines = text.split("\n")
    number = re.search(r"at line (\d+)", message)
    line = lines[int(number[1]) - 1] if number else next((line for line in reversed(lines) if line.strip()), "")
    if re.search("[“”„‟‘’‚‛«»]", line):
        return '; use straight quotes, as in recipe = "count"'
    if not re.search("Invalid value|Expected newline", message):
        return ""
    pair = _PAIR.fullmatch(line.strip()[:_MAX_HINT_CHARS])
    if pair is None:
        return ""
    key, value = pair["key"], pair["value"]
    if not value:
        return f"; a value is missing after {key} ="
    if value.lower() in ("yes", "no", "on", "off", "true", "false"):
        return f"; write true or false: {key} = {str(value.lower() in ('yes', 'on', 'true')).lower()}"
    if re.search(r"[\"'\[\]{}=]", value):
        return ""
    return f"; text needs quotes: {key} = {literal(value)}"


def _check_depth(text: str) -> None:
    """Raise ValueError for input that would take `tomllib` long or exhaust its stack; read each character once."""
    depth = dots = 0
    line = 1
    for token in _TOKEN.finditer(text.replace("\r\n", "\n")):
        match token.lastgroup:
            case "unclosed" | "quote":
                return  # tomllib stops here
            case None:
                line += token[0].count("\n")
                continue
        mark = token["mark"]
        if mark == ".":
            dots += 1
            if dots >= MAX_KEY_PARTS:
                raise ValueError(f"a key has more than {MAX_KEY_PARTS} parts (line {line})")
            continue
        dots = 0
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"brackets nested more than {MAX_DEPTH} deep (line {line})")
        elif mark in "]}":
            depth = max(0, depth - 1)
        elif mark == "\n":
            line += 1


def _check_integers(table: Mapping[str, object]) -> None:
    for each, _ in walk(table):
        if isinstance(each, int) and not _INT_BOUNDS[0] <= each <= _INT_BOUNDS[1]:
            raise ValueError("numbers must fit in 64 bits")


def walk(value: object) -> "list[tuple[object, int]]":
    """List `value` and everything nested in it, with depths; without recursion."""
    found = [(value, 0)]
    for each, depth in found:  # grows during the iteration
        if isinstance(each, Mapping):
            found += [(key, depth + 1) for key in each]
            found += [(item, depth + 1) for item in each.values()]
        elif isinstance(each, list | tuple):
            found += [(item, depth + 1) for item in each]
    return found
