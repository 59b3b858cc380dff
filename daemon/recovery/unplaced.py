"""Failures of the last recovery: a small file in the state folder for `verify` and `doctor`, which also work while no
daemon is running. It exists only if recovery failed on a job.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from daemon.core import durable

_NAME = "unplaced.json"


def write(state: Path, unplaced: Mapping[str, str]) -> None:
    """Record why recovery failed, by job id; an empty `unplaced` removes the record.

    Raises:
        OSError: it cannot be written now.
    """
    path = state / _NAME
    path.unlink(missing_ok=True)
    if unplaced:
        durable.write_file(path, json.dumps(unplaced, indent=1).encode())


def read(state: Path) -> dict[str, str]:
    """Read the record of the last start; empty if it is missing or unreadable."""
    try:
        unplaced = json.loads((state / _NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(job): str(why) for job, why in unplaced.items()} if isinstance(unplaced, dict) else {}
