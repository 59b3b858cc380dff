"""Comparison of two readings of a page: differences are flagged, and no value is changed."""

import copy

from typed_pages import read_typed, typed_page

from processors import statements
from processors.statements import SecondReading, doubtful_pages, read_statements, reasons, verify

PAGE = """
    Account number: 00012345
    Statement period: 01/05/2024 to 31/05/2024

    Date        Description              Money out     Money in      Balance
                Opening balance                                       1,000.00
    02/05/2024  Larkfield Lettings          845.00
    03/05/2024  Brindle Water                31.46
    07/05/2024  Salary                                    2,000.00    2,123.54
    09/05/2024  Corner Bakery                 4.20
    13/05/2024  Transfer                     50.00                    2,069.34
                Closing balance                                       2,069.34
"""


def compared(first, second):
    document, other = (statements.read_statements([typed_page(text, 1)]) for text in (first, second))
    statements.verify(document, SecondReading(readers={1: "OCR"}, rows=other.rows))
    return document


def flagged(document):
    return {row.description: " / ".join(row.flags) for row in document.rows if row.flags}


def test_rows_that_agree_in_two_readings_are_confirmed():
    document = compared(PAGE, PAGE)
    assert [row.confirmed for row in document.rows] == [True] * 5
    assert flagged(document) == {}
    assert "5 of 5 rows that were read twice agree" in [one.text for one in document.statements[0].checks]


def test_wrong_date_that_fits_between_its_neighbours_is_flagged():
    document = compared(PAGE.replace("03/05/2024", "05/05/2024"), PAGE)
    assert flagged(document) == {"Brindle Water": "the second reading (OCR) has the date 2024-05-03"}
    assert str(document.rows[1].date) == "2024-05-05"  # as it was read first
    assert any("4 of 5" in reason for reason in statements.reasons(document))


def test_only_the_wrong_amount_before_the_next_balance_is_flagged():
    document = compared(PAGE.replace("31.46", "37.46"), PAGE)
    assert list(flagged(document)) == ["Brindle Water"]
    assert "has the debit 31.46" in flagged(document)["Brindle Water"]
    assert "the balance changes by" in flagged(document)["Brindle Water"]


def test_without_a_second_reading_all_rows_before_the_next_balance_are_flagged():
    (statement,) = read_typed(PAGE.replace("31.46", "37.46")).statements
    assert [row.description for row in statement.flagged] == ["Larkfield Lettings", "Brindle Water", "Salary"]


def test_lost_balance_is_flagged():
    document = compared(PAGE.replace("2,000.00    2,123.54", "2,000.00"), PAGE)
    assert flagged(document) == {"Salary": "the second reading (OCR) has the balance 2123.54"}


def test_row_only_in_the_second_reading_is_reported_and_its_neighbours_are_not_flagged():
    lost = "\n".join(line for line in PAGE.splitlines() if "Brindle" not in line)
    document = compared(lost, PAGE)
    assert flagged(document) == {}
    assert [each.text for each in document.unread] == ["2024-05-03 Brindle Water debit 31.46"]
    assert any("do not follow" in reason for reason in statements.reasons(document))


def test_row_only_in_the_first_reading_is_flagged():
    lost = "\n".join(line for line in PAGE.splitlines() if "Brindle" not in line)
    assert list(flagged(compared(PAGE, lost))) == ["Brindle Water"]


def test_failed_second_reading_does_not_affect_the_first():
    document = compared(PAGE, "Account number: 00012345")
    assert flagged(document) == {}
    assert any("too few rows agree" in note for note in document.notes)
    assert [row.confirmed for row in document.rows] == [None] * 5


def test_minimum_confidence_of_a_row_is_configurable():
    document = statements.read_statements([typed_page(PAGE, 1)])
    document.rows[1].confidence = 0.6
    statements.verify(document, min_confidence=0.5)
    assert flagged(document) == {}
    statements.verify(document)
    assert flagged(document) == {"Brindle Water": "low confidence (0.60)"}


_NO_OPENING = """
    Account number: 00012345      Period 01/01/2025 - 31/01/2025

    Date         Description        Amount     Balance
    02/01/2025   Shop               -30.00      470.00
    03/01/2025   Cafe               -20.00      450.00
    04/01/2025   Transfer            40.00      490.00
    05/01/2025   Grocer             -90.00      400.00
"""


def test_row_before_the_first_balance_is_read_twice_and_needs_no_review_if_both_agree():
    document, again = (read_statements([typed_page(_NO_OPENING)]) for _ in range(2))
    verified = copy.deepcopy(document)
    verify(verified)
    assert reasons(verified) == ["1 row is not verified by a balance"]
    assert doubtful_pages(verified) == {1}
    second = SecondReading(readers={1: "OCR"}, rows=again.rows, texts={1: _NO_OPENING})
    verify(document, second)
    assert not reasons(document)


def test_row_before_the_first_balance_needs_review_if_the_readings_differ():
    document = read_statements([typed_page(_NO_OPENING)])
    other = _NO_OPENING.replace("-30.00", "-80.00")
    second = SecondReading(readers={1: "OCR"}, rows=read_statements([typed_page(other)]).rows, texts={1: other})
    verify(document, second)
    assert reasons(document)
