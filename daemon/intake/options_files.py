"""Reads the options files of a file: `.inboxd.toml` in its folder and in those above, and the sidecar NAME.toml.

They are opened through their folders, never by path, and read only up to the size limit.

In an inbox of several users, nobody may set options for the files of another user. inboxd uses an options file only if
it belongs to root, to the user of this service, to the owner of its folder or, for a sidecar, to the owner of the file
NAME. It ignores all others; `why_untrusted` gives the reason.
"""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from daemon.config import toml
from daemon.config.schema import OptionsFile
from daemon.config.validation import problems
from daemon.core import regular_files
from daemon.core.names import (
    MAX_SIDECAR_BYTES,
    OPTIONS_SUFFIX,
    SIDECAR_SUFFIXES,
    printable,
    printable_path,
    printable_sentence,
)
from daemon.files.inbox import Inbox

FOLDER_FILE = ".inboxd.toml"
MAX_OPTIONS_BYTES = MAX_SIDECAR_BYTES[OPTIONS_SUFFIX]  # total size of the options files that apply to one file
_PARSED = 128  # cached files: a folder's options apply to each file in it


class InvalidOptions(Exception):
    """An options file contains a mistake; described for the person who wrote it."""

    def __init__(self, what: str):
        super().__init__(printable_sentence(what))


@dataclass(frozen=True, kw_only=True)
class OptionsSource:
    """An options file. `is_shared`: the options apply to all files in a folder, which may be of several kinds."""

    origin: str  # display name
    is_shared: bool
    content: bytes


@dataclass(frozen=True, kw_only=True)
class UnwrittenSidecar:
    """The content that NAME.toml would have, for a file that a program submits together with its options."""

    name: str
    content: bytes


def why_untrusted(inbox: Inbox, path: Path) -> str | None:
    """The reason why inboxd ignores a `.inboxd.toml`, or the sidecar of a file in the inbox; None if inboxd uses it, or
    if it does not exist.

    Raises:
        OSError: the owner of a file cannot be determined now.
    """
    try:
        with inbox.opened(path.parent) as folder:
            above = os.fstat(folder)
            facts = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
            if path.name == FOLDER_FILE:
                whose, owners = "its folder", {above.st_uid}
            elif path.suffix in SIDECAR_SUFFIXES:
                main = os.stat(path.stem, dir_fd=folder, follow_symlinks=False)
                whose, owners = path.stem, {above.st_uid, main.st_uid}
            else:
                return None
    except FileNotFoundError:
        return None
    if facts.st_uid in owners | {0, os.geteuid()}:
        return None
    return f"it is ignored, because it belongs to another user (uid {facts.st_uid}) than {whose}."


def read_bounded(inbox: Inbox, path: Path, limit: int) -> bytes:
    """Read a file in the inbox that may be growing.

    Raises:
        InvalidOptions: the file has more than `limit` bytes.
        OSError: see `Inbox.open_file`.
    """
    with inbox.open_file(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InvalidOptions(too_large(path.name, limit))
    return content


def _read_folder_file(inbox: Inbox, path: Path) -> bytes | None:
    """Read a `.inboxd.toml`; None: the file does not exist, or inboxd ignores it."""
    try:
        with inbox.opened(path.parent) as folder:
            trusted = (os.fstat(folder).st_uid, 0, os.geteuid())  # see `why_untrusted`
            if os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_uid not in trusted:
                return None
            descriptor = regular_files.open_regular(path.name, folder)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_uid not in trusted:  # another file has replaced it meanwhile
            return None
        content = file.read(MAX_OPTIONS_BYTES + 1)
    if len(content) > MAX_OPTIONS_BYTES:
        raise InvalidOptions(too_large(path.name, MAX_OPTIONS_BYTES))
    return content


def too_large(name: str, limit: int) -> str:
    """The message for a sidecar that exceeds its limit."""
    return f"{printable(name)} exceeds the limit of {limit // 1024} KiB. Shorten or remove it."


def read_sources(inbox: Inbox, folder: Path, sidecar: Path | UnwrittenSidecar | None) -> list[OptionsSource]:
    """Read the options files that apply to a file, most general first."""
    parts = folder.relative_to(inbox.path).parts
    paths = [inbox.path.joinpath(*parts[:length], FOLDER_FILE) for length in range(len(parts) + 1)]
    found = []
    for path in paths:
        if (content := _read_folder_file(inbox, path)) is not None:
            origin = printable_path(path.relative_to(inbox.path))
            found.append(OptionsSource(origin=origin, is_shared=True, content=content))
    if sidecar is not None:
        found.append(_own_source(inbox, sidecar))
    left = MAX_OPTIONS_BYTES
    for source in found:
        left -= len(source.content)
        if left < 0:
            limit = MAX_OPTIONS_BYTES // 1024
            raise InvalidOptions(
                f"{source.origin} and the {FOLDER_FILE} files above it exceed {limit} KiB in total. Shorten them."
            )
    return found


def _own_source(inbox: Inbox, sidecar: Path | UnwrittenSidecar) -> OptionsSource:
    """Read NAME.toml."""
    if isinstance(sidecar, UnwrittenSidecar):
        content = sidecar.content
    else:
        content = read_bounded(inbox, sidecar, MAX_OPTIONS_BYTES)
    return OptionsSource(origin=printable(sidecar.name), is_shared=False, content=content)


@functools.lru_cache(maxsize=_PARSED)
def parse(content: bytes) -> OptionsFile | str:
    """Parse an options file; if it is invalid, return the end of an error message that begins with its name."""
    try:
        table = toml.parse(content)
    except ValueError as error:
        return f" is not valid TOML: {error}."
    for name, value in table.items():
        try:
            toml.check_plain(value)
        except ValueError as error:
            return f": {printable_sentence(name, most=100)}: {error}."
    try:
        return OptionsFile.model_validate(table)
    except ValidationError as error:
        return f": {'; '.join(problems(error, OptionsFile, table))}"
