"""Text in drawings of Office files: text boxes of a workbook, SmartArt diagrams, titles and labels of charts. Pure but
for reading the parts of the archive."""

import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator

from processors.text.archive_errors import DAMAGED_PART
from processors.text.document import counted

_PARTS = {
    "Text box": re.compile(r"xl/drawings/drawing\d+\.xml"),
    "Diagram": re.compile(r"(?:word|ppt|xl)/diagrams/data\d+\.xml"),
    "Chart": re.compile(r"(?:word|ppt|xl)/charts/chart\d+\.xml"),
}
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_PART_BYTES = 20_000_000


def find_text(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """What each text of a drawing belongs to ("Chart" …), and its words."""
    for name in archive.namelist():
        title = next((title for title, pattern in _PARTS.items() if pattern.fullmatch(name)), "")
        if not title or archive.getinfo(name).file_size > _PART_BYTES:
            continue
        try:
            root = ElementTree.fromstring(archive.read(name))
        except (ElementTree.ParseError, *DAMAGED_PART):
            continue
        texts = [*_paragraphs(root), *(_labels(root) if title == "Chart" else ())]
        yield from ((title, text) for text in dict.fromkeys(texts))


def count_charts(names: list[str]) -> int:
    return sum(_PARTS["Chart"].fullmatch(name) is not None for name in names)


def report_charts(count: int) -> str:
    return f"The document contains {counted(count, 'chart')}: only titles and labels were read."


def _paragraphs(root: ElementTree.Element) -> Iterator[str]:
    for paragraph in root.iter(f"{_DRAWING}p"):
        words = "".join(text.text or "" for text in paragraph.iter(f"{_DRAWING}t"))
        if words := " ".join(words.split()):
            yield words


def _labels(chart: ElementTree.Element) -> Iterator[str]:
    """The names of series and categories."""
    for cache in chart.iter(f"{_CHART}strCache"):
        for value in cache.iter(f"{_CHART}v"):
            if words := " ".join((value.text or "").split()):
                yield words
