"""Words on invoices: the roles of amounts, the columns of tables, the labels of the header. Evidence only. Pure."""

import re
from typing import Literal

from processors.statements.receipts.keywords import Role as ReceiptRole
from processors.statements.receipts.keywords import find_role, fold, names_tax

Role = ReceiptRole | Literal["due", "carried", "charge", "withheld"]
Concept = Literal[
    "description", "quantity", "unit", "price", "discount", "rate", "tax", "net", "gross", "amount", "code"
]
Field = Literal["number", "date", "due_date", "delivery_date", "other_date", "supplier", "customer", "other"]

_CARRIED = re.compile(
    r"(?<![a-z])(?:"
    r"carried (?:forward|over)|brought forward|ubertrag|uebertrag|^a reporter|^report\b|^riporto|^da riportare"
    r"|suma y sigue|suma anterior|^transport$|^overdracht|z przeniesienia|do przeniesienia|page (?:sub)?total"
    r"|seitensumme|zwischensumme seite|subtotal page"
    r")"
)
_DUE = re.compile(
    r"(?<![a-z])(?:"
    r"(?:balance|amount|total|outstanding|remaining|now) due|^due\b|balance$|outstanding|still to pay|amount payable"
    r"|restbetrag|offener betrag|offen\b|noch zu zahlen|verbleib|zahlbetrag|zu zahlen|reste (?:a|du)|net a payer"
    r"|solde|a regler|pendiente|saldo|resta\b|da pagare|netto a pagare|nog te (?:betalen|voldoen)|te betalen|resterend"
    r"|att betala|til gode|^rest\b|pozostalo|do zaplaty|zbyva|k uhrade|k doplaceni|fizetendo|maksettava|odenecek"
    r"|ご請求|請求金額"
    r")"
)
_PAID = re.compile(
    r"(?<![a-z])(?:"
    r"\bpaid\b|^payments?\b(?! (?:terms|due))|payments? (?:received|made)|deposit|prepa(?:id|yment)|advance payment"
    r"|down ?payment|on account"
    r"|anzahlung|abschlag|bereits (?:gezahlt|bezahlt|geleistet)|bezahlt|gezahlt|vorauszahlung|zahlungseingang"
    r"|acompte|deja (?:paye|regle|verse)|avance|anticipo|pagado|acconto|pagato|versato|aanbetaling|voldaan|betaald"
    r"|vooruitbetaald|forskud|forskott|betalt|betald|zaliczka|zaplacono|zaloha|uhrazeno|eloleg|kifizetve|ennakko"
    r"|adiantamento|pago\b|sinal\b|odendi|pesin|入金|前受"
    r")"
)
_INCLUDES_TAX = re.compile(
    r"\bttc\b|\b(?:incl?|inkl|including|tax incl)\b|brutto|\bgross\b|iva incl|con iva|税込|s dph"
)
_EXCLUDES_TAX = re.compile(
    r"\bexcl|excluding|\bht\b|\bh\.t\b|hors (?:taxe|tva)|\bohne (?:mwst|ust)|before (?:tax|vat|gst)|\bex\.? ?(?:vat"
    r"|gst)"
    r"|sin iva|senza iva|bez (?:dph|vat)|netto(?!.*(?:pagare|payer))|\bnet\b(?! ?(?:a|to|due|pay|total due))"
    r"|imponibile|zaklad|\beks\b"
    r"|base impon|taxable|税抜|exkl|less tax|nett\b"
)
_CHARGE = re.compile(
    r"(?<![a-z])(?:"
    r"shipping|delivery|freight|postage|carriage|handling|versand|fracht|porto|lieferung|livraison|frais de port"
    r"|expedition|envio|portes|transporte|spedizione|trasporto|verzend|bezorg|frakt|fragt|wysylka|dostawa|doprava"
    r"|szallitas|toimitus|kargo|surcharge|zuschlag|supplement|送料"
    r")"
)
_ROUNDING = re.compile(r"oresutjamning|oresavr|\bavrund|penny rounding|\brundung|\barrondi")
_SHORT_LABEL = 3  # words
_MISREAD = re.compile(r"(?<=[a-z])I(?=[a-z .:]|$)")  # OCR mistakes an l for an I
_INFORMATION = re.compile(
    r"skonto|cash discount|if paid|early payment|escompte|share capital|stammkapital|au capital|capital social"
    r"|capitale"
    r"|late (?:fee|payment)|mahngebuhr|indemnite|exchange rate|interest"
)
_WITHHELD = re.compile(r"ritenuta|retencion|\birpf\b|withh(?:eld|olding)|quellensteuer|retenue|source tax|源泉")
_UNTIL = re.compile(
    r"fallig|faellig|zahlbar|zahlung|zahlungsziel|\bdue\b|pay|echeance|regler|reglement|vencimiento|vence|scad"
    r"|verval|betal"
    r"|forfal|termin|splatn|hatarid|erapaiva|vade|uiterlijk|bis (?:zum|spatestens)|spatestens|支払"
    r"|\bpag(?:o|ar)|antes de|\bavant le|\bentro\b|\bprima de|\bvoor\b|\bbefore\b"
)

