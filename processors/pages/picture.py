"""Images as pages, decoded by Pillow and libheif. Messages of `BadInput` are for the person who submitted the file."""

import itertools
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from processors.contract import BadInput
from processors.pages.page import Page, fit, is_thin, reduce, refuse_too_many
from processors.pages.pixels import find_ground, make_square
from processors.pages.unreadable_formats import describe_unknown

if TYPE_CHECKING:
    from PIL import Image
    from PIL.TiffImagePlugin import TiffImageFile

logger = logging.getLogger(__name__)

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "HEIF", "AVIF")  # not EPS, which is a program
_MAX_BYTES = 800_000_000  # of one decoded image: 200 megapixels in color, the size of the largest phone cameras' images
_MAX_BYTES_AT_ONCE = 2 * _MAX_BYTES  # including the copy when its mode changes
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 8, "I;16L": 8, "I;16B": 8, "I;16N": 8}
_BYTES_PER_PIXEL_OF_DECODER = {"JPEG2000": 20, "WEBP": 16}  # measured, including all copies; the others take less
_COLOR_BYTES = 4  # Pillow keeps RGB, RGBA, CMYK, I and F in 32 bits; 16-bit gray above counts its conversion too
_REDUCED_IMAGE = 1  # bit 0 of TIFF's NewSubfileType: a preview of another page (TIFF 6.0, page 36)
_TAG_SUBFILE, _TAG_ORIENTATION = 254, 274
_SEQUENCES = ("GIF", "WEBP", "PNG", "HEIF", "AVIF")  # each of their pictures is a page
_MOST_FRAMES = 50  # maximum number of such pictures; a file with more is a film
_DARK = 1 / 16  # 16-bit gray whose values stay below this share of the range has only 12 bits or less
_MUCH_METADATA = (
    "This PNG contains too much text, or too large a color profile, in its metadata. Save it without metadata, or as "
    "JPEG, and drop that."
)
_UNSUPPORTED_KIND = "This kind of image is not supported. Save it as JPEG, PNG or PDF and drop that."
_NOT_SUPPORTED = ("not available", "unknown pixel mode", "nsupported", "not supported", "cannot handle")  # of Pillow's
_TOO_MANY_FRAMES = (
    f"inboxd read only the first {_MOST_FRAMES} of the {{count}} pictures in this file. Split it and drop the parts."
)
_CUT_OFF = "Page {number} and all pages after it cannot be read: the file is damaged or cut off. Copy it again."
# What Pillow's plug-ins raise on damaged files, as its own fuzzers show; an OSError of the disk has an errno.
_DAMAGE = (
    *(OSError, EOFError, SyntaxError, ValueError, IndexError, KeyError, TypeError, AttributeError),
    *(OverflowError, ZeroDivisionError, RuntimeError, struct.error, zlib.error),
)


@contextmanager
def open_picture(file: BinaryIO, *, max_pixels: int) -> Iterator["_PicturePages"]:
    import pillow_heif
    from PIL import Image, UnidentifiedImageError

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    Image.MAX_IMAGE_PIXELS = None  # `_refuse_decompression_bomb` is stricter, and its message is for a person
    try:
        with _damage_is_bad_input():
            picture = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        file.seek(0)
        raise BadInput(describe_unknown(file.read(4096))) from error
    with picture:
        yield _PicturePages(picture, file, max_pixels)


@contextmanager
def _damage_is_bad_input() -> Iterator[None]:
    from PIL import UnidentifiedImageError

    try:
        yield
    except (UnidentifiedImageError, MemoryError):
        raise
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno:  # the disk's fault
            raise
        logger.info("damaged image: %s", error)
        if "MAX_TEXT" in str(error):  # a limit of Pillow's, for texts and color profiles
            raise BadInput(_MUCH_METADATA) from error
        if any(words in str(error) for words in _NOT_SUPPORTED):
            raise BadInput(_UNSUPPORTED_KIND) from error
        raise BadInput("This image is damaged or truncated. Copy it to the inbox again.") from error


