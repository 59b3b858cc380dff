"""A PDF file of the original pages, with the text that OCR read as an invisible layer, for searching and copying.

Pages whose own text layer was used, and files that need no OCR, remain unchanged. pikepdf is imported on first use.
"""

import io
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from processors import pages
from processors.contract import BadInput, Work
from processors.ocr.regions import rotate
from processors.ocr.text import PageText
from processors.ocr.text_lines import Point, TextBox
from processors.pages import Pages

if TYPE_CHECKING:
    from pikepdf import Object, Pdf
    from pikepdf import Page as PdfPage

# A font whose glyphs are two dots, at the corners of a box half as wide as high: 0.8 above the baseline, 0.2 below.
# Some viewers do not highlight the place of an empty glyph.
_GLYPHLESS = Path(__file__).with_name("glyphless.ttf")
_ADVANCE, _DESCENT = 0.5, 0.2  # of its size
_NARROW, _WIDE = "iljtfrI.,:;!'|()[]/ ", "mwMW@%&"
_LEAST_SIZE = 0.1  # points
_DPI = 200  # of an image, which has no size on paper
_JPEG_QUALITY = 90
_TO_UNICODE = (
    b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) "
    b"/Supplement 0 >> def /CMapName /Adobe-Identity-UCS def /CMapType 2 def 1 begincodespacerange <0000> <FFFF> "
    b"endcodespacerange 1 beginbfrange <0000> <FFFF> <0000> endbfrange endcmap CMapName currentdict /CMap "
    b"defineresource pop end end"
)


def write_pdf(work: Work, opened: Pages, read: Sequence[PageText], path: Path) -> None:
    """Write the searchable file. `opened`: the pages of the original.

    Raises:
        BadInput: pikepdf cannot open the file.
    """
    import pikepdf

    written = [page for page in read if _ocr_boxes(page)]
    if not _is_pdf(work.source):
        _write_images(opened, read, path)
    elif not written:
        shutil.copyfile(work.source, path)
    else:
        try:
            with pikepdf.open(work.source, password=pages.read_password(work) or "") as pdf:
                font = _add_font(pdf)
                for page in written:
                    _add_layer(pdf.pages[page.number - 1], font, page)
                pdf.save(path, encryption=pdf.is_encrypted)
        except pikepdf.PdfError as error:
            raise BadInput("A searchable PDF cannot be written: the original is damaged.") from error


def _is_pdf(source: Path) -> bool:
    with source.open("rb") as file:
        return b"%PDF-" in file.read(1024)


def _ocr_boxes(page: PageText) -> list[TextBox]:
    """The words that OCR read; the words of the text layer, which are certain, are already in the page."""
    boxes = [box for line in page.lines for box in line]
    if page.source == "text layer":
        return []
    return boxes if page.source == "OCR" else [box for box in boxes if box.confidence < 1]


def _write_images(opened: Pages, read: Sequence[PageText], path: Path) -> None:
    """Write each image as a page, with its text; a page that cannot be decoded is left out."""
    import pikepdf

    with pikepdf.new() as pdf:
        font = _add_font(pdf)
        for page in read:
            if page.error:
                continue
            picture = opened.read(page.number).image
            data = io.BytesIO()
            picture.save(data, "JPEG", quality=_JPEG_QUALITY)
            size = picture.width * 72 / _DPI, picture.height * 72 / _DPI
            blank = pdf.add_blank_page(page_size=size)
            image = pikepdf.Stream(pdf, data.getvalue())
            image.stream_dict = pikepdf.Dictionary(
                Type=pikepdf.Name.XObject,
                Subtype=pikepdf.Name.Image,
                Width=picture.width,
                Height=picture.height,
                ColorSpace=pikepdf.Name.DeviceRGB,
                BitsPerComponent=8,
                Filter=pikepdf.Name.DCTDecode,
            )
            name = blank.add_resource(image, pikepdf.Name.XObject)
            blank.contents_add(b"q %.3f 0 0 %.3f 0 0 cm %s Do Q\n" % (*size, str(name).encode()))
            _add_layer(blank, font, page)
        pdf.save(path)


def _add_layer(page: "PdfPage", font: "Object", read: PageText) -> None:
    import pikepdf

    boxes, size = _ocr_boxes(read), read.size
    if not boxes or size is None:
        return
    name = str(page.add_resource(font, pikepdf.Name.Font)).encode()
    back = (360 - read.rotation) % 360
    turned = size[::-1] if back in (90, 270) else size
    shown = [line for box in boxes for line in _runs(rotate(box, size, back), name, page, turned)]
    page.contents_add(b"q\n", prepend=True)  # so that the page's own transformations end before the layer
    page.contents_add(b"\nQ\nq BT 3 Tr\n%s\nET Q\n" % b"\n".join(shown))


