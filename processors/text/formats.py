"""Chooses the reader of a document by its media type, which the daemon found in its content."""

import codecs
import logging
from collections.abc import Callable
from pathlib import Path

from processors import extras
from processors.contract import BadInput, Unavailable
from processors.text import html, mail, office, workbook
from processors.text.document import TextDocument, counted
from processors.text.encoding import detect, known_codec

log = logging.getLogger(__name__)

ENCRYPTED = "application/x-encrypted-office"
MAIL = "message/rfc822"
OUTLOOK = "application/vnd.ms-outlook"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SAMPLE_BYTES = 256 * 1024
_CHUNK_BYTES = 1024 * 1024
_ENCRYPTED = "This document is protected with a password. Save it without one and drop it again."

Reader = Callable[[Path, TextDocument], None]


def read(source: Path, media_type: str, document: TextDocument, *, attachments: bool) -> None:
    """Write the text of a document.

    Raises:
        BadInput: it is damaged or encrypted.
    """
    document.format = media_type
    if media_type == ENCRYPTED:
        raise BadInput(_ENCRYPTED)
    if media_type == MAIL:
        mail.read(source, document, read_html, attachments=attachments)
    elif media_type == OUTLOOK:
        mail.read_outlook(source, document, read_html, attachments=attachments)
    elif media_type == XLSX:
        workbook.read(source, document)
    elif media_type == "text/html":
        content = source.read_bytes()
        read_html(decode(content, document), document)
    elif media_type in office.MEDIA_TYPES:
        office.read(source, media_type, document)
    elif media_type.startswith("text/"):
        _read_plain(source, document)
    else:
        raise BadInput(
            f"The recipe `text` cannot read this type of file ({media_type}). Export it as PDF and drop that."
        )


def read_html(text: str, document: TextDocument) -> None:
    """Write a web page as Markdown: no scripts, styles, comments or hidden elements."""
    if missing := extras.why_missing("documents"):
        raise Unavailable(missing)
    found = html.find_visible(text)
    office.convert(found.html.encode("utf-8", "replace"), "text/html", document)
    if found.is_too_deep:
        document.review.append(
            "The page is nested too deeply: the text may contain hidden parts, and lack form fields."
        )
    is_mail = document.format in (MAIL, OUTLOOK)  # its own pictures are parts of it, which are read
    if found.pictures and not is_mail:
        document.review.append(
            f"The page shows {counted(found.pictures, 'picture')}, whose text was not read. "
            "Print the page to a PDF file and drop that."
        )
    if found.hidden and not is_mail:  # in an email message, no script can show it
        document.review.append(f"Parts that the page hides were left out ({len(found.hidden)}): {found.excerpt}.")
    if found.frames:
        document.review.append(f"The page shows {counted(found.frames, 'other page')}, which inboxd does not fetch.")


def decode(content: bytes, document: TextDocument, declared: str | None = None) -> str:
    """Decode a text of which all is in memory, and report a guess. declared: the name of its encoding, if known."""
    codec = known_codec(declared) if declared else None
    if codec is not None:
        try:
            return content.decode(codec)
        except (UnicodeDecodeError, LookupError):
            document.review.append(
                f"The text declares {declared}, but is not valid {declared}; inboxd guessed the encoding."
            )
    found = detect(content[:_SAMPLE_BYTES], is_complete=len(content) <= _SAMPLE_BYTES)
    _report(found.codec, document, is_guess=found.is_guess)
    return content.decode(found.codec, "replace")


def _read_plain(source: Path, document: TextDocument) -> None:
    """Write a text as it is, in UTF-8, piece by piece: it may be larger than the memory."""
    document.suffix = "md" if source.suffix.lower() in (".md", ".markdown") else "txt"
    with source.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
        found = detect(sample, is_complete=len(sample) < _SAMPLE_BYTES)
        _report(found.codec, document, is_guess=found.is_guess)
        decoder = codecs.getincrementaldecoder(found.codec)("replace")
        chunk = sample
        while chunk and not document.is_cut:
            document.write(decoder.decode(chunk))
            chunk = file.read(_CHUNK_BYTES)
        document.write(decoder.decode(b"", final=True))


def _report(codec: str, document: TextDocument, *, is_guess: bool) -> None:
    document.facts.setdefault("encoding", codec)
    if is_guess:
        document.review.append(
            f"The encoding of the text is unknown; inboxd guessed {codec}: check letters such as ä or é."
        )
