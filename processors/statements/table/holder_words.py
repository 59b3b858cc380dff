"""Words around the name of a holder: labels, forms of address, greetings. Each matches a normalized text."""

import re

_LABEL_WORDS = (
    r"(?:(?:joint )?(?:account|a/c) (?:holder|owner|name|title)s?|account in the name of|prepared for"
    r"|name of (?:account|customer)|customer(?: name)?|client(?: name)?"
    r"|card(?:holder| ?member)(?: name)?|kontoinhaber(?:[:*/-]?in(?:nen)?)?|inhaber(?:in)?"
    r"|(?:co-?)?titulaires?(?: du compte)?"
    r"|(?:co-?)?titular(?:es|\(es\))?(?: (?:de la cuenta|da conta))?|titularis(?:sen)?"
    r"|intestatari[oa]?|(?:co)?intestat[oia](?: a)?|titolare|rekeninghouders?|kontohaver|kontohavare"
    r"|kontoinnehavare|tilinomistaja|posiadacz(?: rachunku)?|majitel(?: uctu)?|klient|szamlatulajdonos|ugyfel"
    r"|titular de cont|hesap sahibi|musteri(?: adi)?|pemegang rekening|nama(?: nasabah)?|ten (?:tai khoan|khach hang)"
    r"|chu tai khoan|sr\(?a\)?|senor(?:\(?(?:es|a)\)?)?|sr\./sra\."
    r"|nombre(?: del (?:cliente|titular))?|nome(?: do cliente)?|nom|navn|namn|name|cliente|owner"
    r"|klientas|saskaitos savininkas|klients|konta ipasnieks|klijent|vlasnik racuna|imetnik(?: racuna)?|kontoomanik"
    r"|клієнт|власник рахунку|клиентка|zakaznik|clientul|client titular|титуляр на сметката"
    r"|ชือบัญชี|владелец(?: счета)?|клиент|фио|титуляр|δικαιουχος|ονοματεπωνυμο"
    r"|お名前|口座名義|ご契約者名|戸名|戶名|户名|姓名|예금주|성명|고객명"
    r"|שם(?: הלקוח| בעל החשבון)?|اسم (?:العميل|صاحب الحساب|الحساب)|الاسم)"
)
LABEL = re.compile(rf"{_LABEL_WORDS}(?: ?/ ?{_LABEL_WORDS})?\s?:?")  # maybe in two languages
LABELLED = re.compile(rf"(?P<label>{_LABEL_WORDS})(?:\s*:\s*|\s+)(?P<name>[^\W\d_]\D+)")
TITLE = re.compile(
    r"(?:hr/mw|dhr/mw|mr/mrs|mr|mrs|ms|miss|mdm|madam|dr|herrn?|frau|m|mme|mlle|melle|monsieur|madame|sr|sra|srta|messrs|mevr|mevrouw|mw|dhr"
    r"|de heer|sig|sig\.ra|gent\.ma|pan|pani|hr|fru|bapak|ibu|encik|puan|sayin)\b\.?"
    r"(?:\s?(?:ou|et|et/ou|&|and|und|en|e|i)\s(?:mr|mrs|ms|mme|melle|frau|herrn?|mevr|sra|pani)\b\.?)?"
)
ONLY_ADDRESSES = re.compile(  # a form of address in letters, but no part of a name
    r"(?:hr/mw|dhr/mw|herrn?|frau|de heer|mevr|mevrouw|mw|dhr|sig|sig\.ra|gent\.ma|sayin)\b\.?"
    r"(?:\s?(?:und|en|e)\s(?:frau|herrn?|mevr|mevrouw)\b\.?)?"
)
CAPITAL = re.compile(r"[^\W\d_a-z]")
BARE_TITLE = re.compile(
    r"herrn?|frau|herrn? und frau|frau und herrn?|eheleute|familie|firma|monsieur|madame|(?:gent\.ma )?signora?"
    r"|de heer|mevrouw|de heer en mevrouw|(?:madame|mme) et (?:monsieur|m\.?)|(?:monsieur|m\.?) et (?:madame|mme)"
    r"|sig\.?(?:ra)?|gent\.?ma|egr(?:egio)?\.?(?: sig\.?)?|spett(?:abi)?\.?le|senor(?:a|es)?|sres\.?"
    r"|(?:apreciad|estimad)[oa](?:\(?[ao]\)?)? (?:cliente|senor)(?:\(?a\)?)?"
)
CARD = re.compile(r"(?: (?=[\dXx*•]{4} ?[Xx*•]{4})[\dXx*• -]+)?$")  # the number of a card, "4510 XXXX XXXX 7712"
NEXT_LABEL = re.compile(r"\s+[^\W\d_]{2,}\s?:")  # behind the name
NUMBER_BEHIND = re.compile(r" ?[(\[][\d\s-]{5,}[)\]]$")  # of a person or a firm, behind the name
HONORIFIC = re.compile(r"\s?(?:様|殿|御中)$")
AND = r"(?:&|and/or|and|or|und/oder|und|oder|en/of|e/o|y/o|et/ou|et|ou|e|y|en|of|och|og|ja|i)"
ENDS_WITH_AND = re.compile(rf".*\s{AND}")
BEGINS_WITH_AND = re.compile(rf"{AND}\s+")
NAMES_ACCOUNT = re.compile(r"\b(?:account|acct|konto|compte|cuenta|conta|conto)\b.*\d")
ACCOUNT_LINE = re.compile(r"(?:bsb|sort code|account|acct|iban|a/c)\b.*\d")
OF_PERSON = re.compile(  # the number that a country gives to each person
    r"\b(?:cpf|cnpj|nif|nie|dni|rut|rfc|curp|cuil|cuit|cedula|codice fiscale|cod\. ?fisc|c\.f\.|tckn|pesel|bsn|nric)\b"
)
PRODUCT = re.compile(r"^[^\W\d_]*(?:konto|account|compte|cuenta|conta|conto|rekening)$")
TITLE_FOR = re.compile(r"(?:account )?(?:statement|summary) (?:for|of)\s?:?|(?:konto)?auszug fur|releve de")
GREETING = re.compile(
    r"(?:hello|hi|dear|hallo|liebe[r]?|guten tag|bonjour|cher|chere|hola|ola|caro|cara|estimad[oa]|ciao|hej|hei|beste)"
    r",? (?P<name>[^\W\d_]{3,})[,.!]?$"
)
