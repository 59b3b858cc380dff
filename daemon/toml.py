"""TOML that anybody may have written: bounded in size, depth and values before it is trusted.

`tomllib` recurses into nested values, and its time grows with the square of the number of parts in a dotted key. So a
linear scan counts brackets, braces and dots first, and the values are checked afterwards. No I/O.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from datetime import date, time
from typing import Any

MAX_DEPTH = 16  # brackets and braces within one another, and tables within tables
MAX_KEY_PARTS = 16  # a.b.c has three
MAX_TEXT_CHARS = 16 * 1024  # of one text: as long as a prompt may be
MAX_ITEMS = 1000  # of one list or table
_INT_BOUNDS = (-(2**63), 2**63 - 1)  # what a column of SQLite holds

# As tomllib reads it, up to the first mistake: it parses nothing after that, so that need not be understood.
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


def parse(content: bytes) -> dict[str, Any]:
    """The table that `content` holds; in milliseconds for each 64 KiB.

    Raises:
        ValueError: it holds none, nests too deeply, or has a number of more than 64 bits; says which.
    """
    text = _decoded(content)
    _check_depth(text)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    except ValueError as error:  # int() refuses more than 4,300 digits
        raise ValueError("a number in it has too many digits") from error
    _check_integers(table)
    return table


def check_plain(value: Any) -> Any:
    """`value`, if a row of the job log can hold it: no dates, no NaN or infinity, nothing very long or deep.

    Raises:
        ValueError: names what it may not be.
    """
    for each, depth in _walk(value):
        if isinstance(each, date | time):
            raise ValueError("dates and times have no meaning here; write them as text, in quotes")
        if isinstance(each, float) and not math.isfinite(each):
            raise ValueError("nan and inf are no numbers here")
        if isinstance(each, str) and len(each) > MAX_TEXT_CHARS:
            raise ValueError(f"a text may have {MAX_TEXT_CHARS:,} characters, and this one has {len(each):,}")
        if isinstance(each, list | tuple | Mapping) and len(each) > MAX_ITEMS:
            raise ValueError(f"a list or table may have {MAX_ITEMS:,} items, and this one has {len(each):,}")
        if depth > MAX_DEPTH:
            raise ValueError(f"tables and lists may be nested {MAX_DEPTH} deep")
        if isinstance(each, int) and not _INT_BOUNDS[0] <= each <= _INT_BOUNDS[1]:
            raise ValueError("a number may have 64 bits")
    return value


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from error


def _check_depth(text: str) -> None:
    """Raise ValueError for what would keep `tomllib` busy, or exhaust its stack; reads each character once."""
    depth = dots = 0
    line = 1
    for token in _TOKEN.finditer(text.replace("\r\n", "\n")):
        match token.lastgroup:
            case "unclosed" | "quote":
                return  # tomllib reads no further
            case None:
                line += token[0].count("\n")
                continue
        mark = token["mark"]
        if mark == ".":
            dots += 1
            if dots >= MAX_KEY_PARTS:
                raise ValueError(f"a key has more than {MAX_KEY_PARTS} parts (at line {line})")
            continue
        dots = 0
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"it nests more than {MAX_DEPTH} brackets (at line {line})")
        elif mark in "]}":
            depth = max(0, depth - 1)
        elif mark == "\n":
            line += 1


def _check_integers(table: Mapping[str, Any]) -> None:
    for each, _ in _walk(table):
        if isinstance(each, int) and not _INT_BOUNDS[0] <= each <= _INT_BOUNDS[1]:
            raise ValueError("a number in it has more than 64 bits")


def _walk(value: Any) -> "list[tuple[Any, int]]":
    """`value` and all that is in it, with its depth; without recursion."""
    found = [(value, 0)]
    for each, depth in found:  # grows while it is read
        if isinstance(each, Mapping):
            found += [(key, depth + 1) for key in each]
            found += [(item, depth + 1) for item in each.values()]
        elif isinstance(each, list | tuple):
            found += [(item, depth + 1) for item in each]
    return found
