"""Finds and reads the document of a result: its JSON file, and its text for people.

People edit results: a file that does not fit a kind is not shown as one.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from pydantic import ValidationError
from pydantic_core import from_json

from daemon.files import corrected_files
from daemon.results.documents import Document, Invoice, Receipt, Statement, TextPages, Transcript
from daemon.results.result_files import FileMissing, Result, ResultFile
from processors.corrections.changes import JsonObject

_MAX_BYTES = 48 * 1024 * 1024  # of a file that is shown: a transcript of ten hours, with its words
_MAX_TEXT_BYTES = 400 * 1024
_NOT_SHOWN = ("result.json", "error.json", corrected_files.RECORD)

_MODELS: Sequence[type[Document]] = (Statement, Transcript, Receipt, Invoice, TextPages)


def load(result: Result, *, as_read: bool = False, most_bytes: int = _MAX_BYTES) -> Document | None:
    """The document of a result, as a person has corrected it or else as it was read; None: it has none of a known
    kind, or only a larger one."""
    for _, data in _json_files(result, as_read, most_bytes):
        for model in _MODELS:
            try:
                return model.model_validate(data)
            except ValidationError:
                continue
    return None


def load_json(result: Result, *, as_read: bool) -> tuple[str, JsonObject] | None:
    """The name and the content of the file that `load` shows."""
    for name, data in _json_files(result, as_read, _MAX_BYTES):
        for model in _MODELS:
            try:
                model.model_validate(data)
            except ValidationError:
                continue
            return (name, data) if isinstance(data, dict) else None
    return None


def _json_files(result: Result, as_read: bool, most_bytes: int) -> Iterator[tuple[str, object]]:
    for file in _in_order(result, as_read):
        path = PurePosixPath(file.name)
        if path.suffix != ".json" or path.name in _NOT_SHOWN or ".pages." in path.name:
            continue
        if (content := _read(result, file, most_bytes)) is None:
            continue
        with contextlib.suppress(ValueError):  # also for text that is not valid Unicode
            yield file.name, from_json(content, allow_inf_nan=False)


def _in_order(result: Result, as_read: bool) -> list[ResultFile]:
    """The files; those that people have corrected come first, or with `as_read` not at all."""
    corrected = [
        file for file in result.files if result.corrections and file.name.startswith(f"{corrected_files.FOLDER}/")
    ]
    others = [file for file in result.files if file not in corrected]
    return others if as_read else [*corrected, *others]


def load_text(result: Result, *, as_read: bool = False, most_bytes: int = _MAX_TEXT_BYTES) -> str | None:
    """The text of a result for people: its plain text or Markdown file."""
    names = {PurePosixPath(file.name).suffix: file for file in reversed(_in_order(result, as_read))}
    for suffix in (".txt", ".md"):
        file = names.get(suffix)
        if file is None or file.name == "error.txt":
            continue
        content = _read(result, file, most_bytes)
        if content is not None:
            return content.decode("utf-8", "replace")
    return None


def _read(result: Result, file: ResultFile, most_bytes: int) -> bytes | None:
    """The content of a file; None: it is gone, or too large to be shown."""
    try:
        descriptor = result.open(file.name)
    except FileMissing:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        content = opened.read(most_bytes + 1)
    return content if len(content) <= most_bytes else None
