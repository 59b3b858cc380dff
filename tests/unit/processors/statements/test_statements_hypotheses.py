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


def test_column_that_is_no_part_of_the_sums_is_left_out():
    document = read_typed(
        """
        Activity January 1, 2025 - January 31, 2025
        Beginning Available Balance    1,000.00
        Ending Available Balance       1,287.00

        When        What                        Gross       Taken         Net
        01/02/2025  Express Payment            -20.00        0.00      -20.00
        01/14/2025  Mobile Payment             400.00      -11.00      389.00
        01/17/2025  Express Payment            -80.00        0.00      -80.00
        01/30/2025  Express Payment             -2.00        0.00       -2.00
        """
    )
    (statement,) = document.statements
    assert (statement.opening, statement.closing) == (Decimal("1000.00"), Decimal("1287.00"))
    assert [row.change for row in statement.rows] == [Decimal(each) for each in ("-20.00", "389.00", "-80.00", "-2.00")]


def test_amounts_without_decimals_are_read_where_the_document_has_no_others():
    document = read_typed(
        """
        口座番号 1184402
        期間 2025年1月1日~2025年1月31日
        取引日       取引内容        支払金額     預り金額    差引残高
                   前月繰越                              318,400
        2025/01/03 電気料金           9,729              308,671
        2025/01/04 給与                      141,836     450,507
        2025/01/05 手数料               110              450,397
        2025/01/06 ATM出金           11,620              438,777
        """
    )
    (statement,) = document.statements
    assert [str(row.change) for row in statement.rows] == ["-9729", "141836", "-110", "-11620"]
    assert [str(row.balance) for row in statement.rows] == ["308671", "450507", "450397", "438777"]
    assert (str(statement.start), str(statement.opening)) == ("2025-01-01", "318400")
    assert not statement.flagged


def test_tables_side_by_side_are_read_one_after_the_other():
    document = read_typed(
        """
        Account number: 334008215567
        Beginning balance on January 1, 2025     2,000.00
        Ending balance on January 31, 2025       1,500.00

        Checks
        Date        Check #      Amount      Date        Check #      Amount
        01/03/25    1201        -100.00      01/06/25    1204        -150.00
        01/27/25    1203        -200.00      01/11/25    1206         -50.00
        Total checks                                                -$500.00
        """
    )
    (statement,) = document.statements
    assert [(str(row.date), row.reference, row.debit) for row in statement.rows] == [
        ("2025-01-03", "1201", Decimal("100.00")),
        ("2025-01-27", "1203", Decimal("200.00")),
        ("2025-01-06", "1204", Decimal("150.00")),
        ("2025-01-11", "1206", Decimal("50.00")),
    ]
    assert not reasons(document)


def test_text_above_an_amount_belongs_to_it_where_further_lines_are_indented():
    document = read_typed(
        """
        Account number 51773820
        1 January to 31 January 2025

        Date       Payment type and details          Paid out     Paid in      Balance
                   BALANCE BROUGHT FORWARD                                     1,000.00
        02 Jan 25  DD   STANDING ORDER                  20.00
                   ATM  DIRECT
                        DEBIT
                        Corvid Telecom                  80.00                    900.00
        03 Jan 25  VIS  CASH                           100.00                    800.00
        06 Jan 25  CR   PAYROLL                                   2,000.00     2,800.00
        09 Jan 25  )))  CARD
                        PURCHASE                       300.00                  2,500.00
        """
    )
    assert [(row.description, row.change) for row in document.rows] == [
        ("DD STANDING ORDER", Decimal("-20.00")),
        ("ATM DIRECT DEBIT Corvid Telecom", Decimal("-80.00")),
        ("VIS CASH", Decimal("-100.00")),
        ("CR PAYROLL", Decimal("2000.00")),
        (")))  CARD PURCHASE".replace("  ", " "), Decimal("-300.00")),
    ]


def test_direction_in_a_word_of_its_own_is_learned_from_the_closing_balance():
    document = read_typed(
        """
        Periode 01-01-2025 t/m 31-01-2025
        Vorig saldo    1.000,00
        Nieuw saldo    1.889,50

        Datum        Omschrijving                Code     Af Bij         Bedrag (EUR)
        02-01-2025   Overboeking T Okonjo        BA       Af                   112,00
        05-01-2025   Salaris                     OV       Bij                1.283,50
        09-01-2025   iDEAL Blue Heron            BA       Af                   110,00
        10-01-2025   Betaalautomaat              ID       Af                   172,00
        """
    )
    assert [row.change for row in document.rows] == [
        Decimal(each) for each in ("-112.00", "1283.50", "-110.00", "-172.00")
    ]
    assert not document.statements[0].flagged


