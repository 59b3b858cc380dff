"""What the last start could not put right, and why: a small file in the state folder, for `verify` and `doctor`, which
also look while no daemon runs. It is there only if there is something to say.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from daemon import durable

_NAME = "unplaced.json"


def write(state: Path, unplaced: Mapping[str, str]) -> None:
    """Record why jobs, by id, could not be put right; an empty `unplaced` removes the record.

    Raises:
        OSError: it cannot be written now.
    """
    path = state / _NAME
    path.unlink(missing_ok=True)
    if unplaced:
        durable.write_file(path, json.dumps(unplaced, indent=1).encode())


def read(state: Path) -> dict[str, str]:
    """The record of the last start; empty if there is none that can be read."""
    try:
        unplaced = json.loads((state / _NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(job): str(why) for job, why in unplaced.items()} if isinstance(unplaced, dict) else {}
