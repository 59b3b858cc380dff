"""Identifies text by its first bytes: mail, web pages, RTF, and text in an encoding other than UTF-8. Pure.

`filetype` calls these functions for a file that no signature identifies.
"""

import codecs
import re

from daemon.intake.suffixes import TEXT_SUFFIXES

MAIL, WEB_PAGE, RTF = "message/rfc822", "text/html", "text/rtf"
_CONTROL_BYTES = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1a") + b"\x7f"
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CODECS = ("utf-8", "utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_LEGACY_CHARACTERS = 0.7  # minimum share of printable ASCII (0 to 1) of a text without the suffix of one
_READABLE = 0.9  # the same with the suffix of a text file, among the bytes that are not NUL
_PRINTABLE = bytes(range(32, 127)) + b"\t\n\r"

_MARKUP = (
    (re.compile(rb"\{\\rtf"), RTF),
    (
        re.compile(
            rb"(<\?xml[^>]{0,200}\?>\s*)?(<!--.{0,2000}?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S
        ),
        WEB_PAGE,
    ),
    (
        re.compile(
            rb"(<\?xml[^>]{0,200}\?>\s*)?(<!--.{0,2000}?-->\s*)*(<!doctype\s+svg[^>]{0,500}>\s*)?<svg\b", re.I | re.S
        ),
        "image/svg+xml",
    ),
    (re.compile(rb"%!PS-Adobe|%!\r?\n"), "application/postscript"),
    (re.compile(rb"\[InternetShortcut\]", re.I), "application/x-mswinurl"),
    (re.compile(rb"\[Desktop Entry\]"), "application/x-desktop"),
    (re.compile(rb"-----BEGIN PGP MESSAGE-----"), "application/pgp-encrypted"),
    (re.compile(rb"version https://git-lfs\.github\.com/spec/"), "application/x-git-lfs"),
)
_FIELD = re.compile(
    rb"(?:([!-9;-~]{1,76})[ \t]*:.*|[ \t].*)(?:\r?\n|\r|\Z)"
)  # RFC 5322, 2.2: a field, or its continuation
_MAIL_FIELDS = frozenset(
    b"""
    from to cc bcc subject date sender reply-to message-id received return-path delivered-to mime-version content-type
    x-mailer x-original-to dkim-signature arc-seal user-agent in-reply-to references snapshot-content-location
    """.split()
)
_MIN_FIELDS = 2  # minimum number of these fields: a text that is not mail may begin with one ("To: all")
_MAX_FIELDS = 400


def known_text(probe: bytes) -> str | None:
    """The media type of mail and markup, in any encoding; None for other content."""
    if probe.startswith(_BOMS[1:]):
        codec = next(codec for bom, codec in zip(_BOMS, _CODECS, strict=True) if probe.startswith(bom))
        probe = probe[:8192].decode(codec, "replace").encode("utf-8", "replace")
    start = probe.removeprefix(codecs.BOM_UTF8).lstrip()[:8192]
    markup = next((media_type for pattern, media_type in _MARKUP if pattern.match(start)), None)
    return markup or _mail(probe.removeprefix(codecs.BOM_UTF8))


def has_markup(probe: bytes) -> bool:
    """True for text with HTML tags. Meant for a file with the suffix of a web page that contains only a part of one."""
    return re.search(rb"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>", probe, re.I) is not None


def _mail(probe: bytes) -> str | None:
    """The media type of mail: RFC 5322 header fields up to an empty line, `_MIN_FIELDS` of them typical of mail."""
    is_mailbox = probe.startswith(b"From ")
    probe = probe.lstrip(b"\r\n")
    at, known = probe.find(b"\n") + 1 if is_mailbox else 0, set()
    if re.match(rb"\d{1,9}\s*\n", probe[:12]):  # .emlx of Apple Mail: its length comes first
        at = probe.find(b"\n") + 1
    for _ in range(_MAX_FIELDS):
        field = _FIELD.match(probe, at)
        if field is None or field.end() == at:
            break
        known |= {(field[1] or b"").lower()} & _MAIL_FIELDS
        at = field.end()
    is_header = at >= len(probe) or probe[at : at + 1] in (b"\r", b"\n")
    if len(known) < _MIN_FIELDS or not is_header or not known & {b"from", b"subject", b"received", b"mime-version"}:
        return None
    return "application/mbox" if is_mailbox else MAIL


def is_utf(probe: bytes, size_bytes: int) -> bool:
    """True for UTF-8, or UTF-16 with a byte order mark, without control characters."""
    is_utf16 = probe.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not is_utf16 and len(probe.translate(None, _CONTROL_BYTES)) < len(probe):
        return False
    # the probe may end in the middle of a character: only at the file's end is that an error
    decoder = codecs.getincrementaldecoder("utf-16" if is_utf16 else "utf-8")()
    try:
        text = decoder.decode(probe, final=len(probe) >= size_bytes)
    except UnicodeDecodeError:
        return False
    return not (is_utf16 and _CONTROL_CHARACTERS.search(text))


def is_legacy(probe: bytes, suffix: str) -> bool:
    """True for text in another encoding (cp1252, Shift-JIS, UTF-16 without a mark …), as far as bytes can show it. A
    name of text, such as "letter.txt", permits more: escape sequences (ISO-2022-JP), NUL bytes between the rest."""
    if suffix.lower().removeprefix(".") in TEXT_SUFFIXES:
        rest = probe.replace(b"\0", b"").replace(b"\x1b", b"")
        controls = len(rest) - len(rest.translate(None, _CONTROL_BYTES))
        return len(rest) >= _fewest(probe) and controls <= (1 - _READABLE) * len(rest) and not controls > 64
    if len(probe.translate(None, _CONTROL_BYTES)) < len(probe):
        return False
    printable = len(probe) - len(probe.translate(None, _PRINTABLE))
    return len(probe) >= 16 and printable >= _LEGACY_CHARACTERS * len(probe)


def _fewest(probe: bytes) -> float:
    """The minimum number of bytes that are not NUL. UTF-32 has three NULs per letter, and a log may begin with NULs."""
    return max(1.0, 0.05 * len(probe))
