"""Statements in further languages, and a summary below the table."""

from datetime import date

import pytest
from babel import Locale
from typed_pages import read_typed

from processors.statements import reasons
from processors.statements.notation.dates import PrintedDate, parse_date

DUTCH = """
    Rekeningafschrift
    IBAN NL91ABNA0417164300    Periode 02-01-2024 t/m 31-01-2024

    Vorig saldo      Totaal afgeschreven    Totaal bijgeschreven    Nieuw saldo
    EUR 1.523,67     EUR 259,82             EUR 2.296,33            EUR 3.560,18

    Datum         Omschrijving                        Bedrag af      Bedrag bij
    02-01-2024    Belastingdienst                                      2.296,33
                  Voorlopige teruggaaf
    05-01-2024    Kosten Betaalpakket                    259,82
"""

ITALIAN = """
    Estratto conto corrente
    IBAN IT60X0542811101000000123456         dal 1 gennaio 2024 al 31 gennaio 2024

    Data        Valuta            Dare         Avere    Descrizione operazioni
    01.01.24                                1.523,67    SALDO INIZIALE
    03.01.24    03.01.24                       17,19    INTERESSI CREDITORI
    09.01.24    10.01.24      4.199,62                  PAGAMENTO POS ESSELUNGA
                                                        CARTA 4417 ORE 18.02
    16.01.24    16.01.24                    3.201,42    BONIFICO DA ESEMPIO
    31.01.24                                  542,66    SALDO FINALE
"""

SUMMARY_BELOW = """
    Account No : 48588462
    From : 01/01/2024   To : 31/01/2024

    Date        Narration             Chq./Ref.No.    Value Dt    Withdrawal Amt.    Deposit Amt.   Closing Balance
    01/01/24    INTEREST PAID         0000670441361   01/01/24                           1,614.29       2,46,924.73
    02/01/24    POS RELIANCE FRESH    0000017063295   02/01/24              40.57                       2,46,884.16

    STATEMENT SUMMARY :-
    Opening Balance    Dr Count    Cr Count       Debits      Credits       Closing Bal
        2,45,310.44           1           1        40.57     1,614.29       2,46,884.16
"""


def _values(row):
    return str(row.date), row.description, str(row.debit), str(row.credit)


def test_dutch_statement_is_read_and_reconciles():
    document = read_typed(DUTCH)
    (statement,) = document.statements
    assert (statement.account, statement.start, statement.end) == (
        "NL91ABNA0417164300",
        date(2024, 1, 2),
        date(2024, 1, 31),
    )
    assert [_values(row) for row in statement.rows] == [
        ("2024-01-02", "Belastingdienst Voorlopige teruggaaf", "None", "2296.33"),
        ("2024-01-05", "Kosten Betaalpakket", "259.82", "None"),
    ]
    assert reasons(document) == []
    assert {one.name for one in statement.checks if one.passed} == {"balances", "debits", "credits"}


def test_italian_statement_is_read_and_reconciles():
    document = read_typed(ITALIAN)
    (statement,) = document.statements
    assert (statement.start, statement.end) == (date(2024, 1, 1), date(2024, 1, 31))
    assert [_values(row) for row in statement.rows] == [
        ("2024-01-03", "INTERESSI CREDITORI", "None", "17.19"),
        ("2024-01-09", "PAGAMENTO POS ESSELUNGA CARTA 4417 ORE 18.02", "4199.62", "None"),
        ("2024-01-16", "BONIFICO DA ESEMPIO", "None", "3201.42"),
    ]
    assert reasons(document) == []


def test_summary_below_the_table_is_not_a_row_and_verifies_the_first_row():
    document = read_typed(SUMMARY_BELOW)
    (statement,) = document.statements
    assert len(statement.rows) == 2
    assert (str(statement.opening), str(statement.closing)) == ("245310.44", "246884.16")
    assert reasons(document) == []
    wrong = read_typed(SUMMARY_BELOW.replace("2,45,310.44", "2,45,311.44"))
    assert [row.description for row in wrong.rows if row.flags] == ["INTEREST PAID"]


@pytest.mark.parametrize("locale", ["pt", "sv", "da", "nb", "pl", "tr", "ro", "hu", "fi", "cs", "sk", "et", "lt"])
def test_months_of_further_languages_are_known(locale):
    names = Locale.parse(locale).months["format"]["wide"]
    assert [parse_date(f"5 {name} 2024") for name in names.values()] == [
        PrintedDate(5, month, 2024, None, len(f"5 {name} 2024")) for month, name in names.items()
    ]


def test_greek_statement_with_letters_for_direction_is_read():
    document = read_typed("""
        Από 01/01/2025 Έως 28/02/2025           Προηγούμενο υπόλοιπο   1.000,00
        Λογαριασμός: 218-00-2002-007714         Νέο υπόλοιπο           2.050,00

        Ημ/νία       Αιτιολογία             Τοκισμός       Ποσό         Πρόσημο
                                            από                         ποσού
        7/1/2025     ΑΓΟΡΑ ΣΚΛΑΒΕΝΙΤΗΣ      08/01/2025       50,00      Χ
        20/1/2025    ΑΓΟΡΑ EKO              22/01/2025       60,00      Χ
        30/1/2025    ΜΙΣΘΟΔΟΣΙΑ             30/01/2025    1.200,00      Π
        4/2/2025     ΠΑΓΙΑ ΕΝΤΟΛΗ           05/02/2025       40,00      Χ
                     Σύνολο Χρεώσεων (Χ)                    150,00
                     Σύνολο Πιστώσεων (Π)                 1.200,00
    """)
    assert [str(row.change) for row in document.rows] == ["-50.00", "-60.00", "1200.00", "-40.00"]
    assert str(document.rows[0].date) == "2025-01-07"
    assert not reasons(document)
