"""Words by which a text names a bank, in many languages. Pure."""

import re

from processors.statements.notation.keywords import normalize

_WORD = re.compile(
    r"\w*bank|\w*bank(?:a|en|as|ası|asi|kas)|banking|\w*pank|\w*banque|\w*banco|\w*banca|banc|\w*sparkasse"
    r"|caixa\w*|cajas?|cassa|raiffeisen\w*|\w*банк\w*|τράπεζα|τραπεζα|\S*(?:銀行|银行|은행)\S*"
)
_PHRASE = re.compile(r"\b(?:credit union|building society|caisse d'epargne|caisse populaire|credit mutuel)\b")


def names_bank(text: str) -> bool:
    """True if one of the words is that of a bank."""
    plain = normalize(text)
    words = [word.strip(".,()") for word in (*plain.split(), *text.lower().split())]
    return bool(_PHRASE.search(plain)) or any(_WORD.fullmatch(word) for word in words)
