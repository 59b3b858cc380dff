"""What an engine is asked and what it answers: one page each, or a text without one. No I/O, nothing heavy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Question:
    image: "Image.Image | None"  # RGB, upright, at most `Engine.max_pixels`; None: about the prompt's own text
    prompt: str  # as its author wrote it: the engine takes no control token from it
    token_limit: int  # of the answer
    json_schema: Mapping[str, Any] | None = None  # the answer is JSON that fits it; None: any text


class StopReason(StrEnum):
    """Why an answer ends where it does; only STOP is a whole answer."""

    STOP = "stop"  # the model ended it
    LENGTH = "length"  # cut off at the token limit
    LOOP = "loop"  # ended from here, as it would have repeated itself up to the limit
    NO_ROOM = "no room"  # never begun: the prompt and the page leave the model no room for an answer
    REFUSED = "refused"  # by the server's filter, or the model says in so many words that it will not
    ERROR = "error"  # the server could not answer this one; `Answer.error` says why


@dataclass(frozen=True, kw_only=True)
class Answer:
    text: str
    stop_reason: StopReason
    tokens: int  # generated, the one that ends the answer included
    prompt_tokens: int  # those of the page included
    lowest_token_probability: float | None  # with which a token was chosen; None: no token, or not known
    size_seen: tuple[int, int] | None  # width, height of the page in pixels as it reached the model; None: not known
    marks: tuple[tuple[int, float], ...] = ()  # of JSON: where each token ends in `text`, and its probability
    error: str = ""


class Engine(Protocol):
    """What answers questions: a model in this process, or a server."""

    max_pixels: int  # of a page: more would be reduced again
    pages_at_once: int  # questions that are worth collecting
    device_name: str
    made_by: Mapping[str, Any]  # all that decides an answer beside its question

    def answer(self, questions: Sequence[Question], alive: Callable[[], None]) -> list[Answer]:
        """The answers to `questions`, in their order, the most probable ones; `alive` is called about once a second.

        Raises:
            OutOfMemory: a single question does not fit.
            Unavailable: the server is away.
        """
