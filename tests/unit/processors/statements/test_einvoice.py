"""E-invoices within PDF files: used where the pages print the same, and never trusted as XML."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pypdfium2
import pytest
from einvoice_samples import PAGE, XML
from typed_pages import typed_page

from processors import pages
from processors.statements.invoices import MAX_BYTES, NAMES, Invoice, prefer_einvoice, read_invoice, verify_invoice
from processors.statements.invoices.einvoice import parse_einvoice


def combine(xml: str, page: str = PAGE) -> Invoice:
    invoice = prefer_einvoice(read_invoice([typed_page(page)]), xml.encode(), [page])
    verify_invoice(invoice, {})
    return invoice


def test_einvoice_that_agrees_with_the_page_is_preferred():
    invoice = combine(XML)
    assert invoice.source == "the e-invoice within the file" and invoice.reasons == []
    assert (invoice.supplier, invoice.customer, invoice.number) == ("Brandt GmbH", "Petra Lindner", "RE-17")
    assert (invoice.date, invoice.iban, invoice.currency) == (date(2025, 3, 12), "DE89370400440532013000", "EUR")
    assert (invoice.net, invoice.tax, invoice.gross) == (1050, Decimal("199.50"), Decimal("1249.50"))
    (line,) = invoice.lines
    assert (line.description, line.quantity, line.unit_price) == ("Montage vor Ort", Decimal("10.5"), 100)
    assert invoice.pages["gross"] == 1


def test_einvoice_with_another_gross_amount_is_not_used():
    invoice = combine(XML.replace("1249.50", "1294.50"))
    assert (invoice.source, invoice.gross) == ("the pages", Decimal("1249.50"))
    assert invoice.reasons == ["the number or the gross amount of the e-invoice within the file is not on the pages"]


def test_date_that_differs_from_the_page_is_named():
    reasons = combine(XML.replace("20250312", "20250321")).reasons
    assert reasons == ["date: the e-invoice within the file has 2025-03-21, the pages have 2025-03-12"]


def test_einvoice_whose_lines_do_not_fit_is_named():
    reasons = combine(XML.replace('"HUR">10.5', '"HUR">11.5')).reasons
    assert any("11.5 × 100.00 is not 1050.00" in reason for reason in reasons)  # noqa: RUF001


def test_iban_of_an_einvoice_needs_its_check_digits():
    invoice = combine(XML.replace("DE89370400440532013000", "DE89370400440532013001"))
    assert invoice.iban == ""
    assert invoice.reasons == ["the check digits of the IBAN DE89370400440532013001 are wrong"]


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + XML.split("?>", 1)[1].replace("RE-17", "&b;"),
        "<invoice>",
        "no XML",
        "<other/>",
        XML.replace(">1249.50<", ">NaN<"),
        XML.replace("20250312", "tomorrow"),
    ],
)
def test_xml_that_is_no_einvoice_is_refused(xml: str):
    assert parse_einvoice(xml.encode()) is None
    assert combine(xml).reasons == ["the e-invoice within the file cannot be read; the pages were used"]


def test_attachment_is_read_by_name_and_bounded(tmp_path: Path):
    pdf = pypdfium2.PdfDocument.new()
    pdf.new_page(200, 200)
    for name, content in (("other.txt", b"no"), ("Factur-X.xml", XML.encode())):
        pdf.new_attachment(name).set_data(content)
    path = tmp_path / "invoice.pdf"
    pdf.save(path)
    assert pages.read_attachment(path, NAMES, MAX_BYTES) == XML.encode()
    assert pages.read_attachment(path, NAMES, 100) is None
    assert pages.read_attachment(path, ("absent.xml",), MAX_BYTES) is None
