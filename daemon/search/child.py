"""Starts `update` in a separate process, because it reads every result, and must not delay other requests."""

import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import daemon

if TYPE_CHECKING:
    from daemon.results.result_files import Folders

log = logging.getLogger(__name__)

_ROOT = Path(daemon.__file__).parents[1]  # where the package `daemon` is found
_SWEEP_SECONDS = 3600.0

Task = Literal["update", "sweep"]


def command(task: Task, folders: "Folders") -> Sequence[str]:
    return (sys.executable, "-P", "-m", "daemon.search.update", task, str(folders.state), str(folders.outbox))


def environment() -> Mapping[str, str]:
    return {"PYTHONPATH": str(_ROOT), "PATH": os.environ.get("PATH", "")}


def sweep(folders: "Folders") -> None:
    """Remove what no longer exists from the index, and log a failure. May take minutes: call it in a thread."""
    try:
        done = subprocess.run(
            command("sweep", folders),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SWEEP_SECONDS,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("Results that were removed are still in the search index: %s", error)
        return
    if done.returncode:
        log.warning("Results that were removed are still in the search index: %s", done.stderr.strip()[-500:])
