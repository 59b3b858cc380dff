"""Keywords for the columns and special lines of statements, in English, German, French, Spanish, Dutch and Italian.
Pure."""

import re
import unicodedata
from functools import lru_cache
from typing import Literal

from processors.statements.notation.currencies import CODES
from processors.statements.notation.date_names import match_date_heading

Column = Literal["date", "value_date", "description", "reference", "debit", "credit", "amount", "balance", "other"]
Special = Literal["opening", "closing", "carried", "standing", "debits", "credits", "total"]
Section = Literal["debits", "credits"]

# columns: each pattern matches a complete heading
_COLUMNS: dict[Column, str] = {
    "value_date": r"value\.?(?: (?:date|dt\.?))?|val\.(?: date)?|val date|valuta|wert(?:stellung|datum|tag)?"
    r"|rentedatum|rentedato|rantedag|arvopv|arvopaiva|valutadato|valutadatum|data valuta"
    r"|date (?:de )?valeur|valeur|fecha(?: de)? valor|f\.? valor|valor|effective date"
    r"|τοκισμος(?: απο)?|ημ/νια αξιας|αξια",
    "date": r"date|(?:transaction|posting|posted|booking|trans\.?|txn|post|process(?:ing)?|entry) date|date posted"
    r"|(?:ver)?buchung(?:s?(?:tag|datum))?|datum|date (?:d')?(?:operation|comptable|ope\.?)|date de l'operation|fecha"
    r"|boekdatum|bokfort|bogfort|bokforingsdag|bokforingsdato|kirjauspaiva|paiva"
    r"|data(?: (?:contabile|operazione|mov\.?|registrazione))?"
    r"|fecha (?:de )?(?:operacion|contable|mov\.?)|f\.? operacion|f\.? oper\.?|day|when|buch\.?-?tag"
    r"|bu\.? ?-?tag|(?:date d')?execution|uitvoering(?:sdatum)?|ausfuhrung(?:sdatum)?"
    r"|ημ/νια(?: κινησης)?|ημερομηνια(?: κινησης| συναλλαγης)?",
    "description": r"(?:transaction |payment )?(?:description|details?|particulars|narrative|narration)|transactions?"
    r"|memo|payee|details of transactions?|payment type and details|text|buchungstext|verwendungszweck|vorgang"
    r"|erlauterung(?:en)?|beschreibung|empfanger|umsatz(?:text|art)?|libelle(?: (?:de l'|des )?operations?)?"
    r"|operations?|nature (?:de l'|des )?operations?|detail des operations|concepto|descripcion|detalle|movimiento|what"
    r"|omschrijving|naam ?/ ?omschrijving|mededeling(?:en)?|descrizione(?: (?:delle )?(?:operazion[ei]|moviment[io]))?"
    r"|causale|dettagli|activity|forklaring|tekst|beskrivning|beskrivelse|selite"
    r"|descricao|descritivo|historico|lancamentos?|estabelecimento|opis(?: operacji)?|popis|aciklama|keterangan"
    r"|descriere"
    r"|contrepartie|communications?|tegenpartij|gegenpartei|counterparty|contraparte|contropart[ei]|motpart|modpart"
    r"|wir haben fur sie gebucht|buchungsdetails"
    r"|remarks?|buchungsinformation(?:en)?|buchungstext ?/ ?verwendungszweck|auftraggeber ?/ ?empfanger"
    r"|αιτιολογια|περιγραφη(?: συναλλαγης)?",
    "reference": r"ref(?:erence)?\.?(?: no\.?| number)?|ref\. ?(?:nr|num)\.?|cheque(?: no\.?| number)?"
    r"|check(?: no\.?| number)?"
    r"|type d'operation|type de transaction|soort transactie|buchungsart"
    r"|referenz|beleg(?:-?nr\.?)?|type|code|referencia|num(?:ero)?\.?|n°|no\.?|pn-?nr\.?|doc\.?|chq\.?"
    r"|(?:chq|cheque)\.? ?/ ?ref\.?(?: ?no\.?)?",
    "debit": r"debits?|(?:money |paid )?out|withdrawals?|withdrawn|payments?(?: out)?|charges|spent"
    r"|soll|belastung(?:en)?|lastschrift|ausgang|ausgaben|zu ihren lasten|debitos?|cargos?|debe|retraits?|depenses?"
    r"|retiros?|egresos?|saques?"
    r"|(?:bedrag )?af|ut(?: (?:av|fra) konto)?|ud|afschrijving(?:en)?|debet|dare|addebit[io]|uscite|adeudos?|salidas?"
    r"|(?:debit|withdrawal) (?:amount|amt\.?)|outgoing|χρεωση|χρεωσεις|αναληψ(?:η|εις)",
    "credit": r"credits?|(?:money |paid )?in|deposits?|receipts?|received|lodgements?|haben|gutschrift(?:en)?|eingang"
    r"|(?:bedrag )?bij|inn?(?: pa konto)?|ind|bijschrijving(?:en)?|avere|accredit[io]|entrate|depots?"
    r"|einnahmen|zu ihren gunsten|abonos?|haber|ingresos?|versements?|recettes?|entradas?"
    r"|creditos?|depositos?"
    r"|(?:credit|deposit) (?:amount|amt\.?)|incoming|paid into|πιστωση|πιστωσεις|καταθεσ(?:η|εις)",
    "amount": r"(?:transaction )?amount|betrag|umsatz|umsatze|montant|importe|value in|sum|cantidad|amt\.?"
    r"|bedrag|importo|belopp?|beloe?b|maara|kwota(?: (?:operacji|transakcji))?|castka|osszeg|tutar|valor"
    r"|ποσο(?: συναλλαγης)?",
    "balance": r"(?:account |running |new |daily |closing )?balance|saldo|kontostand|neuer saldo|solde|solde progressif"
    r"|restguthaben|bal\.?|saldo (?:disponible|contable|po (?:operacji|transakcji|ksiegowaniu))"
    r"|(?:λογιστικο )?υπολοιπο",
}


