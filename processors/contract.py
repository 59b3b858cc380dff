"""What a processor is: the `Processor` class, what it is given and what it answers.

Imported by the daemon and by every worker, so nothing heavy is imported here. No I/O.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from processors.units import Memory, Seconds, parse_size

_NOT_LOADED = {"max_batch", "keep_alive", "timeout", "memory", "memory_max", "cpu_fallback"}  # options of the daemon's
MOST_PIXELS = 50_000_000  # of a page that a recipe may ask for: A4 at 600 dpi has 35 million
MOST_THREADS = 1024
DEVICES = '"auto", "cpu", "cuda" or a numbered GPU such as "cuda:0"'  # what `device` may be, for messages
MOST_AT_ONCE = 1024  # jobs, pages or windows in one batch


class Kind(StrEnum):
    """What a drop is, told by its content."""

    IMAGE = "image"  # also PDF, page by page
    AUDIO = "audio"  # also video: its sound track
    TEXT = "text"  # no recipe by default


class FailureKind(StrEnum):
    """Why an attempt gave no result; `daemon/scheduling/retry.py` decides from it what happens next."""

    BAD_INPUT = "bad_input"  # corrupt, encrypted, unsupported: never retried
    ERROR = "error"  # anything unforeseen: retried with backoff, charged
    TIMEOUT = "timeout"  # no sign of progress for the processor's `timeout`: retried, charged
    CRASHED = "crashed"  # the worker died with this job alone in it: retried, charged
    OUT_OF_MEMORY = "out_of_memory"  # smaller batch, then a fresh worker: not charged
    UNAVAILABLE = "unavailable"  # a model or server is away: the stage is parked and probed, not charged
    STORAGE = "storage"  # the outputs cannot be written (disk full, read-only, failing): goes on by itself, not charged


class JobError(Exception):
    """Base of what a processor raises about one file; the message is shown to the person who dropped it."""

    kind: ClassVar[FailureKind] = FailureKind.ERROR


class BadInput(JobError):
    """The file itself is the cause (corrupt, encrypted, unsupported): trying again would not help."""

    kind = FailureKind.BAD_INPUT


class OutOfMemory(JobError):
    """The batch did not fit; the daemon tries again with a smaller one."""

    kind = FailureKind.OUT_OF_MEMORY


class Unavailable(JobError):
    """Something that the whole processor needs is away (weights, a server); says which command or wait mends it."""

    kind = FailureKind.UNAVAILABLE


# ---------------------------------------------------------------------------------------------- options


def _check_amount(text: str) -> str:
    if text and not isinstance(parse_size(text), int):
        raise ValueError('write an amount, such as "6GB"')
    return text


class Options(BaseModel):
    """Options of a loaded processor, `[processors.NAME]` in config.toml; subclass to add your own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_batch: int = Field(default=1, ge=1, le=MOST_AT_ONCE)  # jobs handed to the worker at once
    keep_alive: Seconds = 900.0  # an idle worker is ended (its memory truly freed) after this long
    timeout: Seconds = 600.0  # an attempt that shows no progress for this long is killed
    # of what `[workers] memory` shares out, while it is loaded: "6GB"; "" is the processor's estimate
    memory: Annotated[str, AfterValidator(_check_amount)] = ""
    memory_max: Memory = "80%"  # a worker that needs more is ended before the machine swaps
    python: str | None = None  # interpreter of another virtual environment; default: the daemon's own
    cpu_fallback: bool = False  # what does not fit into the GPU, not even alone in a fresh worker, is done on the CPU

    @model_validator(mode="after")
    def _check_fallback(self) -> Self:
        if self.cpu_fallback and "device" not in type(self).model_fields:
            raise ValueError("cpu_fallback is for processors that have a device, and this one has none")
        return self

    def load_options(self) -> dict[str, object]:
        """The options that decide what a worker holds: two jobs may share a worker if these are equal."""
        return self.model_dump(mode="json", exclude=_NOT_LOADED)


class RecipeOptions(BaseModel):
    """Options of one recipe, `[recipes.NAME]` in config.toml beside `processor`; subclass to add your own.

    Whoever drops a file may set them for it, in NAME.toml, except those in `only_in_config`: name there what reads
    other files, connects to a server, or runs something.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    only_in_config: ClassVar[frozenset[str]] = frozenset()


# ---------------------------------------------------------------------------------------------- the work


@dataclass(frozen=True, kw_only=True)
class Work:
    """One job's attempt, as a processor sees it."""

    job: str  # the job's UUID
    attempt: int  # counts from 1
    source: Path  # the original: read it, never change it
    kind: Kind  # what the daemon saw in its content
    media_type: str  # by content, such as "image/png"; "application/octet-stream" if not known
    outputs: Path  # an empty folder of this attempt; write result files here
    stem: str  # the base name for result files: outputs / f"{stem}.txt"
    recipe: str  # the recipe's name
    options: RecipeOptions  # the recipe's options, validated
    sidecars: Mapping[str, Path] = field(default_factory=dict)  # {"prompt": path of NAME.prompt, "password": …}
    kept: Path | None = None  # a folder that outlives the attempt, made at need: see `parts`. None: there is none


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a processor holds once loaded; recorded with every result it makes."""

    engine: str  # the library that computes: "openai-whisper", "rapidocr", …
    model: str  # the model's name or path
    device: str  # "cpu", "cuda:0 (NVIDIA …)"
    joins: bool = False  # further jobs may join those it works on: `process` asks `newcomers` for them


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A result. Files are named relative to `Work.outputs`; the first one is what a person opens."""

    files: tuple[str, ...]
    excerpt: str = ""  # the first words, shown in lists
    review: tuple[str, ...] = ()  # reasons why a person should look at it; empty: none seen
    pages: int | None = None
    media_seconds: float | None = None
    details: Mapping[str, object] = field(default_factory=dict)  # copied into result.json


