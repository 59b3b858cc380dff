"""The messages between the daemon and its workers, as JSON lines. No I/O.

Daemon to worker: one Load, then any number of Batch; the daemon closes stdin to end the worker. Worker to daemon:
WorkerLoaded or LoadFailed; for each batch WorkProgress, WorkFinished and WorkFailed, then BatchDone. If
WorkerLoaded has `takes_more_jobs`, the daemon may send a Batch before the previous one is done; each gets its own
BatchDone.
"""

import functools
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any, BinaryIO, cast, get_args, overload

from pydantic import BeforeValidator, Field, PlainValidator, TypeAdapter
from typing_extensions import TypedDict  # that of typing, which pydantic accepts only from Python 3.12 on

from processors import wellformed
from processors.contract import FailureKind, Kind, RecipeOptions, Step, Work, WorkProgress

LINE_BYTES = 16 * 1024 * 1024  # the longest valid message
_WORDS = 4000  # maximum characters of a text for people
_MAX_REASONS = 50  # of one review; the last says how many more there were
_LONGEST_REASON = 500  # characters
_MAX_RANGES = 10  # of pages, named in one reason
_ABOUT_PAGE = re.compile(r"([Pp])age (\d{1,9})\b( of \d+)?(?P<rest>.*)", re.DOTALL)

# A library's text may contain lone surrogates or be very long; the job log and result.json accept neither.
Words = Annotated[str, BeforeValidator(lambda text: cut(text) if isinstance(text, str) else text)]
Reasons = Annotated[list[Words], BeforeValidator(lambda reasons: gather_reasons(reasons))]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**63)]  # as SQLite holds it


@dataclass(frozen=True, kw_only=True)
class Load:
    options: dict[str, object]  # Options.load_options()
    models: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    works: list[dict[str, object]]  # see work_to_wire


@dataclass(frozen=True, kw_only=True)
class WorkerLoaded:
    engine: Words
    model: Words
    device: Words
    seconds: Seconds
    takes_more_jobs: bool = False  # see contract.Loaded


@dataclass(frozen=True, kw_only=True)
class LoadFailed:
    kind: FailureKind
    message: Words


class OutputFile(TypedDict):
    """A file of a result, fsynced by the worker."""

    name: str  # relative to the attempt's folder
    sha256: str
    size_bytes: int


def output_file(fields: object) -> OutputFile:
    """Check the fields of an OutputFile and return them. Its name may contain bytes that are not UTF-8, as surrogates,
    which pydantic's own `str` rejects.

    Raises:
        ValueError: the fields do not describe a file in the attempt's folder.
    """
    expected = {"name": str, "sha256": str, "size_bytes": int}
    if not isinstance(fields, dict) or {key: type(value) for key, value in fields.items()} != expected:
        raise ValueError("not an OutputFile")
    path = PurePath(fields["name"])
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in fields["name"]:
        raise ValueError("not a file in the attempt's folder")
    return cast(OutputFile, fields)


@dataclass(frozen=True, kw_only=True)
class WorkFinished:
    job: str
    attempt: int
    files: list[Annotated[OutputFile, PlainValidator(output_file)]]
    excerpt: Words
    review: Reasons
    pages: Count | None
    media_seconds: Seconds | None
    details: dict[str, object]


@dataclass(frozen=True, kw_only=True)
class WorkFailed:
    job: str
    attempt: int
    kind: FailureKind
    message: Words
    trace: Words = ""  # for the log, not for the person who dropped the file
    is_its_own: bool = False  # no other job of the batch can be the cause


@dataclass(frozen=True, kw_only=True)
class BatchDone:
    pass


Message = Load | Batch | WorkerLoaded | LoadFailed | WorkProgress | WorkFinished | WorkFailed | BatchDone
_MESSAGES: dict[str, type[Message]] = {cls.__name__: cls for cls in get_args(Message)}


@functools.cache
def _adapter(name: str) -> TypeAdapter[Message]:
    """Made when the first message of the type arrives: all of them take a tenth of a worker's start."""
    return TypeAdapter(_MESSAGES[name])


def encode(message: Message) -> bytes:
    """Encode one message as one line."""
    fields = wellformed.finite({"type": type(message).__name__, **asdict(message)})
    return json.dumps(fields, allow_nan=False).encode() + b"\n"


def write(out: BinaryIO, line: bytes) -> None:
    """Write a line to an unbuffered stream, which may take a part at a time."""
    rest = memoryview(line)
    while rest:
        rest = rest[out.write(rest) :]


