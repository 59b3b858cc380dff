"""Renders one page of a file as a JPEG for a person to look at: `python -m processors.pages.preview NUMBER TYPE TURN`.

A program of its own, because files are not trusted: it reads the file from standard input, writes the picture to
standard output, and limits its own memory and time. Exits with 1 if the page cannot be shown.
"""

import os
import resource
import sys
from pathlib import Path

from processors.contract import BadInput
from processors.pages import open_pages

_MAX_PIXELS = 2_000_000  # of the picture: sharp on a screen, and its text can be read
_DPI = 150  # of a PDF page
_QUALITY = 82
_MEMORY_BYTES = 3 << 30  # address space
_CPU_SECONDS = 30


def main(number: int, media_type: str, turn: int) -> int:
    """Render page `number`, turned clockwise by `turn` degrees (a multiple of 90)."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        with open_pages(Path("/proc/self/fd/0"), media_type, max_pixels=_MAX_PIXELS, dpi=_DPI) as pages:
            if not 1 <= number <= pages.total:
                return 1
            image = pages.read(number).image
        if turn % 360:
            image = image.rotate(-turn, expand=True)
        with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as output:
            image.save(output, "JPEG", quality=_QUALITY)
    except (BadInput, OSError, MemoryError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
