"""Kinds of layouts that failed in a set drawn after public formats, each in the smallest form that shows it."""

from typed_pages import read_typed

from processors.statements import reasons


def _rows(document):
    return [(str(row.date), row.description, str(row.change)) for row in document.rows]


def test_first_column_of_dates_is_the_date_though_its_heading_is_unknown():
    document = read_typed("""
        Konto 123 456 789                       Auszug vom 28.02.2025

        Bu.     Buchungstext                 Wert        Betrag EUR
                Alter Kontostand per 31.01.2025            1.000,00
        03.02.  Wiener Strom                 04.02.          95,67-
        05.02.  Bankomat Praterstern         06.02.         104,33-
        07.02.  Gehalt Februar               07.02.       1.500,00
        09.02.  Miete Donaustadt             08.02.         300,00-
                Neuer Kontostand per 28.02.2025            2.000,00
    """)
    assert [row[0] for row in _rows(document)] == ["2025-02-03", "2025-02-05", "2025-02-07", "2025-02-09"]
    assert [str(row.value_date) for row in document.rows] == ["2025-02-04", "2025-02-06", "2025-02-07", "2025-02-08"]
    assert [row.description for row in document.rows][:2] == ["Wiener Strom", "Bankomat Praterstern"]
    assert not reasons(document)


def test_card_rows_with_the_date_of_the_booking_only_are_read():
    document = read_typed("""
        Credit card ending in 7719     Billing period 01/12/25 - 02/10/25
        Previous balance    $100.00
        New balance         $190.00

        Trans.  Post
        date    date    Description                   Amount
        Standard Purchases
        01/12   01/13   Uber trip                     $36.00
        01/17   01/18   Shell oil                     $14.00
        01/20   01/21   Whole foods                   $20.00
        Fees charged
                02/08   Late fee                      $15.00
        Interest charged
                02/09   Interest on purchases          $5.00
    """)
    days = ["2025-01-13", "2025-01-18", "2025-01-21", "2025-02-08", "2025-02-09"]
    assert [row[0] for row in _rows(document)] == days


def test_word_that_fills_empty_cells_is_no_text():
    document = read_typed("""
        Account Number 4412-87321       20 December 2024 to 28 January 2025

        Date      Transaction Details        Withdrawals ($)   Deposits ($)   Balance ($)
        21 DEC    Opening balance                      blank          blank      1,000.00
        22 DEC    Payment to energy                   100.00          blank        900.00
        23 DEC    Transfer from K Nguyen               blank         250.00      1,150.00
        27 DEC    Payment to water                     50.00          blank      1,100.00
        28 DEC    Salary blank cheque                  blank         400.00      1,500.00
    """)
    texts = ["Payment to energy", "Transfer from K Nguyen", "Payment to water", "Salary blank cheque"]
    assert [row.description for row in document.rows] == texts
    assert not reasons(document)


def test_totals_above_the_rows_of_each_direction_give_their_signs():
    document = read_typed("""
        Conta 7654321-0      01/01/2025 a 31/01/2025        VALORES EM R$
        Saldo inicial                                        1.000,00
        Saldo final do período                               1.090,00

        02/01/2025   Total de saídas                         - 170,00
                     Pix enviado padaria                       150,00
                     Compra no débito                           20,00
                     Saldo do dia                              830,00
        03/01/2025   Total de entradas                       + 500,00
                     Pix recebido Ana                          200,00
                     Resgate de fundo                          300,00
                     Total de saídas                         - 200,00
                     Pix enviado padaria                       120,00
                     Boleto de energia                          80,00
                     Saldo do dia                            1.130,00
        06/01/2025   Total de saídas                          - 40,00
                     Compra no débito                           40,00
    """)
    changes = ["-150.00", "-20.00", "200.00", "300.00", "-120.00", "-80.00", "-40.00"]
    assert [row[2] for row in _rows(document)] == changes
    assert [row[0] for row in _rows(document)] == ["2025-01-02"] * 2 + ["2025-01-03"] * 4 + ["2025-01-06"]
    assert not reasons(document)


def test_rows_that_happen_to_sum_up_are_no_totals():
    document = read_typed("""
        Account number: 00012345      Period 01/01/2025 - 31/01/2025

        Date         Description                      Amount
        02/01/2025   Shop                             -30.00
                     Refund shop                       30.00
        03/01/2025   Transfer                         -50.00
                     Cafe                             -20.00
                     Grocer                           -30.00
        04/01/2025   Transfer                          40.00
    """)
    assert len(document.rows) == 6


