"""Random trees of files and sidecars, with any names and any bytes, and a daemon that measures the iterations of its
own main loop.

Run as a program, it is that daemon; with a second argument, a broken one for the negative controls.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from detection_rig import WatchedPlace
from hypothesis import strategies as st
from sandbox import wait_for

from daemon.core.errors import NotRunning

MAX_TURN_SECONDS = 2.0
_TOML = """
    [inbox]
    text = "count"
    settle_seconds = 0.05
    [inbox.folders.marked]
    wait_for_done = true
    [recipes.count]
    processor = "plaintext"
    max_batch = 32
    [schedule]
    rescan = "500ms"
"""
_KEPT_TREES = 20  # trees kept behind the newest, so that the inbox does not grow without limit
_SUFFIXES = (b"", b".txt", b".toml", b".prompt", b".password", b".done")


# ---------------------------------------------------------------------------------------- trees of files

_long_values = st.sampled_from(
    [
        b"9" * 5000,
        b"0x" + b"f" * 5000,
        b"[" * 60_000,
        b"{a=" * 20_000,
        b"[" * 900 + b"]" * 900,
        b"{a=" * 300 + b"1" + b"}" * 300,
        b'"' + b"x" * 60_000 + b'"',
        b'"""' + b'\\"' * 30_000,
        b"[" + b"1," * 30_000 + b"]",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"18446744073709551616",
        b"1e999",
        b"nan",
        b"-inf",
        b"2024-01-01",
        b"2024-13-45",
        b"23:59:59.999999999999",
        b"9999-12-31T23:59:59Z",
        b'"\\u0000"',
        b'"\\ud800"',
        b"true",
        b"''",
        b"1000001",
        b"[[]]",
        b"{}",
    ]
)
_keys = st.sampled_from(
    [b"priority", b"recipe", b"image", b"audio", b"text", b"language", b"upper", b"a.b", b"a." * 30_000 + b"a", b'""']
)
_values = _long_values | st.integers().map(lambda number: b"%d" % number) | st.binary(max_size=20)
_tables = st.lists(st.tuples(_keys, _values), max_size=3).map(
    lambda pairs: b"\n".join(b"%b = %b" % pair for pair in pairs)
)
_good_tables = st.sampled_from([b"", b'recipe = "count"', b"upper = true\npriority = 3", b'text = ""'])
_contents = (
    st.binary(max_size=64)
    | _tables
    | _tables
    | _good_tables
    | st.sampled_from([b"text", bytes(5_000), bytes(70_000), b"#" * 70_000, b"x" * 4096, b"x" * 65536, b"x" * 65537])
)
_plain_names = st.sampled_from([b"a", b"b", b"caf\xe9", b"\xff\xfe", b"new\nline", b"\x1b[2J", b"...", b" ", b"-rf"])
_names = _plain_names | st.binary(min_size=1, max_size=12) | st.sampled_from([b"l" * 255, b"m" * 249, b"\xe9" * 248])


def _is_a_name(name: bytes) -> bool:
    return 0 < len(name) <= 255 and name not in (b".", b"..") and b"/" not in name and b"\0" not in name


_files = st.builds(lambda name, suffix: name + suffix, _names, st.sampled_from(_SUFFIXES)).filter(_is_a_name)
_folders = st.lists(_names.filter(lambda name: _is_a_name(name) and not name.startswith(b".")), max_size=3)


@st.composite
def _groups(draw: st.DrawFn) -> dict[bytes, bytes]:
    """A file with its sidecars, and options files of its folders."""
    folders = draw(_folders)
    name = draw(_names.filter(lambda name: _is_a_name(name) and len(name) < 240))
    where = b"".join(folder + b"/" for folder in folders)
    group = {where + name: draw(st.sampled_from([b"words", b"", b"\0\1\2"]))}
    for suffix in draw(st.sets(st.sampled_from(_SUFFIXES[2:]), max_size=3)):
        group[where + name + suffix] = draw(_contents)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(folders)))
        group[b"".join(folder + b"/" for folder in folders[:at]) + b".inboxd.toml"] = draw(_contents)
    return group


@st.composite
def trees(draw: st.DrawFn) -> dict[bytes, bytes]:
    """Some groups, and files of any names: path -> content."""
    tree: dict[bytes, bytes] = {}
    for group in draw(st.lists(_groups(), min_size=1, max_size=3)):
        tree |= group
    return tree | draw(st.dictionaries(_files, _contents, max_size=2))


# ---------------------------------------------------------------------------------------- the place


