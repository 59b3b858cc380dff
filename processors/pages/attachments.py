"""Content of a PDF file that is on no page: attached files, and XFA forms. pypdfium2 is imported on first use."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_MOST_NAMED = 5
_XFA = (
    "this PDF is an XFA form, whose content cannot be shown here. Open it in Adobe Acrobat, print it to a PDF file and "
    "drop that."
)
_DATA = (".xml", ".json", ".csv")  # for programs, as of an e-invoice; the pages show the same


def read_attachment(source: Path, names: Sequence[str], max_bytes: int, password: str | None = None) -> bytes | None:
    """Read the first attachment with one of `names` (in lower case) and at most `max_bytes`; None: there is none."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        pdf = pypdfium2.PdfDocument(source, password=password)
    except pypdfium2.PdfiumError:
        return None
    try:
        for number in range(pdf.count_attachments()):
            attachment = pdf.get_attachment(number)
            size = ctypes.c_ulong()
            if attachment.get_name().lower() not in names:
                continue
            raw.FPDFAttachment_GetFile(attachment, None, 0, size)
            if 0 < size.value <= max_bytes:
                return bytes(attachment.get_data())
    except pypdfium2.PdfiumError:
        return None
    finally:
        pdf.close()
    return None


def find_warnings(pdf: "PdfDocument") -> tuple[str, ...]:
    """The reasons for a review: content that is on none of the pages. Call this before pages are flattened."""
    warnings = [_XFA] if _is_dynamic_xfa(pdf) else []
    names = [pdf.get_attachment(number).get_name() for number in range(pdf.count_attachments())]
    if names := [name for name in names if not name.lower().endswith(_DATA)]:
        named = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
        noun, it = ("file", "it") if len(names) == 1 else ("files", "them")
        warnings.append(
            f"this PDF contains {len(names)} {noun} that inboxd did not read: {named}. "
            f"Save {it} from a PDF viewer and drop {it}."
        )
    return tuple(warnings)


def _is_dynamic_xfa(pdf: "PdfDocument") -> bool:
    """True for an XFA form whose pages are a placeholder: they have no form fields."""
    from pypdfium2 import raw

    kind = pdf.get_formtype()
    if kind not in (raw.FORMTYPE_XFA_FULL, raw.FORMTYPE_XFA_FOREGROUND):
        return False
    return not any(_has_fields(pdf, number) for number in range(len(pdf)))


def _has_fields(pdf: "PdfDocument", number: int) -> bool:
    from pypdfium2 import raw

    page = pdf[number]
    try:
        for index in range(raw.FPDFPage_GetAnnotCount(page)):
            annotation = raw.FPDFPage_GetAnnot(page, index)
            subtype = raw.FPDFAnnot_GetSubtype(annotation)
            raw.FPDFPage_CloseAnnot(annotation)
            if subtype in (raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_XFAWIDGET):
                return True
    finally:
        page.close()
    return False
