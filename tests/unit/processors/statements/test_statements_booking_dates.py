"""Which of two dates of a row is that of its booking: headings in many languages, the order of the rows, or nothing."""

import pytest
from typed_pages import read_typed

from processors.statements import StatementDocument, reasons
from processors.statements.table.booking_dates import DOUBT

ROWS = """
    {title}                          Zeitraum 01.03.2026 - 31.03.2026

    {first}         {second}         Text                              Betrag         Saldo
                                     Alter Saldo                                   1.000,00
    04.03.2026      05.03.2026       BAECKEREI                         -10,00        990,00
    03.03.2026      06.03.2026       TANKSTELLE                        -20,00        970,00
    05.03.2026      06.03.2026       BUCHLADEN                         -30,00        940,00
    10.03.2026      11.03.2026       MIETE                            -500,00        440,00
    08.03.2026      12.03.2026       GEHALT                            900,00      1.340,00
                                     Neuer Saldo                                   1.340,00
"""
FIRST = ["2026-03-04", "2026-03-03", "2026-03-05", "2026-03-10", "2026-03-08"]
SECOND = ["2026-03-05", "2026-03-06", "2026-03-06", "2026-03-11", "2026-03-12"]


def _dates(document: StatementDocument) -> list[str]:
    return [str(row.date) for row in document.rows]


def _typed(first: str, second: str) -> StatementDocument:
    return read_typed(ROWS.format(title="Konto 123456", first=f"{first:7}", second=f"{second:8}"))


@pytest.mark.parametrize(
    ("purchase", "booking"),
    [
        ("Beleg", "Buchung"),
        ("Kauf", "Datum"),
        ("Trans", "Post"),
        ("Rente", "Bokført"),
        ("Valör", "Bokförd"),
        ("Valeur", "Date"),
        ("Achat", "Compta."),
        ("Valor", "Fecha"),
        ("Valuta", "Contab."),
        ("Transak", "Księg."),
    ],
)
def test_headings_name_the_date_of_bookings_on_either_side(purchase: str, booking: str):
    assert _dates(_typed(purchase, booking)) == SECOND
    assert _dates(_typed(booking, purchase)) == FIRST


def test_dates_in_order_are_those_of_bookings_if_headings_name_neither():
    document = _typed("Tag A", "Tag B")
    assert _dates(document) == SECOND
    assert not reasons(document)


IN_ORDER = """
    Konto 123456                          Zeitraum 01.03.2026 - 31.03.2026
    {card}
    Tag A           Tag B            Text                              Betrag         Saldo
                                     Alter Saldo                                   {opening}
    03.03.2026      05.03.2026       BAECKEREI                          10,00        {one}
    04.03.2026      06.03.2026       TANKSTELLE                         20,00        {two}
    10.03.2026      11.03.2026       MIETE                              30,00        {three}
                                     Neuer Saldo                                     {three}
"""


def test_review_reports_two_dates_that_nothing_tells_apart():
    document = read_typed(IN_ORDER.format(card="", opening="100,00", one="110,00", two="130,00", three="160,00"))
    assert reasons(document) == [DOUBT]


def test_a_card_books_purchases_later():
    text = IN_ORDER.format(card="Kreditkarte", opening="100,00", one="110,00", two="130,00", three="160,00")
    document = read_typed(text)
    assert _dates(document) == ["2026-03-05", "2026-03-06", "2026-03-11"]
    assert not reasons(document)


def test_date_that_is_printed_once_a_day_is_that_of_bookings():
    document = read_typed("""
        Konto 40-71882-3                      Kontoauszug 01.01.2025 - 31.01.2025

        Datum       Text                          Gutschrift    Lastschrift   Valuta         Saldo
        01.01.25    Kontostand                                                            1 000.00
        02.01.25    LASTSCHRIFT                                      100.00   31.12.24
                    KAUF                                              50.00   01.01.25      850.00
        03.01.25    GUTSCHRIFT                        200.00                  02.01.25
                    BARGELDBEZUG                                      30.00   04.01.25    1 020.00
        07.01.25    KAUF                                              20.00   09.01.25    1 000.00
    """)
    assert _dates(document) == ["2025-01-02", "2025-01-02", "2025-01-03", "2025-01-03", "2025-01-07"]
    assert [str(row.value_date) for row in document.rows][1::2] == ["2025-01-01", "2025-01-04"]
    assert not reasons(document)


def test_words_for_direction_apply_though_a_summary_prints_them_elsewhere():
    document = read_typed("""
        Vorig openstaand saldo     Nieuw openstaand saldo
        € 84,16 Af                 € 90,00 Af

        Datum         Datum       Omschrijving                         Bedrag in       Bedrag
        transactie    boeking                                          vreemde valuta  in euro's
        02-01-2025    03-01-2025  GEINCASSEERD                                             84,16  Bij
        04-01-2025    05-01-2025  ALBERT HEIJN 1412                                        50,00  Af
        05-01-2025    07-01-2025  STEAMGAMES                           14,56 USD           14,12  Af
        06-01-2025    08-01-2025  NETFLIX                                                  25,88  Af
    """)
    assert _dates(document) == ["2025-01-03", "2025-01-05", "2025-01-07", "2025-01-08"]
    assert [str(row.change) for row in document.rows] == ["84.16", "-50.00", "-14.12", "-25.88"]


def test_box_in_the_line_of_the_headings_is_no_heading():
    document = read_typed("""
  Visa Preferred 4510 15** **** 7732
  Statement from Dec 12, 2024 to Jan 11, 2025                     Previous balance         $100.00
  TRANSACTION   POSTING    ACTIVITY DESCRIPTION     AMOUNT ($)    Payments & credits      -$100.00
  DATE          DATE
                                                                  Purchases & debits       $162.65
  DEC 10        DEC 13     AMZN Mktp Books             $122.75    Fees                       $0.00
  DEC 14        DEC 17     METRO Kanata                 $17.22
                                                                  New balance              $162.65
  DEC 12        DEC 18     TIM HORTONS Gatineau         $10.02
  DEC 17        DEC 20     PAYMENT - THANK YOU        -$100.00    If you make only the
  DEC 21        DEC 20     CANVA Camden                 $12.66
                                                                  minimum payment
""")
    assert [(str(row.date), str(row.value_date), row.description) for row in document.rows] == [
        ("2024-12-13", "2024-12-10", "AMZN Mktp Books"),
        ("2024-12-17", "2024-12-14", "METRO Kanata"),
        ("2024-12-18", "2024-12-12", "TIM HORTONS Gatineau"),
        ("2024-12-20", "2024-12-17", "PAYMENT - THANK YOU"),
        ("2024-12-20", "2024-12-21", "CANVA Camden"),
    ]
    assert [str(row.debit or row.credit) for row in document.rows] == ["122.75", "17.22", "10.02", "100.00", "12.66"]
