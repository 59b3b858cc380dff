"""The process of a step's processor: another worker, which speaks the same protocol."""

import contextlib
import select
import subprocess
import sys
import time
from collections.abc import Callable

from processors import protocol
from processors.contract import Failed, FailureKind, Step, Work, WorkProgress
from processors.line_reader import LineReader

_PULSE_SECONDS = 1.0
_EXIT_SECONDS = 10.0


class ChildWorker:
    """One processor in a child process, which serves one work at a time.

    It dies with the thread that created it (prctl(2), PR_SET_PDEATHSIG), so create it in a thread that stays.
    """

    def __init__(self, step: Step, models: str):
        """
        Raises:
            OSError: the process cannot be started.
        """
        self._step = step
        self.loaded: protocol.WorkerLoaded | None = None
        self._process = subprocess.Popen(
            [step.python or sys.executable, "-P", "-m", "processors.worker", step.processor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdout is not None
        self._lines = LineReader(self._process.stdout.fileno())
        self._send(protocol.Load(options=dict(step.options), models=models))

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def run(self, work: Work, pulse: Callable[[WorkProgress | None], None]) -> protocol.WorkFinished | Failed:
        """Process `work`; its outputs are durable. `pulse` is called about once a second, with progress if there is."""
        if self.loaded is None:
            loaded = self._wait_for((protocol.WorkerLoaded, protocol.LoadFailed), pulse)
            if isinstance(loaded, Failed):
                return loaded
            if isinstance(loaded, protocol.LoadFailed):
                return Failed(kind=loaded.kind, message=loaded.message)
            assert isinstance(loaded, protocol.WorkerLoaded)
            self.loaded = loaded
        self._send(protocol.Batch(works=[protocol.work_to_wire(work)]))
        outcome = self._wait_for((protocol.WorkFinished, protocol.WorkFailed), pulse)
        if not isinstance(outcome, Failed):
            self._wait_for((protocol.BatchDone,), pulse)
        if isinstance(outcome, protocol.WorkFailed):
            return Failed(kind=outcome.kind, message=outcome.message)
        assert isinstance(outcome, protocol.WorkFinished | Failed)
        return outcome

    def close(self) -> None:
        """End the process: in order if it is idle."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()

    def _send(self, message: protocol.Message) -> None:
        assert self._process.stdin is not None
        rest = memoryview(protocol.encode(message))
        with contextlib.suppress(BrokenPipeError):  # it has exited, which the next read reports
            while rest:
                rest = rest[self._process.stdin.write(rest) or 0 :]

    def _wait_for(
        self, kinds: tuple[type[protocol.Message], ...], pulse: Callable[[WorkProgress | None], None]
    ) -> protocol.Message | Failed:
        """The next message of one of `kinds`, or the failure if the process exits or makes no progress."""
        assert self._process.stdout is not None
        last = time.monotonic()
        while time.monotonic() - last < self._step.timeout:
            readable, _, _ = select.select([self._process.stdout], [], [], _PULSE_SECONDS)
            has_exited = self._process.poll() is not None
            while (line := self._lines.next(wait=False)) is not None:
                last = time.monotonic()
                message = protocol.decode(line)
                if isinstance(message, kinds):
                    return message
                pulse(message if isinstance(message, WorkProgress) else None)
            if has_exited and readable:
                return Failed(kind=FailureKind.CRASHED, message=self._describe_exit())
            pulse(None)
        self._process.kill()
        self._process.wait()  # or else it may still seem alive
        return Failed(
            kind=FailureKind.TIMEOUT,
            message=f"There was no progress for {self._step.timeout:g} seconds, so its process was killed.",
        )

    def _describe_exit(self) -> str:
        status = self._process.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
        return f"The process of {self._step.processor} {how}. See the log (journalctl -u inboxd)."
