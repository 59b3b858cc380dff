"""Kinds of layouts that failed in a set of 24 layouts of large banks, each in the smallest form that shows it."""

from datetime import date

import pytest
from typed_pages import read_typed, typed_page

from processors.statements import StatementDocument, read_statements, reasons, verify


def _rows(document: StatementDocument) -> list[tuple[str, str, str]]:
    return [(str(row.date), row.description, str(row.change)) for row in document.rows]


CREDIT_UNION = """
    Statement Period 02/01/26 - 02/28/26
    SHANICE R BELL                    Questions about this Statement?
                                      Toll-free in the U.S. 1-888-555-0162
    1188 COLLEY AVE UNIT 3            Visit us online
    NORFOLK VA 23517

    EveryDay Checking - 7044718820
    Date    Transaction Detail               Amount($)   Balance($)
    02-01   Beginning Balance                              500.00
    02-03   POS Debit Food Lyon                17.00-      483.00
    02-09   POS Debit Wawo                     20.00-      463.00
    02-12   POS Debit Harris                   30.00-      433.00
    02-13   Deposit ACH                       100.00       533.00
    02-28   Ending Balance                                 533.00

    Items Paid
    Date    Item     Amount($)    Date    Item     Amount($)
    02-03   POS         17.00     02-12   POS         30.00
    02-09   POS         20.00

    Membership Savings - 3044718821
    Date    Transaction Detail               Amount($)   Balance($)
    02-01   Beginning Balance                            1,000.00
    02-16   Transfer From Checking            200.00     1,200.00
    02-27   Dividend                            0.83     1,200.83
    02-28   Ending Balance                               1,200.83
"""


def test_accounts_begin_at_titles_with_their_numbers():
    document = read_typed(CREDIT_UNION)
    assert [each.account for each in document.statements] == ["7044718820", "3044718821"]
    assert [str(each.closing) for each in document.statements] == ["533.00", "1200.83"]


def test_list_that_repeats_rows_is_left_out():
    document = read_typed(CREDIT_UNION)
    assert [len(each.rows) for each in document.statements] == [4, 2]
    assert not reasons(document)


def test_holder_is_found_above_an_address_beside_other_text():
    assert {each.holder for each in read_typed(CREDIT_UNION).statements} == {"SHANICE R BELL"}


@pytest.mark.parametrize(
    ("text", "holder"),
    [
        (
            """
            nome                     CPF               conta
            RENATA CARVALHO PINTO    ***.447.188-**    18820-1
            """,
            "RENATA CARVALHO PINTO",
        ),
        (
            """
            Titular    TALLERS BRUFAU SL
            IBAN       ES91 2100 0418 4502 0005 1332
            """,
            "TALLERS BRUFAU SL",
        ),
        (
            """
            Account Name       Account Number
            Online Savings     2188044718
            Account holder: Priscilla K Oduya
            """,
            "Priscilla K Oduya",
        ),
        (
            """
            CHESTNUT STREET DELI LLC
            DBA CHESTNUT DELI
            118 CHESTNUT ST
            MEDIA PA 19063
            """,
            "CHESTNUT STREET DELI LLC",
        ),
    ],
)
def test_holder_is_the_name_and_no_label_or_product(text: str, holder: str):
    head = "\n".join(line[12:] for line in text.strip("\n").split("\n"))
    table = """

Date         Description          Amount     Balance
01/03/2026   Opening balance                  100.00
02/03/2026   Groceries            -10.00       90.00
"""
    document = read_statements([typed_page(head + table)])
    assert document.statements[0].holder == holder


def test_section_is_named_beside_other_text():
    document = read_typed("""
        Account # 447-1882011          Feb 01 2026-Feb 28 2026
        Beginning Balance  1,000.00
        Ending Balance       830.00

        Checks Paid          No. Checks: 4        *Indicates break in serial sequence
        DATE      SERIAL NO.     AMOUNT     DATE      SERIAL NO.     AMOUNT
        02/03     3081            20.00     02/17     3086            50.00
        02/04     3082            30.00     02/19     3087            70.00
                                            Subtotal:                170.00
    """)
    assert sorted(str(row.change) for row in document.rows) == ["-20.00", "-30.00", "-50.00", "-70.00"]
    assert not reasons(document)


