"""The holder of an account: by a label, a form of address, or the block of an address."""

import pytest
from typed_pages import read_typed, typed_page

from processors.statements.notation.words import group_lines
from processors.statements.table.holder import find_holder

ROWS = """
        Date        Description              Amount      Balance
        02/01/2025  CARD PURCHASE            -20.00       980.00
        14/01/2025  PAYROLL                2,000.00     2,980.00
        15/01/2025  RENT                    -880.00     2,100.00
"""


def _holder(text):
    return find_holder(group_lines(typed_page(text)))


@pytest.mark.parametrize(
    ("line", "holder"),
    [
        ("Account Owner: THEODORE NAKAGAWA       Account Number: 7741", "THEODORE NAKAGAWA"),
        ("Client: IONESCU MIHAELA", "IONESCU MIHAELA"),
        ("戸名：林美玲         帳號：0081-540-772913", "林美玲"),
        ("お名前 佐々木 由美 様       口座番号 3308127", "佐々木 由美"),
        ("לוי דנה שם:", "דנה לוי"),
        ("Customer Name     : FARAH SIDDIQUI     Statement Date", "FARAH SIDDIQUI"),
        ("Majitel účtu: Jana Horká", "Jana Horká"),
        ("Customer Number: ABC", ""),
    ],
)
def test_holder_is_the_name_after_its_label(line, holder):
    assert _holder(line) == holder


@pytest.mark.parametrize(
    ("line", "holder"),
    [
        ("MS. AVA BEAUCHEMIN", "MS. AVA BEAUCHEMIN"),
        ("M OU MME ARNAUD LE GOFF", "M OU MME ARNAUD LE GOFF"),
        ("De heer Pieter Van Acker", "Pieter Van Acker"),
        ("Herr\n        Urs Aebischer\n        Dorfstrasse 3", "Urs Aebischer"),
        ("MR & MRS T HOLLOWAY", "MR & MRS T HOLLOWAY"),
    ],
)
def test_holder_is_found_by_a_form_of_address(line, holder):
    assert _holder(f"        {line}") == holder


@pytest.mark.parametrize(
    ("block", "holder"),
    [
        (("Markéta Dvořáková", "Lipová 18", "602 00 Brno"), "Markéta Dvořáková"),
        (("KOVÁCS BENCE", "6720 SZEGED, KÁRÁSZ UTCA 7."), "KOVÁCS BENCE"),
        (("DANIEL R WHITCOMBE", "2817 ORCHARD LN", "DAYTON, OH 45419"), "DANIEL R WHITCOMBE"),
        (("*THANDI MOKOENA", "12 PROTEA STREET, BLOEMFONTEIN"), "THANDI MOKOENA"),
        (("Harbour Savings Bank", "12 High Street", "Leeds LS1 4AB"), ""),  # the bank's own address
        (("Account Statement", "3 January 2025"), ""),
        (("Closing Balance", "1,234.50 EUR"), ""),
    ],
)
def test_holder_is_the_name_above_an_address(block, holder):
    lines = [
        f"        {text}" + (" " * (50 - len(text)) + "IBAN: X1" if at == 0 else "") for at, text in enumerate(block)
    ]
    assert _holder("\n".join(["        Some Title of a Page", "", *lines])) == holder


def test_holder_beside_the_account_number_on_each_page():
    line = "        JOANNA K PELLETIER                              Account Ending 3-41009\n"
    document = read_typed("        Platinum Rewards\n" + line + ROWS, line + ROWS.replace("01/2025", "02/2025"))
    assert document.statements[0].holder == "JOANNA K PELLETIER"


def test_company_is_a_holder_without_an_address():
    assert _holder("        Statement for February 2025\n        Fernhollow Prints Ltd") == "Fernhollow Prints Ltd"
    assert _holder("        Harbour Bank Ltd\n        Statement for February 2025") == ""


def test_second_account_of_a_document_has_the_same_holder():
    first = "        Mr John Marsh\n        Account number 11112222\n" + ROWS
    second = "        Account number 33334444\n" + ROWS
    assert [each.holder for each in read_typed(first, second).statements] == ["Mr John Marsh"] * 2


