"""The interface of processors: the `Processor` class, its input and its outcomes.

The daemon and every worker import this module, so it imports nothing heavy. No I/O.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Generic

from pydantic import Field
from typing_extensions import TypeVar

from processors.options import Options as Options
from processors.options import RecipeOptions as RecipeOptions
from processors.quantities import parse_size


class Kind(StrEnum):
    """The type of a file, by its content."""

    IMAGE = "image"  # also PDF, page by page
    AUDIO = "audio"  # also video: its sound track
    TEXT = "text"  # no recipe by default


class FailureKind(StrEnum):
    """The reason why an attempt has no result; `daemon/scheduling/retry.py` decides what happens next."""

    BAD_INPUT = "bad_input"  # corrupt, encrypted, unsupported: never retried
    ERROR = "error"  # any other error: retried with backoff, charged
    TIMEOUT = "timeout"  # no progress for the processor's `timeout`: retried, charged
    CRASHED = "crashed"  # the worker died while it held this job alone: retried, charged
    OUT_OF_MEMORY = "out_of_memory"  # smaller batch, then a new worker: not charged
    UNAVAILABLE = "unavailable"  # a model or server is unavailable: the pool is parked and probed, not charged
    STORAGE = "storage"  # the outputs cannot be written (disk full, read-only, failing): retried, not charged


class GpuUse(StrEnum):
    """How many GPUs of the machine a loaded processor uses."""

    NONE = "none"
    ONE = "one"  # any, or the one that its option `device` names
    ALL = "all"


class JobError(Exception):
    """Base class of the errors of one file; the person who dropped the file reads the message."""

    kind: ClassVar[FailureKind] = FailureKind.ERROR


class BadInput(JobError):
    """The file itself is the cause (corrupt, encrypted, unsupported): a retry would not help."""

    kind = FailureKind.BAD_INPUT


class OutOfMemory(JobError):
    """The batch did not fit into memory; the daemon retries with a smaller one."""

    kind = FailureKind.OUT_OF_MEMORY


class Unavailable(JobError):
    """Weights or a server that the processor needs are unavailable. The message says how to fix it."""

    kind = FailureKind.UNAVAILABLE


OptionsT = TypeVar("OptionsT", bound=Options, default=Options)
RecipeT = TypeVar("RecipeT", bound=RecipeOptions, default=RecipeOptions)
RecipeT_co = TypeVar("RecipeT_co", bound=RecipeOptions, default=RecipeOptions, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A recipe that processes the text of a job's result: one of `RecipeOptions.then`. See `processors.steps`."""

    recipe: str
    processor: str
    options: Mapping[str, object]  # Options.load_options()
    recipe_options: Mapping[str, object]
    python: str | None  # interpreter of the processor's environment; None: the daemon's own
    timeout: float  # seconds without progress
    wants_prompt: bool  # the file's NAME.prompt is for this recipe
    why_not: str = ""  # why it cannot run now; "": it can


@dataclass(frozen=True, kw_only=True)
class Work(Generic[RecipeT_co]):
    """One attempt at one job: the input of a processor."""

    job: str  # the job's UUID
    attempt: int  # counts from 1
    source: Path  # the original: read it, never change it
    kind: Kind  # by content
    media_type: str  # by content, such as "image/png"; "application/octet-stream" if not known
    outputs: Path  # an empty folder of this attempt; write result files here
    stem: str  # the base name for result files: outputs / f"{stem}.txt"
    recipe: str  # the recipe's name
    options: RecipeT_co  # the recipe's options, validated
    sidecars: Mapping[str, Path] = field(default_factory=dict)  # {"prompt": path of NAME.prompt, "password": …}
    checkpoints: Path | None = None  # folder that may not exist yet, see `processors.checkpoints`; None: save none
    layouts: Path | None = None  # folder that all jobs share, see `processors.statements.layouts`; None: remember none
    then: tuple[Step, ...] = ()  # what follows; the text for it is the first output that ends in .md, or else .txt
    is_last_attempt: bool = True  # a failure would not be retried


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The engine and model of a loaded processor; recorded with each of its results."""

    engine: str  # the library: "openai-whisper", "rapidocr", …
    model: str  # the model's name or path
    device: str  # "cpu", "cuda:0 (NVIDIA …)"
    takes_more_jobs: bool = False  # `process` calls `poll_new_jobs` while it works (continuous batching)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A result. File names are relative to `Work.outputs`; the first file is the one that a person opens."""

    files: tuple[str, ...]
    excerpt: str = ""  # the first words, shown in lists
    review: tuple[str, ...] = ()  # reasons why a person should look at it
    pages: int | None = None
    media_seconds: float | None = None
    details: Mapping[str, object] = field(default_factory=dict)  # copied into result.json


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A failure, with the reason for the person who dropped the file."""

    kind: FailureKind
    message: str


Outcome = Finished | Failed


@dataclass(frozen=True, kw_only=True)
class Runnable:
    """Result of `Processor.plan`: the recipe can run on this processor."""


@dataclass(frozen=True, kw_only=True)
class Substitute:
    """Result of `Processor.plan`: another processor can run the recipe; the result records `why`."""

    processor: str
    recipe: Mapping[str, object]  # its recipe options
    why: str


@dataclass(frozen=True, kw_only=True)
class NotReady:
    """Result of `Processor.plan`: the recipe cannot run now; its jobs wait."""

    why: str  # also says how to fix it
    lacks_extra: bool = False  # an extra of the package is not installed, which may be intended


Plan = Runnable | Substitute | NotReady


@dataclass(frozen=True, kw_only=True)
class WorkProgress:
    job: str | None  # None: the loading of the model
    attempt: int
    done: Annotated[float, Field(allow_inf_nan=False)]
    total: Annotated[float, Field(allow_inf_nan=False)] | None
    unit: str


class Progress:
    """Reports a processor's progress to the daemon; each call also restarts the timeout."""

    def __init__(self, send: Callable[[WorkProgress], None]):
        self._send = send

    def job(self, work: Work, done: float, total: float | None, unit: str) -> None:
        """Report that `done` of `total` units ("pages", "seconds", "bytes", …) of this job are complete."""
        self._send(WorkProgress(job=work.job, attempt=work.attempt, done=done, total=total, unit=unit))

    def loading(self, done: float, total: float | None, unit: str) -> None:
        """Report the progress of loading (or downloading) the model."""
        self._send(WorkProgress(job=None, attempt=0, done=done, total=total, unit=unit))

    def forward(self, report: WorkProgress) -> None:
        """Report what another `Progress` recorded, for example one of another thread."""
        self._send(report)


