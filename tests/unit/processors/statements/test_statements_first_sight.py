"""Kinds of layouts that failed when they were first seen, in the smallest form that shows each."""

from decimal import Decimal

from typed_pages import read_typed, typed_page

from processors.statements import reasons
from processors.statements.notation.dates import find_dates
from processors.statements.notation.words import group_lines
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.headings import Heading
from processors.statements.table.lines import split_line
from processors.statements.table.money_columns import MoneyColumns


def _rows(document):
    return [(str(row.date), row.description, str(row.change)) for row in document.rows]


def test_date_on_the_line_below_the_amount_is_that_of_its_row():
    document = read_typed("""
        EUR on 31 October 2025                                181.32 EUR

        Description                   Incoming    Outgoing     Amount
        Card payment Utrecht                        -10.00     181.32
        30 October 2025 Card 7731
        Sent money                                  -40.00     191.32
        29 October 2025 Reference 12
        Received money                  100.00                 231.32
        28 October 2025 Reference 13
        Sent money                                  -20.00     131.32
        27 October 2025 Reference 14
        Received money                   50.00                 151.32
        26 October 2025 Reference 15
        Received money                   60.00                 101.32
        25 October 2025 Reference 16
    """)
    assert _rows(document)[2] == ("2025-10-27", "Sent money Reference 14", "-20.00")
    assert _rows(document)[-1] == ("2025-10-30", "Card payment Utrecht Card 7731", "-10.00")
    assert not any(row.flags for row in document.rows)


def test_four_digits_in_a_column_of_days_are_dates():
    days = ["0303", "0503", "0603", "1003", "1103", "1203", "1803", "2003"]
    lines = [
        f"Varekjop {day}X              {day}          1{at}.00                   {day}" for at, day in enumerate(days)
    ]
    document = read_typed(
        "Kontoutskrift for konto 15062291184 i perioden 01.03.2025 - 31.03.2025\n\n"
        "Forklaring                 Rentedato      Ut av konto   Inn konto   Bokfort\n" + "\n".join(lines)
    )
    assert [str(row.date) for row in document.rows] == [f"2025-03-{day[:2]}" for day in days]


def test_value_date_with_its_label_below_each_row_is_no_text():
    text = """
        Beschreibung                       Datum                 Betrag
        Old balance 01/07/2025                                   812.66
        Ayla Demirtas                      02.07.2025            -67.04
        Belastungen
        IBAN: DE64449975922851086606
        Wertstellung 01.07.2025
        Telefonwerk AG                     03.07.2025            -31.92
        Mastercard
        Wertstellung 03.07.2025
        Kontorwerk GmbH                    04.07.2025          2,605.76
        Gehalt
        Wertstellung 04.07.2025
        New balance 31/07/2025                                 3,319.46
    """
    document = read_typed(text)
    assert _rows(document)[0] == ("2025-07-02", "Ayla Demirtas Belastungen IBAN: DE64449975922851086606", "-67.04")
    assert [str(row.value_date) for row in document.rows] == ["2025-07-01", "2025-07-03", "2025-07-04"]
    assert not reasons(document)


def test_sign_on_the_line_below_may_stand_beside_text():
    document = read_typed("""
        Account number: 00012345
        Period 01/01/2025 - 31/01/2025

        Date        Description                       Amount
        Opening balance                             1,000.00
        02/01/2025  CARD PURCHASE                      20.00
        09/01/2025  TRAINLINK                          30.00
                    REFUND                                CR
        17/01/2025  RENT                              880.00
        Closing balance                               130.00
    """)
    assert _rows(document)[1] == ("2025-01-09", "TRAINLINK REFUND", "30.00")
    assert not reasons(document)


def test_second_balance_of_a_summary_is_the_closing_one():
    (statement,) = read_typed("""
        Account No. 271-50814-3
        Balance as at 31 Jul 25          Balance as at 31 Aug 25
        1,000.00                         2,100.00

        Date        Description              Amount      Balance
        02/08/2025  CARD PURCHASE            -20.00       980.00
        14/08/2025  PAYROLL                2,000.00     2,980.00
        31/08/2025  RENT                    -880.00     2,100.00
    """).statements
    assert (statement.opening, statement.closing) == (Decimal("1000.00"), Decimal("2100.00"))


def test_amounts_of_a_column_that_is_not_read_are_no_doubt_about_the_text():
    document = read_typed("""
        Account number: 62418800735
        Period 01/03/2025 - 31/03/2025

        Quando      Cosa              Nota           Somma     Resto   Costi
                    Opening                                   1,000.00
        01/03/2025  POS PURCHASE      253364*8176    20.00      980.00
        02/03/2025  APP PAYMENT       Inv 2210.00    30.00      950.00
        04/03/2025  POS PURCHASE      346365*7018    50.00      900.00   1.50
        05/03/2025  APP PAYMENT       Inv 4417.50   100.00      800.00
        06/03/2025  POS PURCHASE      973467*9899   100.00      700.00   1.50
    """)
    assert [str(row.balance) for row in document.rows] == ["980.00", "950.00", "900.00", "800.00", "700.00"]
    assert not any(row.flags for row in document.rows)


def test_sign_of_an_amount_that_is_not_read_is_no_sign_of_another():
    (page,) = [typed_page("Fee                1.50 CR")]
    (line,) = group_lines(page)
    headings = [Heading("date", 0, 24), Heading("other", 114, 156)]
    parts = split_line(line, headings, MoneyColumns(headings, find_amounts(line.words, 10.0), 10.0), 10.0)
    assert parts.side is None
    assert not parts.money


def test_second_date_without_a_year_gives_none_to_the_first():
    document = read_typed("""
        Periodo DEL 04/01/2025 AL 03/02/2025

        OPER   LIQ     DESCRIPCION         CARGOS    ABONOS      SALDO
                       SALDO ANTERIOR                           100.00
        09/ENE 09/ENE  OXXO                 10.00                90.00
        13 ENE 14 ENE  SPEI                           50.00     140.00
        19/ENE 19/ENE  CFE                  20.00               120.00
        24 ENE 27 ENE  RETIRO               30.00                90.00
    """)
    assert [str(row.date) for row in document.rows] == ["2025-01-09", "2025-01-13", "2025-01-19", "2025-01-24"]


def test_date_right_behind_an_ideograph_is_found():
    assert [each.day for each in find_dates("対象期間2024年12月1日～2025年2月28日")] == [1, 28]


def test_dates_without_marks_and_of_the_buddhist_era():
    assert [(each.year, each.month, each.day) for each in find_dates("20250301 - 20250331")] == [
        (2025, 3, 1),
        (2025, 3, 31),
    ]
    assert find_dates("01/02/2568")[0].year == 2025


def test_opening_balance_in_the_table_counts_more_than_a_balance_above_it():
    (statement,) = read_typed("""
        Account              Balance
        120-33871-4         1,010.00

        DATE      DETAILS               WITHDRAWAL   DEPOSIT     BALANCE
                  BALANCE B/F                                   1,000.00
        06 JAN 25 FAST PAYMENT               20.00                980.00
        09 JAN 25 SALARY                               50.00    1,030.00
        11 JAN 25 NETS                       20.00              1,010.00
    """).statements
    assert (str(statement.opening), str(statement.closing)) == ("1000.00", "1010.00")
