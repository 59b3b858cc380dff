"""Reading statements by layout, in the conventions of many banks, and verifying them."""

import re
from datetime import date
from decimal import Decimal

import jsonschema
from typed_pages import read_typed, typed_page

from processors.statements import (
    SecondReading,
    from_page_answers,
    occurs,
    page_schema,
    read_statements,
    reasons,
    summarize_document,
    verify,
)

ENGLISH = """
    Harbour Bank                                     Page 1 of 1
    Account number: 00012345
    Mr John Marsh
    Statement period 15 December 2023 to 14 January 2024

    Date     Description                 Paid out    Paid in      Balance
             Balance brought forward                             1,000.00
    28 Dec   CARD PAYMENT TESCO             20.00                  980.00
             STORES 3041
    28 Dec   CASH                          100.00
             SALARY ACME LTD                         2,000.00    2,880.00
    03 Jan   RENT                          880.00                2,000.00
             Balance carried forward                             2,000.00

    Your deposits are protected up to £85,000.00 by the scheme.
"""


def _values(row):
    return str(row.date), row.description, row.debit, row.credit, row.balance


def test_statement_is_read_completely():
    document = read_typed(ENGLISH)
    (statement,) = document.statements
    assert (statement.account, statement.holder, statement.currency) == ("00012345", "Mr John Marsh", "GBP")
    assert (statement.start, statement.end) == (date(2023, 12, 15), date(2024, 1, 14))
    assert statement.opening == Decimal("1000.00")
    assert [_values(row) for row in statement.rows] == [
        ("2023-12-28", "CARD PAYMENT TESCO STORES 3041", Decimal("20.00"), None, Decimal("980.00")),
        ("2023-12-28", "CASH", Decimal("100.00"), None, None),
        ("2023-12-28", "SALARY ACME LTD", None, Decimal("2000.00"), Decimal("2880.00")),
        ("2024-01-03", "RENT", Decimal("880.00"), None, Decimal("2000.00")),
    ]
    assert not statement.flagged
    assert all(one.passed for one in statement.checks)


def test_amount_outside_the_rows_is_reported_only_if_it_may_be_a_row():
    assert not reasons(read_typed(ENGLISH))
    document = read_typed(ENGLISH.replace("880.00  ", "870.00  "))
    assert [each.text.split()[0] for each in document.unread] == ["Your"]
    assert "1 line or page was not understood, on page 1" in reasons(document)


def test_wrong_digit_is_flagged_and_not_changed():
    document = read_typed(ENGLISH.replace("20.00     ", "26.00     "))
    assert document.rows[0].debit == Decimal("26.00")
    assert [bool(row.flags) for row in document.rows] == [True, False, False, False]
    assert "1 row is flagged, on page 1" in reasons(document)


def test_wrong_balance_flags_its_row_only():
    document = read_typed(ENGLISH.replace("2,880.00", "2,830.00"))
    assert [bool(row.flags) for row in document.rows] == [False, False, True, False]


def test_missing_row_is_reported():
    document = read_typed("\n".join(line for line in ENGLISH.splitlines() if "RENT" not in line))
    assert any("do not follow" in reason for reason in reasons(document))


def test_german_statement_with_signed_amounts():
    document = read_typed(
        """
        IBAN DE12 5001 0517 0648 4898 90
        Kontoauszug vom 01.03.2024 bis 31.03.2024

        Buchungstag  Valuta   Verwendungszweck             Betrag EUR       Saldo EUR
                              Alter Kontostand                               1.500,00
        04.03.       04.03.   Miete März                      -850,00          650,00
        05.03.       06.03.   Gehalt                        2.100,50         2.750,50
                              Firma Müller
        29.03.       29.03.   Strom                            90,50-        2.660,00
                              Neuer Kontostand                               2.660,00
        """
    )
    (statement,) = document.statements
    assert statement.currency == "EUR"
    assert [(str(r.date), r.debit, r.credit) for r in statement.rows] == [
        ("2024-03-04", Decimal("850.00"), None),
        ("2024-03-05", None, Decimal("2100.50")),
        ("2024-03-29", Decimal("90.50"), None),
    ]
    assert statement.rows[1].value_date == date(2024, 3, 6)
    assert statement.rows[1].description == "Gehalt Firma Müller"
    assert (statement.opening, statement.closing) == (Decimal("1500.00"), Decimal("2660.00"))
    assert reasons(document) == []


