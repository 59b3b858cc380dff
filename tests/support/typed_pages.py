"""Pages typed as monospaced text, for tests of reading by position."""

import re
import textwrap
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from processors.statements import PageWord, PageWords, Receipt, StatementDocument, read_receipt, read_statements, verify
from processors.statements.receipts import verify_receipt

_WIDTH, _HEIGHT, _PITCH = 6.0, 10.0, 14.0


def typed_page(text: str, number: int = 1, confidence: float = 1.0) -> PageWords:
    """A page with each word of a text at the position given by its line and column."""
    words = []
    for row, line in enumerate(textwrap.dedent(text).strip("\n").split("\n")):
        for match in re.finditer(r"\S+", line):
            left, top = match.start() * _WIDTH, row * _PITCH
            place = left, top, left + len(match[0]) * _WIDTH, top + _HEIGHT
            words.append(PageWord(match[0], *place, confidence))
    return PageWords(number, tuple(words))


def typed_pdf(text: str, path: Path, *, shift: float = 0.0) -> Path:
    """A PDF of one page with the same text, and a text layer; `shift`: points to the right."""
    canvas = Canvas(str(path), pagesize=A4)
    canvas.setFont("Courier", 10)
    for row, line in enumerate(textwrap.dedent(text).strip("\n").split("\n")):
        for match in re.finditer(r"\S+", line):
            canvas.drawString(40 + shift + match.start() * _WIDTH, A4[1] - 60 - row * _PITCH, match[0])
    canvas.save()
    return path


def read_typed_receipt(text: str) -> Receipt:
    """The receipt read from a typed page, verified."""
    receipt = read_receipt([typed_page(text)])
    verify_receipt(receipt, {})
    return receipt


def read_typed(*texts: str) -> StatementDocument:
    """The document read from typed pages, verified."""
    document = read_statements([typed_page(text, number) for number, text in enumerate(texts, start=1)])
    verify(document)
    return document
