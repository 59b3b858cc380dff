"""Documents that are damaged, mislabelled, or made to exhaust a program: a clear message, or a text and a review."""

import base64
import io
import struct
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import openpyxl
import pytest
from document_files import archive, docx, epub, ole, opendocument, pptx
from text_harness import read

from processors.contract import BadInput
from processors.text import TextOptions

pytestmark = pytest.mark.slow
pytest.importorskip("kreuzberg", reason="the extra `documents` is not installed")

Content = bytes | Callable[[], bytes]  # large ones are made when their test runs, not whenever tests are collected
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_BILLION = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{_LAUGHS}]>'
_SECRET = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def _made(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content()


def _replaced(content: bytes, name: str, text: str | bytes) -> bytes:
    """A container with one part replaced."""
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        parts = {each: opened.read(each) for each in opened.namelist()}
    return archive(parts | {name: text})


def _word(prefix: str, text: str) -> bytes:
    body = f"<w:document {_WORD}><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
    return _replaced(docx("x"), "word/document.xml", prefix + body)


def _workbook(part: str = "", inner: str = "") -> bytes:
    content = io.BytesIO()
    openpyxl.Workbook().save(content)
    return _replaced(content.getvalue(), part, inner) if part else content.getvalue()


def _sheet(rows: str, dimension: str = "A1") -> bytes:
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return _workbook(
        "xl/worksheets/sheet1.xml",
        f'<worksheet xmlns="{namespace}"><dimension ref="{dimension}"/><sheetData>{rows}</sheetData></worksheet>',
    )


def _damaged_stream() -> bytes:
    """A container of which a compressed part is damaged, and its directory is not."""
    content = bytearray(docx("Hello" * 3000))
    at = content.find(b"word/document.xml") + 40
    content[at : at + 40] = bytes(byte ^ 0x5A for byte in content[at : at + 40])
    return bytes(content)


def _of_method(method: int) -> bytes:
    """A container whose parts declare another method of compression than they have; see APPNOTE.TXT, 4.4.5."""
    content = bytearray(docx("Hello"))
    for mark, place in ((b"PK\1\2", 10), (b"PK\3\4", 8)):
        at = -1
        while (at := content.find(mark, at + 1)) >= 0:
            content[at + place : at + place + 2] = struct.pack("<H", method)
    return bytes(content)


def _encrypted_zip() -> bytes:
    content = bytearray(docx("x"))
    at = 0
    while (at := content.find(b"PK\1\2", at)) >= 0:
        content[at + 8] |= 1  # the flag of an encrypted entry
        at += 4
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cut.docx", docx("Hello" * 5000)[:-60], "damaged"),
        ("no-part.docx", archive({"[Content_Types].xml": "<Types/>", "word/other.xml": "<x/>"}), "damaged"),
        ("garbage.docx", _replaced(docx("x"), "word/document.xml", b"\0\xff<<<" * 100), "damaged"),
        ("encrypted.docx", ole("EncryptionInfo", "EncryptedPackage"), "password"),
        ("flagged.docx", _encrypted_zip(), "encrypted"),
        ("stream.docx", _damaged_stream, "damaged"),
        ("imploded.docx", lambda: _of_method(6), "damaged"),
        ("bzip2.docx", lambda: _of_method(12), "damaged"),
        ("lzma.docx", lambda: _of_method(14), "damaged"),
        ("bzip2.xlsx", lambda: _of_method(12).replace(b"word/document.xml", b"xl/workbook.xml.."), "damaged"),
        ("old.doc", ole("WordDocument"), "damaged"),
        ("old.msg", ole("__properties_version1.0"), "damaged"),
        ("bomb.docx", lambda: docx("x", more={"word/media/a.xml": bytes(300_000_000)}), "unpack"),
        ("bomb.xlsx", lambda: _workbook("xl/worksheets/sheet1.xml", bytes(300_000_000)), "unpack"),
        ("bomb.odt", lambda: _replaced(opendocument("x"), "content.xml", bytes(300_000_000)), "unpack"),
        ("many.docx", lambda: docx("x", more={f"word/{n}.xml": "" for n in range(21_000)}), "unpack"),
        ("garbage.xlsx", _workbook("xl/worksheets/sheet1.xml", "<worksheet><row>"), "damaged"),
        ("no-book.xlsx", archive({"xl/workbook.xml": ""}), "damaged"),
        ("laughs.xlsx", _workbook("xl/worksheets/sheet1.xml", _BILLION + "<worksheet>&l9;</worksheet>"), "damaged"),
        ("picture.txt.docx", archive({"word/document.xml": "<w:document/>"}), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_document_that_cannot_be_read_is_refused_with_advice(tmp_path: Path, name: str, content: Content, words: str):
    try:
        found = read(tmp_path, name, _made(content))
    except BadInput as error:
        assert words in str(error) and str(error).count(".") >= 1
    else:
        assert found.text.strip() == "" and "No text was found." in found.review, "never an empty text in silence"


def _part(kind: str, content: bytes, name: str) -> str:
    encoded = base64.b64encode(content).decode()
    head = f'Content-Type: {kind}; name="{name}"\nContent-Disposition: attachment; filename="{name}"\n'
    return f"{head}Content-Transfer-Encoding: base64\n\n{encoded}\n"


def _multipart(*parts: str, boundary: str = "b") -> bytes:
    inner = "".join(f"--{boundary}\n{part}" for part in parts)
    head = (
        f'From: a@example.org\nSubject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{boundary}"\n\n'
    )
    return f"{head}{inner}--{boundary}--\n".encode()


def _nested(depth: int) -> bytes:
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "innermost", "a@example.org"
    mail.set_content("the end")
    for number in range(depth):
        outer = EmailMessage()
        outer["Subject"], outer["From"] = f"level {number}", "a@example.org"
        outer.set_content(f"text {number}")
        outer.add_attachment(mail)
        mail = outer
    return mail.as_bytes()


def _nested_multipart(depth: int) -> bytes:
    head = "From: a@example.org\nSubject: s\nMIME-Version: 1.0\n"
    parts = (f'Content-Type: multipart/mixed; boundary="b{number}"\n\n--b{number}\n' for number in range(depth))
    return f"{head}{''.join(parts)}Content-Type: text/plain\n\nthe end\n".encode()


def _nested_messages(depth: int) -> bytes:
    outer = "From: a@example.org\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n"
    return f"{outer * depth}From: a@example.org\nSubject: s\n\nthe end\n".encode()


@pytest.mark.parametrize(
    ("name", "content", "text", "words"),
    [
        ("multipart.eml", lambda: _nested_multipart(5000), "", "nested too deeply"),
        ("messages.eml", lambda: _nested_messages(5000), "", "nested too deeply"),
        ("many.eml", lambda: _multipart(*["Content-Type: text/plain\n\nx\n"] * 50_000), "x", "more than 1000 parts"),
        ("deep.eml", lambda: _nested(20), "text 19", "nested more than"),
        ("parts.eml", lambda: _multipart(*["Content-Type: text/plain\n\nx\n"] * 1500), "x", "more than 1000 parts"),
        ("attachments.eml", _multipart(*[_part("image/png", b"x", "a.png")] * 300), "Subject", "more than 200 attach"),
        ("path.eml", _multipart(_part("text/plain", b"x", "../../etc/passwd")), "Subject", "_.._etc_passwd"),
        ("nul.eml", _multipart(_part("text/plain", b"x", "a\tb.txt")), "Subject", "a"),
        (
            "base64.eml",
            _multipart("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!=\n"),
            "Subject",
            "",
        ),
        ("charset.eml", _multipart("Content-Type: text/plain; charset=nonsense\n\nHello\n"), "Hello", ""),
        ("wrong.eml", _multipart("Content-Type: text/plain; charset=utf-16\n\nHello\n"), "Hello", ""),
        ("no-end.eml", _multipart("Content-Type: text/plain\n\nHello\n").replace(b"--b--", b""), "Hello", ""),
        (
            "pgp.eml",
            _multipart("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx\n"),
            "",
            "encrypted",
        ),
        ("header.eml", b"From: =?utf-8?b?!!!?=\nSubject: =?nonsense?q?x?=\n\nHello\n", "Hello", ""),
        ("raw.eml", "From: Jürgen\nSubject: Größe und Länge für alle\n\nHello\n".encode("cp1252"), "Größe", ""),
        ("empty.eml", b"From: a@example.org\nSubject: s\n\n", "**Subject:** s", ""),
        ("nuls.txt", b"Hello\0World\0" * 500, "HelloWorld", "control characters"),
        ("surrogates.txt", b"Hello \xed\xa0\x80 W\xf6rld, und noch etwas mehr Text dazu\n" * 9, "Hello", "guessed"),
        ("mixed.txt", lambda: "Größe\n".encode() * 90_000 + "Größe".encode("cp1252"), "Größe", "could not be decoded"),
        ("line.txt", lambda: b"x" * 5_000_000, "xxx", ""),
        ("ansi.log", b"\x1b[31mred\x1b[0m and plain\n" * 50, "red and plain", ""),
        ("deep.html", lambda: b"<html>" + b"<div>" * 50_000 + b"deep" + b"</div>" * 50_000, "", "No text|deep"),
        ("deeper.html", lambda: b"<html>" + b"<div>" * 200_000 + b"deep", "", "nested too deeply"),
        ("long.html", lambda: b"<html>" + b"<div>text</div>" * 200_000, "text", ""),
        ("unclosed.html", b"<html><head><title>T<body><p>Hello", "", ""),
        ("tags.html", b"<html>" + b"<" * 100_000 + b"Hello", "", ""),
        ("laughs.docx", _word(_BILLION, "&l9;"), "", "No text|damaged|haha"),
        ("external.docx", _word(_SECRET, "before &x; after"), "", ""),
        ("empty.docx", docx(""), "", "No text was found"),
        ("empty.pptx", pptx({"slide1.xml": ""}), "", "No text was found"),
        ("empty.epub", epub({"a.xhtml": ""}), "", "No text was found"),
        (
            "rows.xlsx",
            lambda: _sheet("".join(f'<row r="{n}"/>' for n in range(1, 100_001)), "A1:XFD1048576"),
            "Sheet",
            "",
        ),
        ("wide.xlsx", _sheet('<row r="1"><c r="XFD1" t="inlineStr"><is><t>far</t></is></c></row>'), "Sheet", "columns"),
        (
            "cells.xlsx",
            _sheet('<row r="1"><c r="A1"><v>nonsense</v></c><c r="B1" t="e"><v>#REF!</v></c></row>'),
            "",
            "",
        ),
        ("name.rtf", b"{\\rtf1 Hello", "Hello", ""),
        ("deep.rtf", b"{\\rtf1 " + b"{" * 100_000 + b"Hello", "", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_strange_document_is_read_or_refused(tmp_path: Path, name: str, content: Content, text: str, words: str):
    try:
        found = read(tmp_path, name, _made(content))
    except BadInput as error:
        assert not text and any(each in str(error) for each in words.split("|")), error
        return
    assert text in found.text
    assert any(each in found.review + found.text for each in words.split("|")), found.review
    assert found.text.strip() or "No text was found." in found.review
    assert not (tmp_path.parent / "etc").exists()


def test_external_entity_is_not_fetched(tmp_path: Path):
    (tmp_path / "secret").write_text("SECRET")
    content = _word(_SECRET.replace("/etc/hostname", str(tmp_path / "secret")), "before &x; after")
    try:
        found = read(tmp_path, "external.docx", content)
    except BadInput:
        return
    assert "SECRET" not in found.text


def test_text_of_100_mb_is_written_in_little_memory(tmp_path: Path):
    line = b"a line of a very long text\n"
    found = read(
        tmp_path, "long.txt", line * (100_000_000 // len(line)), options=TextOptions(max_memory="200MB", max_seconds=60)
    )
    assert found.finished.details["characters"] > 99_000_000 and found.review == ""


@pytest.mark.parametrize("options", [{"max_seconds": 1}, {"max_memory": "150MB"}])
def test_error_about_a_file_that_exceeds_its_limits_names_the_limit(tmp_path: Path, options: dict[str, object]):
    page = b"<html><body>" + b"<p><b>Hello</b> <i>World</i></p>" * 3_000_000
    with pytest.raises(BadInput, match=r"max_memory.*max_seconds"):
        read(tmp_path, "long.html", page, options=TextOptions(**options))
