"""Further kinds of layouts that failed when they were first seen, in the smallest form that shows each."""

from datetime import date
from decimal import Decimal

import pytest
from typed_pages import read_typed

from processors.statements import reasons


def _rows(document):
    return [(str(row.date), row.description, str(row.change)) for row in document.rows]


# ---------------------------------------------------------------------------------------------- header

MALAY = """
    ENCIK AZMAN BIN SHAHARUDDIN       CUSTOMER STATEMENT
    ACCOUNT NUMBER : 514417-208831    STATEMENT DATE : 31/03/25

    Date        Description                       Amount        Balance
    BEGINNING BALANCE                                          1,950.36
    01/03/25    FUND TRANSFER                     650.00-      1,300.36
                TENAGA PERKASA BHD
    03/03/25    SALE DEBIT                         32.60-      1,267.76
    04/03/25    TAKAFUL IHSAN BHD                 180.00+      1,447.76
    ENDING BALANCE                                          {}1,447.76
"""


@pytest.mark.parametrize(("sign", "currency"), [("RM ", "MYR"), ("   ", "")])
def test_letters_in_the_text_of_a_row_are_no_currency(sign: str, currency: str):
    (statement,) = read_typed(MALAY.format(sign)).statements
    assert statement.currency == currency
    assert statement.holder == "ENCIK AZMAN BIN SHAHARUDDIN"  # not "CUSTOMER STATEMENT", a title


def test_label_and_name_of_a_holder_may_be_in_two_cells():
    document = read_typed("""
        Customer Name:   SAMUEL GICHUKI NDIRANGU
        Mobile Number: 254700418223

        Date         Details               Paid In    Withdrawn     Balance
        2025-03-01   Pay Bill Charge          0.00       -10.00      990.00
        21:18:27     KAMAU
        2025-03-02   Funds received         100.00         0.00    1,090.00
        09:41:03     ACHIENG
        2025-03-04   Airtime                  0.00       -90.00    1,000.00
        20:11:40
    """)
    (statement,) = document.statements
    assert (statement.holder, statement.account) == ("SAMUEL GICHUKI NDIRANGU", "254700418223")
    assert _rows(document)[0] == ("2025-03-01", "Pay Bill Charge KAMAU", "-10.00")  # times of day are no text


def test_phone_number_is_no_account_where_another_number_is_named():
    document = read_typed("""
        Mobile No: 98200411550
        Account Number: 50100447218835

        Date         Details               Withdrawn     Balance
        01/03/2025   Rent                     10.00      990.00
        02/03/2025   Phone                    20.00      970.00
    """)
    assert document.statements[0].account == "50100447218835"


def test_iban_may_have_more_letters_than_digits():
    document = read_typed("""
        RON Cod IBAN: RO32CRPTRONCRT0440188201

        Data         Description                 Debit        Credit
                     SOLD ANTERIOR                          2,310.55
        03/03/2025   Plata 24.90 EUR             87.43
        04/03/2025   Incasare                               4,875.00
                     SOLD FINAL CONT                        7,098.12
    """)
    (statement,) = document.statements
    assert (statement.account, statement.currency) == ("RO32CRPTRONCRT0440188201", "RON")
    assert (statement.opening, statement.closing) == (Decimal("2310.55"), Decimal("7098.12"))


def test_neither_a_period_nor_the_account_that_pays_a_card_is_the_account():
    document = read_typed("""
        Extrait de compte 01.03.2025 - 31.03.2025
        Referenzkonto   0417 88 21
        Kontonummer     4410 7731

        Datum        Text                        Betrag
        03.03.2025   Miete                      -420,00
        04.03.2025   Lohn                       +980,00
    """)
    assert document.statements[0].account == "44107731"


@pytest.mark.parametrize("printed", ["PERIODE : MARET 2025", "Période 1 au 31 mars 2025", "Periodo: marzo 2025"])
def test_printed_month_supplies_the_year_and_the_period(printed: str):
    document = read_typed(f"""
        NO. REKENING : 0481127730
        {printed}

        Date     Description              Debit      Credit      Balance
        01/03    Opening balance                                1,000.00
        03/03    Rent                    400.00                   600.00
        17/03    Salary                              900.00     1,500.00
        31/03    Interest                              1.00     1,501.00
    """)
    (statement,) = document.statements
    assert (statement.start, statement.end) == (date(2025, 3, 1), date(2025, 3, 31))
    assert str(statement.rows[0].date) == "2025-03-03"