_Options = Options  # `Processor.Options` hides the name


class Processor(ABC, Generic[OptionsT, RecipeT]):
    """Turns files into result files, in one thread of a worker process.

    A subclass sets `name` and `kinds`, may set `Options` and `Recipe`, and implements `load` and `process_one` (or
    `process`, to work on several jobs at once). Type checkers know the classes of its options if it is declared as
    `class Name(Processor[NameOptions, NameRecipe])`.
    """

    name: ClassVar[str]
    kinds: ClassVar[frozenset[Kind]]
    Options: ClassVar[type[_Options]] = _Options
    Recipe: ClassVar[type[RecipeOptions]] = RecipeOptions

    # returns the jobs that have arrived since the last call
    poll_new_jobs: Callable[[], Sequence[Work[RecipeT]]] = staticmethod(tuple)

    @classmethod
    def plan(cls, options: OptionsT, recipe: RecipeT, models: Path) -> Plan:
        """Decide whether this recipe can run now. The daemon calls this, also while the pool is parked: look only at
        files; import no engine and open no connection. `models` is the folder of downloaded weights."""
        return Runnable()

    @classmethod
    def wants_prompt(cls, recipe: RecipeT) -> bool:
        """True if a file must wait for its NAME.prompt."""
        return False

    @classmethod
    def takes_text(cls, recipe: RecipeT) -> bool:
        """True if this recipe processes texts: files of this kind, and the texts of a recipe whose `then` names it."""
        return Kind.TEXT in cls.kinds

    @classmethod
    def memory_needed(cls, options: OptionsT, models: Path) -> int:
        """Return the bytes of `[workers] memory` that a loaded worker needs: the option `memory`, or
        `estimate_memory`. The daemon calls this."""
        return int(parse_size(options.memory)) if options.memory else cls.estimate_memory(options, models)

    @classmethod
    def estimate_memory(cls, options: OptionsT, models: Path) -> int:
        """Estimate those bytes, for example by the model's size; 0 if they are negligible."""
        return 0

    @classmethod
    def gpu_use(cls, options: OptionsT) -> GpuUse:
        """Return how many GPUs a worker uses where there are some: one if it has an option `device` that permits it.
        The daemon calls this to choose the worker's devices; the worker sees no other GPU."""
        return GpuUse.NONE if getattr(options, "device", "cpu") == "cpu" else GpuUse.ONE

    @classmethod
    def is_bound_to_machine(cls, options: OptionsT) -> bool:
        """True if a worker must run on the daemon's machine where other machines run workers, too: the client of a
        model server, whose address may be a local one, and which needs no other machine. The daemon calls this."""
        return getattr(options, "engine", "") == "openai"

    @classmethod
    def weights_to_fetch(cls, options: OptionsT, models: Path) -> str:
        """Return the name of the weights that `load` would first have to download; "" if there are none. The daemon
        calls this."""
        return ""

    @classmethod
    def import_libraries(cls) -> None:
        """Import what `load` and `process` need. A worker calls this first, perhaps long before it gets its options."""

    @abstractmethod
    def load(self, options: OptionsT, models: Path, progress: Progress) -> Loaded:
        """Import the engine and load the model.

        Raises:
            Unavailable: the weights are missing; the message names the command that downloads them.
        """

    def process(
        self, batch: Sequence[Work[RecipeT]], progress: Progress
    ) -> Iterator[tuple[Work[RecipeT], Outcome | Exception]]:
        """Process up to `max_batch` jobs; yield each outcome as soon as it is available, in any order.

        An exception that is raised fails all jobs without an outcome; an exception that is yielded fails only its job.
        A processor that set `Loaded.takes_more_jobs` also calls `poll_new_jobs` while it works, and yields outcomes for
        those jobs.
        """
        for work in batch:
            try:
                yield work, self.process_one(work, progress)
            except (BadInput, Unavailable) as error:
                yield work, Failed(kind=error.kind, message=str(error))

    def process_one(self, work: Work[RecipeT], progress: Progress) -> Finished:
        """Process one job.

        Raises:
            BadInput: the file is the cause.
        """
        raise NotImplementedError

    def unload(self) -> None:  # noqa: B027 - most processors have nothing to do: the worker process ends
        """Release resources before the worker exits normally."""