def test_subtotals_of_cardholders_are_no_rows():
    document = read_typed("""
        Mastercard statement    Period covered Feb. 13, 2026 - Mar. 12, 2026     Payment due date Apr. 2, 2026
        Previous total balance, Feb. 12, 2026     $100.00
        Total balance, Mar. 12, 2026              $110.00

        TRANS       POSTING
        DATE        DATE        DESCRIPTION              AMOUNT ($)
        Card number: 5191 XXXX XXXX 4471   MR OWEN TREMBLAY
        Feb. 14     Feb. 15     CINEPLEXX VANCOUVER           40.00
        Feb. 27     Feb. 28     TRSF FROM/DE ACCT            100.00 CR
        Subtotal for MR OWEN TREMBLAY                        $60.00 CR
        Card number: 5191 XXXX XXXX 8820   MS HELENA TREMBLAY
        Feb. 16     Feb. 18     MEC MOUNTAIN GEAR             70.00
        Subtotal for MS HELENA TREMBLAY                      $70.00
        Total for card number 5191 XXXX XXXX 4471            $10.00
    """)
    assert [row[2] for row in _rows(document)] == ["-40.00", "100.00", "-70.00"]
    assert not reasons(document)


def test_summary_below_the_rows_has_the_opening_balance():
    document = read_typed("""
        Bank Statement Nr. 2/2026           01.02.2026 until 28.02.2026
        IBAN: DE56 1001 1001 0447 1882 06

        Description            Booking Date        Amount
        SHAKESPEARE BOOKS      01.02.2026         -20,00€
        Kreuzwerk Studio       26.02.2026        +300,00€
        BIO COMPANIE           28.02.2026         -80,00€
        Overview
        Previous balance                       +1.000,00€
        Your new balance                       +1.200,00€
    """)
    assert [document.statements[0].opening, document.statements[0].closing] == [1000, 1200]
    assert _rows(document)[-1][1] == "BIO COMPANIE"
    assert not reasons(document)


def test_first_balance_is_the_closing_one_if_the_newest_row_is_first():
    document = read_typed("""
        extrato conta corrente 18820-1     período: 01/02/2026 até 28/02/2026

        data         lançamentos                     valor (R$)   saldo (R$)
        27/02/2026   SALDO TOTAL DISPONÍVEL DIA                       870,00
        27/02/2026   TAR PACOTE                          -30,00
        25/02/2026   SALDO TOTAL DISPONÍVEL DIA                       900,00
        25/02/2026   PIX TRANSF                         -200,00
        24/02/2026   SALDO TOTAL DISPONÍVEL DIA                     1.100,00
        24/02/2026   PIX TRANSF                          100,00
        23/02/2026   SALDO ANTERIOR                                 1.000,00
    """)
    assert [document.statements[0].opening, document.statements[0].closing] == [1000, 870]
    assert not reasons(document)


def test_period_ends_with_the_closing_balance():
    document = read_typed("""
        C/C N° 00044718820145 en euros

        Date         Opération                   Débit EUROS   Crédit EUROS
                     SOLDE CREDITEUR AU 30/01/2026                1 000,00
        02/02/2026   VIR LOYER                        742,00
        20/02/2026   PRLV SEPA                         58,00
        25/02/2026   VIR MME ODILE                                  60,00
                     SOLDE CREDITEUR AU 27/02/2026                 260,00
    """)
    assert document.statements[0].end == date(2026, 2, 27)
    assert not reasons(document)


def test_text_left_of_its_centered_heading_is_no_reference():
    document = read_typed("""
        Statement of Account No - 922010044718820 for the period (From : 01-01-2026 To : 28-02-2026)

        Tran Date    Chq No               Particulars               Debit      Credit    Balance
                                OPENING BALANCE                                         1000.00
        05-01-2026              IMPS RAMESH KULKAR RENT JANUARY    240.00                760.00
        06-01-2026              UPI BIGBAZAR RETAIL PAYMENT N       60.00                700.00
                                RMD
        07-01-2026              UPI SWIGY LIMITED PAYMENT NR       100.00                600.00
    """)
    assert document.statements[0].account == "922010044718820"
    assert [row[1] for row in _rows(document)][1] == "UPI BIGBAZAR RETAIL PAYMENT N RMD"
    assert not reasons(document)


