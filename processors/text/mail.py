"""Email messages by Python's email package: decoded headers, the text, inner messages, and attachments as files."""

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path

from processors import extras
from processors.contract import BadInput, Unavailable
from processors.text import html, office, outlook, tnef
from processors.text.attachments import report_unread
from processors.text.document import TextDocument
from processors.text.encoding import detect, known_codec

_MAX_BYTES = 300_000_000
_MAX_DEPTH = 5  # messages within messages
_MAX_PARTS = 1000
_MAX_ATTACHMENTS = 200
_NAME_BYTES = 150
_FOLDER = "attachments"
_HEADERS = ("Subject", "From", "To", "Cc", "Bcc", "Date", "Reply-To")
_ENCRYPTED = (
    *("multipart/encrypted", "application/pgp-encrypted"),
    *("application/pkcs7-mime", "application/x-pkcs7-mime"),
)
_RELATED = "multipart/related"  # a page and its pictures (RFC 2387)
_NEVER_SHOWN = ("text/css", "text/javascript", "application/javascript", "application/x-javascript")  # of saved pages
_SUFFIX = {
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "text/plain": ".txt",
    "text/html": ".html",
}
_ASCII = ("us-ascii", "ascii", "ansi_x3.4-1968")  # declared by programs that do not know the encoding
_LEAST_TEXT = 2  # characters of a plain alternative that has text
_BLANK = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f"
_WORD = re.compile(r"\w+")
_FEW_WORDS, _MOST_MISSING = 3, 0.1  # words, and share of them, that the plain alternative may lack

WriteHtml = Callable[[str, TextDocument], None]


def read(source: Path, document: TextDocument, write_html: WriteHtml, *, attachments: bool) -> None:
    """Write the headers and the text of a message; write its attachments as files, if asked.

    Raises:
        BadInput: it is too large, or nothing of it can be parsed.
    """
    content = _read_bytes(source).lstrip(b"\r\n")
    if match := re.match(rb"\d{1,9}\s*\n", content):  # .emlx: its length comes first, a property list last
        content = content[match.end() : match.end() + int(match[0])]
    _MailReader(document, write_html, attachments=attachments).read(email.message_from_bytes(content), depth=0)


def read_outlook(source: Path, document: TextDocument, write_html: WriteHtml, *, attachments: bool) -> None:
    """The same for a message of Outlook (.msg).

    Raises:
        BadInput: it is too large or damaged.
        Unavailable: olefile is not installed.
    """
    if missing := extras.why_missing("documents"):
        raise Unavailable(missing)
    reader = _MailReader(document, write_html, attachments=attachments)
    reader.read(outlook.to_mail(_read_bytes(source), reader.report), depth=0)


def _read_bytes(source: Path) -> bytes:
    if source.stat().st_size > _MAX_BYTES:
        raise BadInput("This message is larger than 300 MB. Save its attachments and drop those.")
    return source.read_bytes()


