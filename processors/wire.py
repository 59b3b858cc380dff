"""The wire between the daemon and its workers: JSON lines. No I/O.

Daemon to worker: Load, then Batch after Batch; closing stdin asks the worker to end. Worker to daemon: WorkerLoaded or
LoadFailed; WorkProgress, WorkFinished and WorkFailed for a batch, then BatchDone. A worker that said `joins` may be
sent a Batch before the last is done; there is one BatchDone for each.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter

from processors import wellformed
from processors.base import FailureKind, Kind, RecipeOptions, Work, WorkProgress

LINE_BYTES = 16 * 1024 * 1024  # a longer line is no message
_WORDS = 4000  # characters of a text for people

# What a worker's library hands on may be half a character, or a novel: the job log and result.json hold neither.
Words = Annotated[str, BeforeValidator(lambda text: cut(text) if isinstance(text, str) else text)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**63)]  # as SQLite holds it


@dataclass(frozen=True, kw_only=True)
class Load:
    options: dict[str, Any]  # Options.load_options()
    models: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    works: list[dict[str, Any]]  # see work_to_wire


@dataclass(frozen=True, kw_only=True)
class WorkerLoaded:
    engine: Words
    model: Words
    device: Words
    seconds: Seconds
    joins: bool = False  # see base.Loaded


@dataclass(frozen=True, kw_only=True)
class LoadFailed:
    kind: FailureKind
    message: Words


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    name: str  # relative to the attempt's folder
    sha256: str
    size_bytes: int


def output_file(fields: Any) -> dict[str, Any]:
    """Check the fields of an OutputFile and return them. Its name may contain bytes that are not UTF-8, as surrogates,
    which pydantic's own `str` refuses.

    Raises:
        ValueError: they are not those of a file in the attempt's folder.
    """
    expected = {"name": str, "sha256": str, "size_bytes": int}
    if not isinstance(fields, dict) or {key: type(value) for key, value in fields.items()} != expected:
        raise ValueError("is no OutputFile")
    path = PurePath(fields["name"])
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in fields["name"]:
        raise ValueError("is no file in the attempt's folder")
    return fields


@dataclass(frozen=True, kw_only=True)
class WorkFinished:
    job: str
    attempt: int
    files: list[Annotated[Any, BeforeValidator(output_file)]]  # OutputFile as dict, fsynced by the worker
    excerpt: Words
    review: list[Words]
    pages: Count | None
    media_seconds: Seconds | None
    details: dict[str, Any]
    seconds: Seconds  # of this job, or its share of the batch


@dataclass(frozen=True, kw_only=True)
class WorkFailed:
    job: str
    attempt: int
    kind: FailureKind
    message: Words
    trace: Words = ""  # for the log, not for the person
    is_its_own: bool = False  # no other job of the batch can be the cause


@dataclass(frozen=True, kw_only=True)
class BatchDone:
    pass


_MESSAGES = {
    cls.__name__: TypeAdapter(cls)
    for cls in (Load, Batch, WorkerLoaded, LoadFailed, WorkProgress, WorkFinished, WorkFailed, BatchDone)
}


def encode(message: Any) -> bytes:
    """One message as one line."""
    fields = wellformed.finite({"type": type(message).__name__, **asdict(message)})
    return json.dumps(fields, allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Any:
    """The message of a line.

    Raises:
        ValueError: the line is no message of ours.
    """
    try:
        fields = json.loads(line, parse_constant=lambda _: None, parse_float=_float)  # NaN is no JSON
        return _MESSAGES[fields.pop("type")].validate_python(fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a message: {line[:200]!r}") from error


def _float(digits: str) -> float | None:
    """Parse a number; None if it overflows a float, which would be written as Infinity."""
    return number if math.isfinite(number := float(digits)) else None


def cut(text: str) -> str:
    """A text for people, as valid Unicode of a bounded length."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _WORDS else f"{text[:_WORDS]} …"


def work_to_wire(work: Work) -> dict[str, Any]:
    """A JSON-ready form of `work`; non-UTF-8 path bytes survive as surrogate escapes."""
    return {
        **{name: getattr(work, name) for name in ("job", "attempt", "kind", "media_type", "stem", "recipe")},
        "source": str(work.source),
        "outputs": str(work.outputs),
        "kept": None if work.kept is None else str(work.kept),
        "options": work.options.model_dump(mode="json"),
        "sidecars": {name: str(path) for name, path in work.sidecars.items()},
    }


def work_from_wire(fields: Mapping[str, Any], recipe: type[RecipeOptions]) -> Work:
    """The inverse of `work_to_wire`; validates the options again with the processor's own class.

    A path that leads through an inherited descriptor (/proc/self/fd/N/…) becomes one that programs started by this
    process can open as well.
    """
    return Work(
        **{name: fields[name] for name in ("job", "attempt", "media_type", "stem", "recipe")},
        kind=Kind(fields["kind"]),
        source=_for_children(fields["source"]),
        outputs=_for_children(fields["outputs"]),
        kept=None if fields["kept"] is None else Path(fields["kept"]),
        options=recipe.model_validate(fields["options"]),
        sidecars={name: _for_children(path) for name, path in fields["sidecars"].items()},
    )


def _for_children(path: str) -> Path:
    return Path(path.replace("/proc/self/", f"/proc/{os.getpid()}/", 1) if path.startswith("/proc/self/") else path)
