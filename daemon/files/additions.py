"""What other programs and people have added to the files of a result."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from daemon.core import names
from daemon.files import corrected, result_reader
from daemon.files.originals import ARCHIVE, ERROR_DOCUMENTS, RESULT
from daemon.files.result_reader import Facts
from processors import protocol

_DOCUMENTS = {RESULT, *ERROR_DOCUMENTS, corrected.FOLDER}


def published(facts: Facts) -> set[str]:
    """The paths of the files in a result, relative to it, that inboxd wrote according to its document.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: the document was changed.
    """
    files = {os.path.normpath(protocol.output_file(file)["name"]) for file in facts.get("files") or []}
    where = (facts.get("original") or {}).get("path")
    if where and not where.startswith(ARCHIVE):
        if not PurePosixPath(where).name:
            raise ValueError("not the path of an original")
        files |= {where, *(where + suffix for suffix in names.SIDECAR_SUFFIXES)}
    return files


def added(folder: Path, facts: Facts) -> list[str]:
    """The paths in the folder of a result that inboxd did not write; of a folder of others, only its own.

    Raises:
        OSError: it cannot be read.
        ValueError, LookupError, TypeError, AttributeError: the document was changed.
    """
    files = published(facts) | _DOCUMENTS | {f"{corrected.FOLDER}/{name}" for name in _corrected(folder, facts)}
    return sorted(others(folder, files))


def others(top: Path | str, files: set[str], *, below: int | None = None) -> Iterator[str]:
    """What is in a folder besides `files` and their folders, as paths relative to it.

    below: descriptor of the folder that `top` is relative to.
    """
    known = files | {str(parent) for file in files for parent in PurePosixPath(file).parents}
    for where, folders, found, _ in os.fwalk(top, dir_fd=below):
        start = where.removeprefix(str(top)).lstrip("/")
        paths = {name: os.path.join(start, name) for name in (*folders, *found)}
        yield from (path for path in paths.values() if path not in known)
        folders[:] = [name for name in folders if paths[name] in known]


def _corrected(result: Path, facts: Facts) -> list[str]:
    """The names of the files in `corrected/`, if that record is of the same job."""
    try:
        record = result_reader.read(result / corrected.FOLDER / corrected.RECORD, root=result).facts
        is_own = record.get("job") == facts.get("job")
        return [corrected.RECORD, *(str(file["name"]) for file in record["files"])] if is_own else []
    except (OSError, ValueError, LookupError, TypeError):
        return []
