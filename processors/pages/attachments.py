"""Files attached to a PDF file. pypdfium2 is imported on first use."""

import ctypes
from collections.abc import Sequence
from pathlib import Path


def read_attachment(source: Path, names: Sequence[str], max_bytes: int, password: str | None = None) -> bytes | None:
    """The first attachment that has one of these names (in lower case) and is not larger; None if there is none."""
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
