"""Credit cards, whose purchases and payments explain the balances as well the other way round."""

import pytest
from typed_pages import read_typed

from processors.statements import reasons
from processors.statements.account.cards import LOAN_DOUBT

ACCOUNT = """
        {}
        Account number 7720194458

        Date        Description              Amount      Balance
        02/01/2025  CARD PURCHASE            -20.00       980.00
        14/01/2025  PAYROLL                2,000.00     2,980.00
        15/01/2025  CREDIT CARD BILL        -880.00     2,100.00
        16/01/2025  PHONE                   -100.00     2,000.00
"""


@pytest.mark.parametrize("title", ["Current account", "Ask us about our credit card and its credit limit"])
def test_account_that_mentions_a_card_is_none(title):
    document = read_typed(ACCOUNT.format(title))
    assert [str(row.change) for row in document.rows] == ["-20.00", "2000.00", "-880.00", "-100.00"]
    assert not document.statements[0].is_liability


FATURA = """
        {0}                          Emissão: 01/03/2025
        {1} 10/03/2025

        DATA     DESCRIÇÃO                    VALOR EM R$
        10/02    PAGAMENTO EM CONTA             -1.320,45
        11/02    MERCADO BOM DIA                    80,64
        12/02    PADARIA IPE                       247,27
        13/02    FARMACIA VIDA                     403,04
        14/02    STREAM TV                         301,50
"""


def test_card_is_known_by_the_day_on_which_it_must_be_paid():
    document = read_typed(FATURA.format("Cartão final 2207", "Vencimento:"))
    changes = [str(row.change) for row in document.rows]
    assert changes == ["1320.45", "-80.64", "-247.27", "-403.04", "-301.50"]


LOAN = """
        Home loan statement
        Loan account 12-3188-0044521-90      1 January 2025 to 30 June 2025

        Date          Details                  Drawn / charged     Repaid     Balance owing
                      Balance owing at start                                      1,000.00
        05 Jan 2025   Repayment                                    100.00           900.00
        28 Jan 2025   Interest at 5.89%                 5.00                        905.00
        05 Feb 2025   Repayment                                    100.00           805.00
        28 Feb 2025   Interest at 5.89%                 4.00                        809.00
        05 Mar 2025   Repayment                                    100.00           709.00
"""


def test_repayments_of_a_loan_lower_the_balance_that_is_owed():
    document = read_typed(LOAN)
    assert [str(row.change) for row in document.rows] == ["100.00", "-5.00", "100.00", "-4.00", "100.00"]
    assert document.statements[0].is_liability
    assert not any(row.flags for row in document.rows)


def test_signs_of_a_loan_with_one_column_of_amounts_are_in_doubt():
    document = read_typed(ACCOUNT.format("Loan account"))
    assert LOAN_DOUBT in reasons(document)


BESIDE = """
        Cartão final 2207    Vencimento: 10/03/2025

        Fecha    Comercio          Pesos         Fecha    Comercio          Pesos
        04/02    MERCADO           34,29         14/02    STREAM TV        241,50
        05/02    PADARIA          411,10         14/02    CINE              73,43
        06/02    LOJA             418,25         16/02    TAXI             274,73
        08/02    FARMACIA         210,95         17/02    MUSICA           384,48
"""


@pytest.mark.parametrize("misread", ["Pesos", "Pes0s"])
def test_tables_side_by_side_are_known_by_their_repeated_headings(misread):
    document = read_typed(BESIDE.replace("Pesos", misread, 1))
    rows = [(str(row.date)[5:], row.description, str(row.debit)) for row in document.rows]
    assert rows[0] == ("02-04", "MERCADO", "34.29") and rows[-1] == ("02-17", "MUSICA", "384.48")
    assert len(rows) == 8


def test_day_of_the_next_closing_is_not_the_end_of_the_period():
    document = read_typed("""
        Blue Harbor Card             Closing Date 03/07/25      Next Closing Date 04/07/25
        Account Ending 4-21006       Credit Limit $12,000.00
        Previous Balance      $100.00
        Payment Due Date 04/01/25    New Charges  +$80.00
        New Balance           $80.00

        Payments                                       Amount
        02/21/25      MOBILE PAYMENT - THANK YOU      -$100.00
        New Charges                                    Amount
        02/07/25      SPOTIFY USA                       $20.00
        02/08/25      WHOLE FOODS                       $30.00
        02/10/25      ANALOG COFFEE                     $25.00
        03/02/25      REI SEATTLE                        $5.00
    """)
    assert str(document.statements[0].end) == "2025-03-07"
    assert not reasons(document)


def test_total_of_purchases_less_returns_is_right():
    document = read_typed("""
        Orchard Credit Card                               Dec 1 - Dec 31, 2023
        New Balance         $185.00
        Previous Balance    $100.00

        Payments
        Date            Description                    Amount
        12/04/2023      ACH Deposit                   -$70.00
        12/29/2023      ACH Deposit                   -$30.00
        Total payments for this period               -$100.00
        Transactions
        Date            Description                    Amount
        12/02/2023      Noodle in a haystack           $72.00
        12/03/2023      Oil                            $88.00
        12/19/2023      Orchard store (return)        -$15.00
        12/22/2023      Orchard store                  $40.00
        Total charges, credits and returns            $185.00
    """)
    assert not reasons(document)


def test_name_of_another_card_set_apart_begins_a_list_of_its_own():
    def line(day: int, name: str, side: str = "Af") -> str:
        return f"        {day:02}-12-2024  {day + 1:02}-12-2024  {name:20}{day:>3},50  {side}"

    document = read_typed(
        "\n".join(
            [
                "        Kaartservice    Periode 01-12-2024 - 31-12-2024",
                "",
                "        Datum       Datum       Omschrijving        Bedrag",
                "        transactie  boeking                            EUR",
                *(line(day, "WINKEL") for day in range(2, 9)),
                line(9, "INCASSO", "Bij"),
                "\n\n\n                                Uw Card met als laatste vier cijfers 7730",
                *(line(day, "KIOSK") for day in range(3, 7)),
            ]
        )
    )
    assert document.rows[7].description == "INCASSO"
    assert len({row.section for row in document.rows}) == 2
