"""Identifies the type of a file by its first bytes.

Other modules contain the signatures: `media_signatures`, `text_types`, `containers`, and `other_types` for files that
inboxd does not process. This module decodes nothing: the processor refuses a file that only begins like an image or
sound.
"""

import codecs
import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from daemon.intake import audio_frames, containers, media_signatures, other_types, text_types
from daemon.intake.suffixes import BY_SUFFIX
from processors.contract import Kind

PROBE_BYTES = 64 * 1024
_PDF_HEADER_BYTES = 1024  # PDF 32000-1:2008, Annex H, implementation note 13


@dataclass(frozen=True, kw_only=True)
class Content:
    """The type of a file's content, as far as its first bytes show it."""

    kind: Kind | None  # None: the file is neither an image, audio nor text
    media_type: str  # "image/png"; "application/octet-stream" if not known, "application/x-empty" if empty


def sniff(path: Path, folder: int | None = None, *, name: str = "") -> Content:
    """Identify the content of `path` by its first 64 KiB; the name decides only where the bytes do not.

    folder: a descriptor of the folder that contains the file, for a path that is not trusted.
    name: the name that the file will have, if it differs from that of `path`.

    Raises:
        OSError: the file is gone, unreadable, a symbolic link (ELOOP) or not a regular file (EINVAL). A FIFO does not
            block the call.
    """
    suffix = Path(name or path.name).suffix
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    handle = os.open(path if folder is None else path.name, flags, dir_fd=folder)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        probe = _read(handle, PROBE_BYTES)
        size_bytes = max(facts.st_size, len(probe))  # the file may have grown since
        media_type = _media_type(probe, size_bytes, suffix)
        if media_type == containers.ZIP:
            media_type = containers.zip_type(handle, size_bytes)
        elif media_type == containers.OLE:
            media_type = containers.ole_type(handle, size_bytes)
    finally:
        os.close(handle)
    if not probe:
        return Content(kind=None, media_type="application/x-empty")
    if media_type == "text/plain" and suffix.lower() in _PAGES and text_types.has_markup(probe):
        media_type = text_types.WEB_PAGE
    media_type = media_type or BY_SUFFIX.get(suffix.lower(), "application/octet-stream")
    return Content(kind=_kind(media_type), media_type=media_type)


def _read(handle: int, limit: int) -> bytes:
    chunks = []
    while limit and (chunk := os.read(handle, limit)):
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)


_PAGES = (".html", ".htm", ".xhtml")
_DOCUMENTS = {  # whose text is read
    *(text_types.MAIL, containers.DOCX, containers.XLSX, containers.XLSB, containers.PPTX, containers.ENCRYPTED_OFFICE),
    *("application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint", "application/vnd.ms-outlook"),
    *(f"application/vnd.oasis.opendocument.{part}" for part in ("text", "spreadsheet", "presentation")),
    "application/epub+zip",
}
_DRAWINGS = {  # pictures that `processors.pages` does not decode
    *("image/svg+xml", "image/vnd.adobe.photoshop", "image/x-xcf", "image/vnd.djvu", "image/vnd.dwg"),
    *("image/wmf", "image/emf"),
}


def _kind(media_type: str) -> Kind | None:
    if media_type in _DOCUMENTS:
        return Kind.TEXT
    if media_type in _DRAWINGS:
        return None
    match media_type.split("/")[0]:
        case "image":
            return Kind.IMAGE
        case "audio" | "video":
            return Kind.AUDIO
        case "text":
            return Kind.TEXT
    return Kind.IMAGE if media_type == "application/pdf" else None


def _media_type(probe: bytes, size_bytes: int, suffix: str) -> str | None:
    return (
        media_signatures.media_type(probe, size_bytes)
        or _pdf(probe, size_bytes)
        or text_types.known_text(probe)
        or _text(probe, size_bytes)
        or media_signatures.media_type_unless_text(probe)
        or other_types.media_type(probe)
        or audio_frames.media_type(probe, 0, size_bytes)
        or ("text/plain" if suffix.lower() not in BY_SUFFIX and text_types.is_legacy(probe, suffix) else None)
    )


_PDF_HEADER = re.compile(rb"%PDF-\d\.?\d")  # PDFium reads "%PDF-14", too
_PDF_OBJECT = re.compile(rb"^\d+ \d+ obj\b", re.MULTILINE)


def _pdf(probe: bytes, size_bytes: int) -> str | None:
    """Printer commands or mail headers may stand before the header; a text that only mentions PDF stays a text."""
    header = _PDF_HEADER.search(probe[:_PDF_HEADER_BYTES])
    if not header:
        return None
    before = probe[: header.start()].removeprefix(codecs.BOM_UTF8).strip()
    is_text = before and not _PDF_OBJECT.search(probe, header.end()) and _text(probe, size_bytes)
    return None if is_text else "application/pdf"


def _text(probe: bytes, size_bytes: int) -> str | None:
    return "text/plain" if text_types.is_utf(probe, size_bytes) else None
