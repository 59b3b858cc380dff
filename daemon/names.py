"""File names: how they are shown, which belong together, and what a result is called. Pure."""

import os
from collections.abc import Collection
from pathlib import Path

SIDECAR_SUFFIXES = (".prompt",)  # NAME.prompt is taken with NAME
_STEM_BYTES = 200  # leaves room in NAME_MAX (255) for " (1234)" and a suffix


def printable(name: str) -> str:
    r"""The name as valid text without control characters: bytes that are no UTF-8 are written as \xNN."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text) or "_"


def printable_path(path: Path | str) -> str:
    """The same for a path: each part printable."""
    return "/".join(printable(part) for part in Path(path).parts)


def result_stem(name: str) -> str:
    """The name of a result's folder: the file's name without its suffix, printable, short enough for a file system."""
    stem = printable(Path(name).stem)
    encoded = stem.encode()
    return encoded[:_STEM_BYTES].decode(errors="ignore") if len(encoded) > _STEM_BYTES else stem


def is_sidecar(name: str, names: Collection[str]) -> bool:
    """Does the file belong to another one of `names`?"""
    return any(name.endswith(suffix) and name.removesuffix(suffix) in names for suffix in SIDECAR_SUFFIXES)