_CONCEPTS: tuple[tuple[Concept, str], ...] = (  # the first that is found names the column
    (
        "code",
        r"date|datum|data|fecha|dato|日付|pos\.?|#|no\.?|nr\.?|n[o°]|item no\.?|item #|line|sku|code|ref\.?"
        r"|art\.?[- ]?nr\.?|artikel-?(?:nr|nummer)"
        r"|cod(?:ice|igo)?\.?|lp\.?|reference|indeks|pkwiu",
    ),
    (
        "rate",
        r"(?:vat|mwst\.?|ust\.?|tva|iva|btw|moms|gst|tax|dph|kdv|afa|alv|st)[- ]?(?:%|rate|satz|in %|sats|pct)"
        r"|(?:vat|mwst|ust|tva|iva|btw|moms|gst|tax)\.? ?\(?%\)?|% ?(?:vat|mwst|ust|tva|iva|btw|moms|gst|tax)"
        r"|taux(?: de)?(?: tva)?|stawka(?: vat)?|tipo(?: iva)?|aliquota|steuersatz|sazba|税率",
    ),
    (
        "discount",
        r"%|sc\.?(?: ?%)?|desc\.?(?: ?%)?|desconto.*|disc(?:ount|\.)?.*"
        r"|rab(?:att?|\.)?(?:\W.*|$)|remise.*|rem\.?(?: ?%)?|dto\.?.*|descuento.*|sconto.*"
        r"|korting.*|nachlass.*|sleva",
    ),
    ("gross", r".*(?:\bttc\b|brutto|gross|inc(?:l|luding)?\.? ?(?:vat|tax|gst)|税込).*"),
    (
        "price",
        r".*(?:price|preis|prix|precio|prezzo|prijs|\bpris\b|prisen|cena|preco|egysegar|hinta|fiyat|単価).*"
        r"|(?:unit |hourly |day |daily )?(?:rate|cost)|p\.?u\.?(?: ?h\.?t\.?)?|e-?preis|tarif|satz|stundensatz"
        r"|e\.?p\.?(?: in)?"
        r"|each|a|taux horaire|tarifa|tariffa|tarief|unit",
    ),
    (
        "net",
        r".*(?:\bht\b|\bh\.t\.?|netto|\bnet\b|wert\b|wartosc|excl?\.? ?(?:vat|tax|btw)).*|imponibile|base|taxable.*",
    ),
    (
        "quantity",
        r"(?:q(?:ty|te|uant\w*|td|t\.?a|\.ta|ta)\.?|menge|anz(?:ahl|\.)?|cant\.?|cantidad|aantal|antal|ilosc"
        r"|mnozstvi|mennyiseg|hours?|hrs|std\.?|stunden|units|heures|jours|days|tage|uren|timer|timmar|maara"
        r"|kpl|miktar|adet|数量|ant\.?|horas|ore|dagen)(?: ?/.*| .*)?",
    ),
    (
        "unit",
        r"unit of measure|uom|einheit|einh\.?|unite|u\.?m\.?|jm\.?|j\. ?m\.?|eenheid|enhet|enhed|unidad|unita|me|mj"
        r"|単位",
    ),
    (
        "amount",
        r"(?:line |total |net |ext(?:ended|\.)? )*(?:amount|total|betrag|gesamt\w*|summe|montant|importe|importo"
        r"|totale|bedrag|totaal|belopp|summa|sum|belob|castka|celkem|osszeg|yhteensa|tutar|valor|金額|小計|total price"
        r"|price total|g-?preis|g\.?p\.?(?: in)?|kwota|razem|ialt|i alt|toplam|合計)(?: .*|\(.*)?",
    ),
    (
        "tax",
        r"(?:vat|mwst|ust|tva|iva|btw|moms|gst|tax|dph|kdv|steuer|podatek|消費税)\.?(?: (?:amount|betrag|eur|kr"
        r"|\W).*)?|(?:kwota|montant|cuota|importo|total|bedrag) (?:vat|tva|iva|btw)",
    ),
    (
        "description",
        r"(?:.* )?(?:description|items?|article|artikel|bezeichnung|beschreibung|leistung(?:en)?|designation"
        r"|libelle|descripcion|concepto|descrizione|omschrijving|beskrivning|benamning|beskrivelse|nazwa.*|opis"
        r"|popis|megnevezes|descricao|produkt|product|produit|prestation|service|details|particulars|activity"
        r"|品名|品目|内容|摘要|tuote|kuvaus|aciklama|urun|prodotto|producto|vare|tekst|text|work|task|position)"
        r"(?: .*)?",
    ),
)
_COMPILED_CONCEPTS = tuple((concept, re.compile(pattern)) for concept, pattern in _CONCEPTS)

