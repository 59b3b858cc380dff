"""Pages: any picture, TIFF or PDF as upright RGB images of bounded size, one in memory at a time.

Owns the decoding of images for every processor, and its limits; knows nothing of what they are read for. Formats are
told by their content. Pillow, pillow_heif and pypdfium2 are imported on first use, so that the daemon may import this.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from processors.contract import BadInput, Work
from processors.pages.page import UNREADABLE_PAGE, Page, Pages, PlacedWord, unforeseen_as_bad_input
from processors.pages.pdf import open_pdf
from processors.pages.picture import open_picture

__all__ = ["UNREADABLE_PAGE", "Page", "Pages", "PlacedWord", "count_pages", "open_pages", "password_of", "read_pages"]
__all__ += ["unforeseen_as_bad_input"]

_MOST_PASSWORD_BYTES = 1024
_UNOPENABLE = "Internal error while opening this file; see the log."


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
            opening = open_pdf(file, max_pixels=max_pixels, dpi=dpi, password=password)
        else:
            opening = open_picture(file, max_pixels=max_pixels)
        with ExitStack() as stack:
            with unforeseen_as_bad_input(source.name, _UNOPENABLE):
                pages = stack.enter_context(opening)
            yield _PagesOfFile(pages, source.name)


class _PagesOfFile:
    """Pages with an error boundary around each."""

    def __init__(self, pages: Pages, name: str):
        self.total = pages.total
        self._pages, self._name = pages, name

    def read(self, number: int) -> Page:
        with unforeseen_as_bad_input(f"{self._name}, page {number}", UNREADABLE_PAGE):
            return self._pages.read(number)


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


def password_of(work: Work) -> str | None:
    """The password beside a drop, the first line of NAME.password; None: there is no such file. Never log it.

    Raises:
        BadInput: the file is empty, too long or no UTF-8.
    """
    path = work.sidecars.get("password")
    if path is None:
        return None
    with path.open("rb") as file:
        content = file.read(_MOST_PASSWORD_BYTES + 1)
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise BadInput(f"{path.name} is not UTF-8 text. Save it as UTF-8 and drop both again.") from None  # no content
    if len(content) > _MOST_PASSWORD_BYTES or not lines or not lines[0]:
        raise BadInput(f"The first line of {path.name} must be the password, and is empty or too long. Correct it.")
    return lines[0]