def test_amounts_with_stars_against_forgery_are_amounts():
    document = read_typed("""
        Passbook account number 7712345-06

        DATE      CODE          PAID OUT     PAID IN      BALANCE GBP
        01JAN25   B/FWD                                    **1,000.00
        03JAN25   CASH WDL        100.00                     **900.00
        04JAN25   CASH DEP                   *250.00       **1,150.00
        09JAN25   CHQ WDL          50.00                   **1,100.00
    """)
    assert [str(row.balance) for row in document.rows] == ["900.00", "1150.00", "1100.00"]
    assert [row[2] for row in _rows(document)] == ["-100.00", "250.00", "-50.00"]
    assert not reasons(document)


def test_amounts_below_one_may_lack_the_zero():
    document = read_typed("""
        Account number: 164012-345678    01/01/2025 - 31/01/2025

        Entry date   Description                Amount     Balance
                     Beginning balance                    1,000.00
        02/01/25     Sale debit                 99.47-      900.53
        03/01/25     Service charge               .53-      900.00
        04/01/25     Salary credit             100.00+    1,000.00
        05/01/25     Service charge               .50-      999.50
    """)
    assert [row[2] for row in _rows(document)] == ["-99.47", "-0.53", "100.00", "-0.50"]
    assert not reasons(document)


def test_digits_lost_before_a_decimal_mark_are_no_small_amount():
    document = read_typed("""
        Account number: 164012-345678    01/01/2025 - 31/01/2025

        Entry date   Description                Amount     Balance
                     Beginning balance                    1,000.00
        02/01/25     Sale debit               99   .47-     900.53
        03/01/25     Service charge             10.53-      890.00
        04/01/25     Salary credit             100.00+      990.00
    """)
    assert reasons(document)


def test_years_of_the_reiwa_era_are_read_as_such():
    document = read_typed("""
        普通預金　お取引明細
        口座番号 4567890

        年月日      お支払金額   お預り金額   お取引内容          差引残高
        07-01-05                              繰越               *412,300
        07-01-14                 278,246      給与               *690,546
        07-01-17        23,334                カード              *667,212
        07-01-18                 155,746      振込               *822,958
        07-02-20         5,000                ＡＴＭ出金           *817,958
    """)
    assert [row[0] for row in _rows(document)] == ["2025-01-14", "2025-01-17", "2025-01-18", "2025-02-20"]
    assert [str(row.balance) for row in document.rows] == ["690546", "667212", "822958", "817958"]
    assert any("Reiwa" in note for note in document.notes)


def test_total_of_a_cards_purchases_is_no_row():
    document = read_typed("""
        Credit card account number 3791 123456 21005
        Previous balance 100.00        Closing balance 160.00
        Statement 04/01/2025 to 04/02/2025

        Date          Transaction Details                Amount
        05/01/2025    Sainsburys                          80.00
        09/01/2025    Payment received                   100.00 CR
        11/01/2025    Uber trip                           30.00
        17/01/2025    Airline                             50.00
                      Total new spend for MISS E FORD    160.00
    """)
    assert [row[2] for row in _rows(document)] == ["-80.00", "100.00", "-30.00", "-50.00"]
    assert not reasons(document)


def test_rows_under_a_line_with_their_day_belong_to_it_on_each_page():
    first = """
        Tili 123456-785             Kausi 01.01.2025 - 31.01.2025
        ALKUSALDO 01.01.2025                        1.000,00+

        NRO  SELITYS                                  MAARA EUR
        KIRJAUSPAIVA 02.01.2025
          1  PALKKA NOKKA OY                            500,00+
             SALDO    02.01.                          1.500,00+
        KIRJAUSPAIVA 04.01.2025
          2  PRISMA HELSINKI                            100,00-
          3  ELISA OYJ LASKU                             50,00-
             SALDO    04.01.                          1.350,00+
        KIRJAUSPAIVA 09.01.2025
          4  HSL MOBIILI                                 20,00-
          5  KELA ASUMISTUKI                             30,00+
    """
    second = """
          6  PRISMA HELSINKI                             60,00-
          7  AUTOMAATTINOSTO                             40,00-
             SALDO    09.01.                          1.260,00+
        KIRJAUSPAIVA 11.01.2025
          8  PRISMA HELSINKI                            100,00-
             SALDO    11.01.                          1.160,00+
        LOPPUSALDO 31.01.2025                         1.160,00+
    """
    document = read_typed(first, second)
    days = ["02", "04", "04", "09", "09", "09", "09", "11"]
    assert [row[0] for row in _rows(document)] == [f"2025-01-{day}" for day in days]
    assert not reasons(document)


