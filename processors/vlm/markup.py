"""The markup that models of documents write, converted to Markdown: HTML tables, YAML front matter, DocTags. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser


@dataclass(frozen=True, kw_only=True)
class Converted:
    """An answer as Markdown."""

    text: str
    notes: tuple[str, ...] = ()  # what the model reports about the page


def unchanged(text: str) -> Converted:
    return Converted(text=text)


def tables_to_markdown(text: str) -> Converted:
    """Replace HTML tables."""
    return Converted(text=_TABLE.sub(lambda found: _markdown_of_html(found[0]), text).strip())


def front_matter_to_notes(text: str) -> Converted:
    """olmOCR's answers: YAML between two lines of dashes, then Markdown with HTML tables."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return tables_to_markdown(text)
    return Converted(text=tables_to_markdown(text[found.end() :]).text, notes=tuple(_notes(found["yaml"])))


def without_thoughts(text: str) -> Converted:
    """Remove the reasoning of a model before its answer."""
    return Converted(text=_THOUGHTS.sub("", text).strip())


def grounding_to_markdown(text: str) -> Converted:
    """DeepSeek-OCR's answers: the places of regions precede their text."""
    return tables_to_markdown(_GROUNDING.sub("", text))


def doctags_to_markdown(text: str) -> Converted:
    """DocTags, the format of Granite-Docling and SmolDocling, and OTSL tables, even without DocTags around them.

    The tags are those of docling-core (types/doc/tokens.py). A text without tags remains unchanged.
    """
    text = _PLACE.sub("", text)
    if not _TAG.search(text):
        return tables_to_markdown(text)
    return Converted(text="\n\n".join(filter(None, _blocks(text))).strip())


