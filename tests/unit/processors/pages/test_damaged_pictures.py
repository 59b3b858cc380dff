"""JPEG and other image data that is incomplete or damaged, alone and within a PDF file, made from real images."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pdf_files import one_page, show, stream
from PIL import Image, ImageDraw, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from processors.contract import BadInput
from processors.pages import jpeg, read_pages


def text_picture(size: tuple[int, int] = (640, 900)) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    for row in range(size[1] // 60):
        position = (40, 60 * row + 20)
        ImageDraw.Draw(picture).text(position, f"Line {row} of the rental agreement", fill=(10, 10, 40), font_size=26)
    return picture


def encode(picture: Image.Image, **options: object) -> bytes:
    written = io.BytesIO()
    picture.save(written, "JPEG", **{"quality": 85, **options})
    return written.getvalue()


_KINDS = {
    "gray": ("L", {}),
    "color": ("RGB", {"subsampling": 0}),
    "color in halves": ("RGB", {"subsampling": 1}),
    "color in quarters": ("RGB", {"subsampling": 2}),
    "print colors": ("CMYK", {}),
}


@pytest.mark.parametrize("kind", list(_KINDS))
def test_damage_in_the_middle_is_found(kind: str):
    mode, options = _KINDS[kind]
    intact = encode(text_picture().convert(mode), **options)
    assert jpeg.find_damage(intact) == ""
    places = range(len(intact) // 4, 3 * len(intact) // 4, len(intact) // 20)
    noise = random.Random(1).choices(range(255), k=40)
    found = [jpeg.find_damage(intact[:at] + bytes(noise) + intact[at + 40 :]) for at in places]
    assert sum(map(bool, found)) >= 0.35 * len(found)  # by chance, some damage leaves as many blocks as before


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["cut off", "ended early"])
@pytest.mark.parametrize("kind", list(_KINDS))
def test_missing_end_is_found(kind: str, end: bytes):
    mode, options = _KINDS[kind]
    intact = encode(text_picture().convert(mode), **options)
    assert "a picture is cut off after about" in jpeg.find_damage(intact[: len(intact) // 2] + end)


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 10}])
def test_missing_end_of_another_kind_is_found(options: dict):
    intact = encode(text_picture(), **options)
    assert jpeg.find_damage(intact) == ""
    assert "cut off" in jpeg.find_damage(intact[: len(intact) // 2])


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_bytes_that_repeat_are_found(mode: str, options: dict):
    intact = encode(text_picture().convert(mode), **options)
    assert jpeg.find_damage(intact) == ""
    middle = len(intact) // 2
    for length in (512, 4096):
        repeated = (intact[middle - 64 : middle] * (length // 64))[: len(intact) - middle - 2]
        assert jpeg.find_damage(intact[:middle] + repeated + intact[middle + len(repeated) :])
        assert jpeg.find_damage(intact[: middle - length] + intact[middle:])


def test_wrong_bit_that_hides_letters_is_found():
    intact = encode(text_picture((480, 300)), subsampling=2)
    chance, start = random.Random(1), intact.rindex(b"\xff\xda") + 14
    all_harmed = (_with_wrong_bit(intact, start, chance) for _ in range(300))
    hidden = [harmed for harmed in all_harmed if _hides(harmed, intact)]
    assert len(hidden) >= 10
    assert all(jpeg.find_damage(harmed) for harmed in hidden)


def _with_wrong_bit(data: bytes, start: int, chance: random.Random) -> bytes:
    harmed = bytearray(data)
    harmed[chance.randrange(start, len(data) - 2)] ^= 1 << chance.randrange(8)
    return bytes(harmed)


def _hides(harmed: bytes, intact: bytes) -> bool:
    """True if one in twenty dark pixels became light."""
    try:
        after, before = (np.asarray(Image.open(io.BytesIO(data)).convert("L")) for data in (harmed, intact))
    except OSError:
        return False
    return bool((after[before < 100] > 200).mean() > 0.05)


def test_padding_at_the_end_is_not_called_damaged():
    intact = encode(text_picture(), progressive=True)
    assert jpeg.find_damage(intact[:-2] + b"\0\0" + intact[-2:]) == ""


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 16), (17, 33), (1000, 8)])
@pytest.mark.parametrize("color", ["white", "gray", (128, 128, 128), "black"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_intact_image_is_not_called_damaged(size: tuple[int, int], color: object, subsampling: int):
    assert jpeg.find_damage(encode(Image.new("RGB", size, color), subsampling=subsampling)) == ""


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\0\x03\x08", bytes(100)])
def test_data_that_is_not_an_image_has_no_damage(content: bytes):
    assert jpeg.find_damage(content) == ""


def test_damaged_photo_is_read_with_a_warning(tmp_path: Path):
    intact = encode(text_picture().convert("L"))
    middle = len(intact) // 2
    (tmp_path / "x.jpg").write_bytes(intact[:middle] + b"\x55" * 40 + intact[middle + 40 :])
    (page,) = read_pages(tmp_path / "x.jpg", "image/jpeg", max_pixels=10**7)
    assert page.warnings == (jpeg.DAMAGED,)


def test_lossless_jpeg_is_not_called_damaged(tmp_path: Path):
    intact = encode(text_picture().convert("L"))
    (tmp_path / "x.jpg").write_bytes(intact.replace(b"\xff\xc0", b"\xff\xc3", 1))
    with pytest.raises(BadInput, match=r"lossless\) is not supported"):
        next(read_pages(tmp_path / "x.jpg", "image/jpeg", max_pixels=10**7))


def in_pdf(data: bytes, codec: bytes) -> bytes:
    entries = (
        b"/Type /XObject /Subtype /Image /ColorSpace /DeviceRGB /BitsPerComponent 8 /Width 640 /Height 900 "
        b"/Filter /%s" % codec
    )
    drawn = "q 400 0 0 560 100 100 cm /I0 Do Q " + show("Invoice")
    return one_page(drawn, stream(data, entries), resources=b"/XObject << /I0 6 0 R >>")


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


_DATA = {
    "JPEG": (encode(text_picture()), b"DCTDecode"),
    "zlib": (zlib.compress(text_picture().tobytes()), b"FlateDecode"),
}


@pytest.mark.parametrize("codec", list(_DATA))
def test_incomplete_image_of_a_pdf_is_reported(tmp_path: Path, codec: str):
    data, name = _DATA[codec]
    for content, says in ((data, None), (_half(data), "a picture is cut off after about")):
        (tmp_path / "x.pdf").write_bytes(in_pdf(content, name))
        (page,) = read_pages(tmp_path / "x.pdf", "application/pdf", max_pixels=10**7)
        assert len(page.warnings) == bool(says) and all(says in warning for warning in page.warnings)


def _group4(picture: Image.Image) -> bytes:
    """The data of a fax of one strip, black on white (ITU-T T.6)."""
    saved = io.BytesIO()
    picture.convert("1").save(saved, "TIFF", compression="group4", tiffinfo={278: picture.height})
    with Image.open(io.BytesIO(saved.getvalue())) as tiff:
        assert isinstance(tiff, TiffImageFile)
        (start,), (size,) = tiff.tag_v2[273], tiff.tag_v2[279]
    return saved.getvalue()[start : start + size]


def _jbig2(picture: Image.Image) -> bytes:
    """A page and a region that is coded as a fax is (ITU-T T.88, 7.4)."""
    page = struct.pack(">IIIIBH", *picture.size, 0, 0, 0, 0)
    region = struct.pack(">IIIIBB", *picture.size, 0, 0, 0, 1) + _group4(ImageOps.invert(picture.convert("L")))
    return b"".join(
        struct.pack(">IBBBI", number, kind, 0, 1, len(data)) + data
        for number, kind, data in ((0, 48, page), (1, 38, region))
    )


def _jpeg2000(picture: Image.Image) -> bytes:
    saved = io.BytesIO()
    picture.save(saved, "JPEG2000")
    return saved.getvalue()


@pytest.mark.parametrize("codec", ["JPXDecode", "CCITTFaxDecode", "JBIG2Decode"])
def test_codecs_of_scanners_are_decoded_or_reported(tmp_path: Path, codec: str):
    picture = text_picture()
    encoded = {"JPXDecode": _jpeg2000, "CCITTFaxDecode": _group4, "JBIG2Decode": _jbig2}[codec](picture)
    content = in_pdf(encoded, codec.encode())
    if codec != "JPXDecode":
        parameters = b"/DecodeParms << /K -1 /Columns 640 /Rows 900 >>" if codec == "CCITTFaxDecode" else b""
        content = content.replace(b"/DeviceRGB /BitsPerComponent 8", b"/DeviceGray /BitsPerComponent 1 " + parameters)
    (tmp_path / "x.pdf").write_bytes(content)
    (page,) = read_pages(tmp_path / "x.pdf", "application/pdf", max_pixels=10**7)
    assert page.warnings == () and page.unread
    (tmp_path / "x.pdf").write_bytes(content.replace(encoded, b"?" * len(encoded)))
    (page,) = read_pages(tmp_path / "x.pdf", "application/pdf", max_pixels=10**7)
    assert codec == "CCITTFaxDecode" or f"a picture is damaged or in an unknown format ({codec})" in page.warnings[0]