class _MailReader:
    def __init__(self, document: TextDocument, write_html: WriteHtml, *, attachments: bool):
        self._document, self._write_html, self._with_attachments = document, write_html, attachments
        self._parts, self._has_text = 0, False
        self._names: set[str] = set()
        self._found: list[str] = []  # the names of all attachments

    def read(self, mail: Message, *, depth: int) -> None:
        for name in _HEADERS:
            if value := _header(mail, name):
                self._document.write(f"**{name}:** {value}\n")
        self._document.write("\n")
        before = len(self._found)
        self._read_part(mail, depth)
        if found := self._found[before:]:
            self._document.write(f"\n**Attachments:** {', '.join(found)}\n")
        if depth == 0 and self._found:
            self._document.facts["attachments"] = self._found[:_MAX_ATTACHMENTS]
            if not self._with_attachments:
                self.report(report_unread(self._found, is_written=False))

    def _read_part(self, part: Message, depth: int) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            self.report(f"The message has more than {_MAX_PARTS} parts: the rest was not read.")
            return
        kind = part.get_content_type()
        if kind in _ENCRYPTED and part.get_param("smime-type") != "signed-data":
            self.report("The message is encrypted: its text could not be read.")
        if kind == "message/rfc822":
            self._read_inner(part, depth)
        elif kind == "multipart/alternative" and not _is_attachment(part):
            self._read_alternative(part, depth)
        elif kind == "message/delivery-status":
            self._document.write("".join(str(each) for each in _payload(part)))
        elif part.is_multipart():
            for inner in _payload(part):
                self._read_part(inner, depth)
        elif _is_tnef(part):
            self._read_tnef(part, depth)
        elif kind in _NEVER_SHOWN and part.get_content_disposition() != "attachment":
            return
        elif part.get_content_maintype() == "multipart" and not _is_attachment(part):
            self.report("The message does not separate its parts as it declares: its text may be encoded.")
            self._document.write(self._decoded(part))
        elif _is_attachment(part) or not kind.startswith("text/"):
            self._attach(part)
        else:
            self._write(part)

    def _read_inner(self, part: Message, depth: int) -> None:
        for inner in _payload(part):
            if depth + 1 > _MAX_DEPTH:
                self.report(f"Messages are nested more than {_MAX_DEPTH} deep: the inner ones were not read.")
                return
            self._document.write("\n---\n\n")
            self.read(inner, depth=depth + 1)

    def _read_tnef(self, part: Message, depth: int) -> None:
        """The attachments in a winmail.dat, and its text if the message has no other."""
        try:
            inner = tnef.to_mail(_bytes(part))
        except BadInput as error:
            self.report(f"{error}: open the message in Outlook, save its attachments and drop those.")
            self._attach(part)
            return
        for each in _payload(inner):
            if not self._has_text or _is_attachment(each) or each.get_content_maintype() == "message":
                self._read_part(each, depth)

    def _read_alternative(self, part: Message, depth: int) -> None:
        """The plain text if it says what the others say, else the last alternative, which is the richest (RFC 2046,
        5.1.4) and what a mail program shows."""
        inner = list(_payload(part))
        chosen = self._alternative(inner)
        if chosen is not None:
            self._read_part(chosen, depth)
        for each in inner:
            if each is not chosen and each.get_content_type() not in ("text/plain", "text/html"):
                self._read_part(each, depth) if each.get_content_type() != _RELATED else self._read_pictures(
                    each, depth
                )

    def _read_pictures(self, related: Message, depth: int) -> None:
        """What a page shows beside its text, which the plain text repeats: its pictures."""
        for each in _payload(related):
            if each.get_content_type() == _RELATED:
                self._read_pictures(each, depth)
            elif each.get_content_type() not in ("text/plain", "text/html", "multipart/alternative"):
                self._read_part(each, depth)

    def _alternative(self, inner: list[Message]) -> Message | None:
        plain = [each for each in inner if each.get_content_type() == "text/plain"]
        texts = {each: text for each in plain if len(text := self._decoded(each).strip(_BLANK)) >= _LEAST_TEXT}
        page = next((found for each in reversed(inner) if (found := _find_page(each)) is not None), None)
        for each, text in texts.items():
            if page is None or not _says_more(html.plain_text(self._decoded(page)), text):
                return each
        return next((each for each in reversed(inner) if each not in plain), inner[-1] if inner else None)

    def _write(self, part: Message) -> None:
        text = self._decoded(part)
        self._has_text = self._has_text or len(text.strip(_BLANK)) >= _LEAST_TEXT
        if part.get_content_type() == "text/html":
            self._write_html(text, self._document)
        elif part.get_content_type() in ("text/rtf", "text/richtext") and text.startswith("{\\rtf"):
            office.read_rtf(_bytes(part), self._document)
        else:
            self._document.write(text)
        self._document.write("\n")

    def _decoded(self, part: Message) -> str:
        content = _bytes(part)
        declared = part.get_content_charset() or ""
        codec = known_codec(declared)
        if codec is not None and (content.isascii() or declared not in _ASCII):
            try:
                return content.decode(codec)
            except (UnicodeDecodeError, LookupError):
                self.report("A part of the message is not in the encoding that it declares; inboxd guessed another.")
        found = detect(content, is_complete=True)
        if found.is_guess:
            self.report(
                f"The message declares no known encoding; inboxd assumed {found.codec}: check letters such as ä or é."
            )
        return content.decode(found.codec, "replace")

    def _attach(self, part: Message) -> None:
        name = self._free_name(part)
        self._found.append(name)
        if not self._with_attachments:
            return
        if len(self._document.attachments) >= _MAX_ATTACHMENTS:
            self.report(f"The message has more than {_MAX_ATTACHMENTS} attachments: the rest is only in the original.")
            return
        path = self._document.folder / _FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_bytes(part))
        self._document.attachments.append(f"{_FOLDER}/{name}")

    def _free_name(self, part: Message) -> str:
        """A safe file name that no other attachment has."""
        given = _header_text(part.get_filename() or "") or f"attachment{_SUFFIX.get(part.get_content_type(), '')}"
        safe = re.sub(r"[\x00-\x1f\x7f/\\:]+", "_", given).strip().lstrip(".") or "attachment"
        path = Path(safe)
        suffix = path.suffix if len(path.suffix.encode()) <= 20 else ""
        stem = safe.removesuffix(suffix).encode("utf-8", "replace")[:_NAME_BYTES].decode("utf-8", "ignore")
        name, number = f"{stem}{suffix}", 1
        while name.lower() in self._names:
            number += 1
            name = f"{stem} ({number}){suffix}"
        self._names.add(name.lower())
        return name

    def report(self, why: str) -> None:
        if why not in self._document.review:
            self._document.review.append(why)


