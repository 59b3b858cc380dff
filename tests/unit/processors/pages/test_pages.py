"""Every kind of page a person may submit, made by the libraries that make such files."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT, TESTS
from PIL import Image
from works import work_on

from processors.contract import BadInput, Work
from processors.pages import count_pages, open_pages, read_pages, read_password

DATA = TESTS / "data"  # locked.pdf: two pages, AES-256, made by pikepdf
SAMPLES = ROOT / "samples" / "inbox"
PLENTY = 10_000_000
RED, BLUE = (255, 0, 0), (0, 0, 255)


def _corners(size: tuple[int, int] = (60, 40)) -> Image.Image:
    """White, with a red upper left and a blue lower right quarter: distinguishes every rotation and mirroring."""
    image = Image.new("RGB", size, "white")
    image.paste(RED, (0, 0, size[0] // 2, size[1] // 2))
    image.paste(BLUE, (size[0] // 2, size[1] // 2, *size))
    return image


def _only(path: Path, media_type: str = "image/png", **limits: int):
    (page,) = read_pages(path, media_type, **{"max_pixels": PLENTY, **limits})
    return page


def _is_like(image: Image.Image, point: tuple[float, float], color: tuple[int, int, int]) -> bool:
    found = image.getpixel((int(point[0] * image.width), int(point[1] * image.height)))
    return max(abs(a - b) for a, b in zip(found, color, strict=True)) < 60


def _is_upright(image: Image.Image) -> bool:
    return (
        _is_like(image, (0.25, 0.25), RED)
        and _is_like(image, (0.75, 0.75), BLUE)
        and _is_like(image, (0.75, 0.25), (255, 255, 255))
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tiff", "heic", "avif", "jp2"])
def test_every_format_is_read(tmp_path: Path, suffix: str):
    import pillow_heif

    pillow_heif.register_heif_opener()
    path = tmp_path / f"x.{suffix}"
    _corners((64, 48)).save(path)
    page = _only(path)
    assert (page.image.mode, page.image.size, page.number, page.total) == ("RGB", (64, 48), 1, 1)
    assert _is_upright(page.image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int):
    from PIL.Image import Transpose as T

    stored = {
        **{1: None, 2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM},
        **{5: T.TRANSPOSE, 6: T.ROTATE_90, 7: T.TRANSVERSE, 8: T.ROTATE_270},
    }[orientation]
    image = _corners() if stored is None else _corners().transpose(stored)
    exif = Image.Exif()
    exif[274] = orientation
    image.save(tmp_path / "x.jpg", exif=exif, quality=95)
    page = _only(tmp_path / "x.jpg")
    assert page.image.size == (60, 40) and _is_upright(page.image)


def test_sixteen_bit_gray_is_not_white(tmp_path: Path):
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
    Image.fromarray(ramp).save(tmp_path / "x.png")
    gray = np.asarray(_only(tmp_path / "x.png").image)[:, :, 0]
    assert gray[0, 0] < 5 and gray[0, -1] > 250
    assert 110 < gray[0, 32] < 145


def test_twelve_bits_in_sixteen_are_stretched_and_noted(tmp_path: Path):
    ramp = np.tile(np.linspace(0, 3000, 64).astype(np.uint16), (8, 1))
    Image.fromarray(ramp).save(tmp_path / "x.png")
    page = _only(tmp_path / "x.png")
    assert np.asarray(page.image).max() == 255
    assert "stretched" in page.notes[0]


def test_transparency_lies_over_white(tmp_path: Path):
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(tmp_path / "x.png")
    assert _only(tmp_path / "x.png").image.getpixel((5, 5)) == (255, 255, 255)


def test_all_pages_of_a_tiff_are_read_in_order(tmp_path: Path):
    first, *others = (Image.new("RGB", (20, 20), color) for color in (RED, BLUE, (0, 255, 0)))
    first.save(tmp_path / "x.tiff", save_all=True, append_images=others)
    pages = list(read_pages(tmp_path / "x.tiff", "image/tiff", max_pixels=PLENTY))
    assert [page.image.getpixel((5, 5)) for page in pages] == [RED, BLUE, (0, 255, 0)]
    assert [(page.number, page.total) for page in pages] == [(1, 3), (2, 3), (3, 3)]
    assert count_pages(tmp_path / "x.tiff", "image/tiff") == 3


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif", "heic"])
def test_every_picture_of_a_file_is_a_page(tmp_path: Path, suffix: str):
    import pillow_heif

    pillow_heif.register_heif_opener()
    first, *others = (Image.new("RGB", (64, 64), color) for color in (RED, BLUE, "white"))
    first.save(tmp_path / f"x.{suffix}", save_all=True, append_images=others)
    pages = list(read_pages(tmp_path / f"x.{suffix}", "image/x", max_pixels=PLENTY))
    for page, color in zip(pages, (RED, BLUE, (255, 255, 255)), strict=True):
        assert _is_like(page.image, (0.5, 0.5), color) and (page.total, page.notes, page.warnings) == (3, (), ())


def test_film_is_read_up_to_a_limit(tmp_path: Path):
    frames = [Image.new("L", (16, 16), shade) for shade in range(60)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    with open_pages(tmp_path / "x.gif", "image/gif", max_pixels=PLENTY) as pages:
        assert pages.total == 51 and pages.read(50).image.getpixel((5, 5))[0] == 49
        with pytest.raises(BadInput, match="only the first 50 of the 60 pictures"):
            pages.read(51)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"8BPS\0\1", "Photoshop files are not supported"),
        (b"<?xml version='1.0'?><svg/>", "SVG files are not supported"),
        (b"P6\n10 10\n255\n", "PNM files are not supported"),
        (b"\0\0\0\x0cJXL \r\n", "JPEG XL files are not supported"),
        (b"\x89PNG\r\n\x1a\nnonsense", "damaged or truncated"),
    ],
)
def test_unsupported_format_is_not_called_damaged(tmp_path: Path, head: bytes, says: str):
    (tmp_path / "x").write_bytes(head + bytes(200))
    with pytest.raises(BadInput, match=says):
        count_pages(tmp_path / "x", "image/x")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_large_image_is_reduced_to_the_limit_and_noted(tmp_path: Path, suffix: str):
    _corners((3000, 2000)).save(tmp_path / f"x.{suffix}")
    page = _only(tmp_path / f"x.{suffix}", max_pixels=60_000)
    assert page.image.width * page.image.height <= 60_000
    assert page.source_size == (3000, 2000)
    assert "reduced from 3000 x 2000" in page.notes[0]
    assert _is_upright(page.image)


def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)  # 30 GB of pixels
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(BadInput, match="100000 x 100000"):
        _only(tmp_path / "bomb.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_image_that_is_cut_off_is_bad_input(tmp_path: Path, suffix: str):
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    whole = io.BytesIO()
    noise.save(whole, {"jpg": "JPEG"}.get(suffix, suffix.upper()))
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(BadInput, match=r"[Cc]opy|Save"):
        _only(path)


@pytest.mark.parametrize("content", [b"", b"hello, I am text", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_file_that_is_not_an_image_is_bad_input(tmp_path: Path, content: bytes):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(BadInput):
        _only(tmp_path / "x.png")


def test_pdf_pages_are_rendered_at_the_requested_resolution_within_the_limit():
    statement = SAMPLES / "bank" / "statement.pdf"
    pages = list(read_pages(statement, "application/pdf", max_pixels=PLENTY, dpi=100))
    assert [page.number for page in pages] == [1, 2] and count_pages(statement, "application/pdf") == 2
    assert pages[0].image.size[0] == pytest.approx(8.27 * 100, abs=2)
    small = next(read_pages(statement, "application/pdf", max_pixels=100_000, dpi=100))
    assert small.image.width * small.image.height <= 100_000 and small.notes


def test_pdf_named_as_an_image_is_read_by_its_content(tmp_path: Path):
    (tmp_path / "scan.jpg").write_bytes((SAMPLES / "bank" / "statement.pdf").read_bytes())
    assert count_pages(tmp_path / "scan.jpg", "image/jpeg") == 2


def test_broken_pdf_is_bad_input():
    with pytest.raises(BadInput, match="damaged or cut off"):
        count_pages(SAMPLES / "broken.pdf", "application/pdf")


def test_text_layer_of_a_pdf_is_read(tmp_path: Path):
    (tmp_path / "x.pdf").write_bytes(_pdf("Total 42.00"))
    assert _only(tmp_path / "x.pdf", "application/pdf").text.strip() == "Total 42.00"


def test_pdf_that_needs_a_password_is_bad_input_with_instructions(tmp_path: Path):
    lock = b"/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (
        b"5a" * 32,
        b"a5" * 32,
    )
    (tmp_path / "x.pdf").write_bytes(_pdf("secret", lock))
    with pytest.raises(BadInput, match=r"encrypted. Write its password .*scan.pdf.password"):
        count_pages(tmp_path / "x.pdf", "application/pdf")
    with pytest.raises(BadInput, match="the password given does not open it. Correct it"):
        count_pages(tmp_path / "x.pdf", "application/pdf", password="wrong")


def test_pdf_is_opened_with_its_password():
    with open_pages(
        DATA / "locked.pdf", "application/pdf", max_pixels=10**6, dpi=72, password="pâte 7 à tarte"
    ) as pages:
        assert [pages.read(number).image.size for number in (1, 2)] == [(168, 168)] * 2


@pytest.mark.parametrize("content", ["pâte 7 à tarte", "pâte 7 à tarte\r\n", "\ufeffpâte 7 à tarte\nand a note\n"])
def test_password_is_the_first_line_of_its_file(content, tmp_path: Path):
    (tmp_path / "x.pdf.password").write_text(content, encoding="utf-8", newline="")
    assert read_password(_work(tmp_path)) == "pâte 7 à tarte"


@pytest.mark.parametrize(
    "content", [b"", b"\nsecret", b"secret\xff", b"secret" * 1000], ids=["empty", "line", "latin", "long"]
)
def test_invalid_password_is_reported_without_revealing_it(content, tmp_path: Path):
    (tmp_path / "x.pdf.password").write_bytes(content)
    with pytest.raises(BadInput, match="x.pdf.password") as error:
        read_password(_work(tmp_path))
    assert "secret" not in repr(error.value) + repr(error.value.__cause__)


def _work(folder: Path) -> Work:
    return work_on(folder / "x.pdf", sidecars={"password": folder / "x.pdf.password"})


def _pdf(text: str, trailer_entries: bytes = b"") -> bytes:
    """The smallest PDF with one page of text (ISO 32000-1, 7.5)."""
    stream = f"BT /F 24 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer << /Size 6 /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF" % (trailer_entries, len(body))
    return body + b"xref\n0 6\n0000000000 65535 f \n" + table + trailer


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.95])
def test_intact_pages_of_a_tiff_that_is_cut_off_are_read(tmp_path: Path, share: float):
    first, *others = (Image.new("RGB", (100, 100), (50 * number, 0, 0)) for number in range(5))
    first.save(tmp_path / "x.tiff", save_all=True, append_images=others)
    content = (tmp_path / "x.tiff").read_bytes()
    (tmp_path / "x.tiff").write_bytes(content[: int(len(content) * share)])
    reds, errors = [], []
    with open_pages(tmp_path / "x.tiff", "image/tiff", max_pixels=PLENTY) as pages:
        for number in range(1, pages.total + 1):
            try:
                reds.append(pages.read(number).image.getpixel((5, 5))[0])
            except BadInput as error:
                errors.append(str(error))
    assert reds == [0, 50, 100, 150, 200][: int(5 * share)]
    assert 1 <= len(errors) <= 2 and "cut off" in errors[-1] or "truncated" in errors[-1]
    if share < 0.95:
        assert f"Page {len(reds) + len(errors)} and all pages after it cannot be read" in errors[-1]


def test_tiff_without_a_first_page_is_bad_input(tmp_path: Path):
    (tmp_path / "x.tiff").write_bytes(b"II*\0\xff\xff\xff\x7f")
    with pytest.raises(BadInput):
        count_pages(tmp_path / "x.tiff", "image/tiff")


def test_pdf_without_pages_is_not_reported_as_damaged(tmp_path: Path):
    body, offsets = b"%PDF-1.7\n", []
    for number, each in enumerate((b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"), start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"xref\n0 3\n0000000000 65535 f \n%strailer\n<</Size 3/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    (tmp_path / "x.pdf").write_bytes(body + end % (table, len(body)))
    (tmp_path / "damaged.pdf").write_bytes(b"%PDF-1.7\n")
    for name, says in (("x", "has no pages"), ("damaged", "damaged or cut off"), ("x", "has no pages")):
        with pytest.raises(BadInput, match=rf"^This PDF (is )?{says}\."):
            count_pages(tmp_path / f"{name}.pdf", "application/pdf")
    with pytest.raises(BadInput, match="encrypted"):
        count_pages(DATA / "locked.pdf", "application/pdf")
    with pytest.raises(BadInput, match="has no pages"):
        count_pages(tmp_path / "x.pdf", "application/pdf")


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_png_with_too_much_metadata_is_not_reported_as_damaged(tmp_path: Path, kind: bytes):
    Image.new("RGB", (10, 10), "white").save(tmp_path / "x.png")
    content = (tmp_path / "x.png").read_bytes()
    data = b"a\0\0" + zlib.compress(bytes(10_000_000))
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    (tmp_path / "x.png").write_bytes(content[:33] + chunk + content[33:])
    with pytest.raises(BadInput, match="without metadata"):
        _only(tmp_path / "x.png")


# ---------------------------------------------------------------------------------------------- strips


@pytest.mark.parametrize("size", [(1, 65_000), (70_000, 1), (3, 100_000)])
def test_strip_of_an_image_is_refused_before_it_is_decoded(tmp_path: Path, size: tuple[int, int]):
    Image.new("RGB", size, "white").save(tmp_path / "x.png")
    with pytest.raises(BadInput, match=f"too thin to read .{size[0]} by {size[1]} pixels"):
        _only(tmp_path / "x.png")


@pytest.mark.parametrize("size", [(1, 1), (400, 20), (9, 3000)])
def test_small_or_narrow_image_is_not_a_strip(tmp_path: Path, size: tuple[int, int]):
    Image.new("RGB", size, "white").save(tmp_path / "x.png")
    assert _only(tmp_path / "x.png").image.size == size


@pytest.mark.parametrize("points", [(100_000, 0.01), (0.0001, 1_000_000), (14_400, 0.5)])
def test_strip_of_a_pdf_page_fails_alone(tmp_path: Path, points: tuple[float, float]):
    import pypdfium2

    pdf = pypdfium2.PdfDocument.new()
    for width, height in ((200, 100), points, (200, 100)):
        pdf.new_page(width, height)
    pdf.save(tmp_path / "x.pdf")
    with open_pages(tmp_path / "x.pdf", "application/pdf", max_pixels=PLENTY) as pages:
        with pytest.raises(BadInput, match=r"Page 2 is too thin to read \(.* by .* points\)"):
            pages.read(2)
        assert [pages.read(number).image.width for number in (1, 3)] == [556, 556]
