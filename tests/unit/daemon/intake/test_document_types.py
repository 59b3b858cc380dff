"""Documents, mail, archives and text in old encodings: recognized by content, whatever they are called."""

import codecs
import gzip
import io
import os
import tarfile
from email.message import EmailMessage
from pathlib import Path

import openpyxl
import pytest
from document_files import archive, docx, epub, ole, opendocument, pptx

from daemon.intake import containers
from daemon.intake.filetype import Content, sniff
from daemon.intake.unsupported import explain
from processors.contract import Kind


def detect(folder: Path, content: bytes, name: str = "drop") -> Content:
    path = folder / name
    path.write_bytes(content)
    return sniff(path)


def _workbook() -> bytes:
    content = io.BytesIO()
    openpyxl.Workbook().save(content)
    return content.getvalue()


def _mail(body: str = "Hello", charset: str = "utf-8", transfer: str | None = None) -> bytes:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Grüße", "Jürgen <j@example.org>", "a@example.org"
    mail.set_content(body, charset=charset, cte=transfer)
    return mail.as_bytes()


def _tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as opened:
        opened.addfile(tarfile.TarInfo("empty.txt"))
    return content.getvalue()


def _name(value: str | bytes) -> str:
    """The name of a case: some contents differ at each run."""
    return value if isinstance(value, str) else "content"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (docx("Hello"), containers.DOCX),
        (docx("Hello", part="document2.xml"), containers.DOCX),
        (docx("Hello")[:-40], containers.DOCX),  # cut off, without a central directory
        (_workbook(), containers.XLSX),
        (pptx({"slide1.xml": "Hello"}), containers.PPTX),
        (opendocument("Hello"), "application/vnd.oasis.opendocument.text"),
        (opendocument("Hello", stored=()), "application/vnd.oasis.opendocument.text"),
        (opendocument("<table:table/>", kind="spreadsheet"), "application/vnd.oasis.opendocument.spreadsheet"),
        (epub({"a.xhtml": "<p>Hello</p>"}), "application/epub+zip"),
        (ole("WordDocument"), "application/msword"),
        (ole(*(f"stream {number}" for number in range(20)), "Workbook"), "application/vnd.ms-excel"),
        (ole("__properties_version1.0"), "application/vnd.ms-outlook"),
        (ole("EncryptionInfo", "EncryptedPackage"), containers.ENCRYPTED_OFFICE),
        (_mail(), "message/rfc822"),
        (_mail("für", "latin-1", "8bit"), "message/rfc822"),
        (_mail("これは日本語", "iso-2022-jp", "7bit"), "message/rfc822"),
        (b"\r\n" + _mail(), "message/rfc822"),
        (b"1234\n" + _mail(), "message/rfc822"),  # .emlx
        (b"<!DOCTYPE html><p>Hello", "text/html"),
        ("\ufeff<HTML><body>größer".encode(), "text/html"),
        ("<html><body>größer".encode("cp1252"), "text/html"),
        ("<html><body>größer".encode("utf-16"), "text/html"),
        (b"<!-- saved from url=(0014)about:internet -->\n<html>", "text/html"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x">', "text/html"),
        (rb"{\rtf1\ansi Hello}", "text/rtf"),
        ("Größe und Maß, über alle Länder hinweg".encode("cp1252"), "text/plain"),
    ],
    ids=_name,
)
def test_documents_are_text_by_their_content(tmp_path: Path, content: bytes, media_type: str):
    for name in ("drop", "photo.xyz", "letter.txt"):
        assert detect(tmp_path, content, name) == Content(kind=Kind.TEXT, media_type=media_type)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "これは日本語".encode("shift_jis")),
        ("a.txt", "これは日本語".encode("iso-2022-jp")),
        ("a.csv", "ä;ö\n".encode("cp1252")),
        ("a.txt", "Größe und Maß".encode("utf-16-le")),
        ("a.txt", codecs.BOM_UTF32_LE + "Größe".encode("utf-32-le")),
        ("a.txt", "Привет, мир".encode("koi8-r")),
        ("a.log", b"first line\n" + bytes(300) + b"after the crash\n" * 5),
    ],
)
def test_text_in_another_encoding_is_text_by_its_name(tmp_path: Path, name: str, content: bytes):
    assert detect(tmp_path, content, name) == Content(kind=Kind.TEXT, media_type="text/plain")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (archive({"a.txt": "x"}), "a ZIP archive"),
        (archive({"inner.docx": docx("Hello"), "readme.txt": "x"}, stored=("inner.docx",)), "a ZIP archive"),
        (b"PK\5\6" + bytes(18), "a ZIP archive"),
        (_tar(), "a tar archive"),
        (gzip.compress(b"text"), "a gzip archive"),
        (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(50), "a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(50), "a RAR archive"),
        (b"MZ\x90\0\3\0\0\0" + bytes(200), "a program for Windows"),
        (b"\x7fELF\2\1\1\0" + bytes(200), "a program"),
        (b"SQLite format 3\0" + bytes(100), "an SQLite database"),
        (b"L\0\0\0\x01\x14\x02\0" + bytes(100), "a shortcut"),
        (b"[InternetShortcut]\r\nURL=https://example.org/\r\n", "a shortcut"),
        (archive({"Index/Document.iwa": b"\0"}), "a Pages, Numbers or Keynote document"),
        (archive({"AndroidManifest.xml": b"\0", "META-INF/MANIFEST.MF": ""}), "an Android app"),
        (ole("VisioDocument"), "a Visio drawing"),
        (ole("Something"), "a document of an old Office version, or another OLE file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a vector drawing (SVG)"),
        (b"8BPS\0\1" + bytes(100), "a Photoshop image"),
        (b"%!PS-Adobe-3.0\n%%Pages: 1\n", "a PostScript file"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQ==\n", "an encrypted message (PGP)"),
        (b"From a@example.org Mon Jan  1 00:00:00 2024\n" + _mail(), "a mailbox with several messages"),
    ],
    ids=_name,
)
def test_other_files_are_identified_by_content_not_by_name(tmp_path: Path, content: bytes, what: str):
    for name in ("drop", "photo.docx"):
        found = detect(tmp_path, content, name)
        why = explain(found.kind, found.media_type, size_bytes=len(content), folder="")
        assert found.kind is None and why.startswith(f"This is {what}. "), (found, why)