def _runs(box: TextBox, font: bytes, page: "PdfPage", size: tuple[int, int]) -> Iterator[bytes]:
    """The operators that show each word of a box at its place, in a box as high as the line."""
    start, end = _to_page(box.corners[3], page, size), _to_page(box.corners[2], page, size)
    top = _to_page(box.corners[0], page, size)
    height, length = math.dist(start, top), math.dist(start, end)
    if height < _LEAST_SIZE or length < _LEAST_SIZE:
        return
    cosine, sine = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    total = sum(map(_width, box.text))
    at = 0.0
    for word in _words(box.text):
        width = sum(map(_width, word)) / total * length
        x, y = start[0] + cosine * at - sine * _DESCENT * height, start[1] + sine * at + cosine * _DESCENT * height
        codes = word.encode("utf-16-be").hex().encode()
        stretch = 100 * width / (_ADVANCE * height * len(codes) / 4)
        yield b"%s %.3f Tf %.3f Tz %.5f %.5f %.5f %.5f %.3f %.3f Tm <%s> Tj" % (
            *(font, height, stretch, cosine, sine, -sine, cosine, x, y),
            codes,
        )
        at += width


def split_words(text: str) -> Iterator[tuple[str, float, float]]:
    """The words of a line without the spaces around them, and where each starts and ends: from 0 to 1."""
    total, at = sum(map(_width, text)) or 1.0, 0.0
    for word in _words(text):
        shown = word.strip()
        start = at + sum(map(_width, word[: len(word) - len(word.lstrip())]))
        yield shown, start / total, (start + sum(map(_width, shown))) / total
        at += sum(map(_width, word))


def _words(text: str) -> list[str]:
    """The words, each with the spaces after it."""
    return re.findall(r"\s*\S+\s*", text)


def _width(character: str) -> float:
    """Estimate the width of a word, because RapidOCR gives the positions of lines, not of words."""
    if character in _NARROW:
        return 0.5
    return 1.5 if character in _WIDE else 1.25 if character.isupper() else 1.0


def _to_page(point: Point, page: "PdfPage", size: tuple[int, int]) -> Point:
    """Convert a position in the page's picture to PDF user space (ISO 32000-1, 8.3.2.3)."""
    left, bottom, right, top = (float(side) for side in _visible_box(page))
    rotation = _rotation(page) // 90 * 90
    width, height = (right - left, top - bottom) if rotation % 180 == 0 else (top - bottom, right - left)
    across, down = point[0] / size[0] * width, point[1] / size[1] * height
    return {
        0: (left + across, top - down),
        90: (left + down, bottom + across),
        180: (right - across, bottom + down),
        270: (right - down, top - across),
    }[rotation]


def _visible_box(page: "PdfPage") -> tuple[float, float, float, float]:
    """The part of the page that viewers show: the crop box within the media box."""
    media, crop = ([float(side) for side in box] for box in (page.mediabox, page.cropbox))
    (ml, mb, mr, mt), (cl, cb, cr, ct) = (
        (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])) for box in (media, crop)
    )
    box = max(ml, cl), max(mb, cb), min(mr, cr), min(mt, ct)
    return box if box[0] < box[2] and box[1] < box[3] else (ml, mb, mr, mt)


def _rotation(page: "PdfPage") -> int:
    """Degrees clockwise by which viewers rotate the page; it may inherit them (ISO 32000-1, table 30)."""
    node: Object = page.obj
    for _ in range(50):
        if "/Rotate" in node:
            return int(node["/Rotate"]) % 360
        if "/Parent" not in node:
            break
        node = node["/Parent"]
    return 0


def _add_font(pdf: "Pdf") -> "Object":
    """The font of the layer; its codes are those of UTF-16."""
    from pikepdf import Array, Dictionary, Name, Stream

    program = _GLYPHLESS.read_bytes()
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=Name.Glyphless,
        Flags=5,
        FontBBox=Array([0, -200, 500, 800]),
        ItalicAngle=0,
        Ascent=800,
        Descent=-200,
        CapHeight=800,
        StemV=80,
        FontFile2=pdf.make_indirect(Stream(pdf, program, Length1=len(program))),
    )
    descendant = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=Name.Glyphless,
        CIDSystemInfo=Dictionary(Registry=b"Adobe", Ordering=b"Identity", Supplement=0),
        FontDescriptor=pdf.make_indirect(descriptor),
        DW=500,
        CIDToGIDMap=pdf.make_indirect(Stream(pdf, b"\0\1" * 0x10000)),  # each character has the same glyph
    )
    return pdf.make_indirect(
        Dictionary(
            Type=Name.Font,
            Subtype=Name.Type0,
            BaseFont=Name.Glyphless,
            Encoding=Name("/Identity-H"),
            DescendantFonts=Array([pdf.make_indirect(descendant)]),
            ToUnicode=pdf.make_indirect(Stream(pdf, _TO_UNICODE)),
        )
    )
