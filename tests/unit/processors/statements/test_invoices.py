"""Invented invoices of many countries: each figure as printed, and no reason for a review where all agree."""

import re
from decimal import Decimal

import pytest
from typed_pages import typed_page

from processors.statements.invoices import Invoice, read_invoice, verify_invoice

TYPED = {  # pages; supplier, customer, number, date, due date, IBAN, net, taxes, gross; amounts of the lines
    "de": (
        (
            """
  Holzwerk Brandt GmbH
  Holzwerk Brandt GmbH · Sägeweg 4 · 37073 Göttingen

  Frau
  Petra Lindner
  Am Markt 12
  34117 Kassel                              Rechnungsnummer:  RE-2025-0187
                                            Rechnungsdatum:   12.03.2025
                                            Leistungsdatum:   10.03.2025
  Rechnung

  Pos  Bezeichnung               Menge  Einheit   Einzelpreis      Gesamt
  1    Eichenregal 80 x 200          2  Stk            240,00      480,00
       geölt, mit Rückwand
  2    Montage                     3,5  Std             52,00      182,00
  3    Anfahrt                       1  psch            35,00       35,00

                                          Nettobetrag           697,00 €
                                          zzgl. 19 % USt.       132,43 €
                                          Rechnungsbetrag       829,43 €

  Zahlbar bis 26.03.2025 ohne Abzug.
  Bank: Sparkasse Göttingen  IBAN DE89 3704 0044 0532 0130 00  BIC COBADEFFXXX
  USt-IdNr. DE123456789
            """,
        ),
        (
            "Holzwerk Brandt GmbH",
            "Petra Lindner",
            "RE-2025-0187",
            "2025-03-12",
            "2025-03-26",
            "DE89370400440532013000",
            "697.00",
            "19: 132.43",
            "829.43",
        ),
        ["480.00", "182.00", "35.00"],
    ),
    "en": (
        (
            """
  NORTHFIELD STUDIO LTD                                         INVOICE
  12 Mill Lane, Leeds LS1 4AB

  Bill to                                     Invoice no.    INV-1042
  Harbour Books Ltd                           Invoice date   3 April 2025
  5 Quay Street                               Due date       3 May 2025
  Bristol BS1 4QA

  Description                     Qty    Unit price    VAT    Amount
  Website design                   10         85.00    20%    850.00
  Photo retouching                  4         40.00    20%    160.00
  Printed guide                     6          9.50     0%     57.00

                                         Subtotal          £1,067.00
                                         Discount 10%       -£106.70
                                         VAT 20% on 909.00   £181.80
                                         Total             £1,142.10
                                         Paid               £500.00
                                         Balance due        £642.10

  VAT Reg No GB 123 4567 89
  IBAN GB29 NWBK 6016 1331 9268 19
            """,
        ),
        (
            "NORTHFIELD STUDIO LTD",
            "Harbour Books Ltd",
            "INV-1042",
            "2025-04-03",
            "2025-05-03",
            "GB29NWBK60161331926819",
            "None",
            "20: 181.80",
            "1142.10",
        ),
        ["850.00", "160.00", "57.00"],
    ),
    "fr": (
        (
            """
                                 FACTURE N° 2025-031
  Atelier Morel SARL
  8 rue des Lilas
  69003 Lyon                                Date : 05/02/2025
  SIRET 123 456 789 00012                   Échéance : 07/03/2025

                                            Facturé à :
                                            Librairie du Parc
                                            2 place Bellecour
                                            69002 Lyon

  Désignation            Qté     PU HT    TVA     Total HT
  Étagère sur mesure       1   1 250,00   20 %    1 250,00
  Livre technique          3      24,00   5,5 %      72,00
  Pose                     4      45,00   20 %      180,00

        Base HT      Taux     TVA
        1 430,00     20 %     286,00
           72,00     5,5 %      3,96
                                      Total HT     1 502,00 €
                                      Total TVA      289,96 €
                                      Total TTC    1 791,96 €
            """,
        ),
        (
            "Atelier Morel SARL",
            "Librairie du Parc",
            "2025-031",
            "2025-02-05",
            "2025-03-07",
            "",
            "1502.00",
            "20: 286.00, 5.5: 3.96",
            "1791.96",
        ),
        ["1250.00", "72.00", "180.00"],
    ),
    "us": (
        (
            """
  Blue Ridge Plumbing LLC
  44 Oak Ave, Asheville, NC 28801                    Invoice #: 5521
                                                     Date: 02/03/2025
                                                     Terms: Net 30
  Bill To: Carla Jensen                              Due Date: 03/05/2025

  Service                              Hours   Rate      Amount
  Leak repair                          2.50    $95.00    $237.50
  Copper pipe                          12      $4.25     $51.00
                                               Subtotal  $288.50
                                               Sales Tax (7%)  $20.20
                                               Total     $308.70
                                               Amount Due $308.70
            """,
        ),
        (
            "Blue Ridge Plumbing LLC",
            "Carla Jensen",
            "5521",
            "2025-02-03",
            "2025-03-05",
            "",
            "288.50",
            "7: 20.20",
            "308.70",
        ),
        ["237.50", "51.00"],
    ),
    "jp": (
        (
            """
                    請求書
  株式会社みどり商店 御中                        請求書番号: 2025-0031
                                               請求日: 2025年3月5日
                                               支払期限: 2025年4月30日
                                               有限会社さくら印刷
  品名             数量      単価        金額
  チラシ印刷        1,000     12        12,000
  名刺             5         2,000     10,000
                             小計      22,000
                             消費税(10%)  2,200
                             合計      ¥24,200
            """,
        ),
        (
            "有限会社さくら印刷",
            "株式会社みどり商店",
            "2025-0031",
            "2025-03-05",
            "2025-04-30",
            "",
            "22000",
            "10: 2200",
            "24200",
        ),
        ["12000", "10000"],
    ),
    "nl": (
        (
            """
  Delta Parts BV                                    Factuur
  Factuurnummer: F2025-88      Factuurdatum: 11-03-2025    Vervaldatum: 10-04-2025
  Klant
  Fietsen Jansen

  Omschrijving            Aantal     Prijs      BTW %     Bedrag
  Band 28 inch                10     12,50         21     125,00
  Ketting                      4     18,00         21      72,00
                                          Transport       197,00
            """,
            """
  Delta Parts BV                                    Factuur F2025-88   pagina 2
  Omschrijving            Aantal     Prijs      BTW %     Bedrag
                                          Transport       197,00
  Zadel                        2     30,00         21      60,00
  Fietskaart                   5      5,00          9      25,00
                             Totaal excl. BTW            282,00
                             BTW 21% over 257,00          53,97
                             BTW 9% over 25,00             2,25
                             Totaal te betalen           338,22
  IBAN NL91 ABNA 0417 1643 00
            """,
        ),
        (
            "Delta Parts BV",
            "Fietsen Jansen",
            "F2025-88",
            "2025-03-11",
            "2025-04-10",
            "NL91ABNA0417164300",
            "282.00",
            "21: 53.97, 9: 2.25",
            "338.22",
        ),
        ["125.00", "72.00", "60.00", "25.00"],
    ),
    "cz": (
        (
            """
  Kováč & syn s.r.o.
  Dodavatel                          Odběratel
  Kováč & syn s.r.o.                 Novák Petr
  Dlouhá 12                          Krátká 3
  110 00 Praha                       602 00 Brno
  Faktura č. 2025034
  Datum vystavení: 5. 3. 2025        Datum splatnosti: 19. 3. 2025
  Oprava střechy            12 h     650,00 Kč      7 800,00 Kč
  Materiál                   1 ks  4 250,00 Kč      4 250,00 Kč
                    Základ DPH 21 %                12 050,00 Kč
                    DPH 21 %                        2 530,50 Kč
                    Celkem k úhradě                14 580,50 Kč
  IBAN CZ65 0800 0000 1920 0014 5399
            """,
        ),
        (
            "Kováč & syn s.r.o.",
            "Novák Petr",
            "2025034",
            "2025-03-05",
            "2025-03-19",
            "CZ6508000000192000145399",
            "12050.00",
            "21: 2530.50",
            "14580.50",
        ),
        ["7800.00", "4250.00"],
    ),
    "au": (
        (
            """
  INVOICE

  Greenleaf Landscaping Pty Ltd
  ABN 51 824 753 556
  18 Banksia Rd, Parramatta NSW 2150

  Invoice number       Invoice date      Due date
  GL-3391              14/02/2025        28/02/2025

  Invoice to
  Westside Primary School

  Date        Description                          Hours     Rate       Amount
  03/02/2025  Hedge trimming                        6.5      $80.00     $520.00
  05/02/2025  Mulch delivery and spreading          4        $80.00     $320.00
              Mulch, 3 cubic metres                                     $285.00

                                             Subtotal       $1,125.00
                                             GST 10%          $112.50
                                             TOTAL AUD      $1,237.50
  BSB 062-000  Account 1234 5678
            """,
        ),
        (
            "Greenleaf Landscaping Pty Ltd",
            "Westside Primary School",
            "GL-3391",
            "2025-02-14",
            "2025-02-28",
            "",
            "1125.00",
            "10: 112.50",
            "1237.50",
        ),
        ["520.00", "320.00", "285.00"],
    ),
    "gross": (
        (
            """
  Elektronik-Versand Meier GmbH
  Rechnung                                   Rechnungs-Nr.: 88-4711
                                             Datum: 07.02.2025
  Artikel                 Menge   Preis inkl. MwSt.    Summe inkl. MwSt.
  USB-Kabel 2 m               3            9,90                 29,70
  Netzteil 65 W               1           49,00                 49,00
  Versandkosten                                                  4,90

  Gesamtbetrag inkl. MwSt.                                      83,60
  enthaltene MwSt. 19 %                                         13,35
  Nettobetrag                                                   70,25
  Bezahlt per PayPal                                            83,60
            """,
        ),
        ("Elektronik-Versand Meier GmbH", "", "88-4711", "2025-02-07", "None", "", "70.25", "19: 13.35", "83.60"),
        ["29.70", "49.00", "4.90"],
    ),
    "it": (
        (
            """
  Rossi Forniture S.r.l.          Spett.le
  P.IVA 01234567890               Bar Centrale di Bianchi M.
                                  Via Roma 4
                                  20121 Milano (MI)
  FATTURA N. 45/A  del 12/02/2025
  Codice   Descrizione           UM   Q.tà    Prezzo   Sc.%    Importo   IVA
  C100     Caffè in grani 1 kg   KG     10     14,50     5      137,75    22
  Z200     Zucchero bustine      CT      4      6,20             24,80    10
  L300     Latte UHT 1 l         PZ     24      1,05             25,20     4

  Imponibile    Aliquota   Imposta
     137,75       22%       30,31
      24,80       10%        2,48
      25,20        4%        1,01
  Totale imponibile   187,75
  Totale imposta       33,80
  Totale documento    221,55 EUR
  Scadenza: 14/03/2025
  IBAN: IT60X0542811101000000123456
            """,
        ),
        (
            "Rossi Forniture S.r.l.",
            "Bar Centrale di Bianchi M.",
            "45/A",
            "2025-02-12",
            "2025-03-14",
            "IT60X0542811101000000123456",
            "187.75",
            "22: 30.31, 10: 2.48, 4: 1.01",
            "221.55",
        ),
        ["137.75", "24.80", "25.20"],
    ),
    "no": (
        (
            """
  Fotostudio Berg AS                 Org.nr 987 654 321 MVA
  FAKTURA
  Fakturanr: 20251        Fakturadato: 10.02.2025     Forfallsdato: 24.02.2025
  Kunde: Solberg Skole
  Beskrivelse              Antall    Pris        MVA %     Beløp
  Klassefoto                   12    350,00         25     4 200,00
  Ekstra utskrifter            40     25,00         25     1 000,00
  Sum eks. mva                                             5 200,00
  MVA 25 % av 5 200,00                                     1 300,00
  Å betale NOK                                             6 500,00
  Kontonr: 1234.56.78903
            """,
        ),
        (
            "Fotostudio Berg AS",
            "Solberg Skole",
            "20251",
            "2025-02-10",
            "2025-02-24",
            "",
            "5200.00",
            "25: 1300.00",
            "6500.00",
        ),
        ["4200.00", "1000.00"],
    ),
    "discount": (
        (
            """
  Stahlbau Nord AG · Hafenweg 2 · 24103 Kiel
  Werft Süd GmbH
  Am Kai 5
  28195 Bremen
  Rechnung Nr. 10-5567 vom 03.02.2025
  Pos. Bezeichnung               Menge    Preis/Einheit     Gesamt EUR
  10   Stahlträger HEB 200      1.250 kg       1,85         2.312,50
  20   Zuschnitt                  18 St        7,50           135,00
       Zwischensumme                                        2.447,50
       abzgl. 3 % Rabatt                                      -73,43
       Nettosumme                                           2.374,07
       MwSt. 19,00 %                                          451,07
       Endbetrag                                            2.825,14
  Zahlbar bis 05.03.2025 netto, bei Zahlung bis 13.02.2025 2 % Skonto (2.768,64 EUR).
            """,
        ),
        (
            "Stahlbau Nord AG",
            "Werft Süd GmbH",
            "10-5567",
            "2025-02-03",
            "2025-03-05",
            "",
            "2374.07",
            "19.00: 451.07",
            "2825.14",
        ),
        ["2312.50", "135.00"],
    ),
}


