"""Reads result.json and error.json. People edit results, and other users may write to an outbox: the content of such a
file is not trusted before it has been checked.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.core import regular_files
from daemon.files import safe_folders
from processors import protocol, wellformed

MAX_BYTES = 2 * protocol.LINE_BYTES  # a worker reports a result in one line; indentation makes it longer


Facts = dict[str, Any]  # the JSON of a result.json or error.json, which people may have changed


@dataclass(frozen=True, kw_only=True)
class ResultJson:
    """The content of result.json or error.json."""

    facts: Facts
    changed_ns: int  # modification time, since the epoch
    is_ours: bool  # the file belongs to this user


def read(path: Path, *, root: Path, most_bytes: int = MAX_BYTES) -> ResultJson:
    """Read a document in a folder that is `root` or below it, without following links below `root`.

    Raises:
        OSError: it does not exist, is not a regular file, or cannot be read now.
        ValueError: it is too large, or not a JSON object.
    """
    with safe_folders.opened(root, path.parent) as folder:
        descriptor = regular_files.open_regular(path.name, folder)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"{path.name} is larger than {most_bytes} bytes")
    try:
        facts = json.loads(content, parse_constant=wellformed.refuse_constant)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error
    if not isinstance(facts, dict):
        raise ValueError("it is not a JSON object")
    return ResultJson(facts=facts, changed_ns=found.st_mtime_ns, is_ours=found.st_uid == os.geteuid())
