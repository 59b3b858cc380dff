"""Options of processors and recipes: the base classes, and the limits that several processors share.

Processors import `Options` and `RecipeOptions` from `processors.contract`.
"""

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from processors.quantities import Memory, Seconds, parse_size

_NOT_LOADED = {"max_batch", "keep_alive", "timeout", "memory", "memory_max", "cpu_fallback"}  # used by the daemon
MAX_PIXELS = 50_000_000  # maximum that a recipe may request for a page: A4 at 600 dpi has 35 million
MAX_THREADS = 1024
DEVICES = '"auto", "cpu", "cuda" or a numbered GPU such as "cuda:0"'  # valid values of `device`, for messages
MAX_AT_ONCE = 1024  # jobs, pages or windows in one batch
MAX_STEPS = 8  # recipes that follow another


def _check_amount(text: str) -> str:
    if text and not isinstance(parse_size(text), int):
        raise ValueError('write an amount, such as "6GB"')
    return text


class Options(BaseModel):
    """Options of a loaded processor, `[processors.NAME]` in config.toml; subclass to add your own."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    max_batch: int = Field(default=1, ge=1, le=MAX_AT_ONCE)  # jobs sent to the worker at once
    keep_alive: Seconds = 900.0  # the daemon ends an idle worker after this time, which frees its memory
    timeout: Seconds = 600.0  # the daemon kills an attempt without progress after this time
    # share of `[workers] memory` while the processor is loaded, such as "6GB"; "": the processor's estimate
    memory: Annotated[str, AfterValidator(_check_amount)] = ""
    memory_max: Memory = "80%"  # the daemon kills a worker that needs more, before the machine swaps
    python: str | None = None  # interpreter of another virtual environment; default: the daemon's own
    cpu_fallback: bool = False  # run a job on the CPU if it does not fit into the GPU, even alone in a new worker

    @model_validator(mode="after")
    def _check_fallback(self) -> Self:
        if self.cpu_fallback and "device" not in type(self).model_fields:
            raise ValueError("cpu_fallback works only with processors that have a device, and this one has none")
        return self

    def load_options(self) -> dict[str, object]:
        """Return the options that apply to the loaded model: two jobs may share a worker if these are equal."""
        return self.model_dump(mode="json", exclude=_NOT_LOADED)


def split_list(value: object) -> object:
    """Split "a, b" into a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class RecipeOptions(BaseModel):
    """Options of one recipe, `[recipes.NAME]` in config.toml beside `processor`; subclass to add your own.

    NAME.toml beside a file may set them for that file, except those in `only_in_config`: list there each option that
    reads other files, connects to a server, or runs a program.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    only_in_config: ClassVar[frozenset[str]] = frozenset()

    # recipes that process the text of the result next; their files are beside it
    then: Annotated[tuple[str, ...], BeforeValidator(split_list), Field(max_length=MAX_STEPS)] = ()