# ---------------------------------------------------------------------------------------------- front matter

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n(?P<yaml>.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_THOUGHTS = re.compile(r"\A\s*(?:<think>)?(?:(?!<think>).)*?</think>", re.DOTALL)
_GROUNDING = re.compile(r"<\|ref\|>.*?<\|/ref\|>|<\|det\|>.*?<\|/det\|>[ \t]*\n?", re.DOTALL)


def _notes(written: str) -> Iterator[str]:
    import yaml  # not in the daemon

    try:
        facts = yaml.safe_load(written)
    except yaml.YAMLError:
        return
    if not isinstance(facts, dict):
        return
    turn = facts.get("rotation_correction")
    if facts.get("is_rotation_valid") is False or (isinstance(turn, int) and turn % 360):
        yield f"the model reports that this page is turned by {turn or '?'} degrees"


# ---------------------------------------------------------------------------------------------- tables

_TABLE = re.compile(r"<table\b.*?(?:</table\s*>|\Z)", re.DOTALL | re.IGNORECASE)


class _Table(HTMLParser):
    """The cells of one HTML table; spanned cells repeat as empty ones."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self._cell: list[str] | None = None
        self._span = (1, 1)  # columns, rows
        self._taken: dict[tuple[int, int], None] = {}  # places (row, column) below a cell of several rows

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self._end_cell()
            self.rows.append([])
        elif tag in ("td", "th"):
            self._end_cell()
            given = dict(attrs)
            self._span = (_count(given.get("colspan")), _count(given.get("rowspan")))
            self._cell = []
        elif tag == "br" and self._cell is not None:
            self._cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._end_cell()

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def _end_cell(self) -> None:
        if self._cell is None:
            return
        if not self.rows:
            self.rows.append([])
        row, number = self.rows[-1], len(self.rows) - 1
        self._fill(row, number)
        columns, rows = self._span
        for below in range(1, rows):
            self._taken.update(dict.fromkeys((number + below, len(row) + right) for right in range(columns)))
        row += ["".join(self._cell), *[""] * (columns - 1)]
        self._fill(row, number)
        self._cell = None

    def _fill(self, row: list[str], number: int) -> None:
        while (number, len(row)) in self._taken:
            row.append("")


_MOST_SPANNED = 100  # columns or rows; a model in a loop writes more


def _count(written: str | None) -> int:
    return (
        min(int(written), _MOST_SPANNED) if written and written.isascii() and written.isdigit() and int(written) else 1
    )


def _markdown_of_html(html: str) -> str:
    table = _Table()
    table.feed(html)
    table.close()
    table.handle_endtag("table")
    return _markdown_of(table.rows) or html


def _markdown_of(rows: list[list[str]]) -> str:
    """A Markdown table, whose first row is its head."""
    rows = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows if row]
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join(["", lines[0], "|" + " --- |" * width, *lines[1:], ""])


# ---------------------------------------------------------------------------------------------- DocTags

_PLACE = re.compile(r"<loc_\d+>|<page_break>|<\|[a-z_]+\|>")
_NAMES = (
    "doctag|title|section_header_level_\\d|text|paragraph|list_item|ordered_list|unordered_list|caption|footnote"
    "|page_header|page_footer|formula|code|picture|chart|otsl|document_index|inline|checkbox_selected"
    "|checkbox_unselected|key_value_region|form|table"
)
_CELLS = "fcel|ecel|ched|rhed|srow|lcel|ucel|xcel|nl"
_TAG = re.compile(f"</?(?:{_NAMES})>|<(?:{_CELLS})>|<_[A-Za-z+#-]+_>")
_CELL = re.compile(f"<(?P<kind>{_CELLS})>")
_TEXT_CELLS = {"fcel", "ched", "rhed", "srow"}
_BLOCK = re.compile(
    "<(?P<name>otsl|document_index|table|title|section_header_level_(?P<level>\\d)|text|paragraph|list_item|footnote"
    "|caption|page_header|page_footer|formula|code)>(?P<inside>.*?)(?:</(?P=name)>|\\Z)",
    re.DOTALL,
)
_LANGUAGE = re.compile(r"<_(?P<name>[A-Za-z+#-]+)_>")


def _blocks(text: str) -> Iterator[str]:
    """The elements in order; text outside all elements remains."""
    is_ordered, number, end = False, 0, 0
    for found in _BLOCK.finditer(text):
        between = text[end : found.start()]
        if _CELL.search(between):
            yield _markdown_of(_otsl(between)).strip()
        else:
            yield _bare(between)
        if "<ordered_list>" in between or "<unordered_list>" in between:
            is_ordered, number = between.rfind("<ordered_list>") > between.rfind("<unordered_list>"), 0
        number += found["name"] == "list_item"
        yield _block(found, number if is_ordered else 0)
        end = found.end()
    rest = text[end:]
    yield _markdown_of(_otsl(rest)).strip() if _CELL.search(rest) else _bare(rest)


def _block(found: re.Match[str], number: int) -> str:
    """One element as Markdown; `number` of an item of an ordered list, else 0."""
    inside, name = found["inside"], found["name"]
    if found["level"]:
        return f"{'#' * (int(found['level']) + 1)} {_bare(inside)}"
    match name:
        case "otsl" | "document_index" | "table":
            caption = re.search(r"<caption>(.*?)(?:</caption>|\Z)", inside, re.DOTALL)
            rows = _otsl(inside.replace(caption[0], "") if caption else inside)
            return "\n\n".join(filter(None, [_bare(caption[1]) if caption else "", _markdown_of(rows).strip()]))
        case "title":
            return f"# {_bare(inside)}"
        case "list_item":
            item = _bare(inside)
            return f"{number}. {item}" if number else f"- {item.removeprefix('- ').removeprefix('• ')}"
        case "formula":
            return f"$${_bare(inside)}$$"
        case "code":
            language = _LANGUAGE.search(inside)
            code = unescape(_TAG.sub("", inside)).strip("\n")
            return f"```{language['name'].lower() if language else ''}\n{code}\n```"
    return _bare(inside)


def _otsl(text: str) -> list[list[str]]:
    """The cells of an OTSL table (Lysak et al., 2023, "Optimized Table Tokenization"): `lcel`, `ucel` and `xcel` extend
    the cell on the left, above, or both."""
    rows: list[list[str]] = [[]]
    marks = list(_CELL.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        if mark["kind"] == "nl":
            rows.append([])
            continue
        written = text[mark.end() : following.start() if following else len(text)]
        rows[-1].append(_bare(written) if mark["kind"] in _TEXT_CELLS else "")
    return [row for row in rows if row]


def _bare(text: str) -> str:
    """The text without tags."""
    return " ".join(unescape(_TAG.sub("", text)).split())
