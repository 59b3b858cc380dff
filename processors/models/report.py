"""The output of `inboxd models`, as text or as JSON lines."""

import json
import sys

_REPORT_SHARE = 0.1  # without a terminal: one line per this share of the total
_REPORT_BYTES = 50_000_000  # or per this many bytes, if the total is unknown


class Report:
    """The output of the command, as text or as JSON lines."""

    def __init__(self, as_json: bool):
        self._as_json = as_json
        self._rewrites = sys.stderr.isatty()
        self._reported: float | None = None  # bytes at the last line about progress

    def progress(self, name: str, done: float, total: float | None, unit: str) -> None:
        if self._as_json:
            self._object("progress", name=name, done=done, total=total, unit=unit)
            return
        step = total * _REPORT_SHARE if total else _REPORT_BYTES
        is_last = total is not None and done >= total
        if (
            self._rewrites
            or self._reported is None
            or done - self._reported >= step
            or (is_last and self._reported < done)
        ):
            self._reported = done
            share = f"{megabytes(done)} of {megabytes(total)} ({done / total:.0%})" if total else megabytes(done)
            sys.stderr.write(f"\r{name}: {share}\x1b[K" if self._rewrites else f"{name}: {share}\n")
            sys.stderr.flush()

    def line(self, event: str, text: str, **fields: object) -> None:
        """Print one line about something done or found."""
        self._end_rewriting()
        if self._as_json:
            self._object(event, **fields)
        else:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def relay(self, node: str, line: str, is_error: bool) -> None:
        """Print a line that the program printed on a node; "": a message about all nodes."""
        self._end_rewriting()
        if is_error or not self._as_json:
            (sys.stderr if is_error else sys.stdout).write(f"{node}: {line}\n" if node else f"{line}\n")
        else:
            sys.stdout.write(json.dumps({**json.loads(line), "node": node}) + "\n")
        sys.stdout.flush()

    def error(self, message: str, exit_code: int) -> int:
        self._end_rewriting()
        if self._as_json:
            self._object("error", message=message, exit_code=exit_code)
        else:
            sys.stderr.write(f"{message}\n")
        return exit_code

    def _object(self, event: str, **fields: object) -> None:
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()

    def _end_rewriting(self) -> None:
        if self._rewrites and self._reported is not None:
            sys.stderr.write("\n")
            self._reported = None


def megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB"