def test_balance_decides_the_direction_if_the_column_does_not():
    document = read_typed(
        """
        Statement for 1 May 2024 to 31 May 2024
        Opening balance     100.00

        Date         Details          Amount     Balance
        02/05/2024   Coffee             4.00       96.00
        03/05/2024   Refund            10.00      106.00
        04/05/2024   Books             30.00
        05/05/2024   Gift              50.00      126.00
        """
    )
    assert [(r.debit, r.credit) for r in document.rows] == [
        (Decimal("4.00"), None),
        (None, Decimal("10.00")),
        (Decimal("30.00"), None),
        (None, Decimal("50.00")),
    ]
    assert not any(row.flags for row in document.rows)


def test_balance_of_a_credit_card_is_a_debt():
    document = read_typed(
        """
        Your credit card statement 1 June 2024 to 30 June 2024
        Credit limit £5,000.00      Minimum payment £25.00
        Previous balance   £200.00

        Date      Description           Amount        Balance
        03 Jun    SUPERMARKET            50.00         250.00
        10 Jun    PAYMENT THANK YOU     200.00 CR       50.00
        12 Jun    TRAIN TICKETS          30.00          80.00
        """
    )
    (statement,) = document.statements
    assert statement.is_liability
    assert [(r.debit, r.credit) for r in statement.rows] == [
        (Decimal("50.00"), None),
        (None, Decimal("200.00")),
        (Decimal("30.00"), None),
    ]
    assert not statement.flagged


def test_overdrawn_balances_and_debits_in_brackets():
    document = read_typed(
        """
        Period 01/06/2024 - 30/06/2024
        Date        Description      Amount       Balance
        01/06/2024  Opening balance               10.00 CR
        13/06/2024  Card            (25.00)       15.00 DR
        14/06/2024  Pay              40.00        25.00 CR
        """
    )
    assert [(r.debit, r.credit, r.balance) for r in document.rows] == [
        (Decimal("25.00"), None, Decimal("-15.00")),
        (None, Decimal("40.00"), Decimal("25.00")),
    ]
    assert not any(row.flags for row in document.rows)


def test_two_accounts_in_one_file_are_two_statements():
    second = ENGLISH.replace("00012345", "00099999").replace("RENT", "GYM ")
    document = read_typed(ENGLISH.replace("Page 1 of 1", "Page 1 of 2"), second.replace("Page 1 of 1", "Page 2 of 2"))
    assert [(s.account, len(s.rows)) for s in document.statements] == [("00012345", 4), ("00099999", 4)]
    assert all(check.passed for statement in document.statements for check in statement.checks)
    assert summarize_document(document)[0] == "8 rows, accounts 00012345, 00099999"


def test_summary_line_contains_what_is_known():
    unnamed = read_typed(re.sub("[^\n]*00012345[^\n]*", "", ENGLISH))
    assert summarize_document(unnamed)[0] == "4 rows, no account number"
    assert summarize_document(read_typed("Nothing here"))[0] == "no rows found"


def test_pages_out_of_order_are_read_in_their_printed_order():
    first = """
        Page 1 of 2
        Period 01/06/2024 - 30/06/2024
        Date        Description      Paid out     Paid in    Balance
        01/06/2024  Opening balance                            10.00
        13/06/2024  Pay                             5.00       15.00
        """
    second = """
        Page 2 of 2
        Date        Description      Paid out     Paid in    Balance
        14/06/2024  Pay                             5.00       20.00
        """
    document = read_typed(second, first)
    assert [(str(row.date), row.page) for row in document.rows] == [("2024-06-13", 2), ("2024-06-14", 1)]
    assert not any(row.flags for row in document.rows)
    assert "not in the order" in document.notes[0]