class _PicturePages:
    warnings: tuple[str, ...] = ()

    def __init__(self, picture: "Image.Image", file: BinaryIO, max_pixels: int):
        self._picture, self._file, self._max_pixels = picture, file, max_pixels
        self._frames: list[int | None] = [0]  # None: the unreadable rest at the end
        if picture.format == "TIFF":
            self._frames = self._pages_of_tiff()
        elif picture.format in _SEQUENCES:
            count = _count_frames(picture)
            self._frames = [*range(min(count, _MOST_FRAMES)), *([None] if count > _MOST_FRAMES else [])]
        self.total = len(self._frames)

    def _pages_of_tiff(self) -> list[int | None]:
        """The numbers of the frames that are pages. In a file that is cut off, the readable ones, then None for the
        rest.

        Raises:
            BadInput: not even the first page can be found, or there are too many pages.
        """
        frames: list[int | None] = []
        walk = enumerate(self._walk())
        try:
            with _damage_is_bad_input():
                frames.extend(frame for frame, is_preview in walk if not is_preview)
        except BadInput as error:
            if not frames or not isinstance(error.__cause__, _DAMAGE):
                raise
            frames.append(None)
        return frames or [0]

    def _walk(self) -> Iterator[bool]:
        """Yield for each frame of a TIFF whether it is a preview. Pillow's own count would read the complete file."""
        for frame in itertools.count():
            try:
                self._picture.seek(frame)
            except EOFError:
                return
            refuse_too_many(frame + 1)
            yield bool(cast("TiffImageFile", self._picture).tag_v2.get(_TAG_SUBFILE, 0) & _REDUCED_IMAGE)

    def read(self, number: int) -> Page:
        frame = self._frames[number - 1]
        if frame is None:
            is_long = self._picture.format in _SEQUENCES
            raise BadInput((_TOO_MANY_FRAMES if is_long else _CUT_OFF).format(number=number, count=self._count()))
        with _damage_is_bad_input():
            self._picture.seek(frame)
        picture, notes = self._picture, []
        size = picture.size
        if is_thin(size, self._max_pixels):
            what = f"Page {number}" if self.total > 1 else "This image"
            raise BadInput(f"{what} is too thin to read ({size[0]} by {size[1]} pixels).")
        if picture.format in ("JPEG", "MPO") and not picture.info.get("progressive"):
            picture.draft(picture.mode, fit(size, self._max_pixels))  # decodes at 1/2, 1/4 or 1/8
        _refuse_decompression_bomb(picture, size)
        declared = _orientation(picture)
        with _damage_is_bad_input():
            self._load(picture)
        left = _orientation(picture)  # Pillow rotates TIFF itself while loading; PNG may declare it after the pixels
        image, note = _to_rgb(picture, self._max_pixels)
        image, unsquare = make_square(image, picture.info.get("dpi"), self._max_pixels)
        image = _turn_upright(image, left)
        size = size[::-1] if {declared, left} & {5, 6, 7, 8} else size
        if image.width * image.height < size[0] * size[1]:
            notes.append(f"reduced from {size[0]} x {size[1]} to {image.width} x {image.height} pixels")
        if picture.format not in ("TIFF", *_SEQUENCES) and (frames := self._count()) > 1:
            notes.append(f"the first of {frames} pictures in the file")
        return Page(
            number=number,
            total=self.total,
            image=image,
            source_size=size,
            notes=(*notes, *note, *unsquare),
            warnings=self._find_damage(),
        )

    def _count(self) -> int:
        return _count_frames(self._picture)

    def _load(self, picture: "Image.Image") -> None:
        """Decode the picture.

        Raises:
            BadInput: the picture is a kind of JPEG that common decoders do not read.
        """
        from processors.pages import jpeg

        try:
            picture.load()
        except OSError as error:
            if not error.errno and (kind := self._is_jpeg() and jpeg.unsupported_kind(self._data())):
                raise BadInput(
                    f"This JPEG image ({kind}) is not supported. Save it as baseline JPEG or PNG and drop that."
                ) from error
            raise

    def _is_jpeg(self) -> bool:
        return self._picture.format in ("JPEG", "MPO")

    def _find_damage(self) -> tuple[str, ...]:
        from processors.pages import jpeg

        damage = jpeg.find_damage(self._data()) if self._is_jpeg() else ""
        return (damage,) if damage else ()

    def _data(self) -> bytes:
        self._file.seek(0)
        return self._file.read()