def test_total_that_includes_the_opening_balance_is_no_mismatch():
    document = read_typed("""
        Conto corrente n. 40123456        Estratto al 31.03.2025

        DATA       VALUTA     DESCRIZIONE                 USCITE       ENTRATE
        31.12.24              SALDO INIZIALE                          1.000,00
        05.01.25   05.01.25   PAGAMENTO POS               100,00
        09.01.25   09.01.25   ACCREDITO STIPENDIO                       500,00
        11.02.25   11.02.25   PRELIEVO                     50,00
                              TOTALI                      150,00      1.500,00
        31.03.25              SALDO FINALE                            1.350,00
    """)
    assert not reasons(document)


def test_account_numbers_under_other_labels():
    page = """
        {label}
        Period 01/01/2025 - 31/01/2025

        Date         Description               Amount     Balance
        02/01/2025   Shop                       -1.00       99.00
        03/01/2025   Cafe                       -2.00       97.00
    """
    wanted = {
        "Account number ending in: 7719": "7719",
        "Membership Number xxxx-xxxxxx-21005": "XXXX-XXXXXX-21005",
        "Номер счёта 40817 810 9 3800 1234567": "40817810938001234567",
    }
    for label, number in wanted.items():
        assert read_typed(page.format(label=label)).statements[0].account == number


def test_holder_after_the_words_of_the_account():
    document = read_typed("""
        Titular da conta JOAO PEDRO ALMEIDA
        Conta: 0035 0651 00012345630

        Data         Descricao               Valor       Saldo
        02/01/2025   Compra                  -1.00       99.00
        03/01/2025   Cafe                    -2.00       97.00
        04/01/2025   Cafe                    -2.00       95.00
        05/01/2025   Cafe                    -2.00       93.00
    """)
    assert document.statements[0].holder == "JOAO PEDRO ALMEIDA"


def test_lines_below_totals_that_they_do_not_make_up_are_no_rows():
    document = read_typed("""
        Account number: 00012345      Period 01/01/2025 - 31/01/2025

        Date         Description                Out         In     Balance
        02/01/2025   Shop                     30.00                  70.00
        03/01/2025   Cafe                     20.00                  50.00
        04/01/2025   Salary                            100.00       150.00
        Total debits                          50.00
        Total credits                                  100.00
        Fees of the year so far                7.00
    """)
    assert len(document.rows) == 3
    assert [each.text for each in document.unread] == ["Fees of the year so far 7.00"]


def test_balance_that_grows_with_each_debit_is_owed_whatever_it_is_called():
    document = read_typed("""
        Gold Rewards     Membership Number xxxx-xxxxxx-21005     04/01/2025 to 04/02/2025
        Previous Balance   New Balance
              100.00         160.00

        Date          Transaction Details                Amount
        05/01/2025    Sainsburys                          80.00
        09/01/2025    Payment received                   100.00 CR
        11/01/2025    Uber trip                           30.00
        17/01/2025    Airline                             50.00
    """)
    assert [row[2] for row in _rows(document)] == ["-80.00", "100.00", "-30.00", "-50.00"]
    assert not reasons(document)


def test_rows_by_date_of_posting_have_transaction_dates_in_any_order():
    document = read_typed("""
        Credit card ending in 7719     Billing period 12/01/25 - 10/02/25
        Previous balance    100.00
        New balance         225.00

        Trans. date   Post date   Description               Amount
        12/01/25      13/01/25    Uber trip                  36.00
        19/01/25      21/01/25    Shell oil                  14.00
        18/01/25      22/01/25    Whole foods                20.00
        25/01/25      26/01/25    Bakery                     10.00
        27/01/25      28/01/25    Grocer                     15.00
        29/01/25      30/01/25    Cinema                     30.00
    """)
    assert not reasons(document)


def test_closing_balance_and_sum_of_the_rows_find_the_opening_balance():
    document = read_typed("""
        Konto 123 456 789

        Datum       Text                        Betrag EUR
                    Stand der vorigen Seite       1.000,00
        03.02.2025  Strom                           95,67-
        05.02.2025  Bankomat                       104,33-
        07.02.2025  Gehalt                       1.500,00
        09.02.2025  Miete                          300,00-
                    Neuer Kontostand              2.000,00
    """)
    assert str(document.statements[0].opening) == "1000.00"
    assert not reasons(document)