def read_typed_invoice(*texts: str) -> Invoice:
    invoice = read_invoice([typed_page(text, number) for number, text in enumerate(texts, start=1)])
    verify_invoice(invoice, {})
    return invoice


@pytest.mark.parametrize("name", TYPED)
def test_invoice_is_read_as_printed_without_a_reason_for_a_review(name: str):
    pages, header, amounts = TYPED[name]
    invoice = read_typed_invoice(*pages)
    taxes = ", ".join(f"{line.rate}: {line.tax}" for line in invoice.taxes)
    found = (invoice.supplier, invoice.customer, invoice.number, invoice.date, invoice.due_date, invoice.iban)
    assert tuple(map(str, (*found, invoice.net, taxes, invoice.gross))) == header
    assert [str(line.amount) for line in invoice.lines] == amounts
    assert invoice.reasons == []


def test_lines_have_their_quantities_prices_and_texts():
    shelf, assembly, _ = read_typed_invoice(*TYPED["de"][0]).lines
    assert (shelf.description, shelf.quantity, shelf.unit) == ("Eichenregal 80 x 200 geölt, mit Rückwand", 2, "Stk")
    assert (assembly.quantity, assembly.unit_price, assembly.amount) == (Decimal("3.5"), 52, 182)


def test_discount_payment_and_rest_are_explained():
    invoice = read_typed_invoice(*TYPED["en"][0])
    assert invoice.adjustments == [("Discount 10%", Decimal("-106.70"))]
    assert (invoice.paid, invoice.due, invoice.confirmed_by["paid"]) == (
        500,
        Decimal("642.10"),
        "gross less paid is due",
    )


