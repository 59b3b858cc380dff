"""The encoding of a text without a declaration: languages whose letters several 8-bit encodings have elsewhere."""

import pytest

from processors.text.encoding import Encoding, detect

pytest.importorskip("charset_normalizer", reason="the extra `documents` is not installed")

_TEXTS = [
    ("cp1252", "Betrag für März: 12,50 EUR"),
    ("cp1252", "Le loyer est à payer à la fin du mois, reçu à Orléans"),
    ("cp1252", "l’été dernier, où ça chauffait"),
    ("cp1252", "El año pasado señaló mañana"),
    ("cp1252", "São Paulo, não há informação"),
    ("cp1252", "Göteborg på ångström, Malmö"),
    ("cp1252", "Rødgrød med fløde på Ærø"),
    ("cp1252", "La città è più bella"),
    ("cp1252", "§ 5 Abs. 2 – “Zitat”, 12 €"),
    ("cp1250", "Zażółć gęślą jaźń, umowa najmu lokalu"),
    ("cp1250", "Příliš žluťoučký kůň pěl"),
    ("cp1250", "Árvíztűrő tükörfúrógép"),
    ("iso8859_2", "Zażółć gęślą jaźń, umowa najmu lokalu"),
    ("cp850", "Größe und Länge: 12 m, für Bücher"),
    ("mac_roman", "Café Müller über die Straße"),
    ("cp1251", "Договор аренды квартиры, плата 500 рублей"),
    ("shift_jis", "契約書第三条 賃料は月額八万円とする。"),
]


@pytest.mark.parametrize(("codec", "text"), _TEXTS)
@pytest.mark.parametrize("lines", [1, 30])
def test_letters_of_a_language_tell_the_encoding(codec: str, text: str, lines: int):
    content = "\n".join([text] * lines).encode(codec)
    found = detect(content, is_complete=True)
    assert found.is_guess and content.decode(found.codec).splitlines() == [text] * lines


def test_utf8_with_a_damaged_byte_stays_utf8():
    content = "Grüße aus Köln\n".encode() + b"bad \xff byte\n" + "Grüße\n".encode()
    assert detect(content, is_complete=True) == Encoding(codec="utf-8")


def test_two_bytes_of_latin_letters_are_not_utf8():
    assert detect("Größe für Bücher".encode("cp1252"), is_complete=True) == Encoding(codec="cp1252", is_guess=True)
