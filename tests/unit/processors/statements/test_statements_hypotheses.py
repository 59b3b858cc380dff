"""Reading tables by their arithmetic, where the heading words are unknown."""

from decimal import Decimal

from typed_pages import read_typed

from processors.statements import reasons

UNKNOWN_WORDS = """
    Account number: 7720194458
    Period 01/01/2025 - 31/01/2025

    Kuupäev     Selgitus               Väljaminek    Laekumine      Jääk
                Algsaldo                                         1,000.00
    02/01/2025  CARD PAYMENT                20.00                  980.00
    05/01/2025  SALARY                                2,000.00   2,980.00
    09/01/2025  RENT                       880.00                2,100.00
    17/01/2025  ELECTRICITY                100.00
    17/01/2025  REFUND                                   50.00   2,050.00
"""


def _money(row):
    return row.debit, row.credit, row.balance


def test_table_below_unknown_headings_is_read_by_its_balances():
    document = read_typed(UNKNOWN_WORDS)
    (statement,) = document.statements
    assert statement.opening == Decimal("1000.00")
    assert [_money(row) for row in statement.rows] == [
        (Decimal("20.00"), None, Decimal("980.00")),
        (None, Decimal("2000.00"), Decimal("2980.00")),
        (Decimal("880.00"), None, Decimal("2100.00")),
        (Decimal("100.00"), None, None),
        (None, Decimal("50.00"), Decimal("2050.00")),
    ]
    assert not reasons(document)


def test_columns_that_no_balance_confirms_are_flagged():
    wrong = UNKNOWN_WORDS.replace("980.00", "981.00").replace("2,100.00", "2,170.00").replace("2,050.00", "2,990.00")
    document = read_typed(wrong)
    assert reasons(document)
    assert all(row.flags for row in document.rows)


def test_line_with_a_balance_only_is_no_row_whatever_it_says():
    document = read_typed(
        """
        Account number: 7720194458
        Period 01/01/2025 - 31/01/2025

        Data        Descrição              Valor          Saldo
        01/01/2025  SALDO ANTERIOR                      1.000,00
        02/01/2025  TARIFA                 20,00-
        02/01/2025  SALDO DO DIA                          980,00
        05/01/2025  CREDITO SALARIO     2.000,00
        05/01/2025  SALDO DO DIA                        2.980,00
        09/01/2025  PIX ENVIADO           880,00-
        09/01/2025  SALDO DO DIA                        2.100,00
        """
    )
    assert [row.description for row in document.rows] == ["TARIFA", "CREDITO SALARIO", "PIX ENVIADO"]
    assert not reasons(document)


def test_date_left_of_the_amounts_is_found_behind_the_text():
    document = read_typed(
        """
        Account number: 7720194458
        Statement From - To
        DEC 31/24 - JAN 31/25

        Text of entry        Out of account   Into account    On       Remaining
        STARTING BALANCE                                      DEC31     1,000.00
        ONLINE PAYMENT               20.00                    JAN02       980.00
        PAYROLL                                 2,000.00      JAN05     2,980.00
        CARD PURCHASE               880.00                    JAN09     2,100.00
        """
    )
    assert [(str(row.date), row.description) for row in document.rows] == [
        ("2025-01-02", "ONLINE PAYMENT"),
        ("2025-01-05", "PAYROLL"),
        ("2025-01-09", "CARD PURCHASE"),
    ]
    assert not reasons(document)


def test_second_date_below_the_first_belongs_to_the_row():
    document = read_typed(
        """
        IBAN DE62 5001 0517 5501 8827 36
        Alter Saldo   1.000,00    Neuer Saldo  2.020,00

        Buchung       Verwendungszweck          Betrag (EUR)
        02.01.2025    Dauerauftrag Miete             -880,00
        03.01.2025    Danke fuer Ihren Einkauf
        05.01.2025    Gutschrift                    2.000,00
        05.01.2025    Lohn
        09.01.2025    Lastschrift                    -100,00
        10.01.2025    Strom
        """
    )
    assert [(str(row.date), str(row.value_date), row.description) for row in document.rows] == [
        ("2025-01-02", "2025-01-03", "Dauerauftrag Miete Danke fuer Ihren Einkauf"),
        ("2025-01-05", "2025-01-05", "Gutschrift Lohn"),
        ("2025-01-09", "2025-01-10", "Lastschrift Strom"),
    ]
    assert not document.unread


def test_year_on_a_line_of_its_own_is_that_of_the_rows_below():
    document = read_typed(
        """
        Account number 07391824
        Sort code 07-04-36

        Date         Description                      Paid out     Paid in      Balance
        2024         Balance from statement 31                                 1,000.00
        28 Dec       CARD PURCHASE                       20.00                   980.00
        29 Dec       TRANSFER                                     2,000.00     2,980.00
        2025
        02 Jan       RENT                               880.00                 2,100.00
        """
    )
    assert [str(row.date) for row in document.rows] == ["2024-12-28", "2024-12-29", "2025-01-02"]
    assert not any(row.flags for row in document.rows)


def test_cr_below_an_amount_marks_it():
    document = read_typed(
        """
        Account number: 7720194458
        Period 01/01/2025 - 31/01/2025

        Date         Description                 Amount       Balance
                     Opening balance                         1,000.00
        02/01/2025   PAYMENT                      20.00        980.00
        05/01/2025   SALARY                    2,000.00      2,980.00
                                                     CR
        09/01/2025   RENT                        880.00      2,100.00
        """
    )
    assert [(row.debit, row.credit) for row in document.rows] == [
        (Decimal("20.00"), None),
        (None, Decimal("2000.00")),
        (Decimal("880.00"), None),
    ]
    assert not reasons(document)
