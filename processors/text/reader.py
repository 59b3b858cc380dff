"""Reads one document in a child process, which has limits of its own: see `child`."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from processors.contract import BadInput, Progress, Unavailable, Work
from processors.quantities import parse_size
from processors.text.limits import Limits as _Limits

_PULSE_SECONDS = 1.0
_WALL = 10  # times the CPU seconds, for a machine that is busy
_KILLED = {signal.SIGXCPU, signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGXFSZ}
DISK_STATUS = 100  # exit status of the child, to which it adds one of these error numbers
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
RESULT, TEXT = "result.json", "text"


class Limits(_Limits):
    @classmethod
    def of(cls, memory: str, seconds: float) -> "Limits":
        """From options. `memory`: an amount, or a share of the machine's memory."""
        size = parse_size(memory)
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return cls(
            memory_bytes=size if isinstance(size, int) else int(size * total), cpu_seconds=max(1, round(seconds))
        )


class Request(TypedDict):
    """What the child is asked to do, as JSON."""

    source: str
    media_type: str
    outputs: str  # folder
    memory_bytes: int
    cpu_seconds: int
    attachments: bool  # write them


@dataclass(frozen=True, kw_only=True)
class Read:
    """The text of a document. Files are relative to the outputs of its job."""

    text_file: str
    suffix: str
    format: str
    beginning: str
    characters: int
    review: tuple[str, ...]
    attachments: tuple[str, ...]
    facts: Mapping[str, object]


def read(work: Work, limits: _Limits, progress: Progress, *, attachments: bool) -> Read:
    """Read the text of a document into a file in the job's outputs.

    Raises:
        BadInput: the document is damaged, encrypted, or needs more than the limits.
        Unavailable: the library for it is not installed.
        OSError: the disk of the outputs is full or broken.
    """
    request: Request = {
        "source": str(work.source),
        "media_type": work.media_type,
        "outputs": str(work.outputs),
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "attachments": attachments,
    }
    status = _run(work, request, limits.cpu_seconds, progress)
    answer = work.outputs / RESULT
    if status < 0 and -status in _KILLED or status == 0 and not answer.exists():
        raise BadInput(_too_much(limits))
    if (code := status - DISK_STATUS) in OF_THE_DISK:
        raise OSError(code, os.strerror(code), str(work.outputs))
    if status != 0:
        raise RuntimeError(f"the process that reads documents ended with status {status}")
    found = json.loads(answer.read_text("utf-8"))
    answer.unlink()
    if "too_much" in found:
        raise BadInput(_too_much(limits))
    if "bad_input" in found:
        raise BadInput(found["bad_input"])
    if "unavailable" in found:
        raise Unavailable(found["unavailable"])
    return Read(
        text_file=TEXT,
        suffix=found["suffix"],
        format=found["format"],
        beginning=found["beginning"],
        characters=found["characters"],
        review=tuple(found["review"]),
        attachments=tuple(found["attachments"]),
        facts=found["facts"],
    )


def _run(work: Work, request: Request, cpu_seconds: int, progress: Progress) -> int:
    """Run the child and return its exit status; negative: killed by that signal."""
    for left in (*work.outputs.glob("*"),):  # of an attempt that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    until = time.monotonic() + _WALL * cpu_seconds
    with subprocess.Popen(
        [sys.executable, "-m", "processors.text.child"], stdin=subprocess.PIPE, stdout=sys.stderr
    ) as child:
        try:
            assert child.stdin is not None
            with child.stdin:
                child.stdin.write(json.dumps(request).encode())
            while time.monotonic() < until:
                progress.job(work, done=0, total=1, unit="documents")
                try:
                    return child.wait(_PULSE_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
            return -signal.SIGXCPU
        finally:
            child.kill()


def _too_much(limits: _Limits) -> str:
    memory = limits.memory_bytes / 1e9
    return (
        f"Reading this file needs more than {memory:.1f} GB of memory or {limits.cpu_seconds} s of processor time: it "
        "may be damaged, or made to exhaust a program. Split it, or export it as PDF and drop that; to raise the "
        "limits, set `max_memory` and `max_seconds` in [processors.text]."
    )
