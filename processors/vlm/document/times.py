"""Checks the times in minutes of a meeting against its transcript, because models invent some. Pure."""

import re
from collections.abc import Iterable, Sequence

_TIME = re.compile(r"(?<![\d:.,])(?:(\d{1,3}):)?(\d{1,3}):([0-5]\d)(?![\d:])")  # h:mm:ss or m:ss
_MAX_NAMED = 5


def times_in(text: str) -> set[int]:
    """The times in a text, in seconds."""
    return {_seconds(found) for found in _TIME.finditer(text)}


def reasons(answer: str, known: set[int]) -> Sequence[str]:
    """The reason for a review if `answer` has times that are not `known`."""
    unknown = [found[0] for found in _TIME.finditer(answer) if _seconds(found) not in known]
    return [f"These times are not in the transcript: {_listed(dict.fromkeys(unknown))}."] if unknown else []


def _seconds(found: re.Match[str]) -> int:
    return (int(found[1] or 0) * 60 + int(found[2])) * 60 + int(found[3])


def _listed(times: Iterable[str]) -> str:
    named = list(times)
    more = f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
    return ", ".join(named[:_MAX_NAMED]) + more