def test_number_within_running_text_is_no_misread_amount():
    document = read_typed("""
        Conto corrente n. 4471882     01.01.2026 - 31.03.2026

        Data       Uscite       Entrate      Descrizione
        31.12.25               1.000,00      Saldo iniziale
        08.01.26     150,00                  Prelievo Bancomatt
                     del 05 ABI 03015 Sportello
        13.01.26      50,00                  SDD Core
        16.01.26                  200,00     Stipendio
        31.03.26               1.000,00      Saldo finale
    """)
    assert not [flag for row in document.rows for flag in row.flags]


def test_list_that_restarts_on_the_next_page_is_in_order():
    first = """
        Account # Z44-718820      February 1, 2026 - February 28, 2026
        Beginning Core Balance  $1,000.00
        Ending Core Balance       $760.00

        Withdrawals
        Date    Reference            Amount
        02/02   PEARL ST APTS       -100.00
        02/09   XCELO ENERGY         -20.00
        02/13   CRESTLINE CU         -10.00
        02/26   CENTURYLYNK          -10.00
    """
    second = """
        Debit/ATM Card Activity
        Date    Merchant             Amount
        02/02   SHELLCO OIL          -40.00
        02/04   REI CO-OP            -30.00
        02/25   WHOLE MARKET         -30.00
    """
    document = read_statements([typed_page(first, 1), typed_page(second, 2)])
    verify(document)
    assert len(document.rows) == 7
    assert not [flag for row in document.rows for flag in row.flags]


def test_date_of_the_purchase_below_a_row_is_text():
    document = read_typed("""
        Rachunek 14 1140 2004 0000 3002 0447 1882      01.04.2026 - 30.04.2026

        Data operacji   Opis operacji                    Kwota       Saldo
                        Saldo początkowe                           1 000,00
        2026-04-02      ZAKUP LIDLL MOGILSKA KRAKOW    -100,00       900,00
                        DATA TRANSAKCJI: 2026-03-31
        2026-04-05      ZAKUP ZABKO KRAKOW              -50,00       850,00
                        DATA TRANSAKCJI: 2026-04-04
        2026-04-07      PRZELEW                         -20,00       830,00
    """)
    assert _rows(document)[0] == ("2026-04-02", "ZAKUP LIDLL MOGILSKA KRAKOW DATA TRANSAKCJI: 2026-03-31", "-100.00")
    assert not reasons(document)


def test_totals_of_both_columns_that_are_carried_forward_are_no_balance():
    document = read_typed("""
        Conto corrente n. 4471882     01.03.2025 - 31.03.2025

        DATA       DESCRIZIONE                    DARE        AVERE
        28.02.25   SALDO INIZIALE                            1.000,00
        03.03.25   BONIFICO                     100,00
        04.03.25   STIPENDIO                                   500,00
                   RIPORTO                      100,00       1.500,00
        10.03.25   PRELIEVO                     200,00
                   TOTALE MOVIMENTI             300,00         500,00
        31.03.25   SALDO FINALE                              1.200,00
    """)
    assert [row[2] for row in _rows(document)] == ["-100.00", "500.00", "-200.00"]
    assert not reasons(document)


def test_short_amount_without_decimals_has_the_mark_of_the_others():
    document = read_typed("""
        Számlaszám: 11745004-20188342-00000000      Devizanem: HUF      2025.04.01 - 2025.04.30

        Datum        Text                      Betrag        Saldo
        2025.04.01   NYITO EGYENLEG                        216.408
        2025.04.02   BENZINKUT                -11.177      205.231
        2025.04.03   ILLETEK                     -611      204.620
        2025.04.04   GYOGYSZERTAR             -12.037      192.583
        2025.04.05   JOVAIRAS                  30.829      223.412
    """)
    assert [row[2] for row in _rows(document)] == ["-11177", "-611", "-12037", "30829"]


