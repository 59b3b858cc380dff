"""Corrects pixels that are not square; chooses the background of transparent ones. Pillow is imported on first use."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_SQUARE = 1.15  # ratio of the resolutions; a fax has 204 x 98 dpi (ITU-T T.4)
_LARGEST_RATIO = 4.0  # a larger ratio is an error of the file
_OPAQUE = 128  # alpha
_LIGHT = 170  # gray value
_SHARE = 0.95  # of the opaque pixels


def make_square(image: "Image.Image", dpi: object, max_pixels: int) -> tuple["Image.Image", tuple[str, ...]]:
    """Stretch an image whose pixels are not square, so that letters have their true shape. Return a note if it did.

    dpi: (horizontal, vertical) as the file states it; invalid values are ignored. max_pixels: of the returned image.
    """
    x, y = _resolution(dpi)
    ratio = max(x, y) / min(x, y) if min(x, y) > 0 else 1.0
    if not _SQUARE < ratio < _LARGEST_RATIO:
        return image, ()
    width, height = (image.width, image.height * ratio) if x > y else (image.width * ratio, image.height)
    share = min(1.0, (max_pixels / (width * height)) ** 0.5)
    size = max(1, int(width * share)), max(1, int(height * share))
    return image.resize(size), (f"stretched to square pixels, as its resolution is {x:g} x {y:g} dpi",)


def _resolution(dpi: object) -> tuple[float, float]:
    try:
        x, y = map(float, dpi)  # type: ignore[call-overload]  # whatever the file says
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0, 1.0
    return x, y


def find_ground(image: "Image.Image") -> str:
    """ "black" behind an RGBA image that shows only light colors, such as white text; else "white"."""
    import numpy as np

    small = image.copy()
    small.thumbnail((1000, 1000))
    gray, alpha = np.asarray(small.convert("L")), np.asarray(small.getchannel("A"))
    opaque = gray[alpha >= _OPAQUE]
    is_light = len(opaque) and 0 < len(opaque) < alpha.size and (opaque >= _LIGHT).mean() >= _SHARE
    return "black" if is_light else "white"
