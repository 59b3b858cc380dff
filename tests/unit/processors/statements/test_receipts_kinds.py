"""What receipts print that a sum does not show at once: deposits, bases of taxes, codes, savings, service charges."""

from decimal import Decimal

from typed_pages import read_typed_receipt as read


def test_deposit_paid_before_is_no_item():
    receipt = read(
        """
        THE QUAY HOTEL
        Arrival:   27 FEB 2025
        Departure: 02 MAR 2025
        Room                139.00
        Bar                  24.50
        Breakfast            12.40
        Total EUR           175.90
        Advance Deposit    -100.00
        Balance Due          75.90
        Visa                 75.90
        02 MAR 2025 10:47
        """
    )
    assert (receipt.total, str(receipt.date), len(receipt.items)) == (Decimal("175.90"), "2025-03-02", 3)
    assert receipt.reasons == []


def test_base_of_a_tax_is_no_tax():
    receipt = read(
        """
        KØBMANDEN
        BRØD                 36,00
        MÆLK                 64,00
        I ALT DKK           100,00
        DANKORT             100,00
        Heraf moms 25%       20,00
        Moms grundlag        80,00
        27.02.2025
        """
    )
    assert (receipt.tax, receipt.tax_confirmed_by, receipt.reasons) == (20, "net + tax = total", [])


def test_taxes_of_gross_amounts_by_code():
    receipt = read(
        """
        KIOSK AM BAHNHOF
        CHE-108.441.277 MWST
        Zeitung               4.90 1
        Wasser                2.80 1
        Feuerzeug             2.50 2
        Aktion                1.02-1
        TOTAL CHF             9.18
        Bar CHF              10.00
        Zurück CHF            0.82
        Cd  MWST%   Total     MWST
        1    2.60    6.68     0.17
        2    8.10    2.50     0.19
        01.03.2025 09:14
        """
    )
    assert [item.price for item in receipt.items][-1] == Decimal("-1.02")
    assert (receipt.total, receipt.tax, receipt.reasons) == (Decimal("9.18"), Decimal("0.36"), [])


def test_sum_of_discounts_is_not_subtracted_again():
    receipt = read(
        """
        FENWICK FOODS
        Milk                 £1.65
        Fish pie             £4.25
        Fish pie             £4.25
        2 FOR £7.00         -£1.50
        Cheddar              £4.50
        Card price £3.50    -£1.00
        SUBTOTAL            £14.65
        SAVINGS             -£2.50
        TOTAL               £12.15
        VISA                £12.15
        04/03/25 17:48
        """
    )
    assert (receipt.total, receipt.discount, len(receipt.items)) == (Decimal("12.15"), Decimal("-2.50"), 6)
    assert receipt.reasons == []


def test_service_charge_below_the_subtotal_is_no_item():
    receipt = read(
        """
        Sagar Restaurant
        GSTIN 29AAKFU4188Q1Z7
        Masala Dosa         330.00
        Idli Vada           150.00
        Sub Total           480.00
        Service Charge 5%    24.00
        CGST 2.5%            12.60
        SGST 2.5%            12.60
        Round Off            -0.20
        Grand Total   Rs.   529.00
        02-Mar-25 01:26 PM
        """
    )
    assert [item.price for item in receipt.items] == [330, 150]
    assert (receipt.total, receipt.tax, receipt.reasons) == (529, Decimal("25.20"), [])


def test_price_of_one_is_no_part_of_the_description():
    receipt = read(
        """
        MESÓN LA ENCINA
        3   MENU FIN DE SEMANA 18,50   55,50
        2   CAÑA               2,20     4,40
        TOTAL EUROS                    59,90
        16/02/2025 15:31
        """
    )
    assert [item.description for item in receipt.items] == ["3 MENU FIN DE SEMANA", "2 CAÑA"]


def test_taxes_below_their_amounts():
    receipt = read(
        """
        まるやまストア
        2025年3月8日 12:41
        ハンドソープ            ¥298
        乾電池 単3
        @430 ×2点              ¥860
        おにぎり               ¥158
        合計                 ¥1,316
        (10%対象             ¥1,158)
        (内消費税等            ¥105)
        (8%対象                ¥158)
        (内消費税等             ¥11)
        現金                 ¥1,316
        """
    )
    assert [(line.rate, line.tax) for line in receipt.taxes] == [(10, 105), (8, 11)]
    assert receipt.items[1].description == "乾電池 単3" and receipt.reasons == []


def test_code_glued_to_a_price_is_no_digit_of_it():
    receipt = read(
        """
        HALLES DU PORT
        CAFE               3,95 5
        PATES              2,70 5
        BEURRE             2,59 5
        LESSIVE            9,907
        TOTAL EUR         19,14
        06/03/25 18:52
        """
    )
    assert [item.price for item in receipt.items][-1] == Decimal("9.90") and receipt.total == Decimal("19.14")


def test_liters_above_their_price_are_no_amount():
    receipt = read(
        """
        TANKSTELLE NORD
        38,42 Liter x 1,729 EUR/L
        Super E10                66,43
        TOTAL EUR                66,43
        Karte                    66,43
        06.03.2025 klo 10.26
        """
    )
    assert [(item.quantity, item.price) for item in receipt.items] == [(Decimal("38.42"), Decimal("66.43"))]
    assert receipt.reasons == []