@pytest.mark.parametrize(
    "content",
    [
        b"To: all of you\n\nHello",
        b"From: me\nTo be or not to be",
        b"Subject: x\n" * 2 + b"no header ends here",
        b"key: value\nother: value\n\ntext",
        b"The <html> element is the root of a web page",
        b"Rar!, 7z and PK are letters; LZIP, too",
        b"BZh begins a bzip2 archive",
    ],
)
def test_text_that_only_resembles_a_document_is_text(tmp_path: Path, content: bytes):
    assert detect(tmp_path, content) == Content(kind=Kind.TEXT, media_type="text/plain")


def test_message_for_a_document_without_a_recipe_names_its_type_and_both_ways_out():
    why = explain(Kind.TEXT, containers.DOCX, size_bytes=10, folder="büro/2024")
    assert why.startswith("This is a Word document, and this folder has no recipe for the kind text. Export it as PDF")
    assert '[inbox.folders."büro/2024"] text = "text"), run `inboxd reload`, and drop the file again.' in why


@pytest.mark.parametrize(
    "content", [docx("Hello" * 1000), ole("WordDocument"), opendocument("Hello"), _mail(), _workbook()], ids=_name
)
def test_damaged_containers_are_survived(tmp_path: Path, content: bytes):
    for length in range(0, len(content), max(1, len(content) // 200)):
        detect(tmp_path, content[:length])
        detect(tmp_path, content[:length] + os.urandom(40) + content[length + 40 :])


def test_directory_that_leads_in_a_circle_ends(tmp_path: Path):
    damaged = bytearray(ole("one", "two", "three", "four"))
    damaged[512 + 4 : 512 + 8] = (1).to_bytes(4, "little")  # the directory's first sector follows itself
    assert detect(tmp_path, bytes(damaged)).media_type == containers.OLE


def test_archive_of_very_many_files_is_read_in_part(tmp_path: Path):
    entry = b"PK\1\2" + bytes(24) + (1).to_bytes(2, "little") + bytes(16) + b"a"
    end = b"PK\5\6" + bytes(4) + (65_535).to_bytes(2, "little") * 2
    end += (65_535 * len(entry)).to_bytes(4, "little") + (4).to_bytes(4, "little") + bytes(2)
    assert detect(tmp_path, b"PK\3\4" + entry * 65_535 + end).media_type == containers.ZIP
