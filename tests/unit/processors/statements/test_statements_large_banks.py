"""Kinds of layouts after those of large banks that failed at first sight, each in the smallest form that shows it."""

import pytest
from typed_pages import read_typed, typed_page

from processors.statements import StatementDocument, read_statements, reasons, verify
from processors.statements.notation.keywords import match_special, turns_page


def _rows(document: StatementDocument) -> list[tuple[str, str, str]]:
    return [(str(row.date), row.description, str(row.change)) for row in document.rows]


CARD = """
    Credit Card Statement                          Statement Date    10 APR 2026
    4265-XXXX-XXXX-8204  TAN HUI LING   12,000     Payment Due Date  05 MAY 2026

    Post       Trans      Description                         Amount
    Date       Date
                          PREVIOUS BALANCE                    100.00
    14 MAR     12 MAR     SINGTELA BILL                        45.00
    16 MAR     14 MAR     COLD STORAGES                        60.00
    18 MAR     15 MAR     PAYMENT - THANK YOU                 100.00 CR
    10 APR     09 APR     TOAST KOPI                           10.00
                          SUB TOTAL                           115.00
                          TOTAL BALANCE FOR STRAITS CARD      115.00
"""


def test_dates_of_a_card_are_those_of_its_bookings():
    document = read_typed(CARD)
    assert [row[0] for row in _rows(document)] == ["2026-03-14", "2026-03-16", "2026-03-18", "2026-04-10"]
    assert [str(row.value_date) for row in document.rows][:2] == ["2026-03-12", "2026-03-14"]
    assert [row[2] for row in _rows(document)] == ["-45.00", "-60.00", "100.00", "-10.00"]
    statement = document.statements[0]
    assert (statement.account, str(statement.end), statement.closing) == ("4265-XXXX-XXXX-8204", "2026-04-10", 115)
    assert not reasons(document)


def test_dates_of_an_account_are_those_of_its_bookings():
    document = read_typed("""
        Kontoutdrag  Period 2026-02-01 - 2026-02-28

        Bokföringsdag   Transaktionsdag   Text               Belopp       Saldo
                                          Ingående saldo               1 000,00
        2026-02-05      2026-02-04        ICO SUPERMARKET   -100,00      900,00
        2026-02-06      2026-02-05        ESPRESSO HAUS      -50,00      850,00
        2026-02-09      2026-02-08        APOTEKSGRUPPEN     -20,00      830,00
    """)
    assert [row[0] for row in _rows(document)] == ["2026-02-05", "2026-02-06", "2026-02-09"]


@pytest.mark.parametrize(
    "text", ["SUB TOTAL", "Sub-total", "Sous-total", "Zwischensumme", "Page total", "Razem", "Ara toplam", "小計"]
)
def test_subtotal_is_known_in_many_languages(text: str):
    assert match_special(text) == "total"


@pytest.mark.parametrize("text", ["Razem Studio", "Transport for London", "Celkem Bistro", "Subtotalia GmbH"])
def test_text_that_begins_like_a_subtotal_is_none(text: str):
    assert match_special(text) is None


INTEREST = """
    Visa Signature ending in 6033            Dec 3, 2025 - Jan 1, 2026
    Previous Balance 600.00
    New Balance 159.84    Minimum Payment Due 35.00

    Trans Date   Post Date   Description                  Amount
    Dec 9        Dec 9       TARGO TIGARD              - $100.00
    Dec 18       Dec 18      MOBILE PYMT               - $500.00
    Dec 20       Dec 21      COFFEE CO                   $50.00
    Dec 22       Dec 23      FRESH MARKET                $70.00
    Dec 28       Dec 29      TRIMET TVM                  $30.00

    Interest Charged
                             Interest Charge on Purchases   $9.84
                             Interest Charge on Advances    $0.00
"""


def test_undated_interest_is_a_row_of_the_last_day_if_the_balances_lack_it():
    document = read_typed(INTEREST)
    assert _rows(document)[-1] == ("2026-01-01", "Interest Charge on Purchases", "-9.84")
    assert not reasons(document)
    assert any("1 row has no date" in note for note in document.notes)


