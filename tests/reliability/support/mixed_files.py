"""Files of all kinds, each with its expected outcome: the load of the chaos and soak rigs.

One `Dropper` is one person (one thread) at one inbox. Some files are renamed into it, some are written in place with a
pause in the middle, some have a sidecar, many have a name that was used before, some have the content of another file.
"""

import hashlib
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paths import ROOT

from daemon.core import durable

TEXT_FOLDERS = ("", "a", "a/b", "failed", "doc1")  # "failed" and "doc1": names that the outbox uses otherwise
FAKE_FOLDERS = ("rough", "rough/deep", "other")
FOLDERS = (*TEXT_FOLDERS, *FAKE_FOLDERS)
ARCHIVED = "a/b"

CONFIG = """
    [paths]
    outbox = "{outbox}"
    [inbox]
    text = "count"
    image = ""
    unsupported = "fail"
    settle_seconds = 0.1
    [inbox.folders."a/b"]
    originals = "archive"
    [inbox.folders.rough]
    text = "rough"
    [inbox.folders.other]
    text = "other"
    [recipes.count]
    processor = "plaintext"
    [recipes.rough]
    processor = "fakes.misbehaving"
    [recipes.other]
    processor = "fakes.misbehaving"
    unavailable_until = "/"
    [processors.plaintext]
    max_batch = 32
    [processors."fakes.misbehaving"]
    max_batch = 3
    timeout = "{timeout}"
    [retry]
    backoff = "20ms"
    [workers]
    at_once = 3
    [schedule]
    rescan = "2s"
    probe = "200ms"
"""

# the relative frequency of each kind of file; those after "twin" fail
WEIGHTS: Mapping[str, float] = {
    "text": 40,
    "fine": 30,
    "crash_once": 1,
    "noisy": 0.2,
    "large": 0.2,
    "twin": 3,
    "latin": 2,
    "empty": 1,
    "picture": 1,
    "bad": 2,
    "error": 1,
    "memory": 1,
    "segfault": 1,
    "exit": 1,
    "hang": 0.2,
}
GOOD = ("text", "fine", "crash_once", "noisy", "large", "sound", "drawing")
SAMPLES = {"sound": "audio/LJ001-0002.mp3", "drawing": "drawings/line.png"}  # for the processors with a real engine

_LARGE_BYTES = 17 * 2**20  # more than the daemon hashes in its main loop
_TWINS_OF_LAST = 50


@dataclass(frozen=True, kw_only=True)
class Drop:
    """One file that was dropped."""

    name: str  # relative to the inbox
    sort: str
    sha256: str
    sidecar: str | None  # the SHA-256 of its NAME.prompt

    @property
    def is_good(self) -> bool:
        return self.sort in GOOD


class Dropper:
    """Puts files into one inbox and remembers what it put there."""

    def __init__(self, inbox: Path, markers: Path, rng: random.Random, weights: Mapping[str, float] = WEIGHTS):
        self._inbox = inbox
        self._weights = weights
        self._markers = markers  # where "crash_once" notes that it has crashed
        self._rng = rng
        self._recent: list[tuple[str, str, bytes]] = []  # sort, folder, content: to have twins of
        self.drops: list[Drop] = []
        for folder in FOLDERS:
            (inbox / folder).mkdir(parents=True, exist_ok=True)
        markers.mkdir(exist_ok=True)

    def drop(self, sort: str | None = None, *, folder: str | None = None) -> Drop:
        """Drop one file; without `sort` or `folder`, choose at random."""
        sort = sort or self._rng.choices(list(self._weights), list(self._weights.values()))[0]
        if sort == "twin" and not self._recent:
            sort = "text"
        if sort == "twin":
            sort, folder, content = self._rng.choice(self._recent)
        else:
            by_chance, content = self._make(sort)
            folder = by_chance if folder is None else folder
            if sort in ("text", "fine") and folder == by_chance:
                self._recent = [*self._recent[-_TWINS_OF_LAST:], (sort, folder, content)]
        stem = f"doc{self._rng.randrange(6)}"
        name = f"{stem}{self._rng.choice(('.txt', '.md'))}"
        sidecar = f"about {os.urandom(8).hex()}".encode() if sort == "fine" and self._rng.random() < 0.2 else None
        path = self._put(self._inbox / folder, name, content, sidecar)
        made = Drop(
            name=str(path.relative_to(self._inbox)),
            sort=sort,
            sha256=hashlib.sha256(content).hexdigest(),
            sidecar=hashlib.sha256(sidecar).hexdigest() if sidecar is not None else None,
        )
        self.drops.append(made)
        return made

    def _make(self, sort: str) -> tuple[str, bytes]:
        """A folder and a content of this sort; no two contents are the same, but for samples and empty ones."""
        if sort in SAMPLES:
            return "", (ROOT / "tests" / "data" / SAMPLES[sort]).read_bytes()
        unique = f"{len(self.drops)} {self._rng.randbytes(8).hex()}"
        folder = self._rng.choice(TEXT_FOLDERS if sort in ("text", "latin", "large", "picture") else FAKE_FOLDERS)
        match sort:
            case "text":
                return folder, f"text {unique}\n".encode() * self._rng.randrange(1, 200)
            case "large":
                return folder, f"large {unique}\n".encode().ljust(_LARGE_BYTES, b".")
            case "latin":
                return folder, f"näher {unique}\n".encode("latin-1")
            case "picture":
                return folder, b"\x89PNG\r\n\x1a\n" + unique.encode()
            case "empty":
                return folder, b""
            case "crash_once":
                return folder, f"crash_once {self._markers}/{len(self.drops)}\n{unique}\n".encode()
            case "exit":
                return folder, f"exit 3\n{unique}\n".encode()
        return folder, f"{sort}\n{unique}\n".encode()

    def _put(self, folder: Path, name: str, content: bytes, sidecar: bytes | None) -> Path:
        """Put it into the inbox under a free name, after its sidecar: renamed, or sometimes written in two halves."""
        path = folder / name
        if os.path.lexists(path) or os.path.lexists(f"{path}.prompt"):
            path = folder / f"{path.stem}-{len(self.drops)}{path.suffix}"
        if sidecar is not None:
            _rename_in(Path(f"{path}.prompt"), sidecar)
        elif content and self._rng.random() < 0.1:
            _write_slowly(path, content, self._rng.uniform(0.0, 0.05))
            return path
        _rename_in(path, content)
        return path


def _write_slowly(path: Path, content: bytes, pause_seconds: float) -> None:
    with path.open("xb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        time.sleep(pause_seconds)  # as a slow writer does; nothing waits for it
        file.write(content[len(content) // 2 :])


def _rename_in(path: Path, content: bytes) -> None:
    hidden = path.with_name(f".{path.name}.new")
    hidden.write_bytes(content)
    durable.rename_noreplace(hidden, path)
