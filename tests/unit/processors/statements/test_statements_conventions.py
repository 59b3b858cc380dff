"""What the rows of a document prove, and how it is put together with what was known."""

from decimal import Decimal

import pytest

from processors.statements.notation.amounts import Amount
from processors.statements.notation.conventions import Conventions, find_conventions, join_conventions
from processors.statements.notation.dates import parse_date
from processors.statements.notation.debit_credit import RowAmounts


def row(direction: int, sign: str = "", side: str = "") -> RowAmounts:
    return RowAmounts(amount=Amount(Decimal(5), sign, side), direction=direction)


def find(dates=(), amounts=(), order="dmy", newest_first=None, is_card=False) -> Conventions:
    return find_conventions(
        [parse_date(text) for text in dates], amounts, order, newest_first=newest_first, is_card=is_card
    )


def test_order_of_dates_is_proven_by_a_number_above_twelve():
    assert find(["01/02/2025", "03/02/2025"]).date_order is None
    assert find(["01/02/2025", "13/02/2025"]).date_order == "dmy"
    assert find(["3 May 2025", "17 May 2025"]).date_order is None


@pytest.mark.parametrize(
    ("amounts", "unmarked"),
    [
        ([row(-1), row(-1), row(-1), row(1, "+")], -1),
        ([row(1), row(1), row(1), row(-1, "", "debit")], 1),
        ([row(-1), row(-1), row(1, "+")], None),  # too few
        ([row(-1), row(-1), row(1), row(1, "+")], None),
        ([row(-1), row(-1), row(-1)], None),  # nothing is marked
        ([row(0), row(0), row(0), row(1, "+")], None),
    ],
)
def test_unmarked_amounts_mean_what_all_of_them_mean(amounts: list[RowAmounts], unmarked: int | None):
    assert find(amounts=amounts).unmarked == unmarked


def test_card_matters_only_to_a_column_of_both_directions():
    assert find(amounts=[row(-1)], is_card=True).is_card is True
    assert find(amounts=[RowAmounts(debit=Amount(Decimal(5)), direction=-1)], is_card=True).is_card is None


def test_conventions_agree_unless_both_know_a_different_value():
    assert Conventions(date_order="dmy").agrees(Conventions(unmarked=1))
    assert not Conventions(date_order="dmy").agrees(Conventions(date_order="mdy"))
    assert Conventions(newest_first=True).agrees(Conventions(newest_first=False))


def test_accounts_that_contradict_one_another_prove_nothing():
    one, other = Conventions(date_order="dmy"), Conventions(unmarked=1)
    assert join_conventions([one, other]) == Conventions(date_order="dmy", unmarked=1)
    assert join_conventions([one, Conventions(date_order="mdy")]) == Conventions()