def decode(line: bytes) -> Message:
    """Decode the message in a line.

    Raises:
        ValueError: the line is not a valid message.
    """
    try:
        fields = json.loads(line, parse_constant=lambda _: None, parse_float=_float)  # NaN is not JSON
        return _adapter(fields.pop("type")).validate_python(fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a message: {line[:200]!r}") from error


def _float(digits: str) -> float | None:
    """Parse a number; None if it overflows a float, which would be written as Infinity."""
    return number if math.isfinite(number := float(digits)) else None


def cut(text: str) -> str:
    """Return valid Unicode of a limited length."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _WORDS else f"{text[:_WORDS]} …"


@overload
def gather_reasons(reasons: Iterable[str]) -> list[str]: ...
@overload
def gather_reasons(reasons: Iterable[object]) -> list[object]: ...
def gather_reasons(reasons: Iterable[object]) -> Sequence[object]:
    """Merge the reasons of a review that differ only in their page number; limit their number and length.

    "page 2: no text was found" and the same for pages 3 and 5 become "pages 2-3, 5: no text was found". Values that are
    not text stay unchanged. A second call changes nothing.
    """
    pages: dict[tuple[str, str, str], list[int]] = {}  # by the reason without its page number
    first: dict[int | tuple[str, str, str], object] = {}  # the first wording of each reason, in order
    for number, reason in enumerate(reasons):
        about = _ABOUT_PAGE.fullmatch(reason) if isinstance(reason, str) else None
        if about is None:
            first[number] = reason
            continue
        initial, page, of = about[1], about[2], about[3] or ""
        key = initial, of, re.sub(rf"\b([Pp])age {page}\b", _each_page, about["rest"])
        pages.setdefault(key, []).append(int(page))
        first.setdefault(key, reason)
    gathered = [
        _of_pages(*key, pages[key]) if isinstance(key, tuple) and len(pages[key]) > 1 else reason
        for key, reason in first.items()
    ]
    if len(gathered) > _MAX_REASONS:
        more = len(gathered) - _MAX_REASONS + 1
        gathered = [*gathered[: _MAX_REASONS - 1], f"And {more} more reasons, which are not listed."]
    return [_shortened(reason) if isinstance(reason, str) else reason for reason in gathered]


def _each_page(found: re.Match[str]) -> str:
    return "Each page" if found[1] == "P" else "each page"


def _of_pages(initial: str, of: str, rest: str, pages: Sequence[int]) -> str:
    ranges: list[list[int]] = []
    for page in sorted(set(pages)):
        if ranges and page == ranges[-1][1] + 1:
            ranges[-1][1] = page
        else:
            ranges.append([page, page])
    named = ", ".join(str(start) if start == end else f"{start}-{end}" for start, end in ranges[:_MAX_RANGES])
    more = sum(end - start + 1 for start, end in ranges[_MAX_RANGES:])
    rest = f" were {rest.removeprefix(' was ')}" if rest.startswith(" was ") else rest
    return f"{initial}ages {named}{f' and {more} more' if more else ''}{of}{rest}"


def _shortened(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 2]} …"


def work_to_wire(work: Work) -> dict[str, object]:
    """Return `work` as JSON values; path bytes that are not UTF-8 become surrogate escapes."""
    return {
        **{name: getattr(work, name) for name in ("job", "attempt", "kind", "media_type", "stem", "recipe")},
        "source": str(work.source),
        "outputs": str(work.outputs),
        "checkpoints": None if work.checkpoints is None else str(work.checkpoints),
        "layouts": None if work.layouts is None else str(work.layouts),
        "options": work.options.model_dump(mode="json"),
        "sidecars": {name: str(path) for name, path in work.sidecars.items()},
        "then": [asdict(step) for step in work.then],
        "is_last_attempt": work.is_last_attempt,
    }


def work_from_wire(fields: Mapping[str, Any], recipe: type[RecipeOptions]) -> Work:
    """Reverse `work_to_wire`; validate the options again with the processor's own class.

    A path through an inherited descriptor (/proc/self/fd/N/…) becomes one that child processes can also open.
    """
    return Work(
        **{name: fields[name] for name in ("job", "attempt", "media_type", "stem", "recipe")},
        kind=Kind(fields["kind"]),
        source=_for_children(fields["source"]),
        outputs=_for_children(fields["outputs"]),
        checkpoints=None if fields["checkpoints"] is None else Path(fields["checkpoints"]),
        layouts=None if fields["layouts"] is None else Path(fields["layouts"]),
        options=recipe.model_validate(fields["options"]),
        sidecars={name: _for_children(path) for name, path in fields["sidecars"].items()},
        then=tuple(Step(**step) for step in fields.get("then", ())),
        is_last_attempt=fields.get("is_last_attempt", True),
    )


def _for_children(path: str) -> Path:
    return Path(path.replace("/proc/self/", f"/proc/{os.getpid()}/", 1) if path.startswith("/proc/self/") else path)
