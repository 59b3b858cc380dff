"""A producer of files, some durable and some written as cp(1) writes them. It records those that must not be lost."""

import hashlib
import os
import random
import threading
from dataclasses import dataclass
from pathlib import Path

from power_cut_daemons import LARGE_BYTES

_FOLDERS = ("", "", "a", "a/b", "archived", "deleted")
_KINDS = (*["good"] * 8, "not utf-8", "no text")
_BURST = 6  # maximum number of files, one after the other
_FLOOD, _FLOOD_SHARE = 45, 0.1  # or this many good ones, so that they are taken, and their results published, in groups
_PAUSE_SECONDS = 0.3  # maximum seconds between two bursts


@dataclass(frozen=True, kw_only=True)
class Drop:
    """One file that was dropped. No two have the same content."""

    path: str  # relative to the inbox
    sha256: str
    output_sha256: str | None  # of its output; None: it must fail
    sidecar_sha256: str | None = None  # of its .prompt


class Producer:
    """Drops files into `inbox`; from `start` to `stop` in a thread.

    drops: all files, by checksum. promised: the checksums of those whose content and name were durable when dropped.
    """

    def __init__(self, inbox: Path, chance: random.Random):
        self.drops: dict[str, Drop] = {}
        self.promised: set[str] = set()
        self._inbox = inbox
        self._chance = chance
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drop_all, name="producer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _drop_all(self) -> None:
        while not self._stop.is_set():
            is_flood = self._chance.random() < _FLOOD_SHARE
            for _ in range(_FLOOD if is_flood else self._chance.randint(1, _BURST)):
                self.drop("good" if is_flood else "")
            self._stop.wait(self._chance.uniform(0, _PAUSE_SECONDS))

    def drop(self, kind: str = "", folder: str | None = None) -> None:
        """Drop one file, of this `kind` (see `_content`) or any, in this `folder` of the inbox or any."""
        number = len(self.drops)
        content, output = _content(number, kind or self._chance.choice(_KINDS), self._chance)
        path = self._free_path(number, folder)
        sidecar = None
        way = self._chance.choice((self._drop_with_care, self._drop_with_care, self._copy, self._rename))
        if way == self._drop_with_care and path.parent.name != "deleted" and self._chance.random() < 0.2:
            sidecar = f"question {number}\n".encode()
        drop = Drop(
            path=str(path.relative_to(self._inbox)),
            sha256=_sha256(content),
            output_sha256=_sha256(output) if output else None,
            sidecar_sha256=_sha256(sidecar) if sidecar else None,
        )
        self.drops[drop.sha256] = drop
        if sidecar:
            self._drop_with_care(path.with_name(f"{path.name}.prompt"), sidecar)
            self.promised.add(_sha256(sidecar))
        way(path, content)
        if way == self._drop_with_care:
            self.promised.add(drop.sha256)

    def _free_path(self, number: int, below: str | None) -> Path:
        """Usually a new name; sometimes one that was used before and is free again."""
        folder = self._inbox / (self._chance.choice(_FOLDERS) if below is None else below)
        common = folder / f"same {number % 3}.txt"
        if self._chance.random() < 0.3 and not common.exists():
            return common
        return folder / f"{number}.txt"

    def _drop_with_care(self, path: Path, content: bytes) -> None:
        """Drop a complete file, durably, by rename: from then on, it must not be lost."""
        for folder in reversed([path.parent, *path.parent.relative_to(self._inbox).parents]):
            (self._inbox / folder).mkdir(parents=True, exist_ok=True)
            _fsync((self._inbox / folder).parent)
        hidden = path.with_name(f".{path.name}.new")
        hidden.write_bytes(content)
        _fsync(hidden)
        hidden.rename(path)
        _fsync(path.parent)

    def _copy(self, path: Path, content: bytes) -> None:
        """Write a file as cp(1) does: under its final name from the beginning, without fsync."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as file:
            file.write(content[: len(content) // 2])
            file.write(content[len(content) // 2 :])

    def _rename(self, path: Path, content: bytes) -> None:
        """Drop a complete file, without making anything durable."""
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}.new")
        hidden.write_bytes(content)
        hidden.rename(path)


def _content(number: int, kind: str, chance: random.Random) -> tuple[bytes, bytes | None]:
    """The content of a file, and the output of the recipe (upper case) for it; None: it must fail."""
    length = chance.choice((1, 1, 100, 1000, LARGE_BYTES // 16))
    text = f"drop {number} of many\n" * length
    match kind:
        case "not utf-8":
            return text.encode() + "ä".encode("latin-1"), None
        case "no text":
            return b"\xff\xfe\xfd" + text.encode() + b"\x00", None
        case _:
            return text.encode(), text.upper().encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