def test_total_of_a_section_is_no_row_whatever_it_is_called():
    document = read_typed(
        """
        Account Number: XXXX XXXX XXXX 7702
        Credit card
        Previous Balance         500.00
        New Balance              346.00
        Opening/Closing Date     12/13/24 - 01/12/25

        Date     Description                             Amount
        01/03    Payment Thank You                      -500.00
        PURCHASE
        12/14    CARD PURCHASE Saffron Kitchen           160.00
        12/15    DIRECT DEBIT Northgate Rail             140.00
        FEES CHARGED
        01/08    LATE FEE                                 29.00
                         TOTAL FEES FOR THIS PERIOD       29.00
        INTEREST CHARGED
        01/12    PURCHASE INTEREST CHARGE                 17.00
                         TOTAL INTEREST FOR THIS PERIOD   17.00
        """
    )
    assert [row.description for row in document.rows] == [
        "Payment Thank You",
        "CARD PURCHASE Saffron Kitchen",
        "DIRECT DEBIT Northgate Rail",
        "LATE FEE",
        "PURCHASE INTEREST CHARGE",
    ]
    assert not reasons(document)


def test_pair_of_balances_does_not_decide_which_column_is_money_in():
    """Taken the other way round, two balances explain the opposite sum as well."""
    document = read_typed(
        """
        Account number: 7720194458
        Period 01/01/2025 - 31/01/2025
        Somewhat     1,000.00
        Whatever     2,100.00

        Kuupäev     Selgitus               Laekumine    Väljaminek
        02/01/2025  CARD PAYMENT                             20.00
        05/01/2025  SALARY                  2,000.00
        09/01/2025  RENT                                    880.00
        17/01/2025  ELECTRICITY                             100.00
        17/01/2025  REFUND                    100.00
        """
    )
    assert all(row.flags for row in document.rows)
    assert reasons(document)


def test_misread_digit_does_not_replace_the_headings_by_other_columns():
    document = read_typed(
        """
        Account number: 7720194458
        Period 01/01/2025 - 31/01/2025

        Date        Description            Paid out      Paid in     Balance
                    Opening balance                                 1,000.00
        02/01/2025  CARD PAYMENT               20.00                  981.00
        05/01/2025  SALARY                              2,000.00    2,980.00
        09/01/2025  RENT                      880.00                2,100.00
        17/01/2025  ELECTRICITY               100.00                2,000.00
        """
    )
    assert [_money(row)[:2] for row in document.rows][:2] == [(Decimal("20.00"), None), (None, Decimal("2000.00"))]
    assert [bool(row.flags) for row in document.rows] == [True, False, False, False]


def test_summary_below_the_rows_is_no_part_of_them():
    document = read_typed(
        """
        IBAN: DE62 5001 0517 5501 8827 36
        01.01.2025 bis 31.01.2025
        Beschreibung              Verbuchungsdatum          Betrag
        Anna Muster               02.01.2025                -20,00€
        Lohn AG                   05.01.2025             +2.000,00€
        Vermieter                 09.01.2025               -880,00€
        Zusammenfassung
        Dein alter Kontostand                            +1.000,00€
        Ausgehende Transaktionen                           -900,00€
        Eingehende Transaktionen                         +2.000,00€
        Dein neuer Kontostand                            +2.100,00€
        """
    )
    (statement,) = document.statements
    assert [row.change for row in statement.rows] == [Decimal("-20.00"), Decimal("2000.00"), Decimal("-880.00")]
    assert (statement.opening, statement.closing) == (Decimal("1000.00"), Decimal("2100.00"))


def test_day_and_month_in_the_form_of_an_amount_are_a_date():
    document = read_typed(
        """
        Kontoudskrift  Reg.nr. 1234  Kontonr. 0004567890
        Periode 01.01.2025 - 31.01.2025
        Dato       Rentedato   Tekst                      Beløb         Saldo
                               Saldo fra sidste udskrift             1.000,00
        02.01      02.01       Dankort Netto              20,00-       980,00
        05.01      05.01       Løn                     2.000,00      2.980,00
        09.01      09.01       Husleje                   880,00-     2.100,00
        12.01      12.01       El                        100,00-     2.000,00
        """
    )
    assert [(str(row.date), row.balance) for row in document.rows][-1] == ("2025-01-12", Decimal("2000.00"))
    assert not reasons(document)


