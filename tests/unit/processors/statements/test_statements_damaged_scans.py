"""Scans of which OCR damages a heading, a decimal mark, or a check box that the bank prints in each row."""

import pytest
from typed_pages import typed_page

from processors.statements import StatementDocument, read_statements, verify

_FIRST = """
  Releve de comptes
  Compte courant n 44710322018 EUR
  {headings}
            Ancien solde au 29.02.2024                         1.466,09
  01.03.24  Virement Kervella                      60,00
            loyer studio
  02.03.24  Carte SNCF Paris                       74,15
  05.03.24  Virement CAF du Finistere                            282,30
  06.03.24  Prelevement Telecom                    31,39
"""
_SECOND = """
  Compte courant n 44710322018 EUR
  Date      Libelle des operations                Debit          Credit
  18.03.24  Carte Boulangerie                       7,44
  19.03.24  Cotisation du compte                    4,52
  28.03.24  Salaire de mars                                    2.188,47
            Total des operations                  177,50       2.470,77
            Nouveau solde au 29.03.2024                        3.759,36
"""
_HEADINGS = "Date      Libelle des operations                Debit          Credit"
_ROWS = ["60.00", "74.15", "282.30", "31.39", "7.44", "4.52", "2188.47"]


def _read(headings: str, second: str = _SECOND, change=lambda page: page) -> StatementDocument:
    document = read_statements([typed_page(change(_FIRST.format(headings=headings)), 1), typed_page(second, 2)])
    verify(document)
    return document


def _amounts(document: StatementDocument) -> list[str]:
    return [str(row.debit or row.credit) for row in document.rows]


@pytest.mark.parametrize(
    "headings", [_HEADINGS, "Dste      Libell le de s oper rations            De bit   Cr dit", ""]
)
def test_first_page_may_have_damaged_headings(headings: str):
    document = _read(headings)
    assert _amounts(document) == _ROWS and not document.unread
    (statement,) = document.statements
    assert statement.account == "44710322018" and str(statement.opening) == "1466.09"
    assert [row.flags for row in document.rows] == [[]] * 7


def test_misread_decimal_mark_is_read_and_flagged():
    document = _read("", _SECOND.replace(" 7,44", " 7.44"))
    assert _amounts(document) == _ROWS
    assert [row.flags for row in document.rows if row.flags] == [
        ["the format of the amount '7.44' differs from that of the others"]
    ]


@pytest.mark.parametrize("box", ["□", "☐", "[x]", "☑"])
def test_check_boxes_beside_amounts_are_no_part_of_a_row(box: str):
    document = _read(
        _HEADINGS, change=lambda page: page.replace(" 60,00", f" 60,00 {box}").replace("Carte", f"{box} Carte")
    )
    assert _amounts(document) == _ROWS and not any(box in row.description for row in document.rows)
    assert [row.flags for row in document.rows] == [[]] * 7
