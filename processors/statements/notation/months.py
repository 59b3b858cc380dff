"""Names of months as statements print them: from CLDR, without accents, and as OCR misreads them. Pure."""

import unicodedata

# English, German, French, Spanish, Dutch, Italian
_MONTHS = {
    1: "january jan januar jänner jän janner janvier janv enero ene januari gennaio gen",
    2: "february feb februar fev février fevrier févr fevr fév febrero februari febbraio",
    3: "march mar märz maerz marz mrz mär mars marzo maart mrt",
    4: "april apr avril avr abril abr aprile",
    5: "may mai mayo mei maggio mag",
    6: "june jun juni juin junio giugno giu",
    7: "july jul juli juillet juill juil julio luglio lug",
    8: "august aug août aout agosto ago augustus",
    9: "september sep sept septembre septiembre setiembre settembre set",
    10: "october oct oktober okt octobre octubre ottobre ott",
    11: "november nov novembre noviembre",
    12: "december dec dezember dez décembre decembre déc diciembre dic dicembre",
}
# Catalan, Czech, Danish, Estonian, Finnish, Hungarian, Latvian, Lithuanian, Norwegian, Polish, Portuguese, Romanian,
# Slovak, Swedish, Turkish
_FURTHER = {
    1: "gener ian ianuarie jaan jaanuar janeiro január januára janvāris leden ledna oca ocak saus sausio sausis sty"
    " styczeń stycznia tammi tammikuu tammikuuta",
    2: "febr febrer februarie február februára februāris fevereiro helmi helmikuu helmikuuta lut lutego luty vasario"
    " vasaris veebr veebruar únor února şub şubat",
    3: "bře březen března kovas kovo maalis maaliskuu maaliskuuta marca marec mart martie marts març março márc március"
    " märts",
    4: "aprilie aprill apríl apríla aprīlis balandis balandžio duben dubna huhti huhtikuu huhtikuuta kwi kwiecień"
    " kwietnia nis nisan ápr április",
    5: "gegužė gegužės kvě květen května maig maijs maio maj maja mayıs máj mája május touko toukokuu toukokuuta",
    6: "birželio birželis cze czerwca czerwiec haz haziran iun iunie junho juny juuni jún júna június jūn jūnijs kesä"
    " kesäkuu kesäkuuta červen června čvn",
    7: "heinä heinäkuu heinäkuuta iul iulie julho juliol juuli júl júla július jūl jūlijs liepa liepos lip lipca lipiec"
    " tem temmuz července červenec čvc",
    8: "ag agost augusta augusti augusts augusztus ağu ağustos elokuu elokuuta rugpjūtis rugpjūčio sie sierpień"
    " sierpnia srpen srpna",
    9: "eyl eylül rugsėjis rugsėjo septembra septembrie septembris setembre setembro syys syyskuu syyskuuta szept"
    " szeptember wrz wrzesień września září",
    10: "eki ekim loka lokakuu lokakuuta octombrie oktobris oktoober október októbra out outubro paź październik"
    " października spalio spalis říj říjen října",
    11: "kas kasım lapkritis lapkričio lis listopad listopada listopadu marras marraskuu marraskuuta noiembrie novembra"
    " novembris novembro",
    12: "ara aralık decembra decembrie decembris des desember desembre dets detsember dezembro gru grudnia grudzień"
    " gruodis gruodžio joulu joulukuu joulukuuta prosince prosinec",
}
# Indonesian and Malay, without those above and "mac", which is a word of other languages
_MALAY = {
    3: "maret",
    7: "julai",
    8: "agustus ogos",
    11: "nopember",
    12: "disember",
}
_GREEK = {
    1: "ιαν ιανουάριος ιανουαρίου",
    2: "φεβ φεβρουάριος φεβρουαρίου",
    3: "μαρ μάρτιος μαρτίου",
    4: "απρ απρίλιος απριλίου",
    5: "μαι μαϊ μάιος μαΐου",
    6: "ιουν ιούνιος ιουνίου",
    7: "ιουλ ιούλιος ιουλίου",
    8: "αυγ αύγουστος αυγούστου",
    9: "σεπ σεπτέμβριος σεπτεμβρίου",
    10: "οκτ οκτώβριος οκτωβρίου",
    11: "νοε νοέμβριος νοεμβρίου",
    12: "δεκ δεκέμβριος δεκεμβρίου",
}
# Russian, Ukrainian, Bulgarian, Serbian, Macedonian
_CYRILLIC = {
    1: "янв январь января січ січень січня яну януари јан јануар јануари",
    2: "фев февр февраль февраля лют лютий лютого февруари феб фебруар",
    3: "мар март марта бер березень березня",
    4: "апр апрель апреля квіт квітень квітня април",
    5: "май мая трав травень травня мај",
    6: "июн июнь июня черв червень червня юни јун јуни",
    7: "июл июль июля лип липень липня юли јул јули",
    8: "авг август августа серп серпень серпня",
    9: "сен сент сентябрь сентября вер вересень вересня сеп септември септембар",
    10: "окт октябрь октября жовт жовтень жовтня октомври октобар",
    11: "ноя нояб ноябрь ноября лист листопад листопада ное ноември нов новембар",
    12: "дек декабрь декабря груд грудень грудня декември дец децембар",
}
_MISREAD = str.maketrans("01|", "oll")  # OCR's "0ct" and "Ju1"
_READ_FOR_GREEK = {  # Latin letters that OCR reads for Greek capitals, here all in lower case
    **{"α": "a", "β": "b", "ε": "e", "κ": "k", "λ": "a", "μ": "m", "ν": "n", "π": "n", "ρ": "p", "τ": "t", "υ": "y"},
    **{"γ": "tf", "ι": "i1|", "ο": "o0"},
}
_GREEK_AS_READ = str.maketrans(
    {each: letters[0] for letter, letters in _READ_FOR_GREEK.items() for each in letter + letters}
)


def _plain(name: str) -> str:
    """The name without accents and with a dot on each "i", as a pattern that ignores case matches "KASIM", too."""
    split = unicodedata.normalize("NFKD", name.replace("ı", "i"))
    return "".join(char for char in split if not unicodedata.combining(char))


_TABLES = (_MALAY, _GREEK, _CYRILLIC, _FURTHER, _MONTHS)
_NAMES = {name: number for table in _TABLES for number, names in table.items() for name in names.split()}
MONTH_OF = {_plain(name): number for name, number in _NAMES.items()} | _NAMES
MONTH_OF |= {name.replace("i", "l"): number for name, number in MONTH_OF.items()}  # "Juni" as "Jun1"
_GREEK_SHORT = {names.split()[0]: number for number, names in _GREEK.items()}
_MONTH_AS_READ = {name.translate(_GREEK_AS_READ): number for name, number in _GREEK_SHORT.items()}


def _pattern() -> str:
    names = sorted(MONTH_OF.keys() - _GREEK_SHORT.keys(), key=len, reverse=True)
    latin = "|".join(names).replace("o", "[o0]").replace("l", r"[l1|]")
    greek = ["".join(f"[{char}{_READ_FOR_GREEK.get(char, '')}]" for char in name) for name in _GREEK_SHORT]
    return "|".join([latin, *greek])


MONTH_PATTERN = _pattern()  # of any name, in lower case


def number_of_month(name: str) -> int:
    """The number of a month, in any case and as OCR misreads it."""
    wanted = name.lower().translate(_MISREAD)
    found = MONTH_OF.get(wanted) or MONTH_OF.get(_plain(wanted))
    return found or _MONTH_AS_READ[_plain(name.lower()).translate(_GREEK_AS_READ)]
