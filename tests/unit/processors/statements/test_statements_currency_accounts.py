"""Accounts of one number in several currencies, and wallets whose rows print a gross amount, a fee and the net."""

import pytest
from typed_pages import read_typed

WALLET = """
        PayHarbor ID: shop@fernhollow.example          01/02/2025 - 28/02/2025
        Merchant Account ID: R7QK2M9XW4T8L

        Balance Summary - GBP
        Available beginning         412.06
        Available ending            486.06

        Transaction History - GBP
        Day         What                      Brutto    Abzug    Netto
        02/02/2025  Express Checkout           50.00    -1.50    48.50
        03/02/2025  General Withdrawal        -20.00     0.00   -20.00
        05/02/2025  Website Payment            30.00    -1.00    29.00
        06/02/2025  Express Checkout           17.50    -1.00    16.50

        Balance Summary - EUR
        Available beginning          88.40
        Available ending            117.40

        Transaction History - EUR
        Day         What                      Brutto    Abzug    Netto
        04/02/2025  Express Checkout           40.00    -2.00    38.00
        07/02/2025  Payment Refund            -20.00     0.00   -20.00
        08/02/2025  Website Payment            12.00    -1.00    11.00
"""


def test_each_currency_of_a_number_is_an_account():
    document = read_typed(WALLET)
    found = [(each.account, each.currency, len(each.rows)) for each in document.statements]
    assert found == [("R7QK2M9XW4T8L", "GBP", 4), ("R7QK2M9XW4T8L", "EUR", 3)]


def test_net_amount_of_a_wallet_is_what_changes_its_balance():
    first, second = read_typed(WALLET).statements
    assert [str(row.change) for row in first.rows] == ["48.50", "-20.00", "29.00", "16.50"]
    assert (str(first.opening), str(first.closing)) == ("412.06", "486.06")
    assert (str(second.opening), str(second.closing)) == ("88.40", "117.40")


HEADER = """
        {}

        Date        Details                  Amount      Balance
        02/04/2024  CARD PURCHASE            -20.00     {}980.00
        14/04/2024  PAYROLL                2,000.00     {}2,980.00
        15/04/2024  RENT                    -880.00     {}2,100.00
"""


@pytest.mark.parametrize(
    ("line", "thousands", "currency"),
    [
        ("IFS Code :DCSB0004412", "", "INR"),
        ("Statement of account", "1,8", "INR"),  # 1,82,980.00
        ("幣別：TWD 新臺幣", "", "TWD"),
        ("Валюта: RON", "", "RON"),
        ("Pay Bill to 247247", "", "KES"),
        ("Account 02-1234-0567890-00      $5.00", "", "NZD"),
        ("Statement of account", "", ""),
    ],
)
def test_currency_by_codes_words_and_grouping(line, thousands, currency):
    text = HEADER.format(line, "", "", "")
    if thousands:
        text = text.replace("   980.00", "1,82,980.00").replace(" 2,980.00", "1,84,980.00")
        text = text.replace("2,100.00", "1,84,100.00")
    assert read_typed(text).statements[0].currency == currency


@pytest.mark.parametrize(
    ("line", "account"),
    [
        ("Account Number: GS-7741-0092", "GS-7741-0092"),
        ("帳號：0081-540-772913", "0081-540-772913"),
        ("12-644-382917 חשבון: מספר", "12-644-382917"),
        ("Cartão 5544.XXXX.XXXX.2207", "5544XXXXXXXX2207"),
    ],
)
def test_account_numbers_with_prefixes_and_labels_of_more_languages(line, account):
    assert read_typed(HEADER.format(line, "", "", "")).statements[0].account == account


@pytest.mark.parametrize("label", ["Closing Date", "Fecha de Corte", "Data de fechamento:"])
def test_period_ends_on_the_day_on_which_a_statement_was_closed(label):
    header = f"{label} 18/04/2024      Next Closing Date 18/05/2024"
    (statement,) = read_typed(HEADER.format(header, "", "", "")).statements
    assert (str(statement.start), str(statement.end)) == ("2024-04-02", "2024-04-18")