def test_undated_amount_that_the_balances_do_not_lack_is_no_row():
    document = read_typed(INTEREST.replace("159.84", "170.00"))
    assert len(document.rows) == 5
    assert reasons(document)


def test_rows_of_totals_that_agree_are_not_flagged_if_another_row_is_missing():
    document = read_typed("""
        Account number 4471-20394               1 March 2026 to 31 March 2026
        Opening balance 1,000.00      Closing balance 1,345.00

        Date          Description          Money out    Money in
        2 Mar 2026    Bakery                   10.00
        3 Mar 2026    Rent                    500.00
        9 Mar 2026    Salary                               900.00
        12 Mar 2026   Grocer                   40.00
                      Total money out         550.00
                      Total money in                       900.00
    """)
    assert not [row.flags for row in document.rows if row.flags]
    assert any("off by" in reason for reason in reasons(document))


REVERTED = """
    EUR Statement     April 1, 2026 to April 30, 2026     IBAN LT12 3250 0881 1447 0926
    Opening balance €1,000.00      Closing balance €900.00

    Date           Description         Money out   Money in     Balance
    Apr 1, 2026    Glovia                €50.00               €950.00
    Apr 5, 2026    Amazing               €70.00               €880.00
    Apr 7, 2026    Netstream             €20.00               €860.00
    Apr 9, 2026    Refund                           €40.00    €900.00

    Reverted from April 1, 2026 to April 30, 2026
    Start date     Description         Money out   Money in
    Apr 11, 2026   Ubridge                €1.00
"""


def test_payments_that_were_reverted_are_no_rows():
    document = read_typed(REVERTED)
    assert [row[1] for row in _rows(document)] == ["Glovia", "Amazing", "Netstream", "Refund"]
    assert not reasons(document)
    assert any("the balances exclude 1 row" in note for note in document.notes)


def test_rows_without_balances_stay_if_the_closing_balance_needs_them():
    document = read_typed(REVERTED.replace("Closing balance €900.00", "Closing balance €899.00"))
    assert _rows(document)[-1][1] == "Ubridge"


PAGE = """
    PostKonto                              Kontoauszug 01.03.2026 - 31.03.2026
    {account}

    Datum      Text                 Gutschrift   Lastschrift      Saldo
    {rows}
"""


def test_number_and_iban_of_one_account_are_not_two_accounts():
    first = PAGE.format(
        account="Privatkonto 30-447188-2 CHF\n    IBAN CH33 0900 0000 3044 7188 2",
        rows="""01.03.26   Kontostand                                         900.00
    02.03.26   KAUF BERN                              100.00       800.00
    03.03.26   KAUF THUN                              200.00       600.00""",
    )
    second = PAGE.format(
        account="Privatkonto CH33 0900 0000 3044 7188 2 CHF",
        rows="""           Übertrag                                           600.00
    17.03.26   GELD EMPFANGEN          50.00                       650.00
    31.03.26   Kontostand                                         650.00""",
    )
    document = read_statements([typed_page(first, 1), typed_page(second, 2)])
    verify(document)
    assert [each.account for each in document.statements] == ["CH3309000000304471882"]
    assert len(document.rows) == 3
    assert not reasons(document)


def test_iban_is_preferred_to_the_number_above_it():
    document = read_typed("""
        Konto                       Privatkonto
        Clearing- och kontonummer   8214-9,904 471 882-3
        IBAN                        SE88 8000 0821 4990 4471 8823

        Bokföringsdag   Text               Belopp       Saldo
        2026-02-05      ICO SUPERMARKET   -100,00      900,00
        2026-02-06      ESPRESSO HAUS      -50,00      850,00
    """)
    assert document.statements[0].account == "SE8880000821499044718823"