def test_each_value_has_the_page_it_is_printed_on():
    pages = read_typed_invoice(*TYPED["nl"][0]).pages
    assert (pages["number"], pages["supplier"], pages["iban"], pages["gross"]) == (1, 1, 2, 2)


def change(name: str, old: str, new: str) -> list[str]:
    """The reasons for a review of the invoice in which this is replaced."""
    pages = TYPED[name][0]
    assert any(old in page for page in pages)
    return read_typed_invoice(*(page.replace(old, new) for page in pages)).reasons


def test_line_that_does_not_fit_is_named():
    reasons = change("de", "182,00", "128,00")
    assert "the lines add up to 643.00, but the net amount is 697.00" in reasons
    assert "page 1: 'Montage': no quantity times a price gives its amount of 128.00" in reasons


def test_quantity_that_does_not_fit_is_named():
    assert any("'Montage'" in reason for reason in change("de", "3,5  Std", "8,5  Std"))


def test_gross_amount_that_does_not_fit_is_named():
    assert any("829.48" in reason for reason in change("de", "829,43", "829,48"))


def test_iban_with_wrong_check_digits_is_not_used():
    reasons = change("de", "DE89 3704", "DE89 3705")
    assert reasons == ["the check digits of the IBAN DE89370500440532013000 are wrong"]


