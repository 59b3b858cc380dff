"""Objects with defaults, for tests that care about a few of their fields."""

import itertools
from pathlib import Path
from typing import Any

from daemon.core.job import Job, JobState
from processors.contract import Kind

_numbers = itertools.count(1)


def make_job(**fields: Any) -> Job:
    number = next(_numbers)
    defaults = {
        "id": f"{number:08x}-0000-4000-8000-000000000000",
        "name": f"file{number}.txt",
        "folder": "",
        "kind": Kind.TEXT,
        "media_type": "text/plain",
        "recipe": "count",
        "state": JobState.QUEUED,
        "inode": number,
        "size_bytes": 5,
        "mtime_ns": 1,
        "sha256": "0" * 64,
        "received_at": 1_000_000 * number,
    }
    return Job(**{**defaults, **fields})


def write_file(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
