"""hOCR, read back as XML."""

import re
import xml.etree.ElementTree as ElementTree

from processors.ocr.hocr import to_hocr
from processors.ocr.text import PageText
from processors.ocr.text_lines import TextBox


def _line(text: str, left: float, top: float, width: float) -> TextBox:
    corners = ((left, top), (left + width, top), (left + width, top + 20), (left, top + 20))
    return TextBox(text=text, confidence=0.914, corners=corners)


def test_each_word_has_its_box_and_confidence():
    pages = [
        PageText(number=1, size=(600, 800), lines=((_line("Rent & tax", 100, 50, 100), _line("86.40", 300, 50, 50)),)),
        PageText(number=2, error="damaged"),
    ]
    root = ElementTree.fromstring(to_hocr('a "b".png', pages).partition("?>")[2].partition(">")[2])
    of = {
        name: [each for each in root.iter() if each.get("class") == name]
        for name in ("ocr_page", "ocrx_word", "ocr_line")
    }
    assert [page.get("title") for page in of["ocr_page"]] == [
        "image \"a 'b'.png\"; bbox 0 0 600 800; ppageno 0",
        "image \"a 'b'.png\"; bbox 0 0 0 0; ppageno 1",
    ]
    assert [word.text for word in of["ocrx_word"]] == ["Rent", "&", "tax", "86.40"]
    assert of["ocr_line"][0].get("title") == "bbox 100 50 350 70"
    boxes = [re.fullmatch(r"bbox (\d+) 50 (\d+) 70; x_wconf 91", word.get("title", "")) for word in of["ocrx_word"]]
    sides = [int(side) for box in boxes if box for side in box.groups()]
    assert sides == sorted(sides) and sides[0] == 100 and sides[-2:] == [300, 350] and len(sides) == 8


def test_characters_that_xml_forbids_are_left_out():
    line = _line("a\x01b\ud800", 0, 0, 50)
    written = to_hocr("x\udcff.png", [PageText(number=1, size=(60, 80), lines=((line,),))])
    ElementTree.fromstring(written.partition("?>")[2].partition(">")[2])
    written.encode()
