"""The documents beside the outputs: result.json of a result, error.txt and error.json of a failure. Pure.

result.json and error.json only ever gain keys.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict, Unpack

from daemon.core.job import Job
from daemon.core.names import printable_lines
from daemon.core.times import iso
from processors import contract, protocol

SCHEMA = 1
_LINE_CHARS = 120


class MadeBy(TypedDict, total=False):
    """The processor, engine, model, device and options that made a result."""

    note: str  # why this processor was used instead of the recipe's own
    options: Mapping[str, object]  # of the recipe, that somebody set or that differ from the default
    origins: Mapping[str, str]  # the file that set each of them; none for a default
    processor_options: Mapping[str, object]  # that determined what the worker had loaded


def result_json(
    job: Job,
    finished: protocol.WorkFinished,
    *,
    run_seconds: float,
    original: Mapping[str, object],
    version: str,
    **made_by: Unpack[MadeBy],
) -> bytes:
    """The content of result.json. original: the policy and the path."""
    return _dump(
        {
            **_head(job, version),
            "note": made_by.get("note") or None,
            "options": dict(made_by.get("options") or {}),
            "options_from": dict(made_by.get("origins") or {}),
            "processor_options": dict(made_by.get("processor_options") or {}),
            "duplicate_of": job.duplicate_of,
            "run_seconds": round(run_seconds, 3),
            "pages": finished.pages,
            "media_seconds": finished.media_seconds,
            "review": list(finished.review),
            "excerpt": finished.excerpt,
            "files": list(finished.files),
            "original": dict(original),
            "details": finished.details,
        }
    )


def error_json(job: Job, kind: str, message: str, *, original: Mapping[str, object] | None, version: str) -> bytes:
    """The content of error.json: the same facts about a failed job."""
    return _dump(
        {**_head(job, version), "error_kind": kind, "error": message, "original": dict(original) if original else None}
    )


def error_txt(job: Job, kind: str, message: str, *, has_original: bool) -> bytes:
    """The content of error.txt: what happened and what to do now, for the owner of the file."""
    again = f'To retry: `inboxd retry {job.id[:8]}`, or move "{job.name}" back into the inbox.'
    advice: Sequence[str] = {
        contract.FailureKind.BAD_INPUT: ["Retrying will not help. Fix or replace the file, then submit it again."],
        "cancelled": [again],
    }.get(kind, [f"inboxd tried {job.attempt} time{'s' if job.attempt != 1 else ''}.", again])
    if not has_original:
        advice = ["inboxd did not find its file. Submit the file again."]
    lines = [
        f"{job.path} could not be processed." if kind != "cancelled" else f"{job.path} was cancelled.",
        "",
        printable_lines(message),
        "",
        *advice,
        *(["Your file is unchanged, in this folder."] if has_original else []),
        "",
        f"Job {job.id}, received {iso(job.received_at)}, recipe {job.recipe or 'none'}, reason: {kind}.",
        "",
    ]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


def note_txt(job: Job, why: str) -> bytes:
    """The content of the note beside a file that no recipe applies to, for the owner of the file."""
    lines = [
        f"{job.path} was not processed. It is unchanged, in this folder.",
        "",
        printable_lines(why),
        "",
        f"Job {job.id}, received {iso(job.received_at)}, type {job.media_type}.",
        "",
    ]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


def _head(job: Job, version: str) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "inboxd": version,
        "job": job.id,
        "file": job.path,
        "kind": job.kind,
        "media_type": job.media_type,
        "size_bytes": job.size_bytes,
        "sha256": job.sha256,
        "recipe": job.recipe,
        "processor": job.processor,
        "engine": job.engine,
        "model": job.model,
        "device": job.device,
        "received_at": iso(job.received_at),
        "started_at": iso(job.started_at),
        "attempt": job.attempt,
        "source": job.source,
    }


def _dump(fields: Mapping[str, object]) -> bytes:
    """JSON with a line for each field; the fields of a long one have lines of their own."""
    lines = (f'  "{name}": {_encode_field(value)}' for name, value in fields.items())
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    return text.encode("utf-8", "backslashreplace")  # bytes of a name that are not UTF-8 become JSON escapes


def _encode_field(value: object) -> str:
    if value is None:
        return "null"
    line = _encode(value)  # C code; with an indent, the encoder is pure Python, which takes a tenth of a job's time
    return line if len(line) <= _LINE_CHARS else json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n  ")


_encode = json.JSONEncoder(ensure_ascii=False).encode
