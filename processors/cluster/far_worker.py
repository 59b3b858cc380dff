"""Runs the child process of a far half, usually a worker: writes lines to it, and reports its lines, log and exit."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from processors import memory

_ROOT = Path(__file__).parents[2]  # where the package `processors` is found
_START_SECONDS = 20.0
_STDERR_BYTES = 64 * 1024  # passed on at once
_EXIT_SECONDS = 5.0  # for its output to end, once the process has; a grandchild may hold the pipes open


class FarWorker:
    """The child process. Its threads call `on_line` with a line of stdout, `on_log` with a part of stderr, and finally
    `on_exit` with the exit status (negative: the signal that killed it) and whether it ran out of memory.
    """

    def __init__(
        self,
        on_line: Callable[[bytes], None],
        on_log: Callable[[bytes], None],
        on_exit: Callable[[int, bool], None],
    ):
        self._on_line, self._on_log, self._on_exit = on_line, on_log, on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        self._is_started = threading.Event()
        self._writing = threading.Lock()

    def start(
        self, module: list[str], python: str | None, environment: dict[str, str], memory_max: str, folder: str
    ) -> None:
        """Start the process.

        module: the Python module to run, and its arguments. python: the interpreter; None: this one. memory_max: the
        option of the processor; a percentage refers to this node's memory. folder: the working folder, if it exists
        here.

        Raises:
            OSError: the process could not be started.
        """
        command = [python or sys.executable, "-P", "-m", *module]
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        limit = memory.limit_bytes(memory_max)
        arguments = (command, {**os.environ, **environment, "PYTHONPATH": path}, limit, folder)
        # the worker asks the kernel to end it with the thread that started it (PR_SET_PDEATHSIG), so that one waits
        threading.Thread(target=self._run, args=arguments, name="worker", daemon=True).start()
        if not self._is_started.wait(_START_SECONDS):
            raise OSError(f"the process did not start within {_START_SECONDS:g} s")
        if self._error is not None:
            raise self._error

    def write(self, line: bytes) -> None:
        """Write a line to the process. If the process is gone, do nothing: its exit is reported."""
        assert self._process is not None and self._process.stdin is not None
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def close(self) -> None:
        """Close the stdin of the process, so that it exits after its current work."""
        if self._process is not None and self._process.stdin is not None:
            with self._writing, contextlib.suppress(OSError):
                self._process.stdin.close()

    def kill(self) -> None:
        """Kill the process and its group."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _run(self, command: list[str], environment: dict[str, str], limit: int, folder: str) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=folder if Path(folder).is_dir() else None,
                start_new_session=True,
            )
        except OSError as error:
            self._error = error
            return
        finally:
            self._is_started.set()
        process = self._process
        readers = [
            threading.Thread(target=self._read_lines, args=(process,), daemon=True),
            threading.Thread(target=self._read_log, args=(process,), daemon=True),
        ]
        for reader in readers:
            reader.start()
        is_out_of_memory = self._wait(process, limit)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # its descendants; not reaped, so no other group has its number
        for reader in readers:
            reader.join(_EXIT_SECONDS)
        self._on_exit(process.wait(), is_out_of_memory)

    def _wait(self, process: subprocess.Popen[bytes], limit: int) -> bool:
        """Wait for the exit; kill the process if it uses more than `limit` bytes of memory. True if memory ran out."""
        monitor, is_too_large = memory.MemoryMonitor(limit), False
        pidfd = os.pidfd_open(process.pid)
        try:
            while not select.select([pidfd], [], [], max(0.0, (monitor.next_check or 0.0) - time.monotonic()))[0]:
                if monitor.check(process.pid, time.monotonic()):
                    is_too_large = True
                    self.kill()
        finally:
            os.close(pidfd)
        facts = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        was_killed = facts is not None and facts.si_status == signal.SIGKILL
        return is_too_large or (was_killed and monitor.has_kernel_killed())

    def _read_lines(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._on_line(line)

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        while chunk := os.read(process.stderr.fileno(), _STDERR_BYTES):
            self._on_log(chunk)
