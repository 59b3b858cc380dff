"""What the engine is asked and what it answers: one page each. No I/O, nothing heavy."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Question:
    image: "Image.Image"  # RGB, upright, at most `Engine.max_pixels`
    prompt: str  # as its author wrote it: the engine takes no control token from it
    token_limit: int  # of the answer


class StopReason(StrEnum):
    """Why an answer ends where it does; only STOP is a whole answer."""

    STOP = "stop"  # the model ended it
    LENGTH = "length"  # cut off at the token limit
    LOOP = "loop"  # ended from here, as it would have repeated itself up to the limit
    NO_ROOM = "no room"  # never begun: the prompt and the page leave the model no room for an answer


@dataclass(frozen=True, kw_only=True)
class Answer:
    text: str
    stop_reason: StopReason
    tokens: int  # generated, the one that ends the answer included
    prompt_tokens: int  # those of the page included
    lowest_token_probability: float | None  # with which a token was chosen; None: no token
    size_seen: tuple[int, int]  # width, height of the page in pixels as it reached the model


@dataclass(kw_only=True)
class PageRecord:
    """What is known of one page; the image itself is let go."""

    number: int  # from 1
    source_size: tuple[int, int] | None = None  # width, height before any reduction
    dpi: float | None = None  # of a PDF page as it was drawn for the model
    notes: tuple[str, ...] = ()  # of the decoding: what was lost or changed
    error: str | None = None  # why it could not be decoded
    answer: Answer | None = None  # None until it is there
