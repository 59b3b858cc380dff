"""Receipts of many countries, all invented: each figure as printed, and no false reason for a review."""

import re
from decimal import Decimal

import pytest
from typed_pages import read_typed_receipt

RECEIPTS = {
    "it": (
        """
               BAR PASTICCERIA LUNA
               Via Verdi 8 - Lucca
               P.IVA 02118440467
             DOCUMENTO COMMERCIALE
        DESCRIZIONE    IVA        Prezzo(€)
        CAFFE          10%             1,30
        CORNETTO       10%             1,50
        SPREMUTA       10%             3,50
        SCONTO                        -0,30
        TOTALE COMPLESSIVO             6,00
        di cui IVA                     0,55
        Pagamento contante            10,00
        Resto                          4,00
        11-02-2025 09:33    DOC. N. 0418-0071
        """,
        ("BAR PASTICCERIA LUNA", "2025-02-11", "6.00", "0.55", "EUR"),
        [("CAFFE 10%", "1.30"), ("CORNETTO 10%", "1.50"), ("SPREMUTA 10%", "3.50"), ("SCONTO", "-0.30")],
    ),
    "nl": (
        """
                 De Blauwe Hoek
              Kerkstraat 4 Zwolle
        AANTAL OMSCHRIJVING            BEDRAG
        2  HALFVOLLE MELK                2,38
        1  KAAS 48+ JONG                 5,79
        1  STATIEGELD                    0,15
        BONUS KAAS                      -1,00

        TOTAAL                           7,32
        PINNEN                           7,32
        BTW 9%  over 6,58                0,59

        08-02-2025 15:27 kassa 2
        """,
        ("De Blauwe Hoek", "2025-02-08", "7.32", "0.59", "EUR"),
        [("2 HALFVOLLE MELK", "2.38"), ("1 KAAS 48+ JONG", "5.79"), ("1 STATIEGELD", "0.15"), ("BONUS KAAS", "-1.00")],
    ),
    "de": (
        """
                FRISCHMARKT KOHL
           Lindenallee 9, 34117 Kassel
                                      EUR
        BIO VOLLMILCH               1,19 B
        PFAND 0,25 EUR              0,25 A
          2 Stk x    0,79
        JOGHURT                     1,58 B
        WASCHMITTEL                 6,95 A
        RABATT 10%                 -0,70 A

        SUMME EUR                   9,27
        Geg. BAR EUR               20,00
        Rückgeld EUR              -10,73

        Steuer %    Netto   Steuer   Brutto
        A= 19,0%     5,46     1,04     6,50
        B=  7,0%     2,59     0,18     2,77
        Datum 05.02.2025 Uhrzeit 18:21:07 Bon-Nr. 4
        """,
        ("FRISCHMARKT KOHL", "2025-02-05", "9.27", "1.22", "EUR"),
        [
            ("BIO VOLLMILCH", "1.19"),
            ("PFAND 0,25 EUR", "0.25"),
            ("JOGHURT", "1.58"),
            ("WASCHMITTEL", "6.95"),
            ("RABATT 10%", "-0.70"),
        ],
    ),
    "fr": (
        """
              BRASSERIE DU PORT
           22 quai des Tanneurs - 67000
             SIRET 441 882 107 00021
        Le 12/02/2025 à 13:05   Table 7   2 couverts
        2  Plat du jour                 31,00
        1  Verre Riesling                6,50
        1  Carafe d'eau                  0,00
        2  Café                          4,80
        TOTAL TTC                       42,30 €
        TVA 10% sur 32,55                3,25
        TVA 20% sur 5,42                 1,08
        Total HT                        37,97
        CB                              42,30 €
        """,
        ("BRASSERIE DU PORT", "2025-02-12", "42.30", "4.33", "EUR"),
        [("2 Plat du jour", "31.00"), ("1 Verre Riesling", "6.50"), ("1 Carafe d'eau", "0.00"), ("2 Café", "4.80")],
    ),
    "au": (
        """
             Magpie & Daughter
             ABN 51 118 447 290
                TAX INVOICE
        6 Feb 2025  8:12am   Order #77
        Flat White  x2                $11.00
        Banana Bread                   $7.50
        Card surcharge 1.5%            $0.28
        Total (incl GST)              $18.78
        GST included                   $1.71
        EFTPOS                        $18.78
        """,
        ("Magpie & Daughter", "2025-02-06", "18.78", "1.71", "AUD"),
        [("Flat White x2", "11.00"), ("Banana Bread", "7.50"), ("Card surcharge 1.5%", "0.28")],
    ),
    "jp": (
        """
              さくら商店 本町店
             TEL 03-1234-5678
           登録番号 T1234567890123
        2025年2月7日(金) 18:05
        おにぎり鮭                   ¥150軽
        緑茶500ml                    ¥128軽
        電池単三                     ¥598
        小計                         ¥876
        合計                         ¥876
        (8%対象 ¥278  内消費税 ¥20)
        (10%対象 ¥598  内消費税 ¥54)
        お預り                     ¥1,000
        お釣り                       ¥124
        """,
        ("さくら商店 本町店", "2025-02-07", "876", "74", "JPY"),
        [("おにぎり鮭", "150"), ("緑茶500ml", "128"), ("電池単三", "598")],
    ),
    "uk": (
        """
               THE CORNER GROCER
               12 Mill Lane, York
             VAT No. 123 4567 89
        SEMI SKIMMED MILK              1.45
        BANANAS
          0.842 kg @ £1.10/kg          0.93
        WHOLEMEAL LOAF                 1.80
        MEAL DEAL SAVING              -0.50
        TOTAL TO PAY                  £3.68
        CASH                          £5.00
        CHANGE DUE                    £1.32
        10/02/25 17:44  Till 3
        """,
        ("THE CORNER GROCER", "2025-02-10", "3.68", None, "GBP"),
        [("SEMI SKIMMED MILK", "1.45"), ("BANANAS", "0.93"), ("WHOLEMEAL LOAF", "1.80"), ("MEAL DEAL SAVING", "-0.50")],
    ),
    "us": (
        """
              Larkspur Diner
           410 Elm St, Dayton, OH 45402
        02/05/2025 7:12 PM   Server: Kim
        Burger                        $14.00
        Iced Tea                       $3.50
        Subtotal                      $17.50
        Sales Tax 7.5%                 $1.31
        Tip                            $3.50
        Total                         $22.31
        Visa ****1234                 $22.31
        """,
        ("Larkspur Diner", "2025-02-05", "22.31", "1.31", "USD"),
        [("Burger", "14.00"), ("Iced Tea", "3.50")],
    ),
    "ca": (
        """
              Café Boréal
             Montréal QC H2X 1Y4
        2025-02-03 12:40
        Soupe du jour                  8,00
        Sandwich                      12,00
        Sous-total                    20,00
        TPS 5%                         1,00
        TVQ 9,975%                     2,00
        Total                         23,00 $
        Interac                       23,00 $
        """,
        ("Café Boréal", "2025-02-03", "23.00", "3.00", "CAD"),
        [("Soupe du jour", "8.00"), ("Sandwich", "12.00")],
    ),
    "es": (
        """
              CAFETERIA EL FARO
              CIF B12345674
        FACTURA SIMPLIFICADA
        Fecha: 09/02/2025 10:15
        2 CORTADO                      3,00
        1 TOSTADA                      2,60
        BASE IMPONIBLE                 5,09
        IVA 10%                        0,51
        TOTAL A PAGAR                  5,60 €
        ENTREGADO EFECTIVO            10,00
        SU CAMBIO                      4,40
        """,
        ("CAFETERIA EL FARO", "2025-02-09", "5.60", "0.51", "EUR"),
        [("2 CORTADO", "3.00"), ("1 TOSTADA", "2.60")],
    ),
    "se": (
        """
              Björkens Livs AB
             Org.nr 556123-4567
        Kvitto 2025-02-04 16:20
        Mjölk 1,5%                    17,90
        Bröd                          32,50
        Öresavrundning                -0,40
        Totalt                        50,00 kr
        Moms 12%                       5,36
        Kontant                      100,00
        Växel                         50,00
        """,
        ("Björkens Livs AB", "2025-02-04", "50.00", "5.36", "SEK"),
        [("Mjölk 1,5%", "17.90"), ("Bröd", "32.50")],
    ),
    "pl": (
        """
              SKLEP POD LIPĄ
              NIP 123-456-78-19
             PARAGON FISKALNY
        Chleb         1 x 4,50         4,50A
        Masło         2 x 7,00        14,00A
        SPRZEDAŻ OPODATKOWANA A       18,50
        PTU A 5%                       0,88
        SUMA PTU                       0,88
        SUMA PLN                      18,50
        KARTA                         18,50
        2025-02-01 11:05
        """,
        ("SKLEP POD LIPĄ", "2025-02-01", "18.50", "0.88", "PLN"),
        [("Chleb", "4.50"), ("Masło", "14.00")],
    ),
    "kr": (
        """
              한빛 편의점
        2025-02-06 20:11
        삼각김밥                       1,200
        우유                           2,500
        합계                           3,700
        부가세                           336
        현금                           5,000
        거스름돈                       1,300
        """,
        ("한빛 편의점", "2025-02-06", "3700", "336", "KRW"),
        [("삼각김밥", "1200"), ("우유", "2500")],
    ),
    "ch": (
        """
              Bäckerei Alpenblick
              CHE-123.456.789 MWST
        Datum 03.02.25  07:58
        Gipfeli    2   1.60            3.20
        Kaffee     1   4.80            4.80
        Total CHF                      8.00
        Bar                           20.00
        Rückgeld                      12.00
        MWST 2.6% inkl.                0.20
        """,
        ("Bäckerei Alpenblick", "2025-02-03", "8.00", "0.20", "CHF"),
        [("Gipfeli 2", "3.20"), ("Kaffee 1", "4.80")],
    ),
    "words that nobody knows": (
        """
              Xoli Qama
        2025-02-06 20:11
        Aba                            1.20
        Cida                           2.50
        Efo                            4.05
        Wuzu                           7.75
        Kelo                          10.00
        Mapi                           2.25
        """,
        ("Xoli Qama", "2025-02-06", "7.75", None, ""),
        [("Aba", "1.20"), ("Cida", "2.50"), ("Efo", "4.05")],
    ),
}