def _compile(pattern: str) -> re.Pattern[str]:
    """Spaces are optional: OCR loses them."""
    return re.compile(re.sub(r" \??", " ?", pattern))


_CODE = "|".join(sorted(CODES)).lower()
_CURRENCY_TAIL = rf"(?: ?[(\[]? ?(?:(?:in|en|em|i|w|v) )?(?:[a-z]{{0,3}}\$|£|€|₹|{_CODE}|euros?) ?[)\]]?)?"
_COLUMN_PATTERNS = {
    name: _compile(f"(?:{words}){'' if 'date' in name else _CURRENCY_TAIL}:?") for name, words in _COLUMNS.items()
}
_TURNOVER = r"(?:apyvarta|apgrozijums|kaive|оборот[иы]?|obraty?|promet|turnover)"
# special lines: each pattern matches the start of a line or of a label
_SPECIALS: tuple[tuple[Special, str], ...] = (
    (
        "carried",
        r"(?:balance |total |amount )?(?:carried (?:forward|over|down)|c/f|c/fwd|c/d)|zwischensaldo|a reporter"
        r"|ubertrag auf (?:seite|blatt|neue|folge|nachste)[a-z]*|suma y sigue|solde a reporter|continued"
        r"|(?:total |montant )?a reporter|a riportare|saldo da riportare|a transportar|(?:saldo )?te transporteren"
        r"|saldo tussentijds|do przeniesienia|k prevodu|atvitel$|transporte?$|att overfora|overfores",
    ),
    (
        "opening",
        r"(?:opening|previous(?: statement| total)?|start(?:ing)?|beginning|old|last statement|former) balance"
        r"|(?:balance |total )?(?:brought (?:forward|over|down)|b/f|b/fwd|b/d)|balance forward"
        r"|balance (?:from )?(?:last|previous) statement|balance on last|anfangssaldo|alter (?:saldo|kontostand)"
        r"|saldovortrag|vortrag|saldo ?ubertrag|ubertrag(?= (?:(?:von|aus) )?(?:seite|blatt|vor|letzt)|\W*(?:\d|$))"
        r"|eroffnungssaldo"
        r"|saldo (?:der |aus der )?letzte[nrs]? (?:abrechnung|rechnung)|solde (?:initial|precedent|anterieur|reporte)"
        r"|(?:ancien|premier) solde|report|solde d'ouverture|saldo (?:inicial|anterior|de apertura|previo)"
        r"|suma anterior|de transporte$|riporto|z przeniesienia|przeniesienie$|prevod z predchoz|overfort(?: fra)?$"
        r"|vorig (?:openstaand )?saldo|beginsaldo|saldo (?:iniziale|precedente)"
        r"|nyito egyenleg|alkusaldo|ingaende (?:saldo|balans)|inngaende saldo|pocatecni zustatek|saldo poczatkowe"
        r"|acilis bakiyesi|devreden bakiye|sold (?:initial|anterior|precedent)|saldo awal"
        r"|onceki (?:donem|hesap ozeti|ekstre) (?:borc|bakiye)[a-z]*|onceki bakiye[a-z]*|pradinis likutis"
        r"|sakuma atlikums|sakotnejais atlikums|algsaldo|saldo (?:e/c|estratto conto|periodo|mese) precedente"
        r"|saldo (?:der )?(?:vorperiode|vormonat)|(?:forrige|foregaende) saldo|forra (?:fakturan|saldot)"
        r"|(?:total (?:da )?)?fatura anterior|saldo (?:da )?fatura anterior|вхіднии залишок|входящии остаток"
        r"|(?:залишок|баланс|остаток) на (?:початок|начало)|начално салдо|zaciatocny zostatok|pociatocny zostatok"
        r"|zacetno stanje|pocetno stanje|prethodno stanje|υπολοιπο εκ μεταφορας|προηγουμενο υπολοιπο|upphafsstada"
        r"|ยอดยกมา|期初余额|前期繰越|이월잔액",
    ),
    (
        "closing",
        r"(?:your |total )?(?:closing|new|ending|final|end|current statement) bal(?:ance)?|balance at (?:end|close)"
        r"|total (?:outstanding )?balance(?:,|$| (?:for|due|owing|on|as))|total amount (?:due|owing)$|total due$"
        r"|endsaldo|neuer (?:saldo|kontostand)|schluss-?saldo|abschlusssaldo|(?:nouveau|dernier) solde"
        r"|solde (?:final|nouveau|de cloture|en fin)|saldo (?:final|actual|nuevo|de cierre)|nuevo saldo"
        r"|nieuw (?:openstaand )?saldo|eindsaldo|saldo finale|nuovo saldo|saldo al corte"
        r"|zaro egyenleg|loppusaldo|utgaende (?:saldo|balans)|konecny zustatek|saldo koncowe|kapanis bakiyesi"
        r"|sold final|saldo akhir"
        r"|(?:toplam )?donem borc[a-z]*|galutinis likutis|beigu atlikums|loppsaldo"
        r"|(?:totale|importo|saldo) (?:da addebitare|da pagare|da versare|dovuto)|totale (?:estratto conto|dovuto)"
        r"|(?:zu zahlender|falliger) betrag|rechnungsbetrag"
        r"|(?:total|montant|solde) (?:a (?:debiter|prelever|payer|regler)|du)"
        r"|(?:total|importe|saldo) a (?:pagar|liquidar|cargar)|(?:valor )?total (?:a pagar|d[ea]st?a fatura)"
        r"|(?:totaal )?te betalen(?: bedrag| saldo)?$|(?:summa )?att betala$|(?:belop )?a betale$|at betale$"
        r"|do zaplaty$"
        r"|вихіднии залишок|исходящии остаток|(?:залишок|баланс|остаток) на (?:кінець|конец)|краино салдо"
        r"|konecny zostatok|koncno stanje|zavrsno stanje|novo stanje|νεο υπολοιπο|τελικο υπολοιπο|lokastada"
        r"|ยอดยกไป|期末余额",
    ),
    (
        "standing",  # opening or closing, depending on its position
        r"(?:saldo|solde|balance|kontostand|egyenleg)$|saldo (?:fra|fran|pr\.?|per|pa)"
        r"|saldo i (?:deres|din|var) favor"
        r"|kontostand (?:am|vom|zum)"
        r"|balance (?:on|at|as (?:of|at|on))|solde (?:crediteur |debiteur )?au|saldo al?(?: dia)?|saldo (?:do|del) dia",
    ),
    (
        "debits",
        r"(?:total|sum of) (?:of )?(?:debits|money out|paid out|withdrawals|payments(?: out)?|charges|purchases"
        r"|cargos|debe|adeudos|des debits|debits?|soll)|(?:money|paid) out|summe (?:soll|belastungen|lastschriften"
        r"|ausgange)|tota(?:al|le) (?:af(?:geschreven|schrijvingen)?|debet|dare|addebiti|uscite)"
        r"|withdrawals and (?:other )?debits|mutasi db|total salidas"
        r"|terhelesek osszesen|otot yhteensa|sum ut|total de (?:saidas|retiros)"
        rf"|{_TURNOVER} (?:po )?(?:deb|dugov|дебет)\w*|συνολο χρεωσεων",
    ),
    (
        "credits",
        r"(?:total|sum of) (?:of )?(?:credits|money in|paid in|deposits|receipts|payments received|abonos|haber"
        r"|ingresos|des credits|credits?|haben)|(?:money|paid) in|summe (?:haben|gutschriften|eingange)"
        r"|tota(?:al|le) (?:bij(?:geschreven|schrijvingen)?|credit|avere|accrediti|entrate)"
        r"|deposits and (?:other )?credits|mutasi cr|total entradas|jovairasok osszesen|panot yhteensa|sum inn?"
        r"|total de (?:entradas|depositos)"
        rf"|{_TURNOVER} (?:po )?(?:[kc]red|potraz|кредит)\w*|συνολο πιστωσεων",
    ),
    (
        "total",
        r"(?:(?:sub|sous|page)[ -]?)?totals?(?: des (?:mouvements|operations))?\b(?! [a-z]{3,})|summe(?:n)?\b"
        r"|umsatzsumme|totaux|(?:sub[ -]?total(?:es|e|en)?|subtotaal|zwischensumme|seitensumme|suma czesciowa|razem"
        r"|mezisoucet|celkem|reszosszeg|osszesen|valisumma|yhteensa|delsumma?|sidesum|i alt|totalt|toplam|ara toplam"
        r"|jumlah|total (?:de (?:la )?page|(?:de la )?pagina|pagina)|totale pagina|paginatotaal|小計|合計|소계|합계)$"
        r"|(?:sub[ -]?)?total (?:for|fur|pour|voor)\b|sumas?\b"
        r"|(?:zwischensumme|sub ?total|sous-total|subtotaal|subtotale|delsumma?) (?:[x*]+ ?)?\d{4}$"
        r"|total d[aeo]s? (?:lancamentos|pagamentos|compras|gastos|operaciones|operacoes|transac(?:oes|ciones))"
        r"|total (?:movimientos|transactions|turnover|for (?:the )?period)|gesamt(?:summe|umsatz)"
        r"|total (?:[a-z]+ ){1,3}(?:in (?:19|20)\d\d|(?:for )?this (?:period|year)|year.to.date)",
    ),
)
# headings above some of the rows: each pattern matches a complete line
_SECTIONS: dict[Section, str] = {
    "debits": r"(?:(?:electronic|other|cash|ach|wire|checks and other|atm(?: and debit card)?"
    r"|(?:banking/)?(?:debit )?card|online|automatic) )*"
    r"(?:withdrawals|debits|payments|purchases|subtractions|deductions)"
    r"(?: and (?:other )?(?:debits|withdrawals|payments|purchases|subtractions|deductions))?"
    r"|(?:new |other )*(?:charges|purchases)(?: and adjustments)?"
    r"|checks(?: paid| and substitute checks)?|cheques(?: paid)?|(?:service )?fees"
    r"|service charges(?: and fees)?|money out|ausgaben|belastungen",
    "credits": r"(?:(?:electronic|other|direct|mobile|atm|ach|wire|customer) )*(?:deposits|credits|additions)"
    r"(?: and (?:other )?(?:credits|additions|deposits))?|payments?,? (?:and )?(?:other )?credits(?: and adjustments)?"
    r"|(?:debit |credit )?(?:card )?(?:purchase )?(?:returns|refunds)|money in|interest paid|einnahmen|gutschriften",
}
_SECTION_PATTERNS = {name: _compile(words) for name, words in _SECTIONS.items()}
_SPECIAL_PATTERNS = tuple((name, _compile(rf"(?:{words})(?![a-z])")) for name, words in _SPECIALS)


