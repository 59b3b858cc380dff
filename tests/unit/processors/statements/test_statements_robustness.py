"""No pages make the reader fail, however their lines and words are disturbed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_pages import read_typed, typed_page

from processors.statements import PageWords, read_statements, reasons, verify
from processors.statements.notation.words import TextLine, group_lines

AMOUNTS_LAST = """
    Account number: 00012345

    Date        Description                       Paid out   Paid in    Balance
    Opening balance                                                    1,000.00
    02 Jan 2025 CARD PAYMENT
                HARBOUR STORES                       20.00               980.00
    03 Jan 2025 RENT
                MARSH ESTATES                       100.00               880.00
    06 Jan 2025 SALARY
                ACME LTD                                       500.00  1,380.00
                Ref 4471



    Account number: 00067890
"""
SECOND_ACCOUNT = """
    Account number: 00067890

    Date        Description                       Paid out   Paid in    Balance
    Opening balance                                                      100.00
    04 Jan 2025 INTEREST                                         1.50    101.50
    05 Jan 2025 FEE                                   2.00                99.50
    Closing balance                                                       99.50
    Total                                             2.00       1.50
    FDIC insured                                              Page 2 of 2
"""
CARD = """
    Kreditkarte 4998 21** **** 3107            Abrechnung vom 24.03.2025

    Datum   Wert    Umsatz                          Betrag in EUR
    Saldo der letzten Abrechnung                        812,55-
    02.03   03.03   Apotheke am Deich                    33,17-
                    Husum
    05.03   05.03   Lastschrift                         812,55+
    2025
    08.03   10.03   Gartencenter                         58,70-
    Neuer Saldo                                          91,87-
"""
PAGES = [group_lines(typed_page(text)) for text in (AMOUNTS_LAST, SECOND_ACCOUNT, CARD)]
GAPS = (4.0, 10.0, 50.0)  # between lines of a height of 10


def test_text_below_a_row_belongs_to_it_if_another_account_follows():
    document = read_typed(AMOUNTS_LAST, SECOND_ACCOUNT)
    assert [row.description for row in document.statements[0].rows] == [
        "CARD PAYMENT HARBOUR STORES",
        "RENT MARSH ESTATES",
        "SALARY ACME LTD Ref 4471",
    ]


@st.composite
def disturbed_pages(draw: st.DrawFn) -> list[PageWords]:
    """Some of the pages above, with lines and words left out, repeated and exchanged."""
    chosen = draw(st.lists(st.sampled_from(PAGES), min_size=1, max_size=3))
    return [_page(draw, list(lines), number) for number, lines in enumerate(chosen, start=1)]


def _page(draw: st.DrawFn, lines: list[TextLine], number: int) -> PageWords:
    places = st.integers(0, len(lines) - 1)
    for place in draw(st.lists(places, max_size=4)):  # left out, repeated or exchanged
        line = lines.pop(min(place, len(lines) - 1))
        for other in draw(st.lists(places, max_size=2)):
            lines.insert(other, line)
    lost = draw(st.sets(st.integers(0, sum(len(line.words) for line in lines)), max_size=4))
    gap = draw(st.sampled_from(GAPS))
    words = [(at, word) for at, line in enumerate(lines) for word in line.words]
    return PageWords(
        number,
        tuple(
            replace(word, top=at * (word.height + gap), bottom=at * (word.height + gap) + word.height)
            for place, (at, word) in enumerate(words)
            if place not in lost
        ),
    )


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(disturbed_pages())
def test_disturbed_pages_never_make_the_reader_fail(pages):
    document = read_statements(pages)
    verify(document)
    assert document.rows or reasons(document)
