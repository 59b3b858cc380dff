"""Statements read with what earlier ones of their bank showed."""

from datetime import date
from decimal import Decimal

from processors.statements import reasons

LONG = """
    Kesk Pank
    Account number: 7720194458
    Account holder: Jaan Tamm
    Period 01/01/2025 - 31/01/2025

    Kuupäev     Selgitus               Väljaminek    Laekumine      Jääk
                Algsaldo                                         1,000.00
    02/01/2025  CARD PAYMENT                20.00                  980.00
    05/01/2025  SALARY                                2,000.00   2,980.00
    09/01/2025  RENT                       880.00                2,100.00
    17/01/2025  ELECTRICITY                100.00
    17/01/2025  REFUND                                   50.00   2,050.00
"""
SHORT = """
    Kesk Pank
    Account number: 7720194458
    Account holder: Jaan Tamm
    Period 01/02/2025 - 28/02/2025

    Kuupäev     Selgitus               Väljaminek    Laekumine      Jääk
    02/02/2025  CARD PAYMENT                20.00
    05/02/2025  SALARY                                2,000.00
"""
TAKEN = "the columns are those of earlier statements of this bank (layout kesk-pank)"


def money(document):
    return [(row.debit, row.credit) for row in document.rows]


SHORT_MONEY = [(Decimal("20.00"), None), (None, Decimal("2000.00"))]


def test_short_statement_alone_is_not_understood(read):
    assert not read(SHORT).rows
    assert read.names == []


def test_short_statement_takes_the_columns_of_a_long_one_of_its_bank(read):
    assert not reasons(read(LONG))
    document = read(SHORT)
    assert money(document) == SHORT_MONEY
    assert document.layout == "kesk-pank"
    assert reasons(document) == ["too few balances are printed to verify the rows", TAKEN]


def test_short_statement_whose_balances_agree_needs_no_review(read):
    read(LONG)
    text = SHORT.replace("20.00\n", "20.00                2,030.00\n")
    text = text.replace("2,000.00\n", "2,000.00   4,030.00\n")
    text = text.replace(
        "    02/02/2025", "                Algsaldo                                         2,050.00\n    02/02/2025"
    )
    document = read(text)
    assert money(document) == SHORT_MONEY
    assert not reasons(document)


def test_short_statement_is_read_at_another_place_and_scale(read):
    read(LONG)
    assert money(read(SHORT, shift=40, scale=1.3)) == SHORT_MONEY


def test_short_statement_teaches_nothing(read):
    read(LONG)
    read(SHORT)
    (layout,) = read.store.load()[0]
    assert layout.confirmed == 1


def test_use_of_a_layout_is_dated(read):
    read(LONG)
    read(SHORT, today=date(2026, 5, 7))
    (layout,) = read.store.load()[0]
    assert (layout.learned, layout.used) == (date(2026, 3, 1), date(2026, 5, 7))


def test_each_confirming_statement_counts_once(read):
    for text in (LONG, LONG, LONG.replace("RENT", "HIRE")):
        assert not reasons(read(text))
    (layout,) = read.store.load()[0]
    assert layout.confirmed == 2


def test_layout_holds_no_amount_no_account_and_no_holder(read):
    read(LONG)
    (path,) = read.store.folder.iterdir()
    content = path.read_text()
    assert "kesk" in content
    for secret in ("7720194458", "Jaan", "Tamm", "jaan", "1000", "1,000", "2100", "CARD", "RENT"):
        assert secret not in content


def test_second_reading_writes_nothing(read):
    read(LONG, learns=False)
    assert read.names == []


def test_another_bank_with_the_same_headings_is_not_read_by_it(read):
    read(LONG)
    assert not read(SHORT.replace("Kesk Pank", "Ranna Pank")).rows