# ---------------------------------------------------------------------------------------------- cards


def test_card_that_prints_what_is_owed_with_a_minus():
    document = read_typed("""
        Kreditkartenabrechnung          Kartennummer 4998 21** **** 3107

        Datum      Umsatz                                  Betrag in EUR
                   Saldo der letzten Abrechnung vom 22.02.2025   812,55-
        22.02.25   Hofladen Pries                                 27,40-
        05.03.25   Lastschrifteinzug                             812,55+
        11.03.25   Apotheke                                       89,95-
        14.03.25   Tankstelle                                     74,06-
                   Neuer Saldo                                   191,41-
    """)
    (statement,) = document.statements
    assert (statement.opening, statement.closing) == (Decimal("812.55"), Decimal("191.41"))
    assert statement.is_liability and [row.change > 0 for row in statement.rows] == [False, True, False, False]
    assert not reasons(document)


def test_card_without_balances_owes_what_its_rows_come_to():
    document = read_typed("""
        カードご利用代金明細書            2025年4月10日
        カード番号     5310-****-****-4821

        Date        Description              Amount
        25/02/16    スーパー                   4,182
        25/02/17    水道                       5,310
        25/03/04    返品                      ▲2,480
        25/03/14    珈琲店                     1,340
        25/03/15    タクシー                   2,100
                    ご請求金額合計            10,452
    """)
    (statement,) = document.statements
    assert [row.change for row in statement.rows] == [-4182, -5310, 2480, -1340, -2100]
    assert (statement.account, statement.opening, statement.closing) == ("5310-****-****-4821", None, 10452)


# ---------------------------------------------------------------------------------------------- accounts


def test_accounts_may_differ_in_their_suffix_only():
    document = read_typed("""
        Account 48213-S01 REGULAR SHARE

        Date    Description              Amount     Balance
        03/01/25 Beginning Balance                  1,205.44
        03/04/25 Deposit                  50.00     1,255.44
        03/31/25 Ending Balance                     1,255.44


        Account 48213-S70 FREE CHECKING

        Date    Description              Amount     Balance
        03/01/25 Beginning Balance                    843.09
        03/03/25 Withdrawal               58.66-      784.43
        03/31/25 Ending Balance                       784.43
    """)
    assert [(each.account, each.closing) for each in document.statements] == [
        ("48213-S01", Decimal("1255.44")),
        ("48213-S70", Decimal("784.43")),
    ]


def test_other_opening_balance_begins_the_account_whose_number_is_above():
    page = """
        {}

        Date        Operations                   Debit       Credit
                    Ancien solde au 28/02/2025             {}
        03/03/2025  ACHAT CB                      6,85
        17/03/2025  RETRAIT                     100,00
        26/03/2025  VERSEMENT                                120,00
                    Nouveau solde au 31/03/2025            {}
    """
    document = read_typed(
        page.format("IBAN FR36 2004 1010 1408 8421 7K03 871", "1 842,17", "1 855,32"),
        page.format("Livret A n° 0441 882 917 Y", "8 350,00", "8 363,15"),
    )
    assert [(each.account, each.opening) for each in document.statements] == [
        ("FR3620041010140884217K03871", Decimal("1842.17")),
        ("0441882917Y", Decimal("8350.00")),
    ]
    assert not any(row.flags for row in document.rows)


# ---------------------------------------------------------------------------------------------- lines that are no rows


def test_turnover_of_a_day_is_no_row():
    document = read_typed("""
        Data         Descriere                   Debit        Credit
                     SOLD ANTERIOR                          1,000.00
        03/03/2025   Plata la POS                87.43
                     Plata                      250.00
        03/03/2025   RULAJ ZI                   337.43          0.00
                     SOLD FINAL ZI                            662.57
        05/03/2025   Incasare                               4,875.00
        05/03/2025   RULAJ ZI                     0.00      4,875.00
                     SOLD FINAL ZI                          5,537.57
        06/03/2025   Retragere                  400.00
        06/03/2025   RULAJ ZI                   400.00          0.00
                     SOLD FINAL ZI                          5,137.57
    """)
    assert [str(row.change) for row in document.rows] == ["-87.43", "-250.00", "4875.00", "-400.00"]
    assert not any(row.flags for row in document.rows)


