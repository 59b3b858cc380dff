"""One page, the interface of an open document, and the error boundary of a page. No I/O."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from processors.contract import BadInput, JobError

if TYPE_CHECKING:
    from PIL import Image

UNREADABLE_PAGE = "Internal error on this page; see the log."
MAX_PAGES = 10_000  # of one file: a model needs a day for that many; more are a mistake or an attack
_OUT_OF_MEMORY = ("bad_alloc", "allocate memory", "Insufficient memory")  # messages of onnxruntime and OpenCV
_LONGEST_SIDE = (
    65_500  # maximum side of an image in pixels, as in JPEG: engines would pad longer images to squares or bands
)
_THINNEST, _LONGEST_SHAPE = 8, 25  # pixels; long to short side

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PlacedWord:
    """A word of a text layer, and its box in pixels of the page's image."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    angle: float = 0.0  # degrees clockwise by which the text is rotated
    is_struck: bool = False  # struck out by a line


Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the page's image


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Words of a text layer that may differ from what the page shows."""

    words: tuple[PlacedWord, ...]
    boxes: tuple[Box, ...]  # where they are drawn
    characters: str = ""  # those whose glyphs look like others; "": none has a meaning, so the words are wrong


@dataclass(frozen=True, kw_only=True)
class Page:
    number: int  # from 1
    total: int  # pages of the file
    image: "Image.Image"  # RGB, upright by EXIF, at most `max_pixels`
    source_size: tuple[int, int]  # width, height upright, before any reduction; of a PDF page: at `dpi`
    notes: tuple[str, ...] = ()  # what was lost or changed, such as "reduced from 9000 x 7000 to 2268 x 1764 pixels"
    warnings: tuple[str, ...] = ()  # reasons for a review: content of the page that its text cannot contain
    text: str = ""  # the visible text layer of a PDF page; "" if it has none
    words: tuple[PlacedWord, ...] = ()  # words of `text` with positions, without `doubts`
    doubts: tuple[Doubt, ...] = ()  # words that are not in `words`
    picture_share: float = 0.0  # share of a PDF page's area that images cover: near 1.0 for a scan
    textless: "Image.Image | None" = None  # the image without `words` and `doubts`; None: the page has no text layer
    unread: tuple[Box, ...] = ()  # the parts of `textless` that may contain text

    @property
    def scale(self) -> float:
        """Pixels of `image` per pixel of the source, along a side: 1.0 if it was not reduced."""
        return min(1.0, max(self.image.width / self.source_size[0], self.image.height / self.source_size[1]))


class Pages(Protocol):
    """The pages of an open file."""

    total: int
    warnings: tuple[str, ...]  # reasons for a review: content of the file that is on no page

    def read(self, number: int) -> Page:
        """Page `number`, from 1.

        Raises:
            BadInput: this page cannot be decoded; others may be.
        """


@contextmanager
def unexpected_as_bad_input(where: str, message: str) -> Iterator[None]:
    """Convert an exception from a library, or from a bug here, to `BadInput` with `message`; log the details.

    The error then affects only the page at `where`. Errors that the page did not cause pass through: out of memory, a
    failing disk.
    """
    try:
        yield
    except (JobError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno or any(words in str(error) for words in _OUT_OF_MEMORY):
            raise
        logger.exception("%s: %s", where, message)
        raise BadInput(message) from error


def reduce(image: "Image.Image", max_pixels: int) -> "Image.Image":
    from PIL import Image

    size = fit(image.size, max_pixels)
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def fit(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """The largest size of the same shape with at most `max_pixels`, never larger than `size`."""
    share = reduction_factor(size, max_pixels)
    if share == 1:
        return size
    width = min(max_pixels, max(1, int(size[0] * share)))
    return width, min(max_pixels // width, max(1, int(size[1] * share)))


def reduction_factor(size: tuple[float, float], max_pixels: int) -> float:
    """The factor (0 to 1) by which to reduce both sides; 1.0 if the page is small enough."""
    return min(1.0, math.sqrt(max_pixels / (size[0] * size[1])), _LONGEST_SIDE / max(size))


def is_thin(size: tuple[float, float], max_pixels: int) -> bool:
    """True if a page of this size, reduced to `max_pixels`, is a strip too thin to read.

    Engines enlarge or pad the short side, so a strip from a file of some kilobytes would take gigabytes of memory.
    """
    short, long = (side * reduction_factor(size, max_pixels) for side in sorted(size))
    return short < _THINNEST and long > _LONGEST_SHAPE * short


def refuse_too_many(pages: int) -> None:
    if pages > MAX_PAGES:
        raise BadInput(f"This file has more than {MAX_PAGES} pages. Split it and drop the parts.")
