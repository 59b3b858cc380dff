"""PDF files as pages, rendered by pdfium. Messages of `BadInput` are for the person who submitted the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from processors.contract import BadInput
from processors.pages.annotations import Annotations, flatten
from processors.pages.attachments import find_warnings
from processors.pages.mirrored import WARNING, turn_over
from processors.pages.page import Page, is_thin, reduce, reduction_factor, refuse_too_many

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

_NO_PAGES = "This PDF has no pages. Export it again and drop the new file."
_POINTS_PER_INCH = 72  # of PDF user space (ISO 32000-1, 8.3.2.3)


@contextmanager
def open_pdf(file: BinaryIO, *, max_pixels: int, dpi: int, password: str | None) -> Iterator["_PdfPages"]:
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(file, password=password)
    except pypdfium2.PdfiumError as error:
        raise BadInput(_why_pdf_fails(_error_code(file, password), password)) from error
    try:
        if len(pdf) == 0:
            raise BadInput(_NO_PAGES)
        refuse_too_many(len(pdf))
        pdf.init_forms()  # so that pdfium renders what people typed into form fields
        yield _PdfPages(pdf, max_pixels, dpi)
    finally:
        pdf.close()


def _error_code(file: BinaryIO, password: str | None) -> int | None:
    """The error code of pdfium for the file.

    For a file without pages, pdfium sets no code, and the code of an earlier file remains. This function therefore
    first sets a known code, and then opens the file again.
    """
    import pypdfium2
    from pypdfium2 import raw

    raw.FPDF_LoadDocument(b"", None)  # FPDF_ERR_FILE: there is no such file
    file.seek(0)
    try:
        pypdfium2.PdfDocument(file, password=password).close()
    except pypdfium2.PdfiumError as error:
        code: int | None = error.err_code
        return code
    return None


def _why_pdf_fails(code: int | None, password: str | None) -> str:
    from pypdfium2 import raw

    if code in (raw.FPDF_ERR_SUCCESS, raw.FPDF_ERR_FILE):  # see `_error_code`: pdfium set none
        return _NO_PAGES
    if code == raw.FPDF_ERR_PASSWORD and password:
        return "This PDF is encrypted, and the password given does not open it. Correct it and drop both files again."
    if code == raw.FPDF_ERR_PASSWORD:
        return (
            "This PDF is encrypted. Write its password into a text file with the PDF's name plus .password "
            "(scan.pdf.password) and drop both together; or drop a copy without a password."
        )
    if code == raw.FPDF_ERR_SECURITY:
        return "The encryption of this PDF is not supported. Save a copy without encryption and drop that."
    return "This PDF is damaged or cut off. Copy or download it again and drop the new file."


class _PdfPages:
    def __init__(self, pdf: "PdfDocument", max_pixels: int, dpi: int):
        self.total = len(pdf)
        self.warnings = find_warnings(pdf)
        self._pdf, self._max_pixels, self._dpi = pdf, max_pixels, dpi

    def read(self, number: int) -> Page:
        import pypdfium2

        try:
            page, annotations = flatten(self._pdf, number - 1)
            page, was_mirrored = turn_over(self._pdf, page, number - 1)
            try:
                read = self._render(page, number, annotations)
                return replace(read, warnings=(WARNING, *read.warnings)) if was_mirrored else read
            finally:
                page.close()
        except pypdfium2.PdfiumError as error:
            raise BadInput(f"Page {number} of this PDF is damaged. Copy or download it again.") from error

    def _render(self, page: "PdfPage", number: int, annotations: Annotations) -> Page:
        from PIL import Image

        from processors.pages.content import read_content, render
        from processors.pages.images import find_beneath, find_damage, find_images, picture_share

        width, height = (points * self._dpi / _POINTS_PER_INCH for points in page.get_size())
        if width <= 0 or height <= 0:
            raise BadInput(f"Page {number} of this PDF has no size. Export it again and drop the new file.")
        if is_thin((width, height), self._max_pixels):
            points = " by ".join(f"{side:.0f}" if side >= 1000 else f"{side:.4g}" for side in page.get_size())
            raise BadInput(f"Page {number} is too thin to read ({points} points).")
        share = reduction_factor((width, height), self._max_pixels)
        notes = (f"rendered at {self._dpi * share:.0f} instead of {self._dpi} dpi",) if share < 1 else ()
        scale = self._dpi * share / _POINTS_PER_INCH
        picture = render(page, scale)
        content = read_content(page, picture, annotations, scale)
        image, images = Image.fromarray(picture), find_images(page)
        return Page(
            number=number,
            total=self.total,
            image=reduce(image, self._max_pixels),  # pdfium rounds sides up: one row too many at the limit
            source_size=(max(1, round(width)), max(1, round(height))),
            notes=(*notes, *content.notes),
            warnings=(*annotations.report(content.text), *content.warnings, *find_damage(page, images)),
            text=content.text,
            words=content.words,
            doubts=content.doubts,
            picture_share=picture_share(page, images),
            textless=reduce(Image.fromarray(content.textless), self._max_pixels),
            unread=(*content.unread, *find_beneath(page, images, content.unread, scale)),
        )
