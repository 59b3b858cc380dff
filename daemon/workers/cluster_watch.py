"""Watches the Ray cluster: a child process (`processors.cluster.watch`) reports its living nodes, because the daemon
itself never imports Ray. This module posts changes, and restarts the child if it exits or stops reporting.
"""

import contextlib
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from daemon.config.schema import ClusterTable
from daemon.config.settings import Settings
from daemon.core.messages import ClusterChanged
from processors import contract
from processors.cluster.nodes import Node, decode_report
from processors.line_reader import LineReader

log = logging.getLogger(__name__)

_ROOT = Path(contract.__file__).parents[1]  # where the package `processors` is found
_SILENCE_SECONDS = 15.0  # without a report, which normally comes every 2 s, after which the head counts as unavailable
_START_SECONDS = 60.0  # until the first report
_AGAIN_SECONDS = (2.0, 30.0)  # before the child is started again: at first, and at most
_LAST_BYTES = 2000  # of its stderr


class ClusterWatch:
    """Watches the cluster that config.toml names, if it names one. Called by the main thread only."""

    def __init__(self, post: Callable[[ClusterChanged], None]):
        self._post = post
        self._watched: ClusterTable | None = None
        self._thread: _Watcher | None = None

    def apply(self, settings: Settings) -> None:
        """Watch the cluster of these settings instead of the previous one, if it differs."""
        if settings.cluster == self._watched:
            return
        self.stop()
        self._watched = settings.cluster
        if settings.cluster.address:
            token_file = settings.token_file
            self._thread = _Watcher(settings.cluster.address, str(token_file) if token_file else "", self._post)
            self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            self._thread.stop()
            self._thread = self._watched = None


class _Watcher(threading.Thread):
    """A thread that starts the child, reads its reports, and restarts it after it ends."""

    def __init__(self, address: str, token_file: str, post: Callable[[ClusterChanged], None]):
        super().__init__(name="cluster", daemon=True)
        self._arguments = (address, *filter(None, [token_file]))
        self._send = post
        self._wanted = threading.Event()  # that it ends
        self._process: subprocess.Popen[bytes] | None = None
        self._last: ClusterChanged | None = None

    def stop(self) -> None:
        self._wanted.set()
        if (process := self._process) is not None:
            process.kill()

    def run(self) -> None:
        pause = _AGAIN_SECONDS[0]
        while not self._wanted.is_set():
            started = time.monotonic()
            problem = self._watch()
            pause = _AGAIN_SECONDS[0] if time.monotonic() - started > _AGAIN_SECONDS[1] else pause
            self._post((), problem)
            self._wanted.wait(pause)
            pause = min(2 * pause, _AGAIN_SECONDS[1])

    def _watch(self) -> str:
        """Run the child until it ends; return why it ended."""
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        command = [sys.executable, "-P", "-m", "processors.cluster.watch", *self._arguments]
        try:
            process = self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        except OSError as error:
            return f"The process that watches the cluster cannot be started: {error}."
        assert process.stdout is not None and process.stderr is not None
        try:
            return self._read(process) or _last_line(process)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def _read(self, process: "subprocess.Popen[bytes]") -> str:
        """Post the reports of the child until it ends. Return why this thread ended it; "": the child ended itself."""
        assert process.stdout is not None
        lines, limit = LineReader(process.stdout.fileno()), _START_SECONDS
        while not self._wanted.is_set():
            if not select.select([process.stdout], [], [], limit)[0]:
                return f"The head of the cluster has not answered for {limit:g} s."
            if (line := lines.next(wait=True)) is None:
                break
            limit = _SILENCE_SECONDS
            with contextlib.suppress(ValueError):
                self._post(decode_report(line).nodes, "")
        return ""

    def _post(self, nodes: tuple[Node, ...], problem: str) -> None:
        changed = ClusterChanged(nodes=nodes, problem=problem)
        if changed == self._last or self._wanted.is_set():
            return
        self._last = changed
        if problem:
            log.warning("the Ray cluster cannot be used: %s", problem)
        else:
            names = ", ".join(node.name for node in nodes if not node.is_local)
            log.info("nodes of the Ray cluster: %s", names or "none besides this machine")
        self._send(changed)


def _last_line(process: "subprocess.Popen[bytes]") -> str:
    """The last line that the child wrote to stderr, which says why it ended."""
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    process.wait()
    written = b""
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(process.stderr.fileno(), 65536):
            written = (written + chunk)[-_LAST_BYTES:]
    last = written.decode(errors="replace").strip().splitlines()[-1:]
    return last[0] if last else f"The process that watches the cluster ended with status {process.returncode}."
