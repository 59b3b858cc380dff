"""Receipts as people hand them in for expenses: shops, hotels, taxis, fuel, parking, trains."""

from decimal import Decimal

import pytest
from typed_pages import read_typed_receipt as read


def test_advantage_is_no_item():
    receipt = read(
        """
        De Bongerd
        1         HALFV MELK            1,25
        2         VOLKOREN HEEL  2,39   4,78
        1         JONG BELEGEN          6,89 B
        6         SPA BRUIS      1,09   6,54 B
                  +STATIEGELD           0,90
        0.734KG   ELSTAR APPELS  2,49   1,83
                  SUBTOTAAL            22,19

        BONUS     SPA BRUIS 6 HALEN    -2,18
        BONUS     JONG BELEGEN         -1,40
                       UW VOORDEEL      3,58

        KOOPZEGELS 10 ST x 0,10         1,00
        TOTAAL                         19,61
        BETAALD MET: PINNEN            19,61
        BTW           OVER      EUR
        9%           17,07     1,54
        04-12-2025 18:03
        """
    )
    assert (receipt.total, receipt.tax, receipt.discount) == (Decimal("19.61"), Decimal("1.54"), Decimal("-3.58"))
    assert [item.price for item in receipt.items][-1] == 1


def test_net_payable_is_the_total_and_both_halves_of_a_tax_count():
    receipt = read(
        """
        SRI BALAJI MEDICALS
        GSTIN: 29ABCFS4471K1Z6
        Date: 17/10/2025 20:11
        PARACIP 650 TAB            33.60
        AZILIDE 500 TAB           132.40
        OROSALT ORANGE            107.50
        COTTON ROLL 100G           62.00
        DIGI THERMOMETER          249.00
        LESS DISC 5%              -29.23
        GROSS AMT                 555.27
        CGST (incl.)               26.71
        SGST (incl.)               26.71
        ROUND OFF                  -0.27
        NET PAYABLE Rs.           555.00
        """
    )
    assert (receipt.total, receipt.tax, len(receipt.items)) == (555, Decimal("53.42"), 6)


def test_a_breakdown_of_the_total_in_an_unknown_language_is_no_item():
    receipt = read(
        """
        qwerty
        2025-11-29 17:05
        zxc 300g       1,980     2      3,960
        vbn            7,480     1      7,480
        asd            2,490     1      2,490
        fgh            4,150     2      8,300
        jkl            3,900     1      3,900
        mnb 2L x 6     4,680     1      4,680
        poi                              -800
        uyt                                 8
        rew                            13,930
        qaz                            14,618
        wsx                             1,462
        edc                            30,010

        rfv                            30,010
        """
    )
    assert (receipt.total, len(receipt.items)) == (30010, 7)


def test_day_of_the_payment_precedes_the_days_of_a_stay():
    receipt = read(
        """
        Hotel Alpenrose
        Anreise 12.11.2025   Abreise 14.11.2025
        12.11.25  Einzelzimmer            164.00
        12.11.25  Kurtaxe                   3.20
        13.11.25  Einzelzimmer            164.00
        13.11.25  Parkplatz                36.00
        Total CHF                         367.20
        bezahlt Visa 14.11.2025           367.20
        """
    )
    assert (str(receipt.date), receipt.total) == ("2025-11-14", Decimal("367.20"))


def test_last_day_of_a_stay_is_the_date():
    receipt = read(
        """
        Hotel Alpenrose
        12.11.25  Einzelzimmer            164.00
        12.11.25  Kurtaxe                   3.20
        13.11.25  Einzelzimmer            164.00
        14.11.25  Parkplatz                36.00
        Total CHF                         367.20
        Visa                              367.20
        """
    )
    assert str(receipt.date) == "2025-11-14"