def test_printed_totals_are_compared():
    document = read_typed(
        """
        Period 01/06/2024 - 30/06/2024
        Date        Description      Debit        Credit
        13/06/2024  Pay                             5.00
        14/06/2024  Pay                             7.00
        15/06/2024  Shop              3.00
                    Total             3.00         13.00
        """
    )
    assert [(one.name, one.passed) for one in document.statements[0].checks] == [
        ("balances", None),
        ("debits", True),
        ("credits", False),
    ]


def test_rows_with_the_newest_first_are_sorted_by_time():
    document = read_typed(
        """
        Date        Description      Money out    Money in   Balance
        15/06/2024  Shop              3.00                     17.00
        14/06/2024  Pay                             5.00       20.00
        13/06/2024  Pay                             5.00       15.00
        """
    )
    assert [row.date.day for row in document.rows] == [13, 14, 15]
    assert not any(row.flags for row in document.rows)


def test_row_whose_amount_does_not_occur_in_the_second_reading_is_flagged():
    document = read_statements([typed_page(ENGLISH)])
    verify(document, SecondReading(texts={1: ENGLISH.replace("880.00", "830.00")}))
    assert ["the second reading" in " ".join(row.flags) for row in document.rows] == [False, False, True, True]


def test_page_without_a_table_is_reported():
    document = read_typed(ENGLISH, "Terms and conditions\n05 Jan    GYM")
    assert any(each.page == 2 and "no rows" in each.why for each in document.unread)


def test_page_without_a_table_is_not_reported_if_the_balances_prove_that_no_row_is_missing():
    document = read_typed(ENGLISH, "Terms and conditions\nThank you for banking with us")
    assert not any(each.page == 2 for each in document.unread)


def test_rows_of_uncertain_words_are_flagged():
    document = read_statements([typed_page(ENGLISH, confidence=0.4)])
    verify(document)
    assert all("low confidence" in row.flags[0] for row in document.rows)


def _answer(**values):
    names = ("account", "holder", "currency", "period", "opening", "closing", "total_debits", "total_credits")
    return dict.fromkeys(names) | {"rows": []} | values


def _answer_row(date, description, **money):
    names = ("reference", "debit", "credit", "amount", "balance")
    return dict.fromkeys(names) | {"date": date, "description": description} | money


def test_answers_of_a_model_are_read_like_pages():
    first = _answer(
        account="00012345",
        holder="Ms E Marsh",
        currency="EUR",
        period="15.12.2023 - 14.01.2024",
        opening="1.000,00",
        rows=[_answer_row("28.12.", "Miete", amount="-850,00", balance="150,00")],
    )
    second = _answer(
        account="00012345",
        opening="150,00",
        closing="2.250,50",
        rows=[_answer_row("03.01.", "Gehalt", amount="2.100,50", balance="2.250,50")],
    )
    for answer in (first, second):
        jsonschema.Draft202012Validator(page_schema()).validate(answer)
    document = from_page_answers([(1, first), (2, second)])
    (statement,) = document.statements
    verify(document)
    assert [_values(row) for row in statement.rows] == [
        ("2023-12-28", "Miete", Decimal("850.00"), None, Decimal("150.00")),
        ("2024-01-03", "Gehalt", None, Decimal("2100.50"), Decimal("2250.50")),
    ]
    assert (statement.holder, statement.currency, statement.account) == ("Ms E Marsh", "EUR", "00012345")
    assert reasons(document) == []


def test_values_that_a_model_made_up_are_flagged():
    answer = _answer(opening="10.00", rows=[_answer_row("tomorrow", "Pay", credit="7.00", balance="15.00")])
    document = from_page_answers([(1, answer)])
    verify(document)
    assert len(document.rows[0].flags) == 2


def _is_proven(document) -> bool:
    return not reasons(document) and all(check.passed for one in document.statements for check in one.checks)