def test_invoice_without_tax_has_no_net_amount():
    invoice = read_typed_invoice(
        """
        Anna Feld Illustration
        Rechnung Nr. 7/2025          Datum: 03.02.2025
        Leistung            Anzahl    Einzelpreis     Betrag
        Titelbild                1         420,00     420,00
        Vignetten                6          35,00     210,00
                                     Gesamtbetrag     630,00 €
        Gemäß § 19 UStG wird keine Umsatzsteuer berechnet.
        """
    )
    assert (invoice.net, invoice.tax, invoice.gross) == (None, None, 630)
    assert invoice.confirmed_by["gross"] == "the lines" and invoice.number == "7/2025"


def test_credit_note_has_negative_amounts():
    invoice = read_typed_invoice(
        """
        Norra Möbler AB                     KREDITFAKTURA
        Kreditfakturanr   K2011             Fakturadatum   2025-02-14
        Artnr  Benämning        Antal    À-pris         Summa
        4471   Stol             -3,00    489,00     -1 467,00
        9000   Frakt            -1,00    395,00       -395,00
        Netto         Moms %     Moms kr   Öresutjämning    ATT ERHÅLLA SEK
        -1 862,00      25,00     -465,50            0,50          -2 327,00
        """
    )
    assert (invoice.net, invoice.tax, invoice.gross) == (-1862, Decimal("-465.50"), -2327)
    assert [line.amount for line in invoice.lines] == [-1467, -395] and invoice.number == "K2011"