EXPENSES = {
    "fuel": (
        """
        RASTHOF NORD TANKSTELLE
        Zapfsäule 4
        Super E10        41,27 l
        1,729 EUR/l
                               71,36 A
        Summe EUR              71,36
        MwSt 19 % A    59,97   11,39
        EC-Karte               71,36
        11.09.2025 07:44
        """,
        "71.36",
        "11.39",
    ),
    "fuel on one line": (
        """
        SHELL M4 MEMBURY
        PUMP 07
        UNLEADED  35.02L @ 139.9p/L      48.99
        TOTAL                           £48.99
        VAT @ 20.00%                      8.17
        VISA                            £48.99
        12/08/2025 18:21
        """,
        "48.99",
        "8.17",
    ),
    "taxi": (
        """
        CITY CAB CHICAGO
        06/14/2025 11:32 PM
        FARE            $23.50
        EXTRAS           $4.00
        SUBTOTAL        $27.50
        TIP              $5.50
        TOTAL           $33.00
        VISA            $33.00
        """,
        "33.00",
        None,
    ),
    "taxi without a word for its country": (
        """
        GREEN LANTERN CAB
        DATE          10/13/2025
        START             22:17
        END               22:46
        DIST. MI           7.84
        RATE 1:         $ 34.50
        STATE SRCHG:    $  0.50
        TOTAL:          $ 35.00
        """,
        "35.00",
        None,
    ),
    "parking": (
        """
        PARKHAUS AM DOM
        Einfahrt 03.07.2025 08:12
        Ausfahrt 03.07.2025 13:40
        Parkentgelt          12,50 EUR
        inkl. 19 % MwSt       2,00 EUR
        Bezahlt bar          12,50 EUR
        """,
        "12.50",
        "2.00",
    ),
    "train": (
        """
        SBB CFF FFS
        Zürich HB - Bern
        Gültig 04.03.2025
        1 Einzelbillett 2. Kl.      51.00
        Total CHF                   51.00
        inkl. 8.1% MWST              3.82
        Twint                       51.00
        04.03.2025 06:31
        """,
        "51.00",
        "3.82",
    ),
    "meal with a tip added on the card slip": (
        """
        OSTERIA DA NERI
        12/05/2025 21:14
        2 COPERTO             5,00
        TAGLIATELLE          14,00
        FRITTO MISTO         19,00
        ACQUA 1L              3,00
        TOTALE EURO          41,00
        DI CUI IVA            3,73
        PAGAMENTO ELETTRONICO 41,00
        """,
        "41.00",
        "3.73",
    ),
    "toll": (
        """
        AUTOPISTA DEL SOL
        PEAJE LA ROCA
        FECHA 21/06/2025  10:02
        CATEGORIA 1
        IMPORTE          8,35 EUR
        21% IVA INCLUIDO 1,45
        TARJETA          8,35 EUR
        """,
        "8.35",
        "1.45",
    ),
    "charges before the total": (
        """
        UBER EATS
        Order 14 Oct 2025 19:02
        2 Chicken Bowl       £17.90
        1 Lemonade            £2.50
        Subtotal             £20.40
        Delivery fee          £2.49
        Service fee           £1.50
        Promotion            -£5.00
        Total                £19.39
        Mastercard           £19.39
        """,
        "19.39",
        None,
    ),
    "rounded cash in Denmark": (
        """
        KIOSKEN HOVEDBANEGÅRDEN
        Kaffe stor           32,00
        Croissant            19,95
        AT BETALE            51,95
        Øreafrunding          0,05
        KONTANT              60,00
        RETUR                 8,00
        HERAF MOMS 25%       10,39
        14-05-2025 08:08
        """,
        "51.95",
        "10.39",
    ),
    "sums in Hungarian": (
        """
        SPÁR MAGYARORSZÁG
        B00 TEJ 2,8%             389
        B00 KENYÉR 1KG           899
        C00 SAJT TRAPPISTA     2 190
        RÉSZÖSSZEG             3 478
        ÖSSZESEN:           3 478 Ft
        BANKKÁRTYA          3 478 Ft
        2025.02.11 17:40
        """,
        "3478",
        None,
    ),
}


@pytest.mark.parametrize("name", EXPENSES)
def test_expense_is_read(name: str):
    text, total, tax = EXPENSES[name]
    receipt = read(text)
    assert (receipt.total, receipt.tax) == (Decimal(total), tax and Decimal(tax))
    assert receipt.date is not None


def test_miles_and_gallons_are_american():
    receipt = read(
        """
        GREEN LANTERN CAB
        DATE          10/03/2025
        DIST. MI           7.84
        RATE 1:         $ 34.50
        TOTAL:          $ 34.50
        """
    )
    assert (receipt.currency, str(receipt.date)) == ("USD", "2025-10-03")


