"""Pages as hOCR: XHTML with the box and the confidence of each word. Pure.

hOCR 1.2: https://kba.github.io/hocr-spec/1.2/
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element, SubElement

from processors import wellformed
from processors.ocr.searchable import split_words
from processors.ocr.text import PageText
from processors.ocr.text_lines import TextBox

_DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" '
    '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
)
_CAPABILITIES = "ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrp_wconf"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # XML 1.0, 2.2
_Bounds = tuple[float, float, float, float]


def to_hocr(file: str, read: Sequence[PageText]) -> str:
    """The pages of a file as hOCR. Positions are pixels of the upright picture that was read."""
    root = Element("html", {"xmlns": "http://www.w3.org/1999/xhtml"})
    head = SubElement(root, "head")
    SubElement(head, "title").text = _xml_text(file)
    SubElement(head, "meta", {"http-equiv": "Content-Type", "content": "text/html; charset=utf-8"})
    SubElement(head, "meta", {"name": "ocr-system", "content": "inboxd"})
    SubElement(head, "meta", {"name": "ocr-capabilities", "content": _CAPABILITIES})
    body = SubElement(root, "body")
    for page in read:
        _add_page(body, file, page)
    ElementTree.indent(root, " ")
    return _DOCTYPE + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_page(body: Element, file: str, page: PageText) -> None:
    width, height = page.size or (0, 0)
    name = _xml_text(file).replace('"', "'")
    title = f'image "{name}"; bbox 0 0 {width} {height}; ppageno {page.number - 1}'
    element = SubElement(body, "div", {"class": "ocr_page", "id": f"page_{page.number}", "title": title})
    blocks = [[line.boxes for line in block.lines] for block in page.blocks] or [list(page.lines)]
    for number, lines in enumerate((lines for lines in blocks if lines), start=1):
        where = {"title": _bbox(_around(box for line in lines for box in line))}
        area = SubElement(element, "div", {"class": "ocr_carea", "id": f"block_{page.number}_{number}", **where})
        paragraph = SubElement(area, "p", {"class": "ocr_par", "id": f"par_{page.number}_{number}", **where})
        for line in lines:
            _add_line(paragraph, line)


def _add_line(paragraph: Element, line: Sequence[TextBox]) -> None:
    element = SubElement(paragraph, "span", {"class": "ocr_line", "title": _bbox(_around(line))})
    for box in line:
        for word, bounds in _words(box):
            title = f"{_bbox(bounds)}; x_wconf {round(100 * box.confidence)}"
            SubElement(element, "span", {"class": "ocrx_word", "title": title}).text = _xml_text(word)


def _words(box: TextBox) -> Iterator[tuple[str, _Bounds]]:
    """The words of a box, with their bounds: as wide as `searchable` estimates them."""
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = box.corners
    for word, start, end in split_words(box.text):
        upper = [(x1 + (x2 - x1) * at, y1 + (y2 - y1) * at) for at in (start, end)]
        lower = [(x4 + (x3 - x4) * at, y4 + (y3 - y4) * at) for at in (start, end)]
        xs, ys = zip(*upper, *lower, strict=True)
        yield word, (min(xs), min(ys), max(xs), max(ys))


def _around(boxes: "Iterator[TextBox] | Sequence[TextBox]") -> _Bounds:
    xs, ys = zip(*(corner for box in boxes for corner in box.corners), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _bbox(bounds: _Bounds) -> str:
    return "bbox " + " ".join(str(max(0, round(side))) for side in bounds)


def _xml_text(text: str) -> str:
    return _FORBIDDEN.sub("", wellformed.text(text))
