"""Formats of banks that no other test shows, each as a short page: every row is read, and nothing needs a review."""

from decimal import Decimal

import pytest
from typed_pages import read_typed

from processors.statements import reasons

AMOUNT_BEFORE_TEXT = """
    Virtual Wallet Statement            For the period 03/13/2026 to 04/10/2026
    Account number: XX-XXXX-4471
    Balance Summary
    Beginning balance   Deposits and other additions   Checks and other deductions   Ending balance
    1,000.00            500.00                         130.00                        1,370.00

    Deposits and Other Additions
    Date     Amount    Description
    03/15    400.00    Direct Deposit Payroll ACME
    03/20    100.00    Mobile Deposit 4471

    Banking/Debit Card Withdrawals and Purchases
    Date     Amount    Description
    03/16     30.00    4471 Debit Card Purchase Giant Eagle
    03/18     60.00    POS Purchase Target T-1188 Pittsburgh PA
    04/02     40.00    ATM Withdrawal 5500 Forbes

    Daily Balance Detail
    Date    Balance     Date    Balance
    03/13   1,000.00    03/16   1,370.00
"""
BALANCE_OF_A_DAY = """
    Wells Example Everyday Checking             March 31, 2026
    Account number: 4471882044
    Statement period activity summary
    Beginning balance on 3/1      $1,000.00
    Deposits/Additions               500.00
    Withdrawals/Subtractions       - 220.00
    Ending balance on 3/31        $1,280.00

    Transaction history
                   Check                                            Deposits/     Withdrawals/     Ending daily
    Date           Number   Description                             Additions     Subtractions          balance
    3/2                     Purchase authorized on 03/01 Safeway                         50.00
    3/2                     Recurring Payment Netstream                                  20.00           930.00
    3/6            1188     Check                                                       100.00           830.00
    3/15                    Payroll ACME PPD                           500.00
    3/15                    Zelle to Ann on 03/14                                        50.00         1,280.00
    Ending balance on 3/31                                                                             1,280.00
    Totals                                                             500.00           220.00
"""
SIGNS_IN_CELLS = """
    U.S. Example Bank   Account Number: 1-044-7188-2044    Statement Period: Mar 2, 2026 through Mar 31, 2026
    Account Summary
    Beginning Balance on Mar 2   $   1,000.00
    Customer Deposits                  200.00
    Card Withdrawals                    60.00-
    Other Withdrawals                  140.00-
    Ending Balance on Mar 31, 2026 $ 1,000.00

    Customer Deposits
    Date     Description of Transaction            Ref Number       Amount
    Mar 9    ATM Deposit                           8014471882    $   200.00
                                  Total Customer Deposits        $   200.00
    Card Withdrawals
    Card Number: xxxx-xxxx-xxxx-4471
    Date     Description of Transaction            Ref Number       Amount
    Mar 3    Debit Purchase - VISA ALDI            5014471882    $    20.00-
    Mar 12   Debit Purchase - VISA TARGO           5014471883         40.00-
                   Card 4471 Withdrawals Subtotal                $    60.00-
                                  Total Card Withdrawals         $    60.00-
    Other Withdrawals
    Date     Description of Transaction            Ref Number       Amount
    Mar 16   Electronic Withdrawal To XCEL                       $   140.00-
                                  Total Other Withdrawals        $   140.00-
    Balance Summary
    Date      Ending Balance     Date     Ending Balance
    Mar 3           980.00       Mar 12        1,140.00
"""
SUBTOTALS = """
    TD Example Convenience Checking
    JANE ROE                                 Page: 1 of 2
    Account # 447-1882044                    Statement Period: Mar 04 2026-Apr 03 2026

    ACCOUNT SUMMARY
    Beginning Balance   1,000.00
    Electronic Deposits   300.00
    Electronic Payments   120.00
    Ending Balance      1,180.00

    DAILY ACCOUNT ACTIVITY
    Electronic Deposits
    POSTING DATE   DESCRIPTION                            AMOUNT
    03/09          ACH DEPOSIT, ACME PAYROLL              300.00
                                           Subtotal:      300.00
    Electronic Payments
    POSTING DATE   DESCRIPTION                            AMOUNT
    03/10          DEBIT CARD PURCHASE, *****4471 CVS      20.00
    03/22          ELECTRONIC PMT-WEB, VERIZON            100.00
                                           Subtotal:      120.00
"""
DATE_AFTER_TEXT = """
    Kontoauszug Nr. 03/2026    01.03.2026 bis 31.03.2026
    MAX MUSTER    IBAN: DE14 6415 0020 0004 4718 82 • BIC: NTSBDEB1XXX

    Beschreibung                    Verbuchungsdatum     Betrag
    REWE Markt                      02.03.2026           -20,00€
    Mastercard • Lebensmittel
    Wertstellung 01.03.2026
    ACME GmbH                       10.03.2026           +300,00€
    Gutschriften
    Wertstellung 10.03.2026
    Vodafone                        13.03.2026           -100,00€
    Lastschriften
    Wertstellung 13.03.2026

    Zusammenfassung
    Dein alter Kontostand  1.000,00€
    Ausgehende Transaktionen -120,00€
    Eingehende Transaktionen +300,00€
    Dein neuer Kontostand  +1.180,00€
"""
DOTS_IN_EMPTY_CELLS = """
    RELEVE DE COMPTE    du 28.02.2026 au 31.03.2026 - N° 12
    Compte : 00447 118820Y 44
    DATE   LIBELLE                       VALEUR       DEBIT        CREDIT
           ANCIEN SOLDE                                            1 000,00
    02.03  CB CARREFOUR 28/02/26         02.03.26     20,00          .
    10.03  VIREMENT ACME SALAIRE         10.03.26       .          300,00
    13.03  PRLV SEPA ORANGE              13.03.26    100,00          .
           TOTAUX                                    120,00      1 300,00
           SOLDE EN EUROS                                          1 180,00
"""
MONTH_IN_TITLE = """
    EXTRACTO DE MARZO 2026    IBAN ES91 2100 0418 4502 0005 1332
    F. OPER.   F. VALOR   CONCEPTO                        IMPORTE      SALDO
                          SALDO ANTERIOR                            1.000,00
    02/03      01/03      PAGO CON TARJETA MERCADONA      -20,00      980,00
                          4471882044718820 MERCADONA MADRID
    10/03      10/03      ABONO DE NOMINA ACME            300,00    1.280,00
    13/03      13/03      RECIBO VODAFONE                -100,00    1.180,00
                          SALDO A SU FAVOR                          1.180,00
"""
FURTHER_AMOUNTS = """
    FNB EXAMPLE  Gold Business Account : 62447188204     Statement Period : 28 February 2026 to 31 March 2026
    Opening Balance  1,000.00 Cr     Closing Balance  1,180.00 Cr
    Transactions in RAND (ZAR)
    Date     Description                       Amount      Balance     Accrued
                                                                       Bank
                                                                       Charges
    02 Mar   POS Purchase Checkers Sandton      20.00     980.00Cr
    10 Mar   Magtape Credit ACME               300.00Cr  1,280.00Cr      6.50
    13 Mar   Internet Pmt To Vodacom           100.00    1,180.00Cr      3.20
"""
DATE_IN_TWO_WORDS = """
    STANDARD EXAMPLE    Account Number 10 044 718 8     Statement from 01 March 2026 to 31 March 2026
    Details                                Service   Debits      Credits     Date     Balance
                                           Fee
    BALANCE BROUGHT FORWARD                                                  03 01    1,000.00
    CHEQUE CARD PURCHASE                             20.00-                  03 02      980.00
    CHECKERS 4471*8820 28 FEB
    CREDIT TRANSFER                                              300.00      03 10    1,280.00
    ACME SALARY
    DEBIT ORDER VODACOM                             100.00-                  03 13    1,180.00
"""
LABELS_OF_A_SUM = """
    American Express   Statement of Account   Prepared for J ROE   Membership Number xxxx-xxxxxx-44718  Date 12/04/26
    Previous Balance £   Less Payments £   Plus New Transactions £   Equals New Balance £
    200.00               200.00            150.50                    150.50
    Transaction   Process
    Date          Date       Transaction Details               Foreign Spending   Amount £
    Mar14         Mar14      PAYMENT RECEIVED - THANK YOU                         200.00
                                                                                  CR
    Mar15         Mar16      TESCO STORES 4471 LONDON                              50.50
    Mar19         Mar20      AMAZON.CO.UK                                          30.00
    Apr4          Apr5       SHELL KEW                                             70.00
"""