@dataclass(frozen=True, kw_only=True)
class Failed:
    """No result, and why, in words for the person who dropped the file."""

    kind: FailureKind
    message: str


Outcome = Finished | Failed


@dataclass(frozen=True, kw_only=True)
class Ready:
    """`Processor.plan`: run the recipe on this processor."""


@dataclass(frozen=True, kw_only=True)
class Instead:
    """`Processor.plan`: another processor can serve the recipe here; `why` is recorded in the result."""

    processor: str
    recipe: Mapping[str, object]  # its recipe options
    why: str


@dataclass(frozen=True, kw_only=True)
class Missing:
    """`Processor.plan`: the recipe cannot run now; its jobs wait. Says what mends it."""

    why: str


Plan = Ready | Instead | Missing


@dataclass(frozen=True, kw_only=True)
class WorkProgress:
    job: str | None  # None: the loading of the model
    attempt: int
    done: Annotated[float, Field(allow_inf_nan=False)]
    total: Annotated[float, Field(allow_inf_nan=False)] | None
    unit: str


class Progress:
    """How a processor tells that it is alive and how far it got; each call also puts off the timeout."""

    def __init__(self, send: Callable[[WorkProgress], None]):
        self._send = send

    def job(self, work: Work, done: float, total: float | None, unit: str) -> None:
        """`done` of `total` units ("pages", "seconds", "bytes", …) of this job."""
        self._send(WorkProgress(job=work.job, attempt=work.attempt, done=done, total=total, unit=unit))

    def loading(self, done: float, total: float | None, unit: str) -> None:
        """The same for the loading (or downloading) of the model."""
        self._send(WorkProgress(job=None, attempt=0, done=done, total=total, unit=unit))


def is_device_lost(error: Exception) -> bool:
    """True if the GPU failed. After such an error every later use of it in this process fails as well (CUDA C++
    Programming Guide, "Error Checking"); a new process has a new context. Compared by name: torch may not be
    installed."""
    return type(error).__name__ == "AcceleratorError" or str(error).startswith("CUDA error:")


_Options = Options  # `Processor.Options` hides the name


class Processor(ABC):
    """Turns files into result files. Lives in a worker process; called from one thread.

    A subclass sets `name` and `kinds`, may set `Options` and `Recipe`, and writes `load` and `process_one` (or
    `process`, to work on several jobs at once).
    """

    name: ClassVar[str]
    kinds: ClassVar[frozenset[Kind]]
    Options: ClassVar[type[_Options]] = _Options
    Recipe: ClassVar[type[RecipeOptions]] = RecipeOptions

    newcomers: Callable[[], Sequence[Work]] = staticmethod(tuple)  # jobs that have come since it was last asked

    @classmethod
    def plan(cls, options: _Options, recipe: RecipeOptions, models: Path) -> Plan:
        """Can this recipe run here, now? Called by the daemon (also while a stage is parked): looks at files only,
        imports no engine, opens no connection. `models` is the folder of downloaded weights."""
        return Ready()

    @classmethod
    def wants_prompt(cls, recipe: RecipeOptions) -> bool:
        """True if a drop must not be taken before its NAME.prompt sidecar is there."""
        return False

    @classmethod
    def memory_needed(cls, options: _Options, models: Path) -> int:
        """The bytes that a loaded worker needs of what `[workers] memory` shares out: the option `memory`, or
        `estimate_memory`. Called by the daemon, as `plan` is."""
        return int(parse_size(options.memory)) if options.memory else cls.estimate_memory(options, models)

    @classmethod
    def estimate_memory(cls, options: _Options, models: Path) -> int:
        """An estimate of those bytes, by the model's size, say; 0: next to nothing."""
        return 0

    @classmethod
    def weights_to_fetch(cls, options: _Options, models: Path) -> str:
        """The name of the weights that `load` would first have to download; "": none. Called by the daemon, as `plan`
        is."""
        return ""

    @abstractmethod
    def load(self, options: _Options, models: Path, progress: Progress) -> Loaded:
        """Import the engine and load the model.

        Raises:
            Unavailable: the weights are not at hand; the message names the command that fetches them.
        """

    def process(self, batch: Sequence[Work], progress: Progress) -> Iterator[tuple[Work, Outcome | Exception]]:
        """Work on up to `max_batch` jobs; yield each outcome as soon as it is there, in any order.

        What is raised here counts for all jobs without an outcome; an exception that is yielded, for its job alone. One
        that said `joins` asks `newcomers` on the way, and answers for these, too.
        """
        for work in batch:
            try:
                yield work, self.process_one(work, progress)
            except (BadInput, Unavailable) as error:
                yield work, Failed(kind=error.kind, message=str(error))

    def process_one(self, work: Work, progress: Progress) -> Finished:
        """Work on one job.

        Raises:
            BadInput: the file is the cause.
        """
        raise NotImplementedError

    def unload(self) -> None:  # noqa: B027 - most processors have nothing to do: the worker process ends
        """Called before the worker ends of itself."""
