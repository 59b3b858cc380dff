"""Turns PDF pages over whose text is mirrored, as for transfers and printing plates, so that they can be read.

pypdfium2 is imported on first use.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

WARNING = "the text is mirrored on the page; inboxd read it as in a mirror"
_MOST = 0.5  # share of mirrored characters above which a page is turned over
_SAMPLED = 1000  # characters checked, about


def turn_over(pdf: "PdfDocument", page: "PdfPage", number: int) -> tuple["PdfPage", bool]:
    """Turn page `number` (from 0) over if most of its text is mirrored; return the page, and whether it was mirrored.

    After this call, use only the returned page: `page` may be closed.
    """
    from pypdfium2 import raw

    forward = _forward(page)
    if forward is None:
        return page, False
    left, bottom, right, top = page.get_bbox()
    is_sideways = page.get_rotation() in (90, 270)
    if forward != is_sideways:
        matrix = raw.FS_MATRIX(1, 0, 0, -1, 0, bottom + top)
    else:
        matrix = raw.FS_MATRIX(-1, 0, 0, 1, left + right, 0)
    raw.FPDFPage_TransFormWithClip(page, matrix, raw.FS_RECTF(left, top, right, bottom))
    page.close()  # pdfium parses the changed page when it is loaded again
    return pdf[number], True


def _forward(page: "PdfPage") -> bool | None:
    """True if the mirrored lines run to the right, so that they are upside down; None if most text is not mirrored."""
    from pypdfium2 import raw

    text = page.get_textpage()
    try:
        count, matrix = text.count_chars(), raw.FS_MATRIX()
        seen = mirrored = 0
        direction = 0.0
        for index in range(0, count, max(1, count // _SAMPLED)):
            if raw.FPDFText_GetTextObject(text, index) and raw.FPDFText_GetMatrix(text, index, matrix):
                is_mirrored = matrix.a * matrix.d - matrix.b * matrix.c < 0
                across = {0: matrix.a, 90: matrix.b, 180: -matrix.a, 270: -matrix.b}[page.get_rotation() or 0]
                seen, mirrored, direction = seen + 1, mirrored + is_mirrored, direction + is_mirrored * across
    finally:
        text.close()
    return direction > 0 if mirrored > _MOST * seen > 0 else None
