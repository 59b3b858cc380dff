"""What invoices print in ways of their own: titles in spaced letters, bare labels, totals in columns."""

from decimal import Decimal

import pytest
from typed_pages import typed_page

from processors.statements.invoices import Invoice, read_invoice, verify_invoice


def read(text: str) -> Invoice:
    invoice = read_invoice([typed_page(text)])
    verify_invoice(invoice, {})
    return invoice


_TABLE = """
  Description                Qty      Price      Amount
  Consulting                   4     100.00      400.00
  Travel                       1      50.00       50.00

                                 Net total       450.00
                                 VAT 20 %         90.00
                                 Total EUR       540.00
"""


@pytest.mark.parametrize(
    ("header", "number"),
    [
        ("R E C H N U N G   Nr. 2025-1903", "2025-1903"),
        ("Nummer: 118 442", "118 442"),
        ("Numero                Data\n  214/A                 12/11/2025", "214/A"),
        ("Factuur               2800 Mechelen\n\n  Factuurnr.    VF2025/1182      Peeters NV", "VF2025/1182"),
        ("Invoice               INV-77", "INV-77"),
    ],
)
def test_number_of_the_invoice(header: str, number: str):
    assert read(f"  ACME LTD\n\n  {header}\n{_TABLE}").number == number


@pytest.mark.parametrize(
    ("header", "date", "due_date"),
    [
        ("Factura: A/2025/097\n  Fecha: 31 de octubre de 2025", "2025-10-31", "None"),
        ("Linz, am 17. November 2025", "2025-11-17", "None"),
        ("Invoice No: 41877\n  Tax point: 06 Oct 2025\n  Payment due: 05 Nov 2025", "2025-10-06", "2025-11-05"),
    ],
)
def test_date_of_the_invoice(header: str, date: str, due_date: str):
    invoice = read(f"  ACME LTD\n\n  {header}\n{_TABLE}")
    assert (str(invoice.date), str(invoice.due_date)) == (date, due_date)


def test_date_of_the_delivery_in_its_place_is_a_reason():
    reasons = read(f"  ACME LTD\n\n  Tax point: 06 Oct 2025\n{_TABLE}").reasons
    assert any("no date of the invoice was found" in reason for reason in reasons)


def test_last_day_of_payment_in_a_sentence_is_no_date_of_the_invoice():
    invoice = read(f"  ACME LTD\n\n  Fecha: 31/10/2025\n{_TABLE}\n  Forma de pago: transferencia antes del 15/11/2025.")
    assert (str(invoice.date), str(invoice.due_date)) == ("2025-10-31", "2025-11-15")


def test_totals_in_columns_below_their_labels():
    invoice = read(
        """
  Älvdal AB                                         FAKTURA

  Fakturadatum   Fakturanr
  2025-11-05     20418

  Benämning                  Antal      À-pris      Summa
  Projektledning                22      985,00  21 670,00
  Restid                         6      490,00   2 940,00

  Netto           Moms 25 %      Öresavrundning   ATT BETALA
  24 610,00       6 152,50       0,50             SEK 30 763,00
        """
    )
    assert (invoice.net, invoice.tax, invoice.gross) == (Decimal("24610.00"), Decimal("6152.50"), Decimal("30763.00"))


def test_subtotal_in_switzerland_is_the_net_amount():
    invoice = read(
        """
  Druckerei Rüegg AG
  Rechnung
  Nummer: 118 442
  Datum: 26.11.2025

  Beschreibung               Anzahl     Preis   Betrag CHF
  Couverts C4                 1'000      0.31       310.00
  Datenaufbereitung               3    130.00       390.00

                          Zwischentotal             700.00
                          MWST 8.1 %                 56.70
                          Rundung                     0.05
                          Total CHF                 756.75
        """
    )
    assert (invoice.net, invoice.tax, invoice.gross) == (Decimal("700.00"), Decimal("56.70"), Decimal("756.75"))
