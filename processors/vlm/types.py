"""The requests and answers of an engine: one page each, or a text without a page. No I/O, nothing heavy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image

    from processors.vlm.families import Family


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """A prompt about one page."""

    image: "Image.Image | None"  # RGB, upright, at most `VlmEngine.max_pixels`; None: the prompt brings its own text
    prompt: str  # as its author wrote it: the engine treats control tokens in it as text
    token_limit: int  # of the answer
    json_schema: Mapping[str, object] | None = None  # the answer is JSON that fits it; None: any text


class StopReason(StrEnum):
    """The reason why an answer ended; only STOP is a complete answer."""

    STOP = "stop"  # the model ended it
    LENGTH = "length"  # cut off at the token limit
    LOOP = "loop"  # stopped by the engine, because it would have repeated itself up to the limit
    NO_ROOM = "no room"  # never begun: the prompt and the page leave the model no room for an answer
    REFUSED = "refused"  # by the server's filter, or explicitly by the model
    ERROR = "error"  # the server could not answer this request; see `PageAnswer.error`


@dataclass(frozen=True, kw_only=True)
class PageAnswer:
    """The model's answer to a `PageRequest`."""

    text: str  # of the task `read`: converted to Markdown
    stop_reason: StopReason
    tokens: int  # generated, including the one that ends the answer
    prompt_tokens: int  # including those of the page
    lowest_token_probability: float | None  # of the chosen tokens; None: no token, or not known
    size_seen: tuple[int, int] | None  # width, height of the page in pixels as it reached the model; None: not known
    token_probabilities: tuple[
        tuple[int, float], ...
    ] = ()  # for JSON only: (position in `text` where a token ends, probability)
    error: str = ""
    raw: str = ""  # as the model wrote it, if `text` was converted


class VlmEngine(Protocol):
    """A model in this process, or a server."""

    @property
    def max_pixels(self) -> int:
        """The maximum number of pixels of a page: the engine would reduce a larger one."""

    @property
    def max_pixels_of_money(self) -> int:
        """The maximum number of pixels of a page of a statement, receipt or invoice."""

    @property
    def pages_at_once(self) -> int:
        """The number of requests to collect for one call of `answer`, or to send at the same time."""

    @property
    def is_concurrent(self) -> bool:
        """True if several threads may call `answer_one` at the same time; otherwise, one thread calls `answer`."""

    @property
    def device_name(self) -> str: ...

    @property
    def family(self) -> "Family":
        """The family of the model."""

    @property
    def made_by(self) -> Mapping[str, object]:
        """Everything except the request that determines an answer: the model, its settings …"""

    def answer(self, requests: Sequence[PageRequest], heartbeat: Callable[[], None]) -> list[PageAnswer]:
        """Return the most probable answers to `requests`, in their order; call `heartbeat` about once a second.

        Raises:
            OutOfMemory: a single request does not fit.
            Unavailable: the server is unavailable.
        """

    def answer_one(self, request: PageRequest) -> PageAnswer:
        """Answer one request, without a heartbeat. Only for an engine that `is_concurrent`."""

    def close(self) -> None:
        """Close connections, and stop a server that this engine has started."""
