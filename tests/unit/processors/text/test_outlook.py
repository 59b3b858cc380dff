"""Messages of Outlook (.msg): what Outlook shows is in the text, or the review reports it."""

from pathlib import Path

import pytest
from document_files import compound, outlook
from pdf_files import one_page, show
from text_harness import read

from processors.text.compressed_rtf import decompress

pytestmark = pytest.mark.slow
pytest.importorskip("kreuzberg", reason="the extra `documents` is not installed")
pytest.importorskip("olefile", reason="the extra `documents` is not installed")

CLASS, SUBJECT, SENDER, ADDRESS, SENT, BODY, RTF, HTML = (
    *(0x001A, 0x0037, 0x0C1A, 0x0C1F, 0x0039),
    *(0x1000, 0x1009, 0x1013),
)
NAME, DATA, MIME, CODE_PAGE = 0x3707, 0x3701, 0x370E, 0x3FDE
LETTER = {
    CLASS: "IPM.Note",
    SUBJECT: "Miete für Mai 房租",
    SENDER: "Quillfeather, Ann",
    ADDRESS: "ann@example.org",
    SENT: 133589376000000000,  # 100 ns since 1601
    BODY: "Dear Mr Marsh,\r\n\r\nthe rent is 950.00 EUR.\r\n",
}
# The example of MS-OXRTFCP, 3.1.1
COMPRESSED = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c0900206277 05b06c647d0a800fa0"
)


def test_message_keeps_its_headers_and_lines(tmp_path: Path):
    found = read(tmp_path, "letter.msg", outlook(LETTER, to=["Marsh", "Hale"]))
    assert found.text.splitlines() == [
        "**Subject:** Miete für Mai 房租",
        "**From:** Quillfeather, Ann <ann@example.org>",
        "**To:** Marsh <marsh@example.org>",
        "**Cc:** Hale <hale@example.org>",
        "**Date:** Tue, 30 Apr 2024 08:00:00 +0000",
        *("", "Dear Mr Marsh,", "", "the rent is 950.00 EUR."),
    ]
    assert found.review == ""


def test_attachments_of_a_message_are_read(tmp_path: Path):
    attached = [
        {NAME: "rent.pdf", DATA: one_page(show("Rent 950.00")), MIME: "application/pdf"},
        {NAME: "notes.txt", DATA: b"Keys: two"},
        {NAME: "data.bin", DATA: bytes(range(256)) * 20},
        {NAME: "Earlier", 0: {SUBJECT: "Earlier letter", BODY: "Inner words"}},
    ]
    found = read(tmp_path, "letter.msg", outlook(LETTER, attached=attached))
    for words in ("## Attachment: rent.pdf\n\nRent 950.00", "Keys: two", "**Subject:** Earlier letter", "Inner words"):
        assert words in found.text
    assert "Attachments were not read: data.bin." in found.review
    assert sorted(path.name for path in (found.outputs / "attachments").iterdir()) == [
        *("data.bin", "notes.txt", "rent.pdf")
    ]


def test_web_page_of_a_message_is_read_in_its_encoding(tmp_path: Path):
    page = "<p>Größe</p><p style='display:none'>HIDDEN</p>".encode("cp1252")
    found = read(tmp_path, "letter.msg", outlook({SUBJECT: "x", HTML: page, CODE_PAGE: 1252}))
    assert "Größe" in found.text and "HIDDEN" not in found.text


def test_message_of_rich_text_only_is_read(tmp_path: Path):
    assert "hello world" in read(tmp_path, "letter.msg", outlook({SUBJECT: "x", RTF: COMPRESSED})).text


def test_compressed_rtf_is_decompressed():
    assert decompress(COMPRESSED) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert decompress(COMPRESSED[:30]).startswith(b"{\\rtf1\\ansi\\ansicpg125")
    with pytest.raises(ValueError, match="unknown kind"):
        decompress(bytes(20))


def test_what_is_no_message_and_no_file_is_reported(tmp_path: Path):
    content = outlook({CLASS: "IPM.Appointment", SUBJECT: "Meeting", BODY: "x"}, attached=[{NAME: "far.docx"}])
    review = read(tmp_path, "meeting.msg", content).review
    assert "IPM.Appointment" in review and "only links was not read: far.docx" in review


def test_signed_message_is_read(tmp_path: Path):
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nSigned words\r\n--b--"
    signed = b'Content-Type: multipart/signed; boundary="b"\r\n\r\n' + part
    attached = [{NAME: "smime.p7m", MIME: "multipart/signed", DATA: signed}]
    found = read(tmp_path, "s.msg", outlook({CLASS: "IPM.Note.SMIME.MultipartSigned"}, attached=attached))
    assert "Signed words" in found.text


@pytest.mark.parametrize("cut", [600, 1600, 2500, 4000])
def test_damaged_message_is_refused_or_read_in_part(tmp_path: Path, cut: int):
    from processors.contract import BadInput

    content = outlook(LETTER, attached=[{NAME: "a.bin", DATA: bytes(9000)}])
    try:
        read(tmp_path, "letter.msg", content[:cut] + bytes(len(content) - cut))
    except (BadInput, AssertionError) as error:
        assert not isinstance(error, BadInput) or "damaged" in str(error)


def test_compound_file_of_the_tests_is_valid():
    import olefile

    streams = {"a/b/c": b"x" * 100, "a/d": b"y" * 9000, "e": b"", "f": b"z" * 70}
    with olefile.OleFileIO(compound(streams)) as opened:
        assert {"/".join(name): opened.openstream(name).read() for name in opened.listdir()} == streams


def test_encrypted_message_is_reported(tmp_path: Path):
    attached = [{NAME: "version.asc", MIME: "application/pgp-encrypted", DATA: b"Version: 1"}]
    assert "is encrypted" in read(tmp_path, "s.msg", outlook({SUBJECT: "x"}, attached=attached)).review