def test_banks_with_the_same_headings_and_opposite_columns_do_not_harm_each_other(read):
    other = LONG.replace("Kesk Pank", "Ranna Pank").replace("1,000.00", "9,000.00")
    for old, new in (
        ("980.00", "9,020.00"),
        ("2,9,020.00", "7,020.00"),
        ("2,100.00", "7,900.00"),
        ("2,050.00", "7,950.00"),
    ):
        other = other.replace(old, new)
    read(LONG)
    document = read(other)
    assert not reasons(document)
    assert document.rows[0].credit == Decimal("20.00")
    assert read.names == ["kesk-pank", "ranna-pank"]
    assert money(read(SHORT)) == SHORT_MONEY
    assert money(read(SHORT.replace("Kesk", "Ranna"))) == [(credit, debit) for debit, credit in SHORT_MONEY]


def test_layout_that_the_balances_contradict_is_not_used(read):
    """The same bank, but the columns now mean the opposite: what the document proves is right."""
    read(LONG)
    text = LONG.replace("980.00", "1,020.00").replace("2,1,020.00", "-980.00").replace("2,100.00", " -100.00")
    text = text.replace("2,050.00", "  -50.00")
    document = read(text)
    assert [row.change for row in document.rows] == [20, -2000, 880, 100, -50]
    assert not reasons(document)
    assert any(
        "the columns or signs have another meaning than in earlier statements of this bank" in note
        for note in document.notes
    )
    short = read(SHORT)
    assert not short.rows
    assert any("kesk-pank and kesk-pank-2 fit, but contradict each other" in reason for reason in reasons(short))


def test_changed_layout_is_noticed_and_remembered_beside_the_old_one(read):
    read(LONG)
    lines = [line[:33] + line[38:] if line[33:38].isspace() else line for line in LONG.split("\n")]
    moved = "\n".join(lines).replace("Selgitus", "Sisu    ")
    document = read(moved)
    assert not reasons(document)
    assert [row.change for row in document.rows] == [-20, 2000, -880, -100, 50]
    old = "that of earlier statements of this bank (layout kesk-pank)"
    assert f"the layout differs from {old}; it is now remembered as kesk-pank-2" in document.notes
    assert read.names == ["kesk-pank", "kesk-pank-2"]


def test_short_statement_of_a_changed_layout_says_so(read):
    read(LONG)
    document = read(SHORT.replace("Selgitus", "Sisu").replace("Väljaminek", "Deebet").replace("Laekumine", "Kreedit"))
    assert any(
        "the layout differs from that of earlier statements of this bank" in reason for reason in reasons(document)
    )


def test_columns_that_moved_are_not_read_by_the_old_places(read):
    read(LONG)
    moved = SHORT.replace("Väljaminek    Laekumine   ", "   Väljaminek    Laekumine")
    document = read(moved.replace("  20.00", "     20.00").replace("2,000.00", "   2,000.00"))
    assert not document.rows
    assert any("the layout differs from that of earlier statements" in reason for reason in reasons(document))


def test_damaged_layout_is_reported_and_ignored(read):
    read(LONG)
    (path,) = read.store.folder.iterdir()
    path.write_text(path.read_text()[:-40])
    document = read(SHORT)
    assert not document.rows
    assert any(
        "'kesk-pank' was ignored" in note and "inboxd layouts forget kesk-pank" in note for note in document.notes
    )


def test_unreadable_folder_changes_nothing(read):
    read.store.folder.parent.mkdir(parents=True)
    read.store.folder.write_text("not a folder")
    assert not reasons(read(LONG))


def test_day_and_month_are_those_of_earlier_statements(read):
    american = """
        First Example Bank
        Account number: 7720194458

        Date        Description            Amount       Balance
                    Opening balance                    1,000.00
        02/13/2025  CARD PAYMENT           -20.00        980.00
        02/15/2025  SALARY               2,000.00      2,980.00
        02/19/2025  RENT                  -880.00      2,100.00
    """
    short = """
        First Example Bank
        Account number: 7720194458

        Date        Description            Amount       Balance
        03/04/2025  CARD PAYMENT           -20.00
        04/04/2025  SALARY               2,000.00
    """
    assert [row.date.month for row in read(short).rows] == [4, 4]
    read(american)
    assert [row.date for row in read(short).rows] == [date(2025, 3, 4), date(2025, 4, 4)]


