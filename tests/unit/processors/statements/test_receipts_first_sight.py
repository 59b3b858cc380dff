"""Invented receipts, typed after the first version of the code: what they print; no misread digit stays unnoticed."""

import re

import pytest
from test_receipts_languages import RECEIPTS
from typed_pages import read_typed_receipt, typed_page

from processors.statements.receipts import Receipt, read_receipt

TYPED = {  # text; shop, date, total, tax, currency; number of items
    "tr": (
        """
               YILDIZ MARKET
            Cumhuriyet Cad. No:12
        TARIH : 03/02/2025   SAAT : 14:22
        FIS NO: 0042
        EKMEK          %1            *12,50
        SUT 1L         %1            *34,90
        DETERJAN       %20          *129,00
        TOPKDV                       *21,97
        TOPLAM                      *176,40
        NAKIT                       *200,00
        PARA USTU                    *23,60
        """,
        ("YILDIZ MARKET", "2025-02-03", "176.40", "21.97", "TRY"),
        3,
    ),
    "pt": (
        """
             PASTELARIA DO CAIS
             NIF 501234567
        Fatura Simplificada FS 1/234
        2025-02-08 09:12
        2 x Pastel de Nata    1,30      2,60
        1 x Galao             1,60      1,60
        TOTAL EUR                       4,20
        Multibanco                      4,20
        Taxa   Base    IVA    Total
        13%    3,72    0,48    4,20
        """,
        ("PASTELARIA DO CAIS", "2025-02-08", "4.20", "0.48", "EUR"),
        2,
    ),
    "dk": (
        """
              Havnens Bageri
              CVR 12345678
        Rundstykke        4 x 8,00     32,00
        Kaffe                          28,00
        I alt DKK                      60,00
        Heraf moms 25%                 12,00
        Dankort                        60,00
        05-02-2025 08:03
        """,
        ("Havnens Bageri", "2025-02-05", "60.00", "12.00", "DKK"),
        2,
    ),
    "hu": (
        """
              KISBOLT KFT.
            Adószám: 12345678-2-42
                 NYUGTA
        KENYÉR             C00         899 Ft
        TEJ                C00         459 Ft
        ÖSSZESEN:                    1 358 Ft
        KÉSZPÉNZ                     1 500 Ft
        VISSZAJÁRÓ                     142 Ft
        2025.02.06. 17:33
        """,
        ("KISBOLT KFT.", "2025-02-06", "1358", None, "HUF"),
        2,
    ),
    "cz": (
        """
             Potraviny U Lípy
             DIČ CZ12345678
        Rohlík   10 ks x 3,50         35,00
        Máslo                         59,90
        Sleva                         -5,00
        Zaokrouhlení                   0,10
        Celkem Kč                     90,00
        Hotovost                     100,00
        Vráceno                       10,00
        DPH 12%   základ 80,27         9,63
        Datum: 4.2.2025 15:20
        """,
        ("Potraviny U Lípy", "2025-02-04", "90.00", "9.63", "CZK"),
        3,
    ),
    "in": (
        """
              SHREE SWEETS
            GSTIN 27ABCDE1234F1Z5
        Bill No 118   Date 07/02/25 19:40
        Item           Qty   Rate    Amt
        Samosa          4   20.00   80.00
        Lassi           2   60.00  120.00
        Sub Total                  200.00
        CGST 2.5%                    5.00
        SGST 2.5%                    5.00
        Grand Total                210.00
        UPI                        210.00
        """,
        ("SHREE SWEETS", "2025-02-07", "210.00", "10.00", "INR"),
        2,
    ),
    "mx": (
        """
             TACOS EL NORTE
             RFC TEN010203AB1
        Fecha 10/02/2025 21:05
        5 Tacos pastor             $95.00
        2 Agua fresca              $50.00
        Total                     $145.00
        Incluye IVA                $20.00
        Efectivo                  $200.00
        Cambio                     $55.00
        """,
        ("TACOS EL NORTE", "2025-02-10", "145.00", "20.00", "MXN"),
        2,
    ),
    "sg": (
        """
             Kopi Corner Pte Ltd
             UEN 201912345K
        12/02/2025 13:11
        Kaya Toast                  4.80
        Kopi C                      2.40
        Subtotal                    7.20
        Service Charge 10%          0.72
        GST 9%                      0.71
        Total                       8.63
        Rounding                   -0.03
        Amount Due             SGD  8.60
        NETS                        8.60
        """,
        ("Kopi Corner Pte Ltd", "2025-02-12", "8.60", "0.71", "SGD"),
        2,
    ),
    "cn": (
        """
             小城面馆
        日期：2025-02-05 12:30
        牛肉面        1        28.00
        凉拌黄瓜      1        12.00
        可乐          2        10.00
        合计                   50.00
        微信支付               50.00
        """,
        ("小城面馆", "2025-02-05", "50.00", None, "CNY"),
        3,
    ),
    "fuel": (
        """
             TANKSTELLE NORD
          Autohof 3, 24534 Neumünster
        Zapfsäule 4
        Super E10
          38,52 l x 1,729 EUR/l        66,60 A
        Gesamtbetrag EUR               66,60
        Girocard                       66,60
        A: 19% MwSt  10,63  Netto      55,97
        11.02.2025  06:48
        """,
        ("TANKSTELLE NORD", "2025-02-11", "66.60", "10.63", "EUR"),
        1,
    ),
    "park": (
        """
             PARKING CENTRAL
        Entrée 12/02/2025 09:02
        Sortie 12/02/2025 11:40
        Montant TTC           6,40 EUR
        dont TVA 20%          1,07 EUR
        Carte bancaire        6,40 EUR
        """,
        ("PARKING CENTRAL", "2025-02-12", "6.40", "1.07", "EUR"),
        0,
    ),
    "us2": (
        """
             GREENLEAF MARKET
           88 Main St Austin, TX 78701
        02/08/25  10:14 AM
        ORG BANANAS              1.29 F
        PAPER TOWELS             8.99 T
        SHAMPOO                  6.49 T
        SAVINGS                 -1.00
          SUBTOTAL              15.77
          TAX 1  8.25%           1.20
          TOTAL                 16.97
          DEBIT                 16.97
          CHANGE DUE             0.00
        ITEMS SOLD 3
        YOU SAVED $1.00
        """,
        ("GREENLEAF MARKET", "2025-02-08", "16.97", "1.20", "USD"),
        4,
    ),
    "uk2": (
        """
             Harbour Fish Bar
        14 Quay Street, Whitby
        VAT Reg 123 4567 89
        Table 12          Covers 2
        2 Cod & Chips        £25.00
        1 Mushy Peas          £2.50
        2 Tea                 £5.00
        Service 12.5%         £4.06
        Total                £36.56
        VAT Summary
        Rate    Net     VAT    Gross
        20.00  27.08    5.42   32.50
        Card                 £36.56
        14/02/2025 19:21
        """,
        ("Harbour Fish Bar", "2025-02-14", "36.56", "5.42", "GBP"),
        4,
    ),
    "es2": (
        """
           SUPERMERCADO LA HUERTA S.A.
              A-12345678
        15/02/2025 18:20  OP: 123456
        Descripción     P. Unit   Importe
        1 PAN INTEGRAL              1,15
        2 LECHE ENTERA      0,95    1,90
        1 PLATANO
        1,024 kg    1,99 €/kg       2,04
        TOTAL (€)                   5,09
        TARJETA BANCARIA            5,09
        IVA   BASE IMPONIBLE (€)  CUOTA (€)
        4%          4,89            0,20
        TOTAL       4,89            0,20
        """,
        ("SUPERMERCADO LA HUERTA S.A.", "2025-02-15", "5.09", "0.20", "EUR"),
        3,
    ),
    "at": (
        """
             Gasthaus Zum Hirschen
           UID ATU12345678
        Rechnung Nr. 4711
        10.02.2025 20:45   Tisch 5
        2x Wiener Schnitzel          37,80
        1x Apfelstrudel               6,20
        3x Soda Zitron                9,90
        Summe EUR                    53,90
        Trinkgeld                     5,10
        Gesamt                       59,00
        Visa                         59,00
        Enthaltene MwSt:
        10%  40,00   4,00  44,00
        20%   8,25   1,65   9,90
        """,
        ("Gasthaus Zum Hirschen", "2025-02-10", "59.00", "5.65", "EUR"),
        3,
    ),
    "it2": (
        """
          FARMACIA SANT'ANNA
        P.IVA 01234567890
        Via Roma 4 - 10123 Torino (TO)
          DOCUMENTO COMMERCIALE
        di vendita o prestazione
        DESCRIZIONE        IVA    Prezzo(€)
        TACHIPIRINA        10%        5,90
        CEROTTI            22%        3,50
        Subtotale                     9,40
        TOTALE COMPLESSIVO            9,40
        di cui IVA                    1,17
        Pagamento elettronico         9,40
        Importo pagato                9,40
        13-02-2025 10:01
        """,
        ("FARMACIA SANT'ANNA", "2025-02-13", "9.40", "1.17", "EUR"),
        2,
    ),
    "jp_conv": (
        """
           セブンマート 中央店
        東京都千代田区1-2-3
        電話:03-1234-5678
        2025年02月12日(水) 08:15 責999
        領 収 書
        サンドイッチ           *298
        コーヒーR               110
        レジ袋                    3
          小 計              ¥411
        (税率 8%対象        ¥298)
        (税率10%対象        ¥113)
        (内消費税等 8%       ¥22)
        (内消費税等10%       ¥10)
        合 計               ¥411
        お 預 り          ¥1,011
        お 釣               ¥600
        """,
        ("セブンマート 中央店", "2025-02-12", "411", "32", "JPY"),
        3,
    ),
    "jp_sotozei": (
        """
           居酒屋 さくら
        2025/02/13 19:40
        生ビール   2点      1,160
        枝豆       1点        380
        刺身盛合せ 1点      1,480
        小計                3,020
        消費税(10%)           302
        合計              ¥3,322
        クレジット        ¥3,322
        """,
        ("居酒屋 さくら", "2025-02-13", "3322", "302", "JPY"),
        3,
    ),
    "us_rest": (
        """
               Blue Fern Bistro
             12 Main St, Portland OR 97201
        Server: Ana      Table 8
        2/14/2025  8:02 PM
        2 Burger               27.90
        1 Salad                11.50
        2 IPA                  15.00
        Subtotal               54.40
        Tax                     0.00
        Tip                    10.00
        Total                  64.40
        AMEX XXXX1002          64.40
        Suggested Tip
        18%                     9.79
        20%                    10.88
        """,
        ("Blue Fern Bistro", "2025-02-14", "64.40", "0.00", "USD"),
        3,
    ),
    "at2": (
        """
          BILLIGMARKT GMBH
        1100 Wien, Hauptstr. 5
        UID: ATU12345678
        Apfel kg
          0,850 x 2,49           2,12 B
        Vollkornbrot              3,29 B
        Mineralwasser 6er         2,94 A
        Pfand                     1,50 C
        ZWISCHENSUMME             9,85
        Rabatt -10% auf Brot     -0,33 B
        SUMME EUR                 9,52
        Bankomat                  9,52
        A 20%    2,45  0,49   2,94
        B 10%    4,62  0,46   5,08
        C  0%    1,50  0,00   1,50
        12.02.2025 11:20
        """,
        ("BILLIGMARKT GMBH", "2025-02-12", "9.52", "0.95", "EUR"),
        5,
    ),
    "nz": (
        """
             Kauri Cafe
          GST No. 123-456-789
        12/02/2025 10:03 am
        Long Black            $5.50
        Cheese Scone          $6.00
        TOTAL                $11.50
        Includes GST of       $1.50
        EFTPOS               $11.50
        """,
        ("Kauri Cafe", "2025-02-12", "11.50", "1.50", "NZD"),
        2,
    ),
    "be": (
        """
            Boulangerie Dupré
          TVA BE 0123.456.789
        13/02/2025 07:55
        Pain complet             3,20
        Croissant   3 x 1,40     4,20
        TOTAL EUR                7,40
        TVA 6%    HT 6,98        0,42
        Bancontact               7,40
        """,
        ("Boulangerie Dupré", "2025-02-13", "7.40", "0.42", "EUR"),
        2,
    ),
    "ie": (
        """
            O'Malley Hardware
         VAT No IE1234567T
        SCREWS 4X40            €4.50
        PAINT 2.5L            €32.00
        LOYALTY DISC           €2.00-
        TOTAL                 €34.50
        CASH                  €40.00
        CHANGE                 €5.50
        VAT ANALYSIS
        A 23%   NET 28.05  VAT 6.45
        14-Feb-2025 15:31
        """,
        ("O'Malley Hardware", "2025-02-14", "34.50", "6.45", "EUR"),
        3,
    ),
    "br": (
        """
           MERCADO BOM DIA LTDA
        CNPJ 12.345.678/0001-90
        CUPOM FISCAL ELETRONICO
        001 ARROZ 5KG   1 UN x 27,90     27,90
        002 FEIJAO 1KG  2 UN x 8,49      16,98
        QTD. TOTAL DE ITENS                  2
        VALOR TOTAL R$                   44,88
        DESCONTO R$                       2,00
        VALOR A PAGAR R$                 42,88
        CARTAO DE DEBITO                 42,88
        15/02/2025 18:44:10
        """,
        ("MERCADO BOM DIA LTDA", "2025-02-15", "42.88", None, "BRL"),
        3,
    ),
    "uk_groc": (
        """
              Hartley's
          Your Local Grocer
        Store 0423  Leeds LS1 4AB
        SEMI SKIMMED 4PT          1.55
        2 x 0.85
        BAKED BEANS               1.70
        CHICKEN THIGHS            4.25
        *MEAL DEAL               -1.00
        BANANAS LOOSE
        0.742kg @ 1.05/kg         0.78
        6 BALANCE DUE             7.28
        VISA DEBIT                7.28
        CHANGE                    0.00
        08/02/25 17:21 0423 004 1187
        """,
        ("Hartley's", "2025-02-08", "7.28", None, "GBP"),
        5,
    ),
}
_EVERY = 7  # digits: every seventh is misread, as all take long
_MONEY = re.compile(r"\d[.,]\d\d\b|¥|Ft|,\d{3}")


@pytest.mark.parametrize("name", TYPED)
def test_receipt_is_read_without_a_reason_for_a_review(name: str):
    text, wanted, items = TYPED[name]
    receipt = read_typed_receipt(text)
    total, tax = (None if value is None else str(value) for value in (receipt.total, receipt.tax))
    assert (receipt.shop, str(receipt.date), total, tax, receipt.currency) == wanted
    assert len(receipt.items) == items and receipt.reasons == []


@pytest.mark.parametrize("name", [*TYPED, *RECEIPTS])
def test_misread_digit_is_never_wrong_in_silence(name: str):
    text = (TYPED | RECEIPTS)[name][0]
    printed = _money(read_receipt([typed_page(text)]))
    digits = [
        at
        for line in re.finditer(r".+", text)
        if _MONEY.search(line[0])
        for at in range(*line.span())
        if text[at].isdecimal()
    ]
    for at in digits[::_EVERY]:
        receipt = read_typed_receipt(f"{text[:at]}{(int(text[at]) + 3) % 10}{text[at + 1 :]}")
        assert _money(receipt) == printed or receipt.reasons


def _money(receipt: Receipt) -> list[object]:
    return [receipt.total, receipt.tax, [item.price for item in receipt.items]]
