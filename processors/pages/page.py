"""One page, and what an open file of pages promises. No I/O."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Page:
    number: int  # from 1
    total: int  # pages of the file
    image: "Image.Image"  # RGB, upright as EXIF says, at most `max_pixels`
    source_size: tuple[int, int]  # width, height upright, before any reduction; of a PDF page: at `dpi`
    notes: tuple[str, ...] = ()  # what was lost or changed, such as "reduced from 9000 x 7000 to 2268 x 1764 pixels"
    text: str = ""  # the text layer of a PDF page; "" if it has none

    @property
    def scale(self) -> float:
        """How many pixels of `image` one pixel of the source became: 1.0 if nothing was reduced."""
        return min(1.0, max(self.image.width / self.source_size[0], self.image.height / self.source_size[1]))


class Pages(Protocol):
    """An open file of pages."""

    total: int

    def read(self, number: int) -> Page:
        """Page `number`, from 1.

        Raises:
            BadInput: this page cannot be decoded; others may.
        """


def reduce(image: "Image.Image", max_pixels: int) -> "Image.Image":
    from PIL import Image

    if image.width * image.height <= max_pixels:
        return image
    return image.resize(fit(image.size, max_pixels), Image.Resampling.LANCZOS, reducing_gap=3.0)


def fit(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """The largest size of the same shape with at most `max_pixels`, never larger than `size`."""
    share = min(1.0, (max_pixels / (size[0] * size[1])) ** 0.5)
    width = min(max_pixels, max(1, int(size[0] * share)))
    return width, min(max_pixels // width, max(1, int(size[1] * share)))