def test_amounts_without_a_sign_mean_what_they_meant_before(read):
    long = """
        Harbour Bank
        Account number: 7720194458

        Date        Description            Amount       Balance
                    Opening balance                    1,000.00
        13/02/2025  CARD PAYMENT            20.00        980.00
        15/02/2025  SALARY              +2,000.00      2,980.00
        19/02/2025  RENT                   880.00      2,100.00
        20/02/2025  GAS                    100.00      2,000.00
    """
    short = """
        Harbour Bank
        Account number: 7720194458

        Date        Description            Amount       Balance
        03/03/2025  CARD PAYMENT            20.00
        04/03/2025  RENT                   880.00
    """
    before = read(short)
    assert all(row.flags for row in before.rows)
    read(long)
    document = read(short)
    assert [row.debit for row in document.rows] == [Decimal("20.00"), Decimal("880.00")]
    assert not any(row.flags for row in document.rows)


def test_columns_that_were_empty_before_are_added(read):
    """A statement of debits only cannot show that its amounts are one of two columns."""
    debits = LONG.replace(
        "05/01/2025  SALARY                                2,000.00   2,980.00",
        "05/01/2025  FOOD                       980.00                    0.00",
    )
    debits = (
        debits.replace("2,100.00", " -880.00")
        .replace("2,050.00", "-1,000.00")
        .replace(
            "17/01/2025  REFUND                                   50.00",
            "17/01/2025  WATER                       20.00            ",
        )
    )
    assert not reasons(read(debits))
    assert not reasons(read(LONG))
    (layout,) = read.store.load()[0]
    assert {column.column for column in layout.columns} >= {"debit", "credit", "balance"}
    assert layout.confirmed == 2
    assert money(read(SHORT)) == SHORT_MONEY


def test_layout_is_the_same_on_a_page_with_other_margins(read):
    read(LONG, shift=120)
    assert not reasons(read(LONG, scale=0.8))
    assert money(read(SHORT, shift=60, scale=1.2)) == SHORT_MONEY
    assert read.names == ["kesk-pank"]


def test_card_whose_short_statement_does_not_say_so_is_still_a_card(read):
    """A purchase on a card is printed without a sign, a payment to it with a minus."""
    long = """
        Harbour Bank
        Credit card number: 7720194458
        Minimum payment due 03/03/2025

        Date        Description            Amount       Balance
                    Previous balance                   1,000.00
        13/02/2025  BOOKS                   20.00      1,020.00
        15/02/2025  PAYMENT             -1,000.00         20.00
        19/02/2025  FLIGHT                 880.00        900.00
        20/02/2025  GAS                    100.00      1,000.00
    """
    short = """
        Harbour Bank
        Number: 7720194458

        Date        Description            Amount       Balance
        13/03/2025  BOOKS                   20.00
        15/03/2025  PAYMENT             -1,000.00
    """
    assert not reasons(read(long))
    assert money(read(short)) == [(Decimal("20.00"), None), (None, Decimal("1000.00"))]


def test_rows_are_flagged_if_the_bank_is_not_known(read):
    """Equal headings at equal places are probably, but not certainly, those of the same bank."""
    read(LONG.replace("Kesk Pank", ""))
    document = read(SHORT.replace("Kesk Pank", ""))
    assert money(document) == SHORT_MONEY
    assert all("which may be those of another bank" in flag for row in document.rows for flag in row.flags)
    assert all(row.flags for row in document.rows)


def test_signs_of_a_bank_that_is_not_known_are_not_taken_over(read):
    long = """
        Date        Description            Amount       Balance
                    Opening balance                    1,000.00
        13/02/2025  CARD PAYMENT            20.00        980.00
        15/02/2025  SALARY              +2,000.00      2,980.00
        19/02/2025  RENT                   880.00      2,100.00
        20/02/2025  GAS                    100.00      2,000.00
    """
    short = """
        Date        Description            Amount       Balance
        03/03/2025  CARD PAYMENT            20.00
        04/03/2025  RENT                   880.00
    """
    read(long)
    assert all("may be a debit or a credit" in row.flags for row in read(short).rows)
