"""Checks whether a JPEG image is complete. Decoders fill in missing data, and decode garbage, without an error.

The check raises the height in the header by some rows of blocks, and decodes the image. For the added rows, an intact
image has no data, so the decoder fills them with gray. If the added rows have other content, or gray begins before
them, then some data in the middle or at the end is wrong or missing. This works for baseline images of one scan without
restart markers, as scanners and cameras write them. For all images, the check also uses the warnings of libjpeg, which
Pillow does not pass on.
"""

import io
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

DAMAGED = "the data of a picture is damaged: text may be wrong or missing"

# Markers (ITU-T T.81, table B.1)
_SCAN, _TABLES, _RESTART_INTERVAL = 0xDA, 0xDB, 0xDD
_END = b"\xff\xd9"
_BASELINE = (0xC0, 0xC1)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_UNSUPPORTED = {0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical"}
_UNSUPPORTED |= {0xCB: "lossless", 0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "hierarchical"}
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

_REDUCED = 8  # the scale at which libjpeg decodes fastest
_WARNINGS = ("Corrupt JPEG data", "Premature end")  # of libjpeg; others are about headers
_SURPLUS, _PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9"), 4  # bytes, as some cameras write
_MORE_ROWS = 2  # of blocks
_MOST_BLOCKS_LEFT = 1  # added blocks that the padding bits of an intact image may decode to
_MIDDLE = 128  # of 255: gray values are stored as differences from it
_FILL = {"L": 128, "RGB": 128, "CMYK": 127}  # of 255, the gray of a block without data; CMYK is inverted
_NOISE = b"\x5a" * 4096  # decodes to blocks that are not gray
_SMALLEST, _LARGEST_HEIGHT = 64, 65_535  # pixels; a smaller image has no text
_LEAST_SHARE = 0.002  # of the image, that is missing
_OUTSIDE = 6  # gray values beyond black or white, besides the rounding of a mean to its quantization step


@dataclass(frozen=True)
class _Header:
    frame: int  # the marker of the frame header; 0: none
    height_at: int = 0  # position of the height in the data
    precision: int = 8  # bits
    height: int = 0
    width: int = 0
    block: tuple[int, int] = (8, 8)  # width and height of a minimum coded unit in pixels
    components: int = 0
    is_one_scan: bool = False
    has_restarts: bool = False
    is_luminance: bool = False  # the first component; otherwise it may be red, or cyan
    step_at: int = 0  # position of the step by which its means of blocks are quantized; 0: it has two bytes
    scan_at: int = 0  # where the compressed data begins; 0: there is none


def find_damage(data: bytes) -> str:
    """The damage in the data of a JPEG image, as a reason for a review; "" if none is found."""
    return _find_gray(data) or _find_warning(data) or _find_impossible_gray(data)


def _find_warning(data: bytes) -> str:
    """The damage that libjpeg warns about while it decodes the image."""
    import simplejpeg

    gray = "CMYK" if _read_header(data).components > 3 else "GRAY"
    try:
        simplejpeg.decode_jpeg(data, gray, min_factor=_REDUCED, min_width=1, min_height=1, strict=True)
    except ValueError as error:
        surplus = _SURPLUS.search(str(error))
        if surplus and int(surplus[1]) <= _PADDING:
            return ""
        return DAMAGED if any(words in str(error) for words in _WARNINGS) else ""
    return ""


def _find_gray(data: bytes) -> str:
    header = _read_header(data)
    if not header.scan_at:
        return ""
    end = _AFTER_SCAN.search(data, header.scan_at)
    if header.frame not in _BASELINE or not header.is_one_scan or header.has_restarts:
        return "" if data.find(_END, header.scan_at) > 0 else _cut_off(None)
    compressed_end = end.start() if end else len(data)
    blocks = _decoded_blocks(data[:compressed_end] + _END, header)
    if blocks is None:
        return ""
    rows, columns = -(-header.height // header.block[1]), -(-header.width // header.block[0])
    total, filled = rows * columns, blocks.nonzero()[0]
    last = int(filled[-1]) + 1 if filled.size else 0
    if last - total > _MOST_BLOCKS_LEFT:
        return DAMAGED
    if total - last > _LEAST_SHARE * total and _is_fill(data[:compressed_end], header, last, total):
        return _cut_off(last / total)
    return ""


def _find_impossible_gray(data: bytes) -> str:
    """Find damage by blocks whose mean is lighter than white or darker than black.

    A block stores the difference of its mean from that of the previous block. A wrong bit therefore changes all later
    blocks, up to values outside the range, which decoders clip. This function halves the quantization step, so that
    such values stay within the range and are not clipped.
    """
    header = _read_header(data)
    step = data[header.step_at] if header.is_luminance and header.step_at else 0
    if step < 2:
        return ""
    finer = data[: header.step_at] + bytes([step // 2]) + data[header.step_at + 1 :]
    means = _decoded_means(finer)
    if means is None:
        return ""
    furthest = abs(means.astype(float) - _MIDDLE).max()
    return DAMAGED if furthest > (_MIDDLE + _OUTSIDE + step / 8) * (step // 2) / step + 1 else ""


def unsupported_kind(data: bytes) -> str:
    """The kind of JPEG that common decoders do not read, such as "lossless"; "" for any other."""
    header = _read_header(data)
    return _UNSUPPORTED.get(header.frame, "") or (f"{header.precision} bit" if header.precision > 8 else "")


def _cut_off(share: float | None) -> str:
    where = "" if share is None else f" after about {share:.0%} of its height"
    return f"a picture is cut off{where}: text is missing"


def _read_header(data: bytes) -> _Header:
    header = _Header(frame=0)
    steps: dict[int, int] = {}  # by table: positions
    table, at = 0, 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in _FRAMES and len(body) >= 6:
            header = _frame(marker, body, at, has_restarts=header.has_restarts)
            table = body[8] if len(body) > 8 else 0
        elif marker == _TABLES:
            steps |= _first_steps(body, at + 4)
        elif marker == _RESTART_INTERVAL and len(body) >= 2:
            header = replace(header, has_restarts=body[:2] != b"\0\0")
        elif marker == _SCAN and body:
            is_one_scan = header.frame != 0 and body[0] == header.components
            return replace(header, scan_at=at + 2 + length, is_one_scan=is_one_scan, step_at=steps.get(table, 0))
        at += 2 + length
    return header


def _frame(marker: int, body: bytes, at: int, *, has_restarts: bool) -> _Header:
    sampling = [body[7 + 3 * number] for number in range(body[5]) if 7 + 3 * number < len(body)]
    is_alone = len(sampling) == 1  # then blocks are not interleaved, whatever the sampling
    across = 1 if is_alone else max((each >> 4 for each in sampling), default=1) or 1
    down = 1 if is_alone else max((each & 15 for each in sampling), default=1) or 1
    return _Header(
        frame=marker,
        precision=body[0],
        height_at=at + 5,
        height=int.from_bytes(body[1:3], "big"),
        width=int.from_bytes(body[3:5], "big"),
        block=(8 * across, 8 * down),
        components=body[5],
        is_luminance=body[5] == 1 or body[5] == 3 and body[6:7] != b"R",
        has_restarts=has_restarts,
    )


def _first_steps(tables: bytes, start: int) -> dict[int, int]:
    """The position of the first step of each quantization table of 8 bits, by its number (B.2.4.1)."""
    steps, at = {}, 0
    while at < len(tables):
        is_long, number = tables[at] >> 4, tables[at] & 15
        if not is_long:
            steps[number] = start + at + 1
        at += 129 if is_long else 65
    return steps


def _decoded_means(data: bytes) -> "np.ndarray | None":
    """The gray values of an image, one for each block; None if it is not stored as luminance."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            if picture.info.get("adobe_transform") == 0:
                return None
            picture.draft("L", (max(1, picture.width // 8), max(1, picture.height // 8)))
            return np.asarray(picture) if picture.mode == "L" else None
    except (OSError, SyntaxError, ValueError):
        return None


def _decoded_blocks(data: bytes, header: _Header) -> "np.ndarray | None":
    """Which minimum coded units contain data, in their order, after some rows were added to the image."""
    import numpy as np
    from PIL import Image

    height = (-(-header.height // header.block[1]) + _MORE_ROWS) * header.block[1]
    if min(header.height, header.width) < _SMALLEST or height > _LARGEST_HEIGHT:
        return None
    longer = data[: header.height_at] + height.to_bytes(2, "big") + data[header.height_at + 2 :]
    try:
        with Image.open(io.BytesIO(longer), formats=("JPEG",)) as picture:
            picture.draft(None, (max(1, picture.width // 8), max(1, picture.height // 8)))  # a pixel per block
            pixels = np.asarray(picture if picture.mode in _FILL else picture.convert("RGB"))
            fill = _FILL.get(picture.mode, _FILL["RGB"])
    except (OSError, SyntaxError, ValueError):
        return None
    is_set = (pixels.reshape(*pixels.shape[:2], -1) != fill).any(axis=2)
    across, down = header.block[0] // 8, header.block[1] // 8
    rows, columns = -(-is_set.shape[0] // down), -(-is_set.shape[1] // across)
    padded = np.zeros((rows * down, columns * across), bool)
    padded[: is_set.shape[0], : is_set.shape[1]] = is_set
    return padded.reshape(rows, down, columns, across).any(axis=(1, 3)).ravel()


def _is_fill(data: bytes, header: _Header, first: int, last: int) -> bool:
    """True if the decoder filled in the gray blocks from `first` to `last`: with further data, they change."""
    blocks = _decoded_blocks(data + _NOISE + _END, header)
    return blocks is not None and bool(blocks[first:last].any())