_NO = r"(?:number|num(?:ero|mer)?\.?|no\.?|nr\.?|n\.?[°ºo]?\.?|#|№|id)"
_FIELDS: tuple[tuple[Field, str], ...] = (  # the first that is found names the field
    (
        "number",
        rf"(?:(?:tax|vat|sales|pro ?forma|commercial)[ -])?invoice ?{_NO}?(?: ?/ ?ref\w*)?|inv\.? ?{_NO}|bill {_NO}"
        rf"|rechnungs?[ -]*(?:{_NO}|nummer)|rechnung|beleg[ -]*(?:nummer|{_NO})|dokument-?(?:nummer|{_NO})"
        rf"|{_NO} ?(?:de |di |da |d')?(?:la )?(?:facture|factura|fattura|fatura|documento)"
        rf"|(?:facture|factura|fattura|fatura)(?: (?:simplificada|proforma|di vendita|d'acompte))? ?{_NO}?"
        rf"|factuur[ -]*(?:nummer|{_NO})?|(?:kredit)?faktur[ay]?[ -]*(?:nummer|{_NO}|vat {_NO}|c\.?|cislo|vat)?"
        rf"|(?:numer|cislo) (?:faktury|dokladu)|szamla ?(?:szam|sorszama)|sorszam|lasku(?:n)?[ -]*(?:numero|nro|{_NO})"
        rf"|請求書?番号|{_NO}|nummer"
        rf"|credit note ?{_NO}?|gutschrift(?:s-?)?(?:nummer|{_NO})?|document {_NO}|avoir {_NO}",
    ),
    (
        "due_date",
        r"(?:date |payment )?due(?: date| on| by)?|pay(?:ment|able)? (?:by|before|until|due)|please pay by"
        r"|(?:zahlbar|zahlung) bis"
        r"(?: zum)?|fallig(?:keit(?:sdatum)?| am| bis)?|faellig|zahlungsziel|zahlungsfrist|(?:date d')?echeance"
        r"|a (?:payer|regler) (?:avant|avant le|le)|(?:fecha de )?vencimiento|(?:data )?scadenza|verval(?:datum|dag)"
        r"|(?:te )?betalen voor|uiterlijk|forfall(?:sdato|odato)?|forfald(?:sdato)?|forfallodag|betalas senast"
        r"|termin (?:platnosci|zaplaty)|(?:datum )?splatnost(?:i)?|fizetesi hatarido|erapaiva|(?:son odeme"
        r"|vade)(?: tarihi)?"
        r"|お?支払期[限日]|vence|expires|valid until|(?:data de )?vencimento",
    ),
    (
        "delivery_date",
        r"(?:date of )?(?:delivery|supply)(?: date)?|tax point(?: date)?|service (?:date|period)|period(?: covered)?"
        r"|billing period|leistungs(?:datum|zeitraum|zeit)|liefer(?:datum|termin|zeitraum)|lieferung(?: am)?"
        r"|date de (?:livraison|prestation)|periode|fecha de (?:entrega|operacion)|data (?:di )?consegna"
        r"|lever(?:datum|dato"
        r"|ingsdato|ansdatum)|data sprzedazy|data (?:dostawy|wykonania).*|duzp|datum (?:uskutecneni|plneni).*"
        r"|teljesites.*",
    ),
    (
        "other_date",
        r"order(?:ed)?(?: date)?|bestell(?:datum|ung)|ship(?:ped|ping)?(?: date)?|print(?:ed)?.*|auftragsdatum"
        r"|created|paid.*"
        r"|date de commande|fecha de pedido|besteldatum|seit|since|stand|received",
    ),
    (
        "date",
        r"(?:invoice|issue|billing|bill|document)? ?date(?: of (?:issue|invoice))?|(?:date )?issued(?: on)?|dated"
        r"|datum"
        r"|rechnungsdatum|ausstellungsdatum|belegdatum|date (?:de (?:la )?facture|d'emission|de facturation)"
        r"|emise? le|le"
        r"|fecha(?: de (?:emision|factura|expedicion))?|data(?: (?:di )?(?:emissione|fattura|wystawienia|documento)"
        r"| de emissao)?"
        r"|factuurdatum|faktura?datum|fakturadato|(?:utskrifts)?dato|datum (?:vystaveni|faktury)|(?:szamla )?kelte?"
        r"|(?:laskun )?(?:paivays|paivamaara|pvm)|(?:fatura |duzenleme )?tarihi?|(?:請求|発行|作成)日"
        r"|日付|vom|den|del?|du|of|dnia|z dnia|emissao",
    ),
    (
        "supplier",
        r"from|seller|supplier|vendor|issued by|issuer|bill from|invoice from|payable to|rechnungssteller|verkaufer"
        r"|lieferant"
        r"|anbieter|leistungserbringer|absender|emetteur|vendeur|fournisseur|prestataire|emisor|proveedor|vendedor"
        r"|cedente"
        r"(?:/prestatore)?|fornitore|prestatore|mittente|leverancier|verkoper|afzender|saljare|selger|saelger"
        r"|sprzedawca"
        r"|wystawca|dodavatel|szallito|elado|myyja|satici|発行者|請求元|de|von|van|fra"
        r"|account (?:holder|name)|kontoinhaber|titulaire|beneficiary|begunstigter|intestatario|beneficiario"
        r"|rekeninghouder|tnv",
    ),
    (
        "customer",
        r"(?:bill(?:ed|ing)?|invoiced?|sold)(?: address)?(?: to)?|customer(?: name)?|client|buyer|purchaser"
        r"|recipient|to|attn"
        r"|for|invoice for|rechnung(?: an)?|rechnungs(?:empfanger|adresse|anschrift)|kunde|kundin|empfanger"
        r"|auftraggeber|an|factur(?:e|er|ee?) a|(?:adresse de )?facturation"
        r"|client|destinataire|acheteur|a l'attention de|facturar a|cliente|datos del cliente|comprador|destinatario"
        r"|spett\.?(?:le|ile)?(?: ditta)?|cessionario(?:/committente)?|committente|fatturare a|factuuradres"
        r"|klant(?:gegevens)?"
        r"|aan|factuur aan|koper|fakturer?es til|faktureras?(?: till)?|kund|fakturaadress?e?|kjoper|til|nabywca"
        r"|odbiorca"
        r"|odberatel|vevo|asiakas|ostaja|alici|musteri|sayin|御中|請求先|para|a|faturar a|exmo.*",
    ),
    (
        "other",
        r"(?:customer|client|account|order|purchase order|p\.?o\.?|vat|tax|company|delivery note|quote|contract|job"
        r"|reg\w*"
        r"|kunden|bestell|auftrags|steuer|ust-?id|ust-?idnr|lieferschein|vertrags|hrb|debitor\w*|mandats|glaubiger"
        r"|commande|siret|siren|client|pedido|cliente|ordine|klant|bestel|order|kund|kunde|zamowienia|klienta|your"
        r"|ihre?"
        r"|p\.? ?iva|partita|nip|ico|dic|btw|kvk|abn|cvr|org|phone|tel|fax|konto|bank|swift|bic)"
        rf"[ .-]?(?:invoice )?(?:{_NO}|ref\w*\.?|nummer|code|kod|zeichen)?",
    ),
    (
        "other",
        r"(?:var |er |vores |deres |notre |votre |unser |ihr )?(?:referens|referanse|reference|zeichen)"
        r"|sachbearbeiter|contact|kontakt",
    ),
    (
        "other",
        r"(?:ship(?:ped|ping)?|deliver(?:ed|y)?)(?: address)?(?: to)?|lieferadresse|lieferanschrift|livraison"
        r"|adresse de livraison|enviar a|leveringsadres|afleveradres|verzendadres|leveransadress|leveringsadresse"
        r"|direccion de envio"
        r"|indirizzo di spedizione|adres dostawy|destination|bank|payment(?: terms)?|terms|notes?|project|reference",
    ),
)
_COMPILED_FIELDS = tuple((field, re.compile(pattern)) for field, pattern in _FIELDS)
TITLE = re.compile(
    r"\W*(?:kreditfaktura|kreditnota|creditnota|creditfactuur|nota di credito|請 ?求 ?書|納 ?品 ?書|(?:tax |vat |sales "
    r"|pro ?forma |commercial |final )?invoice|rechnung|abschlagsrechnung|schlussrechnung|(?:la )?facture"
    r"|(?:avoir|credit note|gutschrift)|factura(?: (?:simplificada|proforma))?|fattura(?: (?:elettronica|di vendita"
    r"|immediata))?"
    r"|factuur|faktura(?: (?:vat|danovy doklad|proforma))?|szamla|lasku|fatura|fatura-recibo|(?:ご)?請求書|nota fiscal"
    r"|bill|original"
    r"|copy|duplicate|duplicata|kopie|page|seite|nota de credito|e-?fatura|faktura - danovy doklad)\b.*"
)