@pytest.mark.parametrize(
    ("text", "changes", "ends"),
    [
        pytest.param(AMOUNT_BEFORE_TEXT, "400 100 -30 -60 -40", "1000 1370", id="amount before text"),
        pytest.param(BALANCE_OF_A_DAY, "-50 -20 -100 500 -50", "1000 1280", id="balance of a day"),
        pytest.param(SIGNS_IN_CELLS, "200 -20 -40 -140", "1000 1000", id="signs in cells"),
        pytest.param(SUBTOTALS, "300 -20 -100", "1000 1180", id="subtotals"),
        pytest.param(DATE_AFTER_TEXT, "-20 300 -100", "1000 1180", id="date after text"),
        pytest.param(DOTS_IN_EMPTY_CELLS, "-20 300 -100", "1000 1180", id="dots in empty cells"),
        pytest.param(MONTH_IN_TITLE, "-20 300 -100", "1000 1180", id="month in title"),
        pytest.param(FURTHER_AMOUNTS, "-20 300 -100", "1000 1180", id="further amounts"),
        pytest.param(DATE_IN_TWO_WORDS, "-20 300 -100", "1000 1180", id="date in two words"),
        pytest.param(LABELS_OF_A_SUM, "200 -50.5 -30 -70", "200 150.5", id="labels of a sum"),
    ],
)
def test_format_is_read_completely(text: str, changes: str, ends: str):
    document = read_typed(text)
    (statement,) = document.statements
    assert [row.change for row in statement.rows] == [Decimal(change) for change in changes.split()]
    assert [statement.opening, statement.closing] == [Decimal(end) for end in ends.split()]
    assert all(row.date and (row.date.year, row.date.month) in ((2026, 3), (2026, 4)) for row in statement.rows)
    assert not reasons(document)