@pytest.mark.parametrize("name", RECEIPTS)
def test_receipt_is_read_in_its_language(name: str):
    text, (shop, date, total, tax, currency), items = RECEIPTS[name]
    receipt = read_typed_receipt(text)
    printed = lambda value: None if value is None else str(value)  # noqa: E731
    read = (receipt.shop, str(receipt.date), printed(receipt.total), printed(receipt.tax), receipt.currency)
    assert read == (shop, date, total, tax, currency)
    assert [(item.description, str(item.price)) for item in receipt.items] == items
    assert receipt.reasons == ([] if currency else ["no currency is printed"])


@pytest.mark.parametrize("name", RECEIPTS)
def test_digit_that_is_misread_is_a_reason(name: str):
    """The negative control: one item's price is another, and no figure is changed in silence."""
    text, _, items = RECEIPTS[name]
    lines = text.split("\n")
    at = next(at for at, line in enumerate(lines) if line.split()[:1] == items[0][0].split()[:1])
    price = [*re.finditer(r"\d[\d.,]*", lines[at])][-1].start()
    lines[at] = f"{lines[at][:price]}{'8' if lines[at][price] == '9' else '9'}{lines[at][price + 1 :]}"
    wrong = "\n".join(lines)
    assert wrong != text
    receipt = read_typed_receipt(wrong)
    assert [reason for reason in receipt.reasons if reason != "no currency is printed"]


