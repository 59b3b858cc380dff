"""What other programs and people have added to the files of a result."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from daemon.core import names
from daemon.files import corrected_files, result_reader
from daemon.files.originals import ARCHIVE, ERROR_DOCUMENTS, RESULT
from daemon.files.result_reader import Facts, ResultJson
from processors import protocol

_DOCUMENTS = {RESULT, *ERROR_DOCUMENTS, corrected_files.FOLDER}


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


def sizes(facts: Facts) -> dict[str, int]:
    """The sizes of the files that a document records, in bytes, by their paths relative to the result.

    Raises:
        LookupError, TypeError, AttributeError: the document was changed.
    """
    found: dict[str, int] = {file["name"]: file["size_bytes"] for file in facts.get("files") or []}
    where, size = (facts.get("original") or {}).get("path"), facts.get("size_bytes")
    if where and size is not None:
        found[where] = size
    return found


def changed(folder: Path, document: ResultJson, original_ns: int) -> list[str]:
    """The files in the folder of a result whose content is another than inboxd wrote, before the document: they have
    another size, or are newer.

    original_ns: the modification time of the original, which may be in the future.

    Raises:
        LookupError, TypeError, AttributeError: the document was changed.
    """
    newest_ns = max(document.changed_ns, original_ns)
    found = [name for name, size in sizes(document.facts).items() if _differs(folder / name, size, newest_ns)]
    if record := _corrections(folder, document.facts):
        paths = {f"{corrected_files.FOLDER}/{name}": size for name, size in sizes(record.facts).items()}
        found += [path for path, size in paths.items() if _differs(folder / path, size, record.changed_ns)]
    return sorted(found)


def _differs(path: Path, size_bytes: int, newest_ns: int) -> bool:
    try:
        facts = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not stat.S_ISREG(facts.st_mode) or facts.st_size != size_bytes or facts.st_mtime_ns > newest_ns


def added(folder: Path, facts: Facts) -> list[str]:
    """The paths in the folder of a result that inboxd did not write; of a folder of others, only its own.

    Raises:
        OSError: it cannot be read.
        ValueError, LookupError, TypeError, AttributeError: the document was changed.
    """
    files = published(facts) | _DOCUMENTS | {f"{corrected_files.FOLDER}/{name}" for name in _corrected(folder, facts)}
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
    """The names of the files in `corrected/` that inboxd wrote."""
    record = _corrections(result, facts)
    return [corrected_files.RECORD, *(str(file["name"]) for file in record.facts["files"])] if record else []


def _corrections(result: Path, facts: Facts) -> ResultJson | None:
    """The record of the corrections, if it belongs to the same job."""
    try:
        record = result_reader.read(result / corrected_files.FOLDER / corrected_files.RECORD, root=result)
    except (OSError, ValueError):
        return None
    return record if record.facts.get("job") == facts.get("job") else None
