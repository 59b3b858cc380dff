"""Which account a document, a table or a row belongs to, and where another account begins."""

from decimal import Decimal

import pytest
from typed_pages import read_typed

HEADINGS = "        Date        Description              Amount      Balance\n"
ROWS = """
        02/01/2025  CARD PURCHASE            -20.00       980.00
        14/01/2025  PAYROLL                2,000.00     2,980.00
        15/01/2025  RENT                    -880.00     2,100.00
"""
OTHER_ROWS = """
        03/01/2025  TRANSFER                 100.00     5,100.00
        16/01/2025  TRANSFER                  50.00     5,150.00
        31/01/2025  INTEREST                   4.00     5,154.00
"""
OPENING = "                    Opening balance                    1,000.00"
OTHER_OPENING = "                    Opening balance                    5,000.00"


def _table(title, opening, rows):
    return f"        {title}\n\n{HEADINGS}{opening}{rows}"


def _accounts(header, *titles):
    tables = [
        _table(title, *each)
        for title, each in zip(titles, [(OPENING, ROWS), (OTHER_OPENING, OTHER_ROWS)], strict=False)
    ]
    document = read_typed("\n".join(["        Some Title", f"        {header}", "", *tables]))
    return [(each.account, each.opening, len(each.rows)) for each in document.statements]


def _both(first, second):
    return [(first, Decimal("1000.00"), 3), (second, Decimal("5000.00"), 3)]


@pytest.mark.parametrize(
    ("header", "account"),
    [
        ("Conta de Depósitos à Ordem   0412345678", "0412345678"),
        ("CUENTA DE AHORROS        0550 4410 0071 2288", "0550441000712288"),
        ("口座番号      普通 4471820", "4471820"),
        ("USB ONE CARD   Card No.   4265-8840-1177-3021     50.00     896.86", "4265-8840-1177-3021"),
        ("                    ACCOUNT #\n        J. MARSH\n                   0214887763", "0214887763"),
        ("Het saldo wordt van uw rekening afgeschreven:\n        NL91 ABNA 0417 1643 00   Minimaal € 30,00", ""),
        ("Der Betrag wird von Ihrem Konto DE89 3704 0044 0532 0130 00 abgebucht", ""),
        ("Compte n° 240.123456.01A", "24012345601A"),
        ("Statement date    123456789", ""),
        ("Titulaire du compte            35000 RENNES", ""),
        ("Compte courant professionnel n° 00044718822", "00044718822"),
    ],
)
def test_account_number(header, account):
    assert [each[0] for each in _accounts(header, "Transactions")] == [account]


def test_iban_replaces_an_account_number_whose_groups_it_fills_with_zeros():
    found = _accounts("Privatkonto 40-71882-3     IBAN CH68 0900 0000 4007 1882 3", "Bewegungen")
    assert found[0][0] == "CH6809000000400718823"


def test_numbers_beside_the_titles_of_tables():
    found = _accounts("Portfolio", "One Savings            640-118827-833", "One Current            640-118827-001")
    assert found == _both("640-118827-833", "640-118827-001")


def test_title_with_a_number_and_another_cell():
    found = _accounts(
        "Access No. 88277",
        "EveryDay Checking - 7044182205        Joint Owner(s): NONE",
        "Membership Savings - 3019976641       Joint Owner(s): NONE",
    )
    assert found == _both("7044182205", "3019976641")


def test_codes_of_the_accounts_of_one_folio():
    header = "Transit          Folio\n        815-20144        071833-7"
    found = _accounts(header, "EOP     Compte avec opérations", "ET1     Compte d'épargne stable")
    assert found == _both("071833-7-EOP", "071833-7-ET1")
    found = _accounts("Folio 061144-7", "EOP – Compte avec opérations", "ET 1 – Épargne stable")
    assert found == _both("061144-7-EOP", "061144-7-ET1")


def test_another_opening_balance_below_another_title_begins_another_account():
    assert _accounts("Account number 11112222", "Checking", "Savings") == _both("11112222", "11112222")
    assert _accounts("Customer since 2011", "Checking", "Savings") == _both("", "")


def test_balance_of_the_row_above_below_another_title_begins_no_account():
    page = _table("Transactions", OPENING, ROWS) + _table(
        "Further transactions", "                    Opening balance                   $2,100.00", OTHER_ROWS
    )
    assert len(read_typed(f"        Some Title\n        Account number 11112222\n\n{page}").statements) == 1


TWO_CARDS = """
        Date        Description                         Amount
                    4265-8840-1177-3021 JOHN MARSH
                    Previous balance                    100.00
        02/01/2025  COFFEE                               20.00
        03/01/2025  TEA                                  30.00
        04/01/2025  BOOKS                                40.00
                    Total balance                       190.00

                    5413-0021-7733-8840 JOHN MARSH
                    Previous balance                    300.00
        05/01/2025  SHOES                                60.00
        06/01/2025  SOCKS                                70.00
        07/01/2025  HATS                                 80.00
                    Total balance                       510.00
"""


def test_cards_in_one_table():
    page = """
        Some Title
        Card No.                       Balance
        4265-8840-1177-3021             896.86
        5413-0021-7733-8840             623.37
"""
    statements = read_typed(page + TWO_CARDS).statements
    found = [(each.account, each.opening, each.closing) for each in statements]
    assert found == [
        ("4265-8840-1177-3021", Decimal("100.00"), Decimal("190.00")),
        ("5413-0021-7733-8840", Decimal("300.00"), Decimal("510.00")),
    ]


def test_summary_of_all_accounts_is_that_of_none():
    page = """
        Some Title
        Total balance       9,999.00
        Card Name             Card No.                       Balance
        ONE CARD              4265-8840-1177-3021             896.86
        OTHER CARD            5413-0021-7733-8840             623.37
"""
    document = read_typed(page + TWO_CARDS)
    found = [(each.account, each.opening, each.closing) for each in document.statements]
    assert found == [
        ("4265-8840-1177-3021", Decimal("100.00"), Decimal("190.00")),
        ("5413-0021-7733-8840", Decimal("300.00"), Decimal("510.00")),
    ]