@pytest.mark.parametrize(
    ("block", "holder"),
    [
        (
            ("MR SEAN T DORAN &", "MRS PRIYA DORAN", "9 YARRA CRES", "HIGHTON VIC 3216"),
            "MR SEAN T DORAN & MRS PRIYA DORAN",
        ),
        (
            ("MME GRENOT ANAIS", "OU M GRENOT YANN", "6 RUE DES PAVES", "44000 NANTES"),
            "MME GRENOT ANAIS OU M GRENOT YANN",
        ),
        (("MME SOLANGE BOUCHER", "M. DENIS NADON", "22 RUE DES ERABLES"), "MME SOLANGE BOUCHER M. DENIS NADON"),
        (("HOLLIS GARDEN SUPPLY LLC", "ANN W HOLLIS", "418 COTTON ROAD"), "HOLLIS GARDEN SUPPLY LLC ANN W HOLLIS"),
        (("Karl Reuter", "oder Eva Reuter", "Am Anger 4", "99084 Erfurt"), "Karl Reuter oder Eva Reuter"),
        (("JOHN BAKER", "ROSE COTTAGE", "12 MILL LANE"), "JOHN BAKER"),  # the name of a house
        (("JOHN BAKER", "BAKER STREET 221B", "LONDON NW1 6XE"), "JOHN BAKER"),
        (("MR JOHN BAKER", "ST MARYS LODGE", "12 MILL LANE"), "MR JOHN BAKER"),
        (("Hr/Mw J de Vries en/of", "Mw A Bakker", "Dorpsstraat 4"), "J de Vries en/of Mw A Bakker"),
        (("Posiadacz rachunku", "JAN KOWALSKI", "ANNA KOWALSKA", "UL. LIPOWA 4"), "JAN KOWALSKI ANNA KOWALSKA"),
        (("Statement for Amelia Clarke     Sort code 04-00-75",), "Amelia Clarke"),
        (("Statement of Standard Terms 4",), ""),
        (("Smart Saver Plus", "BSB 062-000", "", "MS WEI ZHANG", "UNIT 4", "77 KENT ST"), "MS WEI ZHANG"),
        (("Madame et Monsieur", "Claire et Paul Favre", "Chemin des Vignes 3"), "Claire et Paul Favre"),
        (("Intestato a:", "BELLINI FRANCA", "MARINI STEFANO"), "BELLINI FRANCA MARINI STEFANO"),
        (("Account holders", "JOHN BAKER", "ROSE GARTH", "12 MILL LANE"), "JOHN BAKER"),
        (("TITULARES", "MARTIN SORIA, BEATRIZ", "OLMO GIL, RAFAEL"), "MARTIN SORIA, BEATRIZ OLMO GIL, RAFAEL"),
        (("GENT.MA", "MONTI LUCIA", "VIA DEI GONZAGA 118/2"), "MONTI LUCIA"),
        (("Apreciado Cliente", "JHON FREDY ROA", "CL 53 14 62"), "JHON FREDY ROA"),
        (("Herrn und Frau", "Max und Eva Muster", "Hauptstr. 1"), "Max und Eva Muster"),
        (("Kontoinhaber: Herrn Max Muster",), "Max Muster"),
        (("Titularis: DE MEYER TINE Munt: EUR",), "DE MEYER TINE"),
        (("Nama/Name          : DEWI ANGGRAENI", "Cabang/Branch      : KCP Surabaya Darmo"), "DEWI ANGGRAENI"),
        (("SR(A): RODRIGO SANHUEZA MELLA", "1 NORTE 884 DEPTO 52"), "RODRIGO SANHUEZA MELLA"),
        (("Orchard Card      Bettina Kowal, b.kowal@mail.example",), "Bettina Kowal"),
        (("Renata Cavalcanti Souto", "CPF 000.771.204-00 Agência 0001"), "Renata Cavalcanti Souto"),
        (("Classic Banking Gold", "Account number 54-881-7702"), ""),  # a product
        (("MR S T DORAN", "9 YARRA CRES", "", "S T DORAN & P DORAN", "BSB number 083-652"), "S T DORAN & P DORAN"),
    ],
)
def test_holder_of_blocks(block, holder):
    assert _holder("\n".join(["        Some Title of a Page", "", *(f"        {line}" for line in block)])) == holder


def test_holder_in_a_box_whose_label_is_in_the_line_of_the_headings():
    page = """
        Date        Description              Amount      Balance            TITULARES
        02/01/2025  CARD PURCHASE            -20.00       980.00            SORIA, BEATRIZ
        14/01/2025  PAYROLL                2,000.00     2,980.00            OLMO, RAFAEL
        15/01/2025  RENT                    -880.00     2,100.00
        16/01/2025  PHONE                   -100.00     2,000.00            CUENTA (IBAN)
        17/01/2025  POWER                   -100.00     1,900.00            ES91 2100 0418 4502 0005 1332
        18/01/2025  WATER                   -100.00     1,800.00
        19/01/2025  BOOKS                   -100.00     1,700.00
        20/01/2025  MUSIC                   -100.00     1,600.00
        21/01/2025  TRAIN                   -100.00     1,500.00
    """
    (statement,) = read_typed(page).statements
    assert (statement.holder, statement.account) == ("SORIA, BEATRIZ OLMO, RAFAEL", "ES9121000418450200051332")