@pytest.mark.parametrize("line", ["14.05.2025 08.08", "14.05.2025, kl. 08.08", "14.05.2025 08.08 Uhr"])
def test_time_with_a_dot_marks_the_date(line: str):
    receipt = read(f"""
        KIOSK
        Rechnung für 12.05.2025
        Kaffee       3.20
        Total CHF    3.20
        {line}
        """)
    assert str(receipt.date) == "2025-05-14"


@pytest.mark.parametrize("code", ["1 = ", "A = ", "1: ", "(1) ", ""])
def test_tax_on_an_amount_is_no_item(code: str):
    receipt = read(f"""
        NORDMANN C+C
        Kopierpapier                     75,96  1
        Ordner A4                        68,56  1
        Filterkaffee                     38,10  2
        Nettosumme                      182,62
        {code}19,0 % MwSt auf 144,52     27,46
        7,0 % MwSt auf 38,10              2,67
        Endbetrag EUR                   212,75
        EC-Lastschrift                  212,75
        Datum 17.02.2026 09:31
        """)
    assert (receipt.total, receipt.tax, len(receipt.items)) == (Decimal("212.75"), Decimal("30.13"), 3)
    assert receipt.reasons == []


def test_tip_above_the_total_is_no_item():
    receipt = read(
        """
        TAXI MIRKOVIC
        Datum          12.02.2026
        Fahrpreis Tarif 2   38,60
        Flughafenzuschlag    5,00
        Trinkgeld            3,40
        EUR                 47,00
        VISA Debit          47,00
        """
    )
    assert (receipt.total, receipt.tip) == (47, Decimal("3.40"))
    assert [item.price for item in receipt.items] == [Decimal("38.60"), 5]


@pytest.mark.parametrize("label", ["10% SVC CHG", "Service charge 10%", "TAXA DE SERVIÇO (10%)", "Delivery", "Freight"])
def test_charge_below_the_subtotal_is_no_item(label: str):
    receipt = read(f"""
        KITCHEN
        25/02/2026 19:48
        2 Chicken Rice        13.60
        1 Laksa                6.40
        SUBTOTAL              20.00
        {label}                2.00
        TOTAL EUR             22.00
        CASH                  22.00
        """)
    assert (receipt.total, len(receipt.items), receipt.reasons) == (22, 2, [])


@pytest.mark.parametrize(
    ("line", "currency"),
    [
        ("HARTIE IGIENICA 10R     22,49", ""),
        ("216 0R7712              22,49", ""),
        ("TOTAL LEI               22,49", "RON"),
        ("SEHIT NEZIH CAD. 14\n        TOPKDV                   2,04", "TRY"),
        ("TOTAL R 22.49", "ZAR"),
    ],
)
def test_letter_within_a_code_or_an_address_is_no_currency(line: str, currency: str):
    assert read(f"        SHOP\n        {line}\n        SUM        22,49").currency == currency


def test_quantities_above_their_items_are_no_items():
    receipt = read(
        """
        MERCURIAL
        2 BUC X 7,49
            LAPTE 1.5% 1L                14,98 B
        1 BUC X 34,99
            CAFEA MACINATA 500G          34,99 B
        1 BUC X 22,49
            HARTIE IGIENICA 10           22,49 A
            TOTAL LEI                    72,46
            CARD                         72,46
        05/03/2026 18:21
        """
    )
    assert ([item.price for item in receipt.items], receipt.reasons) == (
        [Decimal("14.98"), Decimal("34.99"), Decimal("22.49")],
        [],
    )


def test_pounds_that_ocr_misreads_are_a_quantity():
    receipt = read(
        """
        PINE RIDGE MARKET
        KROWN WHL MILK             3.79   F
        2.31 1b @ 0.59 /1b
        WT BANANAS                 1.36   F
        TOTAL                     $5.15
        VISA                       5.15
        11/14/25 05:52pm
        """
    )
    assert ([item.price for item in receipt.items], receipt.currency) == ([Decimal("3.79"), Decimal("1.36")], "USD")


def test_tx_is_tax():
    receipt = read(
        """
        PINE RIDGE MARKET
        PAPER TOWEL                9.49   T
        DISH SOAP                  3.29   T
        SUBTOTAL                  12.78
        TX 7.50% ON 12.78          0.96
        BALANCE DUE              $13.74
        VISA                      13.74
        11/14/25 05:52pm
        """
    )
    assert (receipt.total, receipt.tax, len(receipt.items)) == (Decimal("13.74"), Decimal("0.96"), 2)