def test_amounts_within_sentences_are_no_totals():
    prose = (
        "\n  Im Betrag sind Kosten für Löhne und Fahrten gemäß Gesetz enthalten: netto 1.651,25 €, brutto 1.964,99 €."
    )
    assert change("de", "\n  Zahlbar bis", f"{prose}\n  Zahlbar bis") == []


def test_withheld_tax_is_no_payment():
    invoice = read_typed_invoice(
        """
        Studio Rossi SRL
        FATTURA n. 12/2025 del 10/02/2025
        Descrizione                  Q.tà      Prezzo    Importo €
        Direzione lavori                1    2.800,00     2.800,00
        Sopralluoghi                    5       90,00       450,00
                             Totale compensi            € 3.250,00
                             Contributo Inarcassa 4%      € 130,00
                             Imponibile IVA             € 3.380,00
                             IVA 22%                      € 743,60
                             TOTALE FATTURA             € 4.123,60
                             Ritenuta d'acconto 20% su 3.250,00   € -650,00
                             NETTO A PAGARE             € 3.473,60
        """
    )
    assert (invoice.net, invoice.gross, invoice.paid, invoice.withheld, invoice.due) == (
        3380,
        Decimal("4123.60"),
        None,
        650,
        Decimal("3473.60"),
    )
    assert invoice.number == "12/2025" and invoice.reasons == []


def money(invoice: Invoice) -> tuple[object, ...]:
    taxes = [(line.rate, line.net, line.tax) for line in invoice.taxes]
    lines = [(line.quantity, line.unit_price, line.amount) for line in invoice.lines]
    return invoice.net, invoice.tax, invoice.gross, invoice.paid, taxes, lines, invoice.iban


@pytest.mark.parametrize("name", TYPED)
def test_wrong_digit_of_an_amount_does_not_stay_unnoticed(name: str):
    pages = TYPED[name][0]
    right = money(read_typed_invoice(*pages))
    digits = [match.start() for match in re.finditer(r"(?<=[.,])\d", pages[-1])]
    for at in digits[:: max(1, len(digits) // 6)]:
        changed = f"{pages[-1][:at]}{(int(pages[-1][at]) + 3) % 10}{pages[-1][at + 1 :]}"
        invoice = read_typed_invoice(*pages[:-1], changed)
        assert money(invoice) == right or invoice.reasons, changed
