"""What the words on a line of a receipt show about its amount. Evidence only: arithmetic takes precedence. Pure."""

import re
import unicodedata
from typing import Literal

Role = Literal[
    "total",
    "subtotal",
    "net",
    "tax",
    "payment",
    "change",
    "tip",
    "rounding",
    "discount",
    "information",
    "quantity",
    "charge",
]

_UNDECOMPOSED = str.maketrans("łøđıæœ", "lodiao")  # letters that Unicode does not decompose
_VOICED = "\u3099\u309a"  # the marks of kana
_TAX_WORD = (
    r"(?:(?:t?vat|m\.?w\.?st|ust|umsatzsteuer|mehrwertsteuer|steuer|tva|iva|igic|icms|btw|moms|mva|alv|dph|afa|kdv"
    r"|topkdv|pdv|ddv|ptu|km|pvm|pvn|gst|hst|pst|qst|tps|tvq|[cs]gst|igst|ppn|sst|impuesto|imposto|imposta|taxe?s?|tx"
    r"|t\.?v\.?a|i\.?v\.?a|ндс|пдв|ддс|φπα|fpa)\b\.?|消費税|内税|外税|税額|税额|税|부가세|부가가치세)"
)
_PATTERNS: tuple[tuple[Role, str], ...] = (  # the first that is found gives the role
    (
        "total",
        r"^net(?:t?o|te)?(?: amount| amt| value)? (?:payable|to pay|due|a payer|zu zahlen|te betalen|da pagare|a pagar)"
        r"\b",
    ),
    (
        "information",
        r"^(?:(?:you|total) )?sav(?:ed|ings?)\b|you save|gespart|ersparnis|\bahorr|risparmi|bespaar|economies"
        r"|\bvoordeel\b|\bpreisvorteil|\bihr vorteil|\bvotre avantage|\bvantaggi"
        r"|^(?:no\.? of |number of |total |anzahl |nombre d.|aantal |numero |n\.? ?|antal |# ?)?"
        r"(?:items?|positionen|posten|artikel(?:en)?|articles?|articoli|pezzi|articulos|itens|varer|varor|artiklar|qty"
        r"|stuck)\b(?: sold)? ?:?$|\bpoints?\b|\bpunkte\b|\bpunkty\b|punten\b|loyalty|suggest|gratuity guide|tip guide"
        r"|^\(?\d\d ?% ?(?:tip)?\)?:? ?$|点数|^\d+ ?点$|ポイント|件数|^\d+ ?件$|^数量|수량"
        r"|exchange rate|wechselkurs|kurs\b|avg\b",
    ),
    (
        "change",
        r"^(?:your |cash )?change\b|ruckgeld|\bzuruck\b|wechselgeld|\brendu\b|monnaie rendue|a rendre|^(?:su )?cambio\b"
        r"|\bvuelto\b|\btroco\b|^resto\b|wisselgeld|^terug|\bvaxel\b|tilbage\b|byttepenge|\breszta\b|\bvratit|vraceno"
        r"|visszajaro|para ustu|^rest\b|vaihtoraha|сдача|釣|找零|找回|거스름|kembali",
    ),
    (
        "subtotal",
        r"^gross\b|^items? total|^sub ?-?tota?al|^subtot"
        r"|zwischen(?:summe|total)|^sous ?-?total|delsumma|mellansumma|valisumma|mezisoucet|ara toplam"
        r"|reszosszeg|subtotaal|^merchandise|^goods total|^food total|小計|小计|소계|suma czesciowa",
    ),
    (
        "net",
        r"^net(?:to)?\b|^total (?:ht|net|excl|before|h\.t)|^tota(?:al|le) (?:excl|netto|imponibile)|base imponible"
        r"|^imponibile|^taxable|課税|対象|과세|total sin|valor neto|^neto\b|^montant ht|^ht\b|sprzedaz opod|^grundlag"
        r"|^nettobetrag|^warenwert",
    ),
    ("tax", rf"\d ?% ?{_TAX_WORD} (?:auf|von|on|of|sur|su|di|sobre|de|over|van|af|av|z|ze)\b"),
    ("tax", rf"^(?:tota(?:l|al|le|lt)|suma|summe|importo|montant|importe|valor)? ?(?:de |di |der |of )?{_TAX_WORD}"),
    (
        "tip",
        r"^(?:tip|gratuity|trinkgeld|pourboire|propina|mancia|fooi|dricks|gorjeta|drikkepenge|napiwek|borravalo"
        r"|spropitne|bahsis)\b|小费",
    ),
    (
        "rounding",
        r"\bround(?:ing|ed)?\b(?: ?off)?|\brundung|\barrondi|redondeo|arredond|arrotondament|afronding|avrundning"
        r"|afrunding|oresavrundning|zaokr|kerekites|yuvarlama|pyoristys",
    ),
    (
        "total",
        r"^(?:grand |net |sale |order |bill |check |invoice |sum )?tot(?:al|aal|ale|alt|alsumma?|e)\b|^tot\b\.?"
        r"|^(?:rechnungs|gesamt|end|zahl|bar)?-?summe\b|^gesamt|^endbetrag|^zahlbetrag|^rechnungsbetrag|^betrag\b"
        r"|zu zahlen|zu bezahlen|a payer|^montant (?:du|total|ttc|a regler)|^montant$|^importe\b|a pagar"
        r"|^valor (?:total|pago)"
        r"|te betalen|att betala|^summa\b|[aå]t? betale|^i alt\b|yhteensa|^suma\b|^razem|do zaplaty|^celkem|k uhrade"
        r"|^spolu\b|osszesen|fizetendo|^(?:genel )?toplam|total de plata|^ukupno|za platiti|^skupaj|is viso|^kopa\b"
        r"|^kokku|συνολο|итого|всего|до сплати|^сума|amount (?:due|payable|to pay)|^amount\b"
        r"|(?:balance|total) (?:due|to pay)|^balance\b|^to pay\b|^due\b|^jumlah|^tong\b|รวม"
        r"|合計|合计|総計|お会計|总计|应付|实付|應付|총액|합계|결제금액|받을금액",
    ),
    (
        "payment",
        r"advance deposit|deposit (?:paid|received)|less deposit|pre-?payment|^anzahlung|^acompte|^anticipo\b|^acconto"
        r"|^aanbetaling|^forskud|^zaliczka|\bcash\b|\bcard\b(?! ?(?:surcharge|fee))"
        r"|\bvisa\b|master ?card|maestro|amex|american express|eftpos|interac"
        r"|^debit|^credit|tender|^paid|^(?:be|ge)zahlt|^betaald|^paye\b|^pagado\b|^betalt\b|^zaplac|^fizetve|^bar\b|\bbar(?:geld)?$|\bgeg\b|gegeben|erhalten|\bkarte|kartenzahlung|\bec\b"
        r"|girocard|especes|carte\b|^cb\b|cheque|ticket resto|efectivo|tarjeta|dinheiro|cartao|multibanco|mb ?way"
        r"|^pix\b"
        r"|contant[ei]|pagament|pagato|bancomat|\bcarta\b|elettronico|^pin(?:nen|betaling)?\b|bankpas|kontant"
        r"|\bkort\b|betalkort|kreditkort|swish|vipps|mobilepay|dankort|gotowka|\bkarta\b|hotovost|keszpenz|bankkartya"
        r"|nakit|kredi kart|numerar|gotovina|kortelliset|korttimaksu|kateinen|contactless|kontaktlos"
        r"|(?:apple|google) pay|twint|bizum|paypal|paypay|alipay|wechat|suica|交通系|現金|现金|預|クレジット|支払|支付"
        r"|현금|카드|наличн|картой"
        r"|received|recu\b|entregad|ricevut|ontvangen|prepaid|gift card|gutschein",
    ),
    (
        "charge",
        r"^serv(?:ice|\.)? (?:charge|fee|chr?gs?\b)|^s(?:v|er)?c\.? ch(?:ar)?r?gs?\b|^service compris|^servicio\b"
        r"|^servizio\b|^taxa de servico|^szervizdij|^bediening|^bedienung|^delivery\b|^freight|^shipping|^postage"
        r"|^versand|^porto\b|^frais de (?:port|livraison)|^livraison|^gastos de envio|^envio\b|^spedizione|^verzend"
        r"|^bezorg|^frakt|^fragt|^frete\b|^dostawa|^wysylka|^doprava",
    ),
    (
        "discount",
        r"discount|rabat|remise|reduction|descuento|desconto|sconto|korting|\bbonus\b|alennus|\bsleva\b|kedvezmeny"
        r"|indirim|値引|割引|优惠|折扣|할인|coupon|voucher|nachlass|\bpromo|angebot|\boff\b|^less\b|popust|znizka",
    ),
)
_COMPILED = tuple((role, re.compile(pattern)) for role, pattern in _PATTERNS)
_PREFIX = re.compile(
    r"^(?:\W|(?:inkl?|incl|included|including|includes|davon|darin|enthaltene?|enth|dont|di cui|waarvan|hvorav|heraf"
    r"|varav|w tym|z toho|z tego|of which|therein|plus|add|sales|state|city|county|local|federal|total des|inc|incluye"
    r"|incluido|incluindo|sis|内|うち)\b\.?|\d+(?:[.,]\d+)? ?%|[a-z\d] ?[=:)](?= ))+"
)
_TAX_INSIDE = re.compile(rf"\b{_TAX_WORD}|{_TAX_WORD}")
_PLUS_TAX = re.compile(rf"^tot\w*\b.*\b(?:tt?c|ttc|inc\w*|inkl\w*)\b|^tot\w*\b ?\(.*{_TAX_WORD}.*\)")


def find_role(text: str) -> Role | None:
    """The role of a line's amount according to its words; None: an item, as far as words show."""
    wanted = fold(text)
    if _PLUS_TAX.search(wanted):
        return "total"
    bare = _PREFIX.sub("", wanted)
    for start in dict.fromkeys((wanted, bare)):
        for role, pattern in _COMPILED:
            if pattern.search(start):
                return role
    return None


def names_tax(text: str) -> bool:
    """True if a line names a tax anywhere."""
    return _TAX_INSIDE.search(fold(text)) is not None


def fold(text: str) -> str:
    """Lower case without accents, with one space between words."""
    lower = text.lower() if text.isascii() else _without_accents(text)
    return " ".join(lower.split()).strip(" .:*=-")


def _without_accents(text: str) -> str:
    split = unicodedata.normalize("NFKD", text.replace("’", "'").replace("ß", "ss"))
    bare = "".join(char for char in split if char in _VOICED or not unicodedata.combining(char))
    joined = unicodedata.normalize("NFC", bare)  # Hangul and kana are letters, not letters with accents
    return joined.lower().translate(_UNDECOMPOSED)
