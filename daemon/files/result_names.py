"""Free names for results in the outbox: "bank/2024-01", "bank/2024-01 (2)", "failed/bank/2024-01"."""

import itertools
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from daemon.core import names
from daemon.core.job import Job
from daemon.files import flat, safe_folders
from daemon.files.originals import ERROR_DOCUMENTS, RESULT

FAILED = "failed"  # the folder of the outbox for failed jobs


class ResultNames:
    """The names in an outbox that are taken, or reserved for the folders of its inbox."""

    def __init__(self, outbox: Path, inbox: Path):
        self._outbox = outbox
        self._inbox = inbox

    def free_path(
        self, job: Job, *, failed: bool, reserved: Collection[str] = (), flat_entries: Sequence[str] | None = None
    ) -> str:
        """A free path for the result of a job, relative to the outbox.

        reserved: paths of results that are about to be published.
        flat_entries: what a flat result consists of (see `flat.entries`): the path is that of its record, and no file
            of the result has a name that is taken. None: the result is a folder.
        """
        assert names.is_safe_relative(job.folder)
        parts = [names.printable(part) for part in Path(job.folder).parts]
        if parts and parts[0] == FAILED and not failed:
            parts[0] = f"{FAILED} (folder)"  # outbox/failed is for failed jobs
        parent = self._free_parent([FAILED, *parts] if failed else parts, reserved)
        stem = names.result_stem(job.name)

        def is_taken(number: int) -> bool:
            name = _numbered(stem, number)
            path = str(parent / name)
            if flat_entries is not None:
                visible = flat.visible_names(job.name, name, flat_entries).values()
                record = self._outbox / flat.record_path(path)
                return os.path.lexists(record) or any(self._is_name_taken(job, parent / each) for each in visible)
            below = f"{path}/"
            is_reserved = path in reserved or any(each.startswith(below) for each in reserved)
            return is_reserved or self._is_name_taken(job, parent / name)

        path = str(parent / _numbered(stem, _first_free(is_taken)))
        return path if flat_entries is None else flat.record_path(path)

    def _is_name_taken(self, job: Job, path: Path) -> bool:
        """True if something has that name, or if it is reserved for the results of an inbox folder."""
        return os.path.lexists(self._outbox / path) or self._is_folder_of_inbox(Path(job.folder, path.name))

    def _free_parent(self, parts: Iterable[str], reserved: Collection[str]) -> Path:
        """The folder for the results of an inbox folder, relative to the outbox. A part of its path gets a number if a
        file, a link or a result has its name: "scans (2)/2024"."""
        parent = Path()
        for part in parts:
            free = (_numbered(part, number) for number in itertools.count(1))
            paths = (parent / name for name in free)
            parent = next(path for path in paths if str(path) not in reserved and self._may_hold_results(path))
        return parent

    def _may_hold_results(self, folder: Path) -> bool:
        """True if nothing but a folder of results has that name, also among the records."""
        return all(_is_folder_of_results(os.path.join(self._outbox, root, folder)) for root in ("", flat.RECORDS))

    def _is_folder_of_inbox(self, folder: Path) -> bool:
        if not os.path.lexists(self._inbox / folder):  # nearly always, and in a third of the time
            return False
        try:
            with safe_folders.opened(self._inbox, self._inbox / folder):
                return True
        except OSError:  # it is none, or not accessible
            return False


def _is_folder_of_results(path: str) -> bool:
    if not os.path.lexists(path):
        return True
    is_result = any(os.path.lexists(f"{path}/{document}") for document in (RESULT, ERROR_DOCUMENTS[0]))
    return os.path.isdir(path) and not os.path.islink(path) and not is_result


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} ({number})"


def _first_free(is_taken: Callable[[int], bool]) -> int:
    """Find a free number, starting at 1: the first one, if the taken numbers have no gaps. Takes logarithmic time: the
    ten-thousandth `scan.pdf` must not check the names of all others."""
    taken, free = 0, 1
    while is_taken(free):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        if is_taken(middle):
            taken = middle
        else:
            free = middle
    return free