def test_date_and_text_below_a_balance_brought_forward_are_those_of_the_next_row():
    document = read_typed("""
        Statement starts 21 December 2024      Statement ends 20 January 2025

        Date           Particulars                      Debits       Credits       Balance
        21 Dec 2024    Brought forward                                            1,000.00
        24 Dec 2024    V4471 21/12 Dan Murphys
                       560815384137                     100.00
                       Internet Transfer
                       Kelly Marsh                       50.00                      850.00
        27 Dec 2024    V4471 27/12 Coles
                       849354585606                      20.00
                       V4471 27/12 Woolworths
                       973855774386                      30.00                      800.00
        8 Jan 2025     V4471 07/01 Coles
                       849354585606                      20.00
                       Carried forward                                              780.00

        Date           Particulars                      Debits       Credits       Balance
        8 Jan 2025     Brought forward                                              780.00
                       V4471 08/01 Bunnings
                       558754059629                      30.00                      750.00
        10 Jan 2025    Fee                                3.00                      747.00
    """)
    assert _rows(document)[-2] == ("2025-01-08", "V4471 08/01 Bunnings 558754059629", "-30.00")
    assert not reasons(document)


def test_calculation_of_interest_below_the_closing_balance_is_left_out():
    document = read_typed("""
        PERIODO DAL 01/01/2025 AL 31/03/2025        CONTO N. 001042287715

        DATA         VALUTA       ADDEBITI      ACCREDITI    DESCRIZIONE OPERAZIONI
        01/01/25                                 1.000,00    SALDO INIZIALE
        03/01/25     02/01/25        45,00                   PAGAMENTO POS
        10/01/25     09/01/25        92,00                   ADDEBITO DIRETTO
        27/01/25     26/01/25                      500,00    BONIFICO
        28/01/25     27/01/25        63,00                   PRELIEVO
        31/01/25     30/01/25       100,00                   CANONE
        31/03/25                                 1.200,00    SALDO FINALE

        PROSPETTO SCALARE PER IL CALCOLO DEGLI INTERESSI
        VALUTA          SALDI PER VALUTA       GIORNI   NUMERI
        02/01/25                    955,00          7    66,85
        09/01/25                    863,00         17   146,71
    """)
    assert len(document.rows) == 5
    assert not reasons(document)


def test_rows_below_the_closing_balance_that_may_be_those_of_another_account_are_reported():
    document = read_typed("""
        Account 123456      1 March 2026 to 31 March 2026

        Date          Description          Money out    Money in     Balance
                      Opening balance                               1,000.00
        2 Mar 2026    Bakery                   10.00
        3 Mar 2026    Rent                    500.00
        9 Mar 2026    Salary                               900.00
        12 Mar 2026   Grocer                   40.00                1,350.00
                      Closing balance                               1,350.00
        Savings
        4 Mar 2026    Transfer                              25.00
    """)
    assert len(document.rows) == 4
    assert reasons(document) == ["the balances exclude 1 row on page 1, which inboxd left out"]


def test_day_and_month_in_columns_of_their_own_are_one_date():
    document = read_typed("""
        INFORME DEL MES:    MARZO /2024           CUENTA DE AHORROS 0550 4410 0071 2288
        Saldo Anterior      $       683,412.17
        Nuevo Saldo         $     2,542,008.84

        Fecha                           Valor       Doc.      Clase de Movimiento
        Dia   Mes
        06    03     $               22.67-         7915      Cobro Gravamen
        08    03     $           90,000.00-         5269      Retiro En Cajero
        09    03     $          201,380.66-         8895      Pago De Servicios
        15    03     $        2,150,000.00+         1336      Abono Nomina
    """)
    assert [row[0] for row in _rows(document)] == [f"2024-03-{day}" for day in ("06", "08", "09", "15")]
    assert [row[2] for row in _rows(document)] == ["-22.67", "-90000.00", "-201380.66", "2150000.00"]
    assert not reasons(document)