def test_headings_of_deposits_and_withdrawals_set_the_direction_of_rows():
    document = read_typed("""
    March 05, 2024 through April 03, 2024       Account Number: 000000812334567
    CHECKING SUMMARY
    Beginning Balance                                $1,000.00
    Ending Balance                                   $1,150.00

    DEPOSITS AND ADDITIONS
    DATE      DESCRIPTION                     AMOUNT
    03/06     VENMO CASHOUT                  $200.00
    03/07     Mobile deposit                   50.00
    Total Deposits and Additions             $250.00

    ELECTRONIC WITHDRAWALS
    DATE      DESCRIPTION                     AMOUNT
    03/07     PUGET SOUND ENERGY              $60.00
    03/24     Monthly service fee              40.00
    Total Electronic Withdrawals             $100.00
""")
    assert [(row.debit, row.credit) for row in document.rows] == [
        (None, Decimal("200.00")),
        (None, Decimal("50.00")),
        (Decimal("60.00"), None),
        (Decimal("40.00"), None),
    ]
    assert _is_proven(document), reasons(document)


def test_years_are_inferred_from_the_dates_of_balances():
    document = read_typed("""
    Musterstädtische Sparkasse
    IBAN DE02 1203 0000 0000 2020 51

    Datum     Erläuterung                     Betrag Soll EUR   Betrag Haben EUR
              Kontostand am 19.12.2023, Auszug Nr. 12                  1.000,00+
    20.12.    Lastschrift                                4,00
              Stadtwerke Musterstadt
    03.01.    Gutschrift                                                 104,00
              Lohn Gehalt
              Kontostand am 05.01.2024                                 1.100,00+
""")
    (statement,) = document.statements
    assert [str(row.date) for row in statement.rows] == ["2023-12-20", "2024-01-03"]
    assert (statement.opening, statement.closing) == (Decimal("1000.00"), Decimal("1100.00"))
    assert _is_proven(document), reasons(document)


def test_booking_date_and_value_date_may_share_a_column():
    document = read_typed("""
    Auszug 1/2024 vom 02.01.2024 bis 31.01.2024    Kontonummer 53870624
    Alter Kontostand                           EUR + 1.523,67

    Buchung/Wert     Vorgang/Buchungsinformation         Betrag EUR
    02.01./03.01.    Basislastschrift                     - 264,01
                     Telekom Deutschland GmbH
    03.01./04.01.    Gutschrift                         + 2.805,25
                     Lohn Gehalt
    Neuer Kontostand                           EUR + 4.064,91
""")
    first, second = document.rows
    assert (str(first.date), str(first.value_date), first.debit) == ("2024-01-02", "2024-01-03", Decimal("264.01"))
    assert (str(second.date), second.credit, second.description) == (
        *("2024-01-03", Decimal("2805.25")),
        "Gutschrift Lohn Gehalt",
    )
    assert _is_proven(document), reasons(document)


def test_row_without_a_balance_is_flagged_if_all_others_have_one():
    rows = "\n".join(
        f"    {day:02d} Jan   SHOP                           10.00                  {1000 - 10 * (day - 9):8.2f}"
        for day in range(10, 30)
    )
    text = ENGLISH[: ENGLISH.index("    28 Dec")] + rows.replace("  940.00", "")
    text = text.replace("15 December 2023 to 14 January 2024", "1 January 2024 to 31 January 2024")
    assert [str(row.date) for row in read_typed(text).rows if row.flags] == ["2024-01-15"]


def test_statement_without_rows_needs_review():
    document = from_page_answers([(1, dict.fromkeys(page_schema()["properties"]) | {"rows": []})])
    verify(document)
    assert "no rows of a statement were found" in reasons(document)[0]


def test_amount_beside_a_count_occurs_in_the_second_reading():
    assert occurs(Decimal("4.10"), "Oat milk 1L x2\n4.10") and occurs(Decimal("1059.18"), "1.059,18")
    assert not occurs(Decimal("4.10"), "14.10 4.100")