class Sidecars(WatchedPlace):
    """A place into which one tree after another is dropped, each with a harmless file beside it."""

    def __init__(self, home: Path):
        super().__init__(home, _TOML)
        self.trees = 0
        self.files = 0
        self._turns: list[dict[str, float]] = []  # of daemons that have ended

    def begin(self, *, broken: str = "") -> subprocess.Popen:
        self._collect_turns()
        environment = {"PYTHONFAULTHANDLER": "1", "TURNS": str(self.home / "turns"), "BROKEN": broken}
        self.daemon = super().start(program=[__file__], **environment)
        return self.daemon

    def throw(self, tree: Mapping[bytes, bytes], *, deadline: float = 60.0) -> None:
        """Rename a tree and a harmless file into the inbox. A running daemon must take the file."""
        self.trees += 1
        folder = self.elsewhere / f"{self.trees}"
        folder.mkdir()
        for path, content in tree.items():
            if _write(os.fsencode(folder) + b"/" + path, content):
                self.files += 1
        place = self.inbox / ("marked" if self.trees % 10 == 0 else ".")
        place.mkdir(exist_ok=True)
        folder.rename(place / folder.name)
        harmless = self.drop(f"harmless-{self.trees}.txt", "harmless")

        def is_taken() -> bool:
            assert self.daemon.poll() is None, self.log()[-3000:]
            return not harmless.exists()

        wait_for(is_taken, "the harmless file to be taken", deadline)
        for name in (f"{self.trees - _KEPT_TREES}", f"marked/{self.trees - _KEPT_TREES}"):
            shutil.rmtree(self.inbox / name, ignore_errors=True)

    def end(self) -> None:
        """Let the daemon finish its work and stop; add its measured iterations to the others."""
        wait_for(lambda: self._is_at_rest(), "the end of all jobs", 600.0)
        self.daemon.send_signal(signal.SIGTERM)
        assert self.daemon.wait(60) == 0, self.log()[-3000:]
        self._collect_turns()

    def _collect_turns(self) -> None:
        path = self.home / "turns"
        if path.exists():
            self._turns.append(json.loads(path.read_text()))
            path.unlink()

    def _is_at_rest(self) -> bool:
        assert self.daemon.poll() is None, self.log()[-3000:]
        try:
            jobs = self.status().get("jobs")
        except NotRunning:
            return False
        # None: the loop did not reply in time
        return jobs is not None and not any(jobs.get(state) for state in ("queued", "running", "publishing"))

    def check(self, max_turn_seconds: float = MAX_TURN_SECONDS) -> dict[str, float]:
        """Check that all harmless files are done, `verify` and the log report no error, and no iteration took long.

        Return the longest iterations in seconds, by `cpu` and `wall`.
        """
        rows = self.rows("SELECT file, state FROM job_log WHERE file LIKE 'harmless-%'")
        assert {row["file"] for row in rows if row["state"] == "done"} == {
            f"harmless-{number}.txt" for number in range(1, self.trees + 1)
        }
        assert len(rows) == self.trees
        self.verify()
        assert "Traceback" not in self.log(), self.log()[-5000:]
        longest = {name: max(turns[name] for turns in self._turns) for name in ("cpu", "wall")}
        # of CPU time, because a busy machine may halt this process for any time
        assert longest["cpu"] <= max_turn_seconds, f"an iteration of the loop took {longest['cpu']:.1f} s"
        return longest


def _write(path: bytes, content: bytes) -> bool:
    """Write a file. False: the name, or a part of the path, already exists as something else."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:  # noqa: PTH123 - pathlib knows no bytes
            file.write(content)
    except OSError:
        return False
    return True


def _measure_turns(path: Path) -> None:
    """Write the longest iteration of the main loop to `path`, in seconds: CPU time of its thread, and wall time."""
    from daemon.server.backlog import Backlog

    longest = {"cpu": 0.0, "wall": 0.0}
    collect = Backlog.collect
    begun: list[tuple[float, float]] = []

    def measured(self: Backlog, *, wait: float) -> None:
        if begun:
            cpu, wall = begun.pop()
            turn = {"cpu": time.thread_time() - cpu, "wall": time.monotonic() - wall}
            if any(turn[name] > longest[name] for name in turn):
                longest.update({name: max(longest[name], turn[name]) for name in turn})
                path.with_suffix(".new").write_text(json.dumps(longest))  # immediately: the daemon may be killed next
                path.with_suffix(".new").rename(path)
        collect(self, wait=wait)
        begun.append((time.thread_time(), time.monotonic()))

    Backlog.collect = measured


def _break(how: str) -> None:
    from daemon.config import toml
    from daemon.core import regular_files
    from daemon.intake import describer, prerequisites

    match how:
        case "toml-is-not-scanned":
            toml._check_depth = lambda text: None
        case "sidecars-have-no-limit":
            for module in (describer, prerequisites):
                module.MAX_SIDECAR_BYTES = dict.fromkeys(module.MAX_SIDECAR_BYTES, 1 << 60)
            describer.Describer._read_sidecar = lambda self, sidecar, limit: regular_files.sha256_of(sidecar).encode()


if __name__ == "__main__":
    _measure_turns(Path(os.environ["TURNS"]))
    _break(os.environ["BROKEN"])
    from daemon.cli.main import main

    main()
