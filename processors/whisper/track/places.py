"""Writes places in a track as the reasons of a review list them. Pure."""

import math
from collections.abc import Iterable, Sequence

from processors.whisper.track.markdown import clock
from processors.whisper.track.uncertainty import Stretch

MAX_PLACES = 5  # listed in one reason


def list_places(starts: Iterable[float]) -> str:
    places = list(dict.fromkeys(clock(start) for start in sorted(starts)))
    more = len(places) - MAX_PLACES
    return ", ".join(places[:MAX_PLACES]) + (f" and {more} more places" if more > 0 else "")


def list_stretches(stretches: Sequence[Stretch]) -> str:
    """Such as "0:10-0:40, 2:00-2:05"."""
    texts = [f"{clock(each.start)}-{clock(math.ceil(each.end))}" for each in stretches[:MAX_PLACES]]
    more = len(stretches) - MAX_PLACES
    return ", ".join(texts) + (f" and {more} more places" if more > 0 else "")
