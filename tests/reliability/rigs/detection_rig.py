"""Writers in processes of their own, and a daemon that watches the inbox: every file must be processed once, complete.

Run as a program, it is such a daemon with one part broken, for the negative controls.
"""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sandbox import DEADLINE, Place, wait_for

from daemon.server import control_socket

TOML = """
    [inbox]
    text = "count"
    settle_seconds = 0.3
    [inbox.folders.retried]
    text = "misbehave"
    [recipes.count]
    processor = "plaintext"
    max_batch = 16
    [recipes.misbehave]
    processor = "fakes.misbehaving"
    [retry]
    backoff = "50ms"
    [schedule]
    rescan = "1h"
"""
BUSY = """
    [inbox]
    text = "misbehave"
    settle_seconds = 0.3
    [recipes.misbehave]
    processor = "fakes.misbehaving"
    timeout = "1h"
    [workers]
    stop_seconds = 0
    [schedule]
    rescan = "1h"
"""
_ENDS = ("done", "failed", "cancelled")

_INBOXD = ("-m", "daemon.cli")


class WatchedPlace(Place):
    """A place whose daemon must detect every file by its events: with `TOML`, the periodic rescan never runs."""

    def __init__(self, home: Path, toml: str = TOML):
        super().__init__(home, toml)
        self.elsewhere = home / "elsewhere"  # on the file system of the inbox; the daemon does not watch it
        self.elsewhere.mkdir()
        self.pid = 0

    def start(
        self,
        *,
        inside: Iterable[str] = (),
        program: Iterable[str] = _INBOXD,
        sabotage: str = "",
        **environment: str,
    ) -> subprocess.Popen:
        """Start a daemon in the background, and wait until it is ready. inside: a command that runs it ("unshare
        --user")."""
        if sabotage:
            program = [__file__, sabotage]
        if not inside and program == _INBOXD and not environment:
            daemon = super().start()
        else:
            with (self.home / "daemon.log").open("ab") as log:
                daemon = subprocess.Popen(
                    [*inside, sys.executable, *program, "run", "--config", str(self.config)],
                    cwd=self.home,
                    env={**self.environment(), **environment},
                    stdout=log,
                    stderr=log,
                )
            self.adopt(daemon)
            self.wait_until_ready(daemon)
        self.pid = self.status()["pid"]
        return daemon

    def status(self) -> dict[str, Any]:
        return control_socket.ask(self.settings().socket, "status")

    def stop(self, daemon: subprocess.Popen) -> None:
        """Stop it; it must be the process that was started, and must have logged no error."""
        assert daemon.poll() is None, self.log()
        assert self.status()["pid"] == self.pid
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(DEADLINE) == 0
        assert " ERROR " not in self.log(), self.log()

    def folder(self, name: str) -> Path:
        folder = self.inbox / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def rows_in(self, folder: str) -> list[dict[str, Any]]:
        """The rows of the files in this folder of the inbox and below it."""
        return [row for row in self.rows() if f"{row['file']}/".startswith(f"{folder}/")]

    def expect(self, folder: str, files: Mapping[str, bytes], deadline: float = DEADLINE) -> list[dict[str, Any]]:
        """The rows of a folder, once all of `files` (path: content) have ended: each once, complete, and no others."""
        awaited = {f"{folder}/{file}" for file in files}

        def have_ended() -> bool:
            return awaited <= {row["file"] for row in self.rows_in(folder) if row["state"] in _ENDS}

        wait_for(have_ended, f"the end of {len(files)} files in {folder}", deadline)
        rows = self.rows_in(folder)
        assert Counter(row["file"] for row in rows) == Counter(awaited)
        for row in rows:
            assert self.original(row) == files[row["file"].removeprefix(f"{folder}/")], row
        return rows

    def original(self, row: Mapping[str, Any]) -> bytes:
        """Return the content of the original in a result."""
        result = self.outbox / row["result_path"]
        document = result / ("result.json" if row["state"] == "done" else "error.json")
        return (result / json.loads(document.read_text())["original"]["path"]).read_bytes()

    def let_settle(self, times: int = 2) -> None:
        """Wait until unchanged files have settled. A hard link, which causes no event that it is complete, must settle,
        too: once it is taken, each file that was unchanged before it was made has been taken or never will be."""
        for _ in range(times):
            name = f"{uuid.uuid4().hex}.txt"
            (self.elsewhere / name).write_text("fine")
            (self.folder("markers") / name).hardlink_to(self.elsewhere / name)
            wait_for(lambda name=name: self.row(f"markers/{name}"), "a marker's row")


_WRITER = """
import json, mmap, os, shutil, sys
for line in sys.stdin:
    exec(json.loads(line), globals())
    print(flush=True)
"""


class Writer:
    """Another process, which executes lines of Python in its working directory."""

    def __init__(self, folder: Path):
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _WRITER], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def do(self, code: str) -> None:
        """Execute the lines; return when they are done."""
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "\n", f"the writer failed at: {code}"


def check_stalled_upload(place: WatchedPlace) -> None:
    """A file is not taken while its writer has it open, however long the writer writes nothing."""
    with Writer(place.folder("stalled")) as writer:
        writer.do("file = open('upload.txt', 'w'); file.write('the first half, '); file.flush()")
        place.let_settle()
        assert place.row("stalled/upload.txt") is None, "it was taken while a writer had it open"
        writer.do("file.write('and the second'); file.close()")
    place.expect("stalled", {"upload.txt": b"the first half, and the second"})


def check_overflow(place: WatchedPlace, daemon: subprocess.Popen, deadline: float = DEADLINE) -> None:
    """Check that files that arrived while the kernel's event queue was full are still found."""
    folder = place.folder("overflow")
    place.let_settle(times=1)  # the folder is watched
    daemon.send_signal(signal.SIGSTOP)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    try:
        for number in range(
            limit + 4000
        ):  # the reading thread may have read some events; two equal ones in a row count as one
            os.close(os.open(folder / f".{number % 2}", os.O_WRONLY | os.O_CREAT))
        (place.elsewhere / "lost.txt").write_text("the lost events were not reported")
        (place.elsewhere / "lost.txt").rename(folder / "lost.txt")
    finally:
        daemon.send_signal(signal.SIGCONT)
    place.expect("overflow", {"lost.txt": b"the lost events were not reported"}, deadline)
    assert "inotify lost events" in place.log()


def _sabotage(name: str) -> None:
    from daemon.core import regular_files
    from daemon.intake import watcher

    match name:
        case "writers-are-not-asked":
            regular_files.writer_has = lambda path, folder=None: False
        case "lost-events-are-not-reported":
            watcher.Watcher.on_queue_overflow = lambda self: None


if __name__ == "__main__":
    _sabotage(sys.argv.pop(1))
    from daemon.cli.main import main

    main()