# at the foot of a page: the pattern matches a complete line
_TURNS_PAGE = re.compile(
    r"\W*(?:(?:[a-z]+ ){0,3}continued? (?:on|over|next)\b.*|(?:[a-z]+ ){0,3}continued\W*|please turn over|see over\w*"
    r"|p\.?t\.?o\.?|\.\./\.\.|\.{2,} ?/ ?\.{2,}|suite (?:au verso|(?:en )?page|a la page)\b.*"
    r"|(?:voir|tournez) .*\bverso"
    r"|(?:sigue|continua) (?:en|na|alla?|al|a)\b.*|(?:sigue|continua|segue)(?: pagina)?(?: seguente| siguiente)?"
    r"|segue (?:a|alla|sul|nella)\b.*|fortsetzung (?:auf|folgt|siehe|nachste|seite)\b.*|bitte wenden"
    r"|vervolg(?:t)? (?:op|zie)\b.*|zie (?:ommezijde|volgende pagina|achterzijde)|z\.?o\.?z\.?"
    r"|(?:forts\.?|fortsatter|fortsetter|fortsaettes?|fortsaetter)(?: (?:pa|se) .*)?|jatkuu(?: .*)?|ciag dalszy\b.*"
    r"|pokracovani (?:na|na dalsi)\b.*|folytatas (?:a|kovetkezo)\b.*|devami (?:arka|sonraki)\b.*|bersambung(?: .*)?"
    r"|(?:overview|summary|zusammenfassung|ubersicht|recapitulatif|resumen|resumo|riepilogo|overzicht|samenvatting"
    r"|sammanfattning|podsumowanie|souhrn|osszesites|yhteenveto|ozet|ringkasan)"  # of the rows above
    r"|(?:fin|fim) (?:d(?:el?|o) )?(?:estado de cuenta|extracto?|extrato|movimientos)"
    r"|end of (?:the )?(?:statement|transactions)"
    r"|ende (?:des|der) (?:konto)?(?:auszug(?:e?s)?|umsatze)|fin d[eu] releve|fine (?:dell')?estratto conto"
    r"|[#*†‡]{1,3} [a-z]+ [a-z]+ [a-z].*"  # a footnote
    r"|次(?:頁|ページ)へ.*|다음 ?(?:장|페이지).*|续下页|轉下頁)\W*"
)
_BEFORE_LABEL = re.compile(  # "= New balance", "Dein neuer Kontostand"
    r"^(?:[=+–−-] ?|(?:your|equals|plus|less|minus|ihr|dein|mein|uw|jouw|votre|vos|tu|su|sus|din|ditt|il tuo|o seu) )+"
    r"(?=[a-z])"
)
_AS_LETTERS = {"0": "o", "1": "l"}
_MISREAD = re.compile(r"(?<=[a-z])[01](?![\d.,/-])|(?<![\d.,/-])[01](?=[a-z]{2})")  # OCR's "sald0"
_ASIDE = re.compile(r"(?<=\S) ?\([^()]{2,20}\)$")  # "bedrag af (debet)"
_HYPHEN = re.compile(r"(?<=[a-z])- (?=[a-z])")  # where a line ends
_MOST_CACHED = 1 << 14  # texts; a document is read several times
_KANA_MARKS = "\u3099\u309a"  # they change the letter before them into another one
_LETTERS = str.maketrans({"’": "'", "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "æ": "ae", "ı": "i"})


@lru_cache(_MOST_CACHED)
def normalize(text: str) -> str:
    """Lower case, without accents, one space between words; kana and hangul as they are usually encoded."""
    split = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    plain = "".join(char for char in split if char in _KANA_MARKS or not unicodedata.combining(char))
    return " ".join(unicodedata.normalize("NFC", plain).lower().split())


@lru_cache(_MOST_CACHED)
def match_column(text: str) -> Column | None:
    """The column that a heading names; None if `text` is not a heading as a whole."""
    wanted = normalize(text)
    found = _match_heading(wanted) or _match_heading(wanted.replace(" ", ""))  # OCR inserts spaces, too
    found = found or match_date_heading(wanted)
    if found is None and (shorter := _HYPHEN.sub("", _ASIDE.sub("", wanted))) != wanted:
        found = _match_heading(shorter)
    if found is None and "/" in wanted:  # two headings of one column, one below the other
        first, *others = (match_column(part.strip()) for part in wanted.split("/"))
        found = first if first and all(others) else None
    return found


def _match_label(wanted: str) -> Special | None:
    return next((name for name, pattern in _SPECIAL_PATTERNS if pattern.match(wanted)), None)


def _match_heading(wanted: str) -> Column | None:
    return next((name for name, pattern in _COLUMN_PATTERNS.items() if pattern.fullmatch(wanted)), None)


@lru_cache(_MOST_CACHED)
def match_section(text: str) -> Section | None:
    """Whether a line is a heading of debits or of credits, and nothing else."""
    wanted = normalize(text).replace("&", "and").rstrip(": ")
    return next((name for name, pattern in _SECTION_PATTERNS.items() if pattern.fullmatch(wanted)), None)


def turns_page(text: str) -> bool:
    """True if a line says that the next page continues it: "continued on next page", "suite au verso"."""
    return _TURNS_PAGE.fullmatch(normalize(text)) is not None


@lru_cache(_MOST_CACHED)
def match_special(text: str) -> Special | None:
    """What kind of line the text begins, other than a row: an opening balance, a total, …"""
    wanted = _BEFORE_LABEL.sub("", normalize(text))
    if wanted.startswith("total payments and ") and "credit" in wanted:
        return "credits"  # payments on a card
    found = _match_label(wanted) or _match_label(_MISREAD.sub(lambda digit: _AS_LETTERS[digit[0]], wanted))
    return found or (match_section(wanted.removeprefix("total ")) if wanted.startswith("total ") else None)
