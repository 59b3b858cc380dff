"""The flat layout of results: `march.txt` and `march.pdf` in the folder itself, instead of `march/march.txt`.

The files of a flat result are beside those of other results. Only its result.json has a folder of its own, the
*record*, below `outbox/.results`. The path of the record is the job's `result_path`, and determines the names of the
files: the record `.results/bank/march (2)` belongs to `bank/march (2).txt`. Pure.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from daemon.core import names
from daemon.files import corrected_files
from daemon.files.originals import ARCHIVE, ERROR_DOCUMENTS, RESULT
from daemon.files.result_reader import Facts

RECORDS = ".results"  # in the outbox
_DOCUMENTS = {RESULT, *ERROR_DOCUMENTS}
_ROOM = 40  # bytes of a name for more than the name of its result, which inboxd makes shorter; a person might not


def is_flat(result_path: str) -> bool:
    """True if this is the path of a record."""
    return PurePosixPath(result_path).parts[:1] == (RECORDS,)


def record_path(path: str) -> str:
    """The path of the record of the files that begin with `path`, both relative to the outbox."""
    return f"{RECORDS}/{path}"


def visible_path(result_path: str) -> str:
    """The beginning that the names of all files of a flat result share; of any other result, its folder."""
    return result_path.removeprefix(f"{RECORDS}/")


def shown(result_path: str) -> str:
    """The path of a result for people."""
    return f"{visible_path(result_path)}.*" if is_flat(result_path) else result_path


def entries(facts: Facts) -> list[str]:
    """The files and folders that a result consists of, besides result.json, which contains `facts`: the outputs, the
    possible sidecars of the original, and the original.

    Raises:
        LookupError, TypeError, AttributeError: a person has changed the document.
    """
    found = [_first(file["name"]) for file in facts.get("files") or []]
    where = (facts.get("original") or {}).get("path")
    if where and not where.startswith(ARCHIVE):
        found += [where + suffix for suffix in names.SIDECAR_SUFFIXES if "/" not in where]
        found.append(_first(where))
    return list(dict.fromkeys(found))


def visible_names(name: str, result_name: str, entries: Iterable[str]) -> dict[str, str]:
    """The name in the outbox of each of a result's `entries`: no two are equal, and none is that of a document.

    name: the job's. result_name: the last part of its result's path, "march (2)".
    """
    stem, found = names.result_stem(name), dict[str, str]()
    for entry in sorted(entries):
        own = entry.removeprefix(stem) if entry.startswith((f"{stem}.", f"{stem} ")) or entry == stem else f".{entry}"
        choices = (_joined(result_name, f"{mark}{own}") for mark in _marks())
        found[entry] = next(each for each in choices if each not in _DOCUMENTS and each not in found.values())
    return found


class FilePlaces:
    """The location of the files of one result, in either layout.

    name: the job's. facts: the content of its result.json, which may be damaged.
    """

    def __init__(self, result_path: str, name: str, facts: Facts):
        self._path = PurePosixPath(result_path)
        self._name = name
        self._visible: Mapping[str, str] | None = None  # by entry; None: not flat
        if is_flat(result_path):
            try:
                found = entries(facts)
            except (LookupError, TypeError, AttributeError):
                found = []
            self._visible = visible_names(name, self._path.name, found)

    def path(self, name: str) -> str:
        """The path of a file of the result, relative to the outbox. name: relative to the result."""
        first, *below = PurePosixPath(name).parts or ("",)
        if self._visible is None or first in ("", RESULT, corrected_files.FOLDER):
            return str(self._path / name)
        visible = self._visible.get(first) or visible_names(self._name, self._path.name, [first])[first]
        return str(PurePosixPath(visible_path(str(self._path))).parent.joinpath(visible, *below))


def _first(path: str) -> str:
    return PurePosixPath(path).parts[0]


def _marks() -> Iterator[str]:
    """What makes a name differ from others: nothing, "_", "_2", "_3" …"""
    yield from ("", "_")
    yield from (f"_{number}" for number in itertools.count(2))


def _joined(start: str, end: str) -> str:
    """`start` and `end`, of which `end` is cut before its suffix if both together are too long for a name. `start`
    remains complete: its number is what makes it differ from the names of other results."""
    start = _cut(start, names.NAME_MAX - _ROOM)
    room = names.NAME_MAX - len(os.fsencode(start))
    suffix = Path(f"_{end}").suffix
    if len(os.fsencode(suffix)) > room // 2:
        suffix = ""
    return start + _cut(end.removesuffix(suffix), room - len(os.fsencode(suffix))) + suffix


def _cut(text: str, most_bytes: int) -> str:
    """The beginning of a name; a character that would be cut is left out."""
    content = os.fsencode(text)
    return text if len(content) <= most_bytes else content[:most_bytes].decode("utf-8", "ignore")
