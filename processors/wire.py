"""The wire between the daemon and its workers: JSON lines. No I/O.

Daemon to worker: Load, then Batch after Batch; closing stdin asks the worker to end. Worker to daemon: WorkerLoaded or
LoadFailed; WorkProgress, WorkFinished and WorkFailed for a batch, then BatchDone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from processors.base import FailureKind, Kind, RecipeOptions, Work, WorkProgress


@dataclass(frozen=True, kw_only=True)
class Load:
    options: dict[str, Any]  # Options.load_options()
    models: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    works: list[dict[str, Any]]  # see work_to_wire


@dataclass(frozen=True, kw_only=True)
class WorkerLoaded:
    engine: str
    model: str
    device: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class LoadFailed:
    kind: FailureKind
    message: str


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    name: str  # relative to the attempt's folder
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class WorkFinished:
    job: str
    attempt: int
    files: list[dict[str, Any]]  # OutputFile, already fsynced by the worker
    excerpt: str
    review: list[str]
    pages: int | None
    media_seconds: float | None
    details: dict[str, Any]
    seconds: float  # of this job, or its share of the batch


@dataclass(frozen=True, kw_only=True)
class WorkFailed:
    job: str
    attempt: int
    kind: FailureKind
    message: str
    trace: str = ""  # for the log, not for the person


@dataclass(frozen=True, kw_only=True)
class BatchDone:
    pass


_MESSAGES = {
    cls.__name__: cls
    for cls in (Load, Batch, WorkerLoaded, LoadFailed, WorkProgress, WorkFinished, WorkFailed, BatchDone)
}


def encode(message: Any) -> bytes:
    """One message as one line."""
    return json.dumps({"type": type(message).__name__, **asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Any:
    """The message of a line.

    Raises:
        ValueError: the line is no message of ours.
    """
    try:
        fields = json.loads(line)
        return _MESSAGES[fields.pop("type")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message: {line[:200]!r}") from error


def work_to_wire(work: Work) -> dict[str, Any]:
    """A JSON-ready form of `work`; non-UTF-8 path bytes survive as surrogate escapes."""
    return {
        **{name: getattr(work, name) for name in ("job", "attempt", "kind", "media_type", "stem", "recipe")},
        "source": str(work.source),
        "outputs": str(work.outputs),
        "options": work.options.model_dump(mode="json"),
        "sidecars": {name: str(path) for name, path in work.sidecars.items()},
    }


def work_from_wire(fields: Mapping[str, Any], recipe: type[RecipeOptions]) -> Work:
    """The inverse of `work_to_wire`; validates the options again with the processor's own class."""
    return Work(
        **{name: fields[name] for name in ("job", "attempt", "media_type", "stem", "recipe")},
        kind=Kind(fields["kind"]),
        source=Path(fields["source"]),
        outputs=Path(fields["outputs"]),
        options=recipe.model_validate(fields["options"]),
        sidecars={name: Path(path) for name, path in fields["sidecars"].items()},
    )