def test_row_whose_date_is_not_that_of_the_turnover_of_its_day_is_flagged():
    document = read_typed("""
        Data         Description                 Debit        Credit
                     SOLD ANTERIOR                          1,000.00
        03/03/2025   Plata la POS                87.43
        03/03/2025   RULAJ ZI                    87.43          0.00
        04/03/2025   Incasare                               4,875.00
        05/03/2025   RULAJ ZI                     0.00      4,875.00
                     SOLD FINAL ZI                          5,787.57
    """)
    assert [bool(row.flags) for row in document.rows] == [False, True]
    assert "05/03/2025" in document.rows[1].flags[0]


def test_totals_below_the_last_row_are_no_rows():
    document = read_typed("""
        Date        Text                        Amount      Balance
        Opening balance                                      964,30
        03/03/2025  ENOIKIO                     420,00       544,30
        05/03/2025  KATATHESI                   250,00       794,30
        07/03/2025  ANALIPSI                     80,00       714,30
        10/03/2025  TOKOI                         0,12       714,42
        Closing balance                                      714,42
                    SYNOLO CHREOSEON            500,00
                    SYNOLO PISTOSEON            250,12
    """)
    assert [str(row.change) for row in document.rows] == ["-420.00", "250.00", "-80.00", "0.12"]


def test_transfer_is_a_row_and_not_a_balance_brought_forward():
    document = read_typed("""
        Buchungstag  Vorgang                                Ausgang     Eingang
        28.02.2025   Alter Saldo                                      +1.000,00
        07.03.2025   Übertrag von Giro                                  +300,00
        14.03.2025   Wertpapierkauf                         -412,08
        31.03.2025   Neuer Saldo                                        +887,92
    """)
    assert [str(row.change) for row in document.rows] == ["300.00", "-412.08"]
    assert not any(row.flags for row in document.rows)


# ---------------------------------------------------------------------------------------------- cells


def test_amounts_of_few_digits_and_totals_do_not_move_the_columns():
    document = read_typed("""
        Data       Valuta      Addebiti   Accrediti   Descrizione
        18/03/25   18/03/25                   64,20   STORNO
        31/03/25   31/03/25        8,55               IMPOSTA DI BOLLO
        31/03/25   31/03/25                    0,11   INTERESSI
        31/03/25   31/03/25        0,03               RITENUTA

                   NUMERI 284.117,00 TASSO      0,01
                   DEBITORI     0,00 TASSO      9,90
                   GIACENZA 3.156,85 TASSO      1,00
    """)
    assert [str(row.change) for row in document.rows] == ["64.20", "-8.55", "0.11", "-0.03"]


def test_date_and_time_of_day_may_be_one_word():
    document = read_typed("""
        Date                 Text                    Out         In       Balance
        2025-03-09 16:20:45  ATM                 100,000          0     1,052,070
        2025-03-0721:04:18   Open Banking              0    120,000     1,152,070
        2025-03-06 12:33:57  Card                  9,000          0     1,032,070
        2025-03-05 09:00:02  Savings             100,000          0     1,041,070
        2025-03-04 09:00:03  Phone                55,990          0     1,141,070
    """)
    assert _rows(document)[:4] == [
        ("2025-03-04", "Phone", "-55990"),
        ("2025-03-05", "Savings", "-100000"),
        ("2025-03-06", "Card", "-9000"),
        ("2025-03-07", "Open Banking", "120000"),
    ]


def test_misread_digit_does_not_change_the_order_of_all_dates():
    days = ["25/02/16", "25/02/17", "25/02/19", "75/02/21", "25/03/01", "25/03/02"]
    lines = [f"{day}    Shop                      1{at},182.00" for at, day in enumerate(days)]
    document = read_typed("2025-04-10\n\nDate        Description              Amount\n" + "\n".join(lines))
    assert [str(row.date) for row in document.rows if row.date][:2] == ["2025-02-16", "2025-02-17"]