def test_balances_in_the_column_of_amounts_are_found_by_their_sums():
    document = read_typed("""
        Tili 123456-785             Kausi 01.01.2025 - 31.01.2025
        ALKUSALD0 01.01.2025                          1.000,00+

        02.01.  1  PALKKA NOKKA OY                      500,00+
                   SALD0 02.01.                       1.500,00+
        04.01.  2  PRISMA HELSINKI                      100,00-
                3  ELISA OYJ LASKU                       50,00-
                   SALDO 04.01.                       1.350,00+
        09.01.  4  HSL MOBIILI                           20,00-
                5  KELA ASUMISTUKI                       30,00+
                   SALDO 09.01.                       1.360,00+
        11.01.  6  PRISMA HELSINKI                      360,00-
                   SALDO 11.01.                       1.000,00+
    """)
    assert [row[2] for row in _rows(document)] == ["500.00", "-100.00", "-50.00", "-20.00", "30.00", "-360.00"]
    assert (str(document.statements[0].opening), str(document.statements[0].closing)) == ("1000.00", "1000.00")
    assert not reasons(document)


def test_section_named_in_a_heading_row_gives_its_rows_their_direction():
    document = read_typed("""
        Explore it             Open to Close Date: 01/10/2025 - 02/09/2025
        Account number ending in 4402
        Previous Balance          $512.60
        New Balance               $262.60

        DATE     PAYMENTS AND CREDITS                              AMOUNT
        01/22    INTERNET PAYMENT THANK YOU                      -$350.00

        DATE     PURCHASES                MERCHANT CATEGORY        AMOUNT
        01/12    AMAZON SEATTLE           Merchandise              $60.00
        01/15    SHELL AUSTIN             Gasoline                 $20.00
        01/28    HEB AUSTIN               Supermarkets             $20.00
    """)
    assert [row[2] for row in _rows(document)] == ["350.00", "-60.00", "-20.00", "-20.00"]
    assert document.statements[0].is_liability
    assert not reasons(document)


def test_name_of_a_card_above_the_rows_tells_a_card():
    document = read_typed("""
        TC CASH BACK VISA CARD
        Account Number: 4520 XXXX XXXX 8812
        Statement period: January 04, 2025 to February 03, 2025

        DATE     DATE     ACTIVITY DESCRIPTION            AMOUNT($)
                          PREVIOUS STATEMENT BALANCE        $410.55
        JAN 5    JAN 6    TIM HORTONS                        $20.00
        JAN 9    JAN 10   LCBO                               $30.00
        JAN 20   JAN 21   PREAUTHORIZED PAYMENT            -$410.55
        JAN 25   JAN 27   PRESTO                             $40.00
                          TOTAL NEW BALANCE                  $90.00
    """)
    assert [row[2] for row in _rows(document)] == ["-20.00", "-30.00", "410.55", "-40.00"]
    assert not reasons(document)


def test_amounts_of_what_may_be_a_card_need_review():
    document = read_typed("""
        Explorer card 4402
        Account number 4402 1234
        01/10/2025 - 02/09/2025
        Previous Balance          $512.60
        New Balance               $262.60

        DATE     DESCRIPTION                              AMOUNT
        01/22    INTERNET PAYMENT                       -$350.00
        01/24    AMAZON SEATTLE                           $60.00
        01/25    SHELL AUSTIN                             $20.00
        01/28    HEB AUSTIN                               $20.00
    """)
    assert any("credit card" in reason for reason in reasons(document))


def test_visa_debit_card_is_no_credit_card():
    document = read_typed("""
        Checking with Visa Debit Card
        Account number 4402 1234      01/10/2025 - 02/09/2025

        DATE     DESCRIPTION                              AMOUNT      BALANCE
                 Beginning balance                                    $512.60
        01/22    RENT                                   -$350.00      $162.60
        01/24    PAYROLL                                  $60.00      $222.60
        01/25    GROCER                                  -$20.00      $202.60
    """)
    assert [row[2] for row in _rows(document)] == ["-350.00", "60.00", "-20.00"]
    assert not reasons(document)


def test_year_before_the_words_of_a_balance_is_that_of_its_date():
    document = read_typed("""
        Account Number 06 2000 12345678     Statement Period 1 Jan 2025 - 31 Jan 2025

        Date     Transaction               Debit     Credit         Balance
        01 Jan   2025 OPENING BALANCE                           $1,000.00 CR
        02 Jan   Direct Debit              100.00                 $900.00 CR
        05 Jan   Salary                               $50.00      $950.00 CR
        31 Jan   2025 CLOSING BALANCE                             $950.00 CR
    """)
    assert [row[2] for row in _rows(document)] == ["-100.00", "50.00"]
    assert not reasons(document)


