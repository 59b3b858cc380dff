"""The time of one run on a GPU."""

import os
import time

SECONDS = float(os.environ.get("INBOXD_GPU_SECONDS", "480"))
_STARTED = time.monotonic()


def seconds_left() -> float:
    return SECONDS - (time.monotonic() - _STARTED)
