"""Pages: reads an image, TIFF or PDF as upright RGB images of bounded size, one in memory at a time.

This package decodes images for every processor, and enforces the limits; it does not know what the pages are used for.
It detects formats by content. Pillow, pillow_heif and pypdfium2 are imported on first use, so that the daemon can
import this package.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from processors.contract import BadInput
from processors.pages.attachments import read_attachment
from processors.pages.page import UNREADABLE_PAGE, Page, Pages, PlacedWord, unexpected_as_bad_input
from processors.pages.password import read_password
from processors.pages.pdf import open_pdf
from processors.pages.picture import open_picture

__all__ = ["UNREADABLE_PAGE", "Page", "Pages", "PlacedWord", "count_pages", "open_pages", "read_password", "read_pages"]
__all__ += ["read_attachment", "unexpected_as_bad_input"]

_UNOPENABLE = "Internal error while opening this file; see the log."


@contextmanager
def open_pages(
    source: Path, media_type: str, *, max_pixels: int, dpi: int = 200, password: str | None = None
) -> Iterator[Pages]:
    """Open `source`, and read single pages, even after one that fails. See `read_pages` for a simpler way.

    max_pixels: of each image. dpi: at which pages of a PDF are rendered. password: of an encrypted PDF.

    Raises:
        BadInput: no page can be read; the message says what to do.
        OSError: the file is gone, or the disk fails.
    """
    with source.open("rb") as file:
        head = file.read(1024)
        file.seek(0)
        if not head:
            raise BadInput("The file is empty. Copy it to the inbox again.")
        if media_type == "application/pdf" or b"%PDF-" in head:
            opening: AbstractContextManager[Pages] = open_pdf(file, max_pixels=max_pixels, dpi=dpi, password=password)
        else:
            opening = open_picture(file, max_pixels=max_pixels)
        with ExitStack() as stack:
            with unexpected_as_bad_input(source.name, _UNOPENABLE):
                pages = stack.enter_context(opening)
            yield _GuardedPages(pages, source.name)


class _GuardedPages:
    """Pages with an error boundary around each."""

    def __init__(self, pages: Pages, name: str):
        self.total, self.warnings = pages.total, pages.warnings
        self._pages, self._name = pages, name

    def read(self, number: int) -> Page:
        with unexpected_as_bad_input(f"{self._name}, page {number}", UNREADABLE_PAGE):
            return self._pages.read(number)


def read_pages(
    source: Path, media_type: str, *, max_pixels: int, dpi: int = 200, password: str | None = None
) -> Iterator[Page]:
    """Yield each page, decoded on demand. Arguments and errors: see `open_pages`. Ends with an error at the first page
    that cannot be decoded.
    """
    with open_pages(source, media_type, max_pixels=max_pixels, dpi=dpi, password=password) as pages:
        for number in range(1, pages.total + 1):
            yield pages.read(number)


def count_pages(source: Path, media_type: str, password: str | None = None) -> int:
    """The number of pages, without decoding any. Arguments and errors: see `open_pages`."""
    with open_pages(source, media_type, max_pixels=1, password=password) as pages:
        return pages.total
