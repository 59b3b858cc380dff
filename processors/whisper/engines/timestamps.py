"""Timestamp tokens of a window's text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from whisper.tokenizer import Tokenizer

SECONDS_PER_TIMESTAMP = 0.02  # from one of Whisper's timestamp tokens to the next


@dataclass(frozen=True, kw_only=True)
class TimedTokens:
    """The tokens of one segment."""

    tokens: tuple[int, ...]
    start: float  # seconds of the window
    end: float  # seconds of the window; infinite where the text ends without a timestamp


def split_at_timestamps(tokens: Sequence[int], tokenizer: Tokenizer) -> tuple[list[TimedTokens], TimedTokens | None]:
    """The segments of a window that end in a timestamp, and the text after the last of them, if there is any."""
    closed: list[TimedTokens] = []
    held: list[int] = []
    start = 0.0
    for token in tokens:
        if token < tokenizer.timestamp_begin:
            held.append(token)
            continue
        time = (token - tokenizer.timestamp_begin) * SECONDS_PER_TIMESTAMP
        if any(each < tokenizer.eot for each in held):
            closed.append(TimedTokens(tokens=(*held, token), start=start, end=time))
            held = []
        else:
            start, held = time, [token]
    is_open = any(token < tokenizer.eot for token in held)
    return closed, TimedTokens(tokens=tuple(held), start=start, end=math.inf) if is_open else None
