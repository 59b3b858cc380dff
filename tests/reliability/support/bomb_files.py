"""Small files that claim to be huge: each is built here, by hand, in a few kilobytes.

Formats: PNG (W3C), TIFF 6.0, GIF89a, PDF (ISO 32000-1), zlib and deflate (RFC 1950, 1951).
"""

import io
import struct
import zlib
from collections.abc import Iterable

_MEGABYTE = 1 << 20
_PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>"


def zeros(size: int) -> bytes:
    """A zlib stream of `size` zero bytes, built quickly by repeating the block of one megabyte."""
    packer = zlib.compressobj(9, wbits=-15)
    first = packer.compress(bytes(_MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(_MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(size % _MEGABYTE)) + packer.flush()
    whole = size // _MEGABYTE
    blocks = first + block * (whole - 1) if whole else b""
    checksum = (size % 65521) << 16 | 1  # Adler-32 of zeros
    return b"\x78\xda" + blocks + rest + struct.pack(">I", checksum)


# ---------------------------------------------------------------------------------------------- pictures


def png(width: int, height: int, *, depth: int = 8, color: int = 2, before: bytes = b"") -> bytes:
    """All pixels are present, and zero. color: 0 gray, 2 RGB, 3 palette, 6 RGBA."""
    row = 1 + (width * depth * {0: 1, 2: 3, 3: 1, 6: 4}[color] + 7) // 8
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + before + chunk(b"IDAT", zeros(row * height)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def palette(*, transparent: bool) -> bytes:
    return chunk(b"PLTE", bytes(768)) + (chunk(b"tRNS", bytes(256)) if transparent else b"")


def tiff(width: int, height: int, *, pages: int = 1) -> bytes:
    """Gray; all pages share the same pixels."""
    data = zeros(width * height)
    at = 8 + pages * (2 + 9 * 12 + 4)
    folders = []
    for number in range(1, pages + 1):
        entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, at), (277, 3, 1)]
        entries += [(278, 4, height), (279, 4, len(data))]
        packed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
        following = 8 + number * (2 + 9 * 12 + 4) if number < pages else 0
        folders.append(struct.pack("<H", 9) + packed + struct.pack("<I", following))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(folders) + data


def gif(width: int, height: int, frames: int) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + (b"\x21\xf9\x04\x04\0\0\0\0" + frame) * frames + b";"


def bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + info


def jpeg_2000(width: int, height: int) -> bytes:
    size = struct.pack(">HHIIIIIIIIH", 47, 0, width, height, 0, 0, width, height, 0, 0, 3)
    return b"\xff\x4f\xff\x51" + size + b"\7\1\1" * 3 + b"\xff\xd9"


def webp(width: int, height: int) -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4)
    body += struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def heic(width: int, height: int) -> bytes:
    """A valid one, except for the size in its header (box `ispe`)."""
    import pillow_heif
    from PIL import Image

    file = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(file)
    content = file.getvalue()
    at = content.index(b"ispe") + 8
    return content[:at] + struct.pack(">II", width, height) + content[at + 8 :]


# ---------------------------------------------------------------------------------------------- PDF


def pdf(objects: Iterable[bytes], trailer: bytes = b"") -> bytes:
    """Objects 1, 2 …; the first is the catalog."""
    parts, offsets, at = [b"%PDF-1.7\n"], [], 9
    for number, content in enumerate(objects, start=1):
        offsets.append(at)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, content))
        at += len(parts[-1])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(offsets) + 1
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n" % size + table)
    parts.append(b"trailer << /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF" % (size, trailer, at))
    return b"".join(parts)


def stream(entries: bytes, data: bytes) -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


def one_page(
    content: bytes = b"0 0 m 9 9 l S",
    *,
    box: bytes = b"[0 0 612 792]",
    entries: bytes = b"",
    resources: bytes = b"<< >>",
    more: Iterable[bytes] = (),
) -> bytes:
    """`entries`: of the content's stream; `more`: objects 5, 6 …"""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox %s /Contents 4 0 R /Resources %s >>" % (box, resources)
    return pdf([_CATALOGUE, _pages(b"3 0 R", 1), page, stream(entries, content), *more])


def many_pages(pages: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(pages))
    return pdf([_CATALOGUE, _pages(kids, pages), *[_PAGE] * pages])


def lying_count(count: int) -> bytes:
    return pdf([_CATALOGUE, _pages(b"3 0 R", count), _PAGE])


def deep_tree(depth: int) -> bytes:
    nodes = [b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (number + 3) for number in range(depth)]
    return pdf([_CATALOGUE, *nodes, _PAGE])


def looping_tree() -> bytes:
    return pdf([_CATALOGUE, _pages(b"2 0 R 2 0 R", 5)])


def no_pages() -> bytes:
    return pdf([_CATALOGUE, _pages(b"", 0)])


def form_in_itself() -> bytes:
    """A form that draws itself twice: two to the power of the depth at which the reader stops."""
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 600 700] /Resources << /XObject << /X 5 0 R >> >>"
    resources = b"<< /XObject << /X 5 0 R >> >>"
    return one_page(b"/X Do", resources=resources, more=[stream(form, b"/X Do /X Do")])


def dense_pattern() -> bytes:
    """Some hundred thousand million tiles."""
    tile = b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 .01 .01] /XStep .001 /YStep .001"
    content = b"/Pattern cs /P scn 0 0 612 792 re f"
    resources = b"<< /Pattern << /P 5 0 R >> >>"
    return one_page(content, resources=resources, more=[stream(tile + b" /Resources << >>", b"0 0 1 1 re f")])


def huge_picture(side: int) -> bytes:
    entries = b"/Type /XObject /Subtype /Image /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode"
    entries += b" /Width %d /Height %d" % (side, side)
    picture = stream(entries, zeros(side * side * 3))
    return one_page(b"600 0 0 700 0 0 cm /X Do", resources=b"<< /XObject << /X 5 0 R >> >>", more=[picture])


def form_of_xml() -> bytes:
    """XFA: a form that only its vendor's own reader can draw."""
    xfa = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [] /XFA [(datasets) 4 0 R] >> >>"
    return pdf([xfa, _pages(b"3 0 R", 1), _PAGE, stream(b"", b"<xfa:datasets xmlns:xfa='x'/>")])


def encrypted() -> bytes:
    lock = b"/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (
        b"5a" * 32,
        b"a5" * 32,
    )
    return pdf([_CATALOGUE, _pages(b"3 0 R", 1), _PAGE], lock)


_CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"


def _pages(kids: bytes, count: int) -> bytes:
    return b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count)


# ---------------------------------------------------------------------------------------------- sound


def wav(*, rate_hz: int, channels: int, data: bytes, claimed_bytes: int | None = None) -> bytes:
    width = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, min(0xFFFFFFFF, rate_hz * width), width & 0xFFFF, 16)
    size = len(data) if claimed_bytes is None else claimed_bytes
    return b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", size) + data