def _find_page(part: Message) -> Message | None:
    """The web page of an alternative, which may be the root of a `multipart/related`."""
    if part.get_content_type() == "text/html" and not extras.missing_libraries("documents"):
        return part
    if part.get_content_type() == _RELATED:
        return next((found for each in _payload(part) if (found := _find_page(each)) is not None), None)
    return None


def _says_more(page: str, text: str) -> bool:
    """True if a tenth of the words on the page are not in the plain text, as in "your program shows no HTML"."""
    words, plain = set(_WORD.findall(page.casefold())), set(_WORD.findall(text.casefold()))
    return len(words - plain) > max(_FEW_WORDS, _MOST_MISSING * len(words))


def _payload(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    yield from (each for each in payload if isinstance(each, Message)) if isinstance(payload, list) else ()


def _is_tnef(part: Message) -> bool:
    """True for a message in Outlook's own format, which its recipient sees as an attachment called winmail.dat."""
    is_declared = part.get_content_type() in ("application/ms-tnef", "application/vnd.ms-tnef")
    is_named = (part.get_filename() or "").lower() == "winmail.dat"
    return (is_declared or is_named) and _bytes(part).startswith(tnef.SIGNATURE)


def _is_attachment(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _bytes(part: Message) -> bytes:
    """The decoded content; what is not valid base64 as far as it can be decoded."""
    try:
        found = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        found = None
    return found if isinstance(found, bytes) else b""


def _header(mail: Message, name: str) -> str:
    """The first header of that name; "" if there is none. Raw: the parsed one has lost bytes that are not ASCII."""
    found = (value for key, value in mail.raw_items() if key.lower() == name.lower())
    return _header_text(str(next(found, "")))


def _header_text(raw: str) -> str:
    """A header on one line, with its encoded words decoded (RFC 2047); raw bytes, which it must not have, guessed."""
    try:
        decoded = str(make_header(decode_header(raw)))
    except (ValueError, LookupError, IndexError):
        decoded = raw
    content = decoded.encode("utf-8", "surrogateescape")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode(detect(content, is_complete=True).codec, "replace")
    return " ".join(text.split())
