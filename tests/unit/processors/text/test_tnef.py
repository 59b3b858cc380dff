"""Messages with a winmail.dat: its text, as Outlook shows it, and its attachments, as files."""

import struct
from email.message import EmailMessage
from pathlib import Path

import pytest
from pdf_files import one_page, show
from text_harness import read

from processors.contract import BadInput
from processors.text.tnef import SIGNATURE, to_mail

pytestmark = pytest.mark.slow
pytest.importorskip("kreuzberg", reason="the extra `documents` is not installed")

CODE_PAGE, SUBJECT, PROPERTIES = 0x00069007, 0x00018004, 0x00069003
NEXT, TITLE, DATA, ATTACHMENT = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
INNER_MESSAGE = bytes.fromhex("0703020000000000c000000000000046")


def _tnef(*attributes: tuple[int, bytes]) -> bytes:
    found = SIGNATURE + b"\1\0"
    for identifier, data in ((CODE_PAGE, struct.pack("<II", 1252, 0)), *attributes):
        found += struct.pack("<BII", 1, identifier, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)
    return found


def _properties(*values: tuple[int, int, bytes]) -> bytes:
    """The number of properties, then identifier, type and value of each; one of them has a name."""
    found = struct.pack("<IHHI", len(values) + 2, 3, 0x3705, 1)
    name = "Note".encode("utf-16-le") + b"\0\0"
    found += struct.pack("<HH16sII", 11, 0x8001, bytes(16), 1, len(name)) + name + bytes(-len(name) % 4) + bytes(4)
    for identifier, kind, value in values:
        found += struct.pack("<HHII", kind, identifier, 1, len(value)) + value + bytes(-len(value) % 4)
    return found


def _wide(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le")


LETTER = _tnef(
    (SUBJECT, b"Rent for May\0"),
    (PROPERTIES, _properties((0x1000, 0x1F, _wide("The rent is 950.00 EUR – as before.")))),
    (NEXT, bytes(14)),
    (TITLE, b"RENT~1.PDF\0"),
    (DATA, one_page(show("Rent 950.00"))),
    (ATTACHMENT, _properties((0x3707, 0x1F, _wide("Miete für Mai.pdf")))),
    (NEXT, bytes(14)),
    (TITLE, b"keys.txt\0"),
    (DATA, b"Keys: two"),
    (NEXT, bytes(14)),
    (
        ATTACHMENT,
        _properties((0x3701, 0x0D, INNER_MESSAGE + _tnef((SUBJECT, b"Earlier\0"), (0x0002800C, b"Inner words\0")))),
    ),
)


def _mail(content: bytes, text: str = "") -> bytes:
    mail = EmailMessage()
    mail["Subject"] = "Rent for May"
    mail.set_content(text)
    mail.add_attachment(content, maintype="application", subtype="ms-tnef", filename="winmail.dat")
    return mail.as_bytes()


def test_attachments_in_a_winmail_dat_are_read(tmp_path: Path):
    found = read(tmp_path, "letter.eml", _mail(LETTER, "The rent is 950.00 EUR."))
    for words in (
        "## Attachment: Miete für Mai.pdf\n\nRent 950.00",
        "Keys: two",
        "**Subject:** Earlier",
        "Inner words",
    ):
        assert words in found.text
    assert "as before" not in found.text and "winmail" not in found.text and found.review == ""
    assert sorted(path.name for path in (found.outputs / "attachments").iterdir()) == ["Miete für Mai.pdf", "keys.txt"]


def test_text_in_a_winmail_dat_is_read_if_the_message_has_no_other(tmp_path: Path):
    assert "The rent is 950.00 EUR – as before." in read(tmp_path, "letter.eml", _mail(LETTER)).text


def test_damaged_winmail_dat_is_reported_and_saved(tmp_path: Path):
    damaged = _tnef((PROPERTIES, b"\xff" * 40))
    found = read(tmp_path, "letter.eml", _mail(damaged, "The rent is 950.00 EUR."))
    assert "The attachment winmail.dat is damaged: open the message in Outlook" in found.review
    assert (found.outputs / "attachments" / "winmail.dat").read_bytes() == damaged


@pytest.mark.parametrize("cut", range(0, len(LETTER), 41))
def test_winmail_dat_that_is_cut_off_is_read_in_part_or_refused(cut: int):
    try:
        assert to_mail(LETTER[:cut])["Subject"] in ("", "Rent for May")
    except BadInput as error:
        assert "damaged" in str(error)
