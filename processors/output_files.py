"""The files that a processor has written: makes them durable, and removes all others."""

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from processors import protocol

_DOCUMENT = "result.json"  # which the daemon writes beside the outputs


def finalize(outputs: Path, name: str) -> protocol.OutputFile:
    """Make one output durable; return its name, size and hash.

    Raises:
        ValueError: it is outside the attempt's folder, not a regular file, or has the name of the document.
    """
    if os.path.normpath(name) == _DOCUMENT:
        raise ValueError(f"{name!r} is reserved for the daemon: begin the names of outputs with `work.stem`")
    path, real = outputs / name, outputs.resolve()
    is_within = path.resolve() == Path(os.path.normpath(real / name)) and path.resolve().is_relative_to(real)
    if not is_within or not path.is_file():
        raise ValueError(f"{name!r} is not a regular file in the attempt's folder")
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = os.fstat(file.fileno()).st_size
    if path.parent != outputs:  # the daemon makes the attempt's folder itself durable
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)
    return protocol.OutputFile(name=name, sha256=digest, size_bytes=size_bytes)


def remove_others(outputs: Path, names: Iterable[str]) -> None:
    """Remove what a processor did not report, such as temporary files: the daemon publishes the complete folder."""
    reported = {outputs / os.path.normpath(name) for name in names}
    reported |= {parent for path in reported for parent in path.parents}
    for where, folders, files in os.walk(outputs, topdown=False):
        for path in (Path(where, name) for name in (*folders, *files)):
            if path not in reported:
                with contextlib.suppress(OSError):
                    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