@pytest.mark.parametrize(
    "text",
    [
        "suite au verso ou page suivante",
        "Transactions continue on next page",
        "continued on the next page",
        "Fortsetzung auf der nächsten Seite",
        "Sigue en la página siguiente",
        "Segue alla pagina successiva",
        "Vervolg op volgende pagina",
        "Ciąg dalszy na następnej stronie",
        "PTO",
    ],
)
def test_line_that_turns_the_page_is_no_text_of_a_row(text: str):
    assert turns_page(text)


@pytest.mark.parametrize("text", ["Continental Tyres", "Segue Consulting", "Suite Hotel Paris", "Forte Seitz"])
def test_text_of_a_row_turns_no_page(text: str):
    assert not turns_page(text)


RATES = """
    Account Number 06 2184 10447188          1 Feb 2026 - 28 Feb 2026
    UNIT 4, NEWTOWN NSW 2042

    Date     Transaction           Debit     Credit      Balance
    01 Feb   OPENING BALANCE                             $900.00
    04 Feb   WOOLYWORTHS           40.00                 $860.00
    08 Feb   DIRECT DEBIT         100.00                 $760.00
    28 Feb   CLOSING BALANCE                             $760.00

    Your Credit Interest Rate Summary
    Date     Balance               Standard Credit Interest Rate (p.a.)
    28 Feb   Less than $10,000.00              0.00%
"""


def test_line_that_the_balances_show_to_be_no_row_needs_no_review():
    document = read_typed(RATES)
    assert len(document.rows) == 2
    assert document.statements[0].currency == "AUD"
    assert not reasons(document)


def test_line_that_was_not_understood_is_reported_if_a_row_is_missing():
    document = read_typed(RATES.replace("$860.00\n", "\n").replace("760.00", "740.00"))
    assert reasons(document)


def test_total_of_one_section_is_not_that_of_all_debits():
    document = read_typed("""
        Account number 4830 1177 6254          September 24, 2025 to October 24, 2025
        Beginning balance on September 24, 2025   $1,000.00
        Ending balance on October 24, 2025        $1,298.00

        Deposits and other additions
        Date       Description                  Amount
        09/26/25   PAYROLL                      400.00
        09/27/25   ZELLE FROM ANN                50.00
        Total deposits and other additions     $450.00

        Other subtractions
        Date       Description                  Amount
        10/02/25   WATER BILL                   -90.00
        10/05/25   GAS BILL                     -50.00
        Total other subtractions              -$140.00

        Service fees
        Date       Description                  Amount
        10/24/25   Monthly fee                  -12.00
        Total service fees                     -$12.00
    """)
    assert [row[2] for row in _rows(document)] == ["400.00", "50.00", "-90.00", "-50.00", "-12.00"]
    assert not reasons(document)


def test_headings_of_debits_and_credits_are_known_in_portuguese():
    document = read_typed("""
        Conta: 0044718-2     Período: de 01/03/2026 a 31/03/2026

        Data         Histórico           Docto.    Crédito (R$)   Débito (R$)   Saldo (R$)
        27/02/2026   SALDO ANTERIOR                                              1.000,00
        02/03/2026   TARIFA BANCARIA     0020326                     -38,50        961,50
                     TRANSFERENCIA PIX   6388158                     -61,50        900,00
        04/03/2026   TRANSFERENCIA PIX   7923321      390,00                     1.290,00
    """)
    assert [row[2] for row in _rows(document)] == ["-38.50", "-61.50", "390.00"]
    assert not reasons(document)


def test_amounts_of_three_decimals_are_read_exactly():
    document = read_typed("""
        Account 0447-188201-016   Currency OMR    Statement period 01/03/2026 to 31/03/2026

        Date         Description          Debit        Credit       Balance
        01/03/2026   Opening balance                               1,234.567
        02/03/2026   LULU MARKET         12.345                    1,222.222
        03/03/2026   SALARY                          1,000.000     2,222.222
        09/03/2026   RENT               900.500                    1,321.722
    """)
    assert [row[2] for row in _rows(document)] == ["-12.345", "1000.000", "-900.500"]
    assert str(document.statements[0].opening) == "1234.567"
    assert not reasons(document)
