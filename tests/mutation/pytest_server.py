"""Runs pytest for `rig` in forks of a process that has imported what the tests need, except the code of inboxd.

Reads a line of JSON for each run: the arguments, and the file for the output. Answers with a line for the process ID of
the run, and one for its exit status.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

_LIBRARIES = ("hypothesis", "pydantic", "rich.console", "rich.table", "sqlalchemy", "typer", "prometheus_client", "PIL")


def main() -> None:
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):  # it is only slower without
            importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(request["arguments"], request["output"], request["environment"])
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _run(arguments: Sequence[str], output: str, environment: dict[str, str]) -> None:
    status: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        with Path(output).open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.setsid()
        os.environ.update(environment)
        status = pytest.main(list(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(int(status))


if __name__ == "__main__":
    main()
