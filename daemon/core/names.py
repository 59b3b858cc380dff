"""File names: how to display them, which belong together, and the names of results. Pure."""

import os
import re
import uuid
from collections.abc import Collection
from pathlib import Path

DONE_SUFFIX = ".done"  # NAME.done marks NAME as complete, in folders with wait_for_done
OPTIONS_SUFFIX = ".toml"  # NAME.toml: options for NAME alone
PASSWORD_SUFFIX = ".password"  # opens NAME; not even its checksum is recorded, which could reveal it
CONTENT_SUFFIXES = (".prompt",)  # a processor reads it together with NAME
SIDECAR_SUFFIXES = (*CONTENT_SUFFIXES, PASSWORD_SUFFIX, OPTIONS_SUFFIX, DONE_SUFFIX)  # NAME.prompt is taken with NAME
MAX_SIDECAR_BYTES = {  # a larger file has this name by mistake: it is neither read nor taken
    ".prompt": 64 * 1024,
    PASSWORD_SUFFIX: 4 * 1024,
    OPTIONS_SUFFIX: 64 * 1024,
    DONE_SUFFIX: 4 * 1024,  # its content is discarded
}
SOURCE_PATTERN = r"[a-z][a-z0-9-]{0,31}"
NAME_MAX = 255  # bytes, of all Linux file systems: see pathconf(3)
_PATH_MAX = 4096  # bytes, with the terminating NUL: see pathconf(3)
_STEM_BYTES = 200  # leaves room in NAME_MAX (255) for " (1234)" and a suffix


def printable(name: str) -> str:
    r"""Convert a name to valid text without control characters: bytes that are not UTF-8 become \xNN."""
    if name.isprintable():
        return name or "_"
    return "".join(char if char.isprintable() else _escape(char) for char in name)


def printable_lines(text: str) -> str:
    """The same for a text of several lines. All but the first are indented, so that none looks like a message."""
    if text.isprintable():
        return text
    return "\n    ".join("".join(map(printable, line)) for line in text.split("\n"))


def printable_sentence(text: str, *, most: int = 500) -> str:
    """Make quoted text printable on one line, and truncate it."""
    return printable(text if len(text) <= most else f"{text[:most]} …")


def printable_path(path: Path | str) -> str:
    """The same for a path; each part is short enough for a file system."""
    return "/".join(_shorten(printable(part), NAME_MAX) for part in Path(path).parts)


def is_safe_relative(path: str) -> bool:
    """Check that a path relative to one of the daemon's folders stays below that folder on every Linux file system.
    "" is the folder itself."""
    parts = path.split("/") if path else []
    try:
        is_short = all(len(os.fsencode(part)) <= NAME_MAX for part in parts) and len(os.fsencode(path)) < _PATH_MAX
    except UnicodeEncodeError:  # surrogates that do not represent a byte
        return False
    return is_short and not {"", ".", ".."} & set(parts) and "\0" not in path


def is_job_id(name: str) -> bool:
    """Check that `name` is a UUID exactly as the daemon writes it; `uuid.UUID` accepts other spellings."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def source_name(value: object) -> str | None:
    """`value` if it is a valid name of a program that submits files; None: it is not."""
    return value if isinstance(value, str) and re.fullmatch(SOURCE_PATTERN, value) else None


def result_stem(name: str) -> str:
    """The name of a result's folder: the file's name without its suffix, printable and not too long."""
    return _shorten(printable(Path(name).stem), _STEM_BYTES)


def output_stem(name: str) -> str:
    """The beginning of the names of a result's outputs: that of its folder, but no `result.json` follows from it, which
    would be replaced by the document of that name."""
    stem = result_stem(name)
    return f"{stem}.output" if stem == "result" else stem


def numbered(name: str, number: int) -> str:
    """Add a number to a file name: "x (2).txt". The stem is truncated if the result would be too long."""
    stem, suffix, added = Path(name).stem, Path(name).suffix, f" ({number})"
    if len(os.fsencode(suffix)) > NAME_MAX // 2:
        stem, suffix = name, ""
    room = NAME_MAX - len(os.fsencode(added + suffix))
    return os.fsdecode(os.fsencode(stem)[:room]) + added + suffix


def is_sidecar(name: str, names: Collection[str]) -> bool:
    """True if the file is a sidecar of another one of `names`."""
    return any(name.endswith(suffix) and name.removesuffix(suffix) in names for suffix in SIDECAR_SUFFIXES)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as decoded by os.fsdecode
        code -= 0xDC00
    return f"\\x{code:02x}"


def _shorten(name: str, limit_bytes: int) -> str:
    return name.encode()[:limit_bytes].decode(errors="ignore")