def test_quantity_line_gives_the_item_its_quantity():
    receipt = read_typed_receipt(RECEIPTS["de"][0])
    (yoghurt,) = [item for item in receipt.items if item.description == "JOGHURT"]
    assert (yoghurt.quantity, yoghurt.unit_price, yoghurt.tax_code) == (2, Decimal("0.79"), "B")


def test_each_tax_rate_is_a_line():
    receipt = read_typed_receipt(RECEIPTS["de"][0])
    read = [(str(line.rate), str(line.net), str(line.tax), str(line.gross)) for line in receipt.taxes]
    assert read == [("19.0", "5.46", "1.04", "6.50"), ("7.0", "2.59", "0.18", "2.77")]
    assert receipt.tax_confirmed_by == "net + tax = total"


def test_cash_and_change_confirm_the_total():
    receipt = read_typed_receipt(RECEIPTS["it"][0])
    assert (receipt.paid, receipt.change, receipt.discount) == (Decimal("10.00"), Decimal("4.00"), Decimal("-0.30"))
    assert receipt.confirmed_by == ["the items", "cash less change"]


def test_tip_and_tax_that_are_added_are_no_items():
    receipt = read_typed_receipt(RECEIPTS["us"][0])
    assert (receipt.subtotal, receipt.tip, receipt.added) == (Decimal("17.50"), Decimal("3.50"), Decimal("4.81"))


def test_dollar_alone_is_no_currency():
    text = RECEIPTS["au"][0].replace("ABN 51 118 447 290", "Main Street").replace("GST included", "Tax")
    receipt = read_typed_receipt(text)
    assert receipt.currency == ""
    assert "the currency is unknown: $ is the sign of several currencies" in receipt.reasons


def test_day_and_month_are_open_where_the_country_is_unknown():
    text = RECEIPTS["au"][0].replace("ABN 51 118 447 290", "Main Street").replace("6 Feb 2025", "06/02/2025")
    receipt = read_typed_receipt(text)
    assert str(receipt.date) == "2025-02-06"
    assert "the date is read as 2025-02-06: day or month may be first" in receipt.reasons
