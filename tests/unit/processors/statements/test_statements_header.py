"""The header of a statement: account, holder, currency, opening and closing balance."""

from decimal import Decimal

import pytest
from typed_pages import read_typed, typed_page

from processors.statements import PageWords, read_statements, reasons, verify

ROWS = """
        Date        Description              Amount      Balance
        02/01/2025  CARD PURCHASE            -20.00       980.00
        14/01/2025  PAYROLL                2,000.00     2,980.00
        15/01/2025  RENT                    -880.00     2,100.00
        16/01/2025  PHONE                   -100.00     2,000.00
"""


def _read(header):
    (statement,) = read_typed(f"        {header}\n{ROWS}").statements
    return statement


@pytest.mark.parametrize(
    ("header", "account"),
    [
        ("Agência 0417 Conta corrente 22841-6", "22841-6"),
        ("Rachunek: PL 61 1090 1014 0000 0712 1981 2874", "PL61109010140000071219812874"),
        ("Rekeningnummer NL21 OPAL 0441 7702 19", "NL21OPAL0441770219"),
        ("口座番号 1184402", "1184402"),
        ("Merchant Account ID: 8XKZ2QW4PLM7C", "8XKZ2QW4PLM7C"),
        ("Girokonto Nummer 5501882736", "5501882736"),
        ("Conto corrente n. 1000/12345678", "1000/12345678"),
        ("Compte de Dépôt n° 00012345678", "00012345678"),
        ("GB98 CORA 0400 7512 3456 78", "GB98CORA04007512345678"),
        ("Kontoutdrag konto 8327-9 123 456 7", "8327-91234567"),
    ],
)
def test_account_is_found_by_its_label_or_as_an_iban(header, account):
    assert _read(header).account == account


def test_account_is_found_below_its_label():
    statement = _read(
        "Account Name          Sortcode     Account Number\n        Mrs Imogen Field      40-11-62     51773820"
    )
    assert (statement.account, statement.holder) == ("51773820", "Mrs Imogen Field")


def test_account_of_somebody_else_in_a_description_begins_no_statement():
    own = "        IBAN DE62 5001 0517 5501 8827 36\n"
    document = read_typed(
        own + ROWS.replace("        15/01", "                    IBAN DE77 2406 0300 0004 4719 02\n        15/01")
    )
    assert [statement.account for statement in document.statements] == ["DE62500105175501882736"]


@pytest.mark.parametrize(
    ("header", "currency"),
    [
        ("IBAN DE62 5001 0517 5501 8827 36", "EUR"),
        ("Sort code 40-11-62  balance £3.00", "GBP"),
        ("BSB 062-000 balance $3.00", "AUD"),
        ("Transit No. 12345 balance $3.00", "CAD"),
        ("Member FDIC balance $3.00", "USD"),
        ("balance $3.00", ""),
        ("balance R$ 3,00", "BRL"),
    ],
)
def test_dollar_alone_is_no_currency(header, currency):
    assert _read(header).currency == currency


def test_each_account_has_its_own_currency():
    document = read_typed(
        "        IBAN LT60 3250 0814 4471 9920    balance €3.00\n" + ROWS,
        "        IBAN GB09 REVO 0099 7047 7120 33    balance £3.00\n" + ROWS,
    )
    assert [statement.currency for statement in document.statements] == ["EUR", "GBP"]


def test_opening_balance_is_derived_if_it_is_printed_whatever_its_label():
    document = read_typed(f"        Saldo początkowe 1,000.00\n{ROWS}")
    (statement,) = document.statements
    assert (statement.opening, statement.closing) == (Decimal("1000.00"), Decimal("2000.00"))
    assert not reasons(document)


def test_opening_balance_is_derived_from_a_text_layer_but_not_from_ocr():
    for source, found in (("text layer", Decimal("1000.00")), ("OCR", None)):
        document = read_statements([PageWords(1, typed_page(ROWS).words, source)])
        verify(document)
        assert document.statements[0].opening == found
        assert bool(reasons(document)) is (found is None)


def test_unknown_currency_is_noted():
    document = read_typed(f"        balance $3.00\n{ROWS}")
    assert any("currency is unknown" in note for note in document.notes)


LEFT_TEXT = """
        {0}

        Beschreibung                       Datum                 Betrag
        Opening balance 01/01/2025                             1,000.00
        CARD PURCHASE                      02/01/2025            -20.00
        IBAN: DE64449975922851086606
        RENT                               09/01/2025           -880.00
        IBAN: DE60446808950541699000
        REFUND                             17/01/2025             30.00
        Closing balance 31/01/2025                               130.00
"""


@pytest.mark.parametrize(
    ("line", "account"),
    [
        ("Estratto conto n. 4/2025     Conto n. 1000/00014477", "1000/00014477"),
        ("Account number 06-0541-0288137-00       18 December 2024 - 17 January 2025", "06-0541-0288137-00"),
        ("Kontoudskrift Lønkonto 3409 0011847726", "34090011847726"),
        ("CONTA SIMPLES N. 45512088714 MOEDA: EUR", "45512088714"),
        ("Účet: 203311874/0300", "203311874/0300"),
        ("NO 14 2ND CROSS STREET     Account No : 50100447218835", "50100447218835"),
    ],
)
def test_account_is_that_of_the_heading_not_of_somebody_in_a_row(line, account):
    (statement,) = read_typed(LEFT_TEXT.format(line)).statements
    assert statement.account == account
    assert len(statement.rows) == 3


def test_account_number_below_the_rows_is_that_of_all_of_them():
    (statement,) = read_typed(LEFT_TEXT.format("") + "\n\n\n        IBAN: DE41 1001 1001 2620 7144 33").statements
    assert statement.account == "DE41100110012620714433"


def test_balances_right_below_their_labels_in_boxes():
    page = """
        Auszug    Seite     IBAN                          Alter Saldo per 31.12.2024
        3         1 von 3   DE39 1007 7777 0412 8856 00   EUR                          + 1.000,00

        Datum       Text                     Betrag
        02.01.2025  KARTE                    -20,00
        14.01.2025  GEHALT                 2.000,00
        15.01.2025  MIETE                   -880,00
        16.01.2025  TELEFON                 -100,00

        Filialnummer    Kontonummer    Kredit          Neuer Saldo per 31.01.2025
        777             412885600      EUR 3.000,00    EUR                          + 2.000,00
    """
    (statement,) = read_typed(page).statements
    assert (statement.opening, statement.closing) == (Decimal("1000.00"), Decimal("2000.00"))


def test_period_from_the_balance_at_the_end_of_a_month():
    page = f"""
        Account number 11112222
        Opening balance on 31/12/2024      1,000.00
        Closing balance on 31/01/2025      2,000.00
{ROWS}
    """
    (statement,) = read_typed(page).statements
    assert (str(statement.start), str(statement.end)) == ("2025-01-01", "2025-01-31")
