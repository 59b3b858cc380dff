"""Pages: any picture, TIFF or PDF as upright RGB images of bounded size, one in memory at a time.

Owns the decoding of images for every processor, and its limits; knows nothing of what they are read for. Formats are
told by their content. Pillow, pillow_heif and pypdfium2 are imported on first use, so that the daemon may import this.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processors.base import BadInput
from processors.pages.page import Page, Pages
from processors.pages.pdf import open_pdf
from processors.pages.picture import open_picture

__all__ = ["Page", "Pages", "count_pages", "open_pages", "read_pages"]


@contextmanager
def open_pages(
    source: Path, media_type: str, *, max_pixels: int, dpi: int = 200, password: str | None = None
) -> Iterator[Pages]:
    """Open `source`, for those who go on after a page that fails; `read_pages` is the simple way.

    Raises:
        BadInput: no page of it can be read; the message says what to do.
        OSError: the file is gone, or the disk fails.
    """
    with source.open("rb") as file:
        head = file.read(1024)
        file.seek(0)
        if not head:
            raise BadInput("The file is empty. Copy it again and drop it once more.")
        if media_type == "application/pdf" or b"%PDF-" in head:
            with open_pdf(file, max_pixels=max_pixels, dpi=dpi, password=password) as pages:
                yield pages
        else:
            with open_picture(file, max_pixels=max_pixels) as pages:
                yield pages


def read_pages(
    source: Path, media_type: str, *, max_pixels: int, dpi: int = 200, password: str | None = None
) -> Iterator[Page]:
    """Each page in turn, decoded when asked for. Raises as `open_pages` and `Pages.read` do, at the first bad page."""
    with open_pages(source, media_type, max_pixels=max_pixels, dpi=dpi, password=password) as pages:
        for number in range(1, pages.total + 1):
            yield pages.read(number)


def count_pages(source: Path, media_type: str, password: str | None = None) -> int:
    """How many pages `read_pages` would give, without decoding one. Raises as `open_pages` does."""
    with open_pages(source, media_type, max_pixels=1, password=password) as pages:
        return pages.total