def _refuse_decompression_bomb(picture: "Image.Image", size: tuple[int, int]) -> None:
    """Check the size in the header before decoding: a file of some kilobytes may need terabytes of memory.

    Raises:
        BadInput: the image is too large.
    """
    each = _BYTES_PER_PIXEL.get(picture.mode, _COLOR_BYTES)
    mode = _target_mode(picture)
    converted = 0 if mode == picture.mode else 1 if mode == "L" else _COLOR_BYTES
    converted += _COLOR_BYTES if mode == "RGBA" else 0  # Pillow's resize premultiplies a copy by its alpha
    at_once = max(each + converted, _BYTES_PER_PIXEL_OF_DECODER.get(picture.format or "", 0))
    limit = min(_MAX_BYTES // each, _MAX_BYTES_AT_ONCE // at_once)
    if picture.width * picture.height > limit:
        raise BadInput(
            f"This image is too large to decode: {size[0]} x {size[1]} pixels, and the limit is "
            f"{limit // 1_000_000} million. Reduce or split it and drop that."
        )


def _target_mode(picture: "Image.Image") -> str:
    """The mode of Pillow in which to reduce an image; gray of 16 or 32 bits was converted to 8 bits before."""
    if picture.has_transparency_data:
        return "RGBA"
    return "L" if picture.mode in ("1", "L") else "RGB"


def _count_frames(picture: "Image.Image") -> int:
    """The number of frames; 1 if the frames after the first are damaged."""
    try:
        return getattr(picture, "n_frames", 1)
    except _DAMAGE:
        return 1


def _to_rgb(picture: "Image.Image", max_pixels: int) -> tuple["Image.Image", tuple[str, ...]]:
    """Convert to 8-bit RGB with at most `max_pixels`. A transparent image gets a background, and gray of more than 8
    bits is scaled.
    """
    from PIL import Image

    notes: tuple[str, ...] = ()
    if picture.mode.startswith("I") or picture.mode == "F":
        picture, notes = _deep_gray(picture)
    mode = _target_mode(picture)
    try:
        picture = picture if picture.mode == mode else picture.convert(mode)  # convert would copy in any case
    except ValueError as error:
        raise BadInput(f"The color mode {picture.mode} is not supported. Save it as JPEG or PNG.") from error
    picture = reduce(picture, max_pixels)
    if mode == "RGBA":
        ground = Image.new("RGB", picture.size, find_ground(picture))
        ground.paste(picture, mask=picture.getchannel("A"))
        return ground, notes
    return picture.convert("RGB"), notes


def _deep_gray(picture: "Image.Image") -> tuple["Image.Image", tuple[str, ...]]:
    """Convert gray of 16 or 32 bits to 8 bits; Pillow's own conversion clips it to white."""
    import numpy as np
    from PIL import Image

    gray = np.asarray(picture)
    if picture.mode == "F":
        gray = np.nan_to_num(gray, copy=True, posinf=0, neginf=0)
    low, high = float(gray.min()), float(gray.max())
    full = 1.0 if picture.mode == "F" else 65535.0
    if low >= 0 and full * _DARK < high <= full:
        low, high = 0.0, full
        notes: tuple[str, ...] = ()
    else:
        notes = (f"gray values {low:g} to {high:g} stretched to the full range",)
    scaled = (gray.astype(np.float32) - low) * (255 / ((high - low) or 1))
    return Image.fromarray((scaled + 0.5).astype(np.uint8)), notes


def _orientation(picture: "Image.Image") -> int:
    try:
        return int(picture.getexif().get(_TAG_ORIENTATION, 1))
    except _DAMAGE:
        logger.warning("The EXIF data is damaged; the image is not rotated")
        return 1


def _turn_upright(image: "Image.Image", orientation: int) -> "Image.Image":
    """Undo the rotation and mirroring that EXIF's Orientation declares (CIPA DC-008, 4.6.5.1)."""
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)
