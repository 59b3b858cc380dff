"""The time of one run on a GPU."""

import functools
import os
import time

SECONDS = float(os.environ.get("INBOXD_GPU_SECONDS", "480"))


@functools.cache
def _started() -> float:
    return time.monotonic()


def seconds_left() -> float:
    """Counted from the first call: in a run of all tests, others come before."""
    return SECONDS - (time.monotonic() - _started())