def find_invoice_role(label: str) -> Role | None:
    """The role of an amount on an invoice according to its label; None: the label shows none."""
    label = _MISREAD.sub("l", label)
    wanted = fold(label)
    if _INFORMATION.search(wanted):
        return "information"
    if _WITHHELD.search(wanted):
        return "withheld"
    if _ROUNDING.search(wanted):
        return "rounding"
    if _CARRIED.search(wanted):
        return "carried"
    role = find_role(label)
    if names_tax(label) and role in ("total", "tax", None) and _EXCLUDES_TAX.search(wanted):
        return "net"
    if role == "tax":
        return "total" if _INCLUDES_TAX.search(wanted) and "total" in wanted else "tax"
    if _DUE.search(wanted):
        return "due"
    if _PAID.search(wanted):
        return "payment"
    if role in ("total", "subtotal", None) and _EXCLUDES_TAX.search(wanted):
        return "net" if role or len(wanted.split()) <= _SHORT_LABEL else None
    if role is None and _CHARGE.search(wanted):
        return "charge"
    return role


def find_concept(heading: str) -> Concept | None:
    """What the heading of a column names."""
    wanted = re.sub(r"\s*[(\[].{1,5}[)\]]$|\s+(?:€|eur|chf|usd|gbp|\$|£)$", "", fold(_MISREAD.sub("l", heading))).strip(
        " .:"
    )
    return next((concept for concept, pattern in _COMPILED_CONCEPTS if pattern.fullmatch(wanted)), None)


def find_field(label: str) -> Field | None:
    """What a label of the header names."""
    wanted = fold(_MISREAD.sub("l", label)).strip(" .:#-")
    return next((field for field, pattern in _COMPILED_FIELDS if pattern.fullmatch(wanted)), None)


def promises_payment(text: str) -> bool:
    """True if a date after this text is the due date."""
    return _UNTIL.search(fold(text)) is not None