def test_minus_before_a_payment_that_was_received_is_that_of_a_card():
    sections = {
        "": "",
        "PAYMENTS AND OTHER CREDITS": "PURCHASE",
        "KIM LEE #4471: Payments, Credits and Adjustments": "Of the usual kind",
    }
    for section, other in sections.items():
        document = read_typed(f"""
            Crest Sapphire           01/09/2025 - 02/08/2025
            Previous Balance          $512.60
            New Balance               $262.60

            DATE     DESCRIPTION                              AMOUNT
            {section}
            01/22    {"Web transfer" if section else "Payment Thank You-Mobile"}                      -$350.00
            {other}
            01/24    AMAZON SEATTLE                           $60.00
            01/25    SHELL AUSTIN                             $20.00
            01/28    HEB AUSTIN                               $20.00
        """)
        assert [row[2] for row in _rows(document)] == ["350.00", "-60.00", "-20.00", "-20.00"]


def test_payments_beside_charges_are_credits_of_what_is_owed():
    document = read_typed("""
        Harwood Stores      Account number 8831 2201      09/01/2025 to 08/02/2025

        Date         Description                  Charges     Payments      Balance
                     Balance brought forward                                 200.00
        12/01/2025   Food hall                     100.00                    300.00
        13/01/2025   Ladieswear                     50.00                    350.00
        22/01/2025   Payment received                           150.00       200.00
        23/01/2025   Food hall                      10.00                    210.00
    """)
    assert [row[2] for row in _rows(document)] == ["-100.00", "-50.00", "150.00", "-10.00"]
    assert document.statements[0].is_liability
    assert not reasons(document)


def test_title_that_names_no_section_ends_the_section_of_the_table_above():
    document = read_typed("""
        Quantum Card             01/09/2025 - 02/08/2025
        Previous Balance          $512.60
        New Balance               $262.60

        KIM LEE #4471: Payments, Credits and Adjustments
        DATE     DESCRIPTION                              AMOUNT
        01/22    Web transfer                           -$350.00

        KIM LEE #4471: Transactions
        DATE     DESCRIPTION                              AMOUNT
        01/24    AMAZON SEATTLE                           $60.00
        01/25    SHELL AUSTIN                             $20.00
        01/28    HEB AUSTIN                               $20.00
    """)
    assert [row[2] for row in _rows(document)] == ["350.00", "-60.00", "-20.00", "-20.00"]
    assert not reasons(document)


def test_deposit_that_was_returned_makes_no_card_of_an_account():
    document = read_typed("""
        Account number: 00012345      Period 01/01/2025 - 31/01/2025
        Beginning balance          $100.00
        Ending balance             $220.00

        Deposits and other credits
        Date         Description                      Amount
        02/01/2025   Payment received                  50.00
        03/01/2025   Transfer                         100.00
        04/01/2025   Returned deposit                 -20.00
        05/01/2025   Transfer                          30.00
        Withdrawals and other debits
        Date         Description                      Amount
        06/01/2025   Card purchase                     40.00
    """)
    assert [row[2] for row in _rows(document)] == ["50.00", "100.00", "-20.00", "30.00", "-40.00"]
    assert not document.statements[0].is_liability
    assert not reasons(document)


def test_words_of_a_payment_in_a_row_make_no_card_of_an_account():
    document = read_typed("""
        Account number: 00012345      Period 01/01/2025 - 31/01/2025

        Date         Description                       Amount     Balance
        01/01/2025   Opening balance                               100.00
        02/01/2025   Commercial Merci payment, thank you   -50.00        50.00
        03/01/2025   Payment received                  100.00       150.00
        04/01/2025   Shop, thank you                   -20.00       130.00
    """)
    assert [row[2] for row in _rows(document)] == ["-50.00", "100.00", "-20.00"]
    assert not reasons(document)


def test_purchase_on_a_line_of_its_own_is_text_of_its_row():
    document = read_typed("""
        Account number: 00012345      Period 01/01/2025 - 31/01/2025

        Date         Description               Out         In     Balance
        02/01/2025   CARD PURCHASE
                     Pinecone Books          30.00                  70.00
        03/01/2025   CARD PURCHASE
                     Cafe                    20.00                  50.00
        04/01/2025   SALARY                             100.00     150.00
    """)
    assert [row.description for row in document.rows] == [
        "CARD PURCHASE Pinecone Books",
        "CARD PURCHASE Cafe",
        "SALARY",
    ]