def test_amounts_without_decimals_grouped_by_spaces_are_read():
    document = read_typed(
        """
        Számlaszám 11773016-01234567-00000000
        2025.01.01 - 2025.01.31
        Könyvelés    Értéknap     Megnevezés            Terhelés     Jóváírás        Egyenleg
                                  Nyitó egyenleg                                    100 000
        2025.01.02   2025.01.02   Vásárlás               20 000                      80 000
        2025.01.05   2025.01.05   Fizetés                            200 000        280 000
        2025.01.09   2025.01.09   Lakbér                 88 000                     192 000
        2025.01.12   2025.01.12   Áram                      500                     191 500
        """
    )
    assert [str(row.change) for row in document.rows] == ["-20000", "200000", "-88000", "-500"]


def test_letters_in_brackets_give_the_direction():
    document = read_typed(
        """
        Account No 00123456789    IFSC ABCD0001234
        Statement from 01-01-2025 to 31-01-2025
        Txn Date     Particulars          Amount(Rs.)          Balance(Rs.)
                     OPENING BALANCE                          1,000.00 (Cr)
        02-Jan-2025  UPI/GROCER             20.00 (Dr)          980.00 (Cr)
        05-Jan-2025  NEFT SALARY         2,000.00 (Cr)        2,980.00 (Cr)
        09-Jan-2025  RENT                3,080.00 (Dr)          100.00 (Dr)
        12-Jan-2025  ATM                   100.00 (Dr)          200.00 (Dr)
        """
    )
    assert [str(row.balance) for row in document.rows] == ["980.00", "2980.00", "-100.00", "-200.00"]
    assert not reasons(document)


def test_row_whose_amount_is_below_an_unknown_heading_is_not_taken_for_a_balance():
    document = read_typed(
        """
        Conta nº 123456789
        Extrato de 01/01/2025 a 31/01/2025
        Data Mov.   Data Valor   Descrição                Débito      Crédito       Saldo
                                 Saldo inicial                                   1.000,00
        02-01       02-01        COMPRA                    20,00                   980,00
        05-01       05-01        ORDENADO                            2.000,00    2.980,00
        09-01       09-01        RENDA                    880,00                 2.100,00
        12-01       12-01        LUZ                      100,00                 2.000,00
        """
    )
    assert [row.change for row in document.rows] == [
        Decimal(each) for each in ("-20.00", "2000.00", "-880.00", "-100.00")
    ]
    assert not reasons(document)


def test_column_of_balances_with_an_unknown_heading_is_found_though_the_others_are_known():
    document = read_typed("""
        Konto 123456      01.03.2026 - 31.03.2026

        Datum         Text                  Betrag         Stanje
                      Alter Saldo                        1.000,00
        02.03.2026    BAECKEREI             -10,00         990,00
        03.03.2026    TANKSTELLE            -20,00         970,00
        05.03.2026    BUCHLADEN             -30,00         940,00
        10.03.2026    GEHALT                900,00       1.840,00
        11.03.2026    MIETE                -500,00       1.340,00
    """)
    assert [str(row.balance) for row in document.rows][-2:] == ["1840.00", "1340.00"]
    assert not reasons(document)


def test_sections_without_headings_are_read_beside_tables_side_by_side():
    document = read_typed("""
        ACCOUNT # 0214887763       December 19, 2024 through January 17, 2025
        Beginning Balance     $1,000.00
        Ending Balance        $1,145.00

                                      DEPOSITS & CREDITS
        12/24    Square Inc T3319546636                                   300.00
        12/27    Deposit - Thank You                                      200.00
                                            Total Deposits & Credits     $500.00
                                      WITHDRAWALS
        12/19    Power Utility                                            100.00
        12/20    Card Purchase Shell Oil                                   50.00
                                            Total Withdrawals            $150.00
                                      CHECKS
        Date      Check No.        Amount      Date      Check No.        Amount
        01/08     3072              60.00      01/10     3074              45.00
        01/02     3073              90.00      01/07     3075              10.00
                                            Total Checks                 $205.00
                                      DAILY BALANCE SUMMARY
        Date             Balance      Date              Balance
        12/19             900.00      01/02            1,260.00
        12/20             850.00      01/07            1,250.00
        12/27           1,350.00      01/10            1,145.00
    """)
    changes = [str(row.change) for row in document.rows]
    assert changes == ["300.00", "200.00", "-100.00", "-50.00", "-60.00", "-90.00", "-45.00", "-10.00"]
    assert not reasons(document)


def test_in_after_a_sign_of_a_currency_is_a_heading_of_its_own():
    document = read_typed("""
        Account 07391824         1 January 2025 to 31 January 2025
        Start balance    £1,000.00
        End balance      £1,020.00

        Date       Description         £ Out        £ In     £ Balance
        2 Jan      Bakery              30.00                    970.00
        3 Jan      Salary                          50.00      1,020.00
    """)
    assert [str(row.change) for row in document.rows] == ["-30.00", "50.00"]
    assert document.statements[0].closing == 1020
    assert not reasons(document)
