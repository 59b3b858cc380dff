"""A page as Markdown: headings, paragraphs, lists and tables, from the size and position of its lines. Pure."""

import math
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from processors.ocr.reading_order import Block, Line
from processors.ocr.text_lines import Placed

_HEADING, _TITLE = 1.2, 1.6  # times the height of the page's text
_LONGEST_HEADING = 12  # words
_CELL_GAP = 1.1  # line heights between two cells of a row
_PARAGRAPH_GAP = 1.45  # times the usual distance of lines
_CELL_PITCH, _CELL_INDENT = 1.8, 0.5  # line heights between two lines of a cell, and between their left edges
_TABLE_GAP = 2.2  # times the distance of the first two rows
_SHORT = 0.8  # of the block's width: a shorter line that ends a sentence ends a paragraph
_BULLET = re.compile(r"[•·▪◦‣●○■□✓✔☐☑☒*–—-]\s+(?=\S)")
_NUMBER = re.compile(r"(\d{1,3}|[a-z])[.)]\s+(?=\S)")
_KEEPS_HYPHEN = {"and", "or", "und", "oder", "bzw.", "sowie", "et", "ou", "y", "o", "e", "en", "of"}

Row = list[list[Placed]]  # cells of a line, each of some pieces


def to_markdown(blocks: Sequence[Block], level: int = 1) -> str:
    """The blocks as Markdown. `level`: the level of the largest headings."""
    blocks = [Block(tuple(_with_struck(line) for line in block.lines)) for block in blocks]
    heights = [line.height for block in blocks for line in block.lines for _ in range(len(line.text))]
    body = statistics.median(heights) if heights else 0.0
    return "\n\n".join(part for block in blocks for part in _parts(block, body, level))


def _parts(block: Block, body: float, level: int) -> Iterator[str]:
    lines = list(block.lines)
    steps = [after.middle - before.middle for before, after in pairwise(lines)]
    pitch = statistics.median(steps) if steps else 0.0
    while lines:
        if (count := _count_rows(lines)) > 1:
            yield _table([_cells(line) for line in lines[:count]])
        elif heading := _heading(lines[0], body):
            count = 1
            yield f"{'#' * (level + 2 - heading)} {_escaped(lines[0].text)}"
        elif _BULLET.match(lines[0].text) or _NUMBER.match(lines[0].text):
            count = _count_list(lines, pitch)
            yield _list(lines[:count])
        else:
            count = _count_paragraph(lines, pitch, body)
            yield _paragraph(lines[:count], max(line.right for line in block.lines))
        lines = lines[count:]


def _with_struck(line: Line) -> Line:
    """The line with marks around what is struck out."""
    are_struck = [all(box.is_struck for box in each.boxes) for each in line.placed]
    if not any(are_struck):
        return line
    placed = []
    for number, (each, is_struck) in enumerate(zip(line.placed, are_struck, strict=True)):
        begins = is_struck and not (number and are_struck[number - 1])
        ends = is_struck and not any(are_struck[number + 1 : number + 2])
        placed.append(replace(each, text=f"{'~~' * begins}{each.text.strip()}{'~~' * ends}"))
    return Line(tuple(placed))


# ---------------------------------------------------------------------------------------------- tables


def _cells(line: Line) -> Row:
    cells: Row = []
    for piece in line.placed:
        if cells and piece.left - cells[-1][-1].right <= _CELL_GAP * line.height:
            cells[-1].append(piece)
        else:
            cells.append([piece])
    return cells


def _count_rows(lines: Sequence[Line]) -> int:
    """The number of lines at the start that are rows of one table, or continue a cell of the row above."""
    count = 0
    step = lines[1].middle - lines[0].middle if len(lines) > 1 else 0.0
    rows: list[Row] = []
    for before, line in zip([None, *lines], lines, strict=False):
        is_far = before is not None and line.middle - before.middle > _TABLE_GAP * step
        cells = _cells(line)
        is_continued = len(cells) == 1 and before is not None and _continues(line, before, rows)
        if is_far or len(cells) < 2 and not is_continued:
            break
        rows += [cells] if len(cells) > 1 else []
        count += 1
    while count > 1 and not _is_table(lines[:count]):
        count -= 1
    return count


def _is_table(lines: Sequence[Line]) -> bool:
    """True if the lines have columns, and no text follows them that could be a paragraph below a table."""
    columns = _columns([cells for line in lines if len(cells := _cells(line)) > 1])
    is_below = len(_cells(lines[-1])) == 1 and lines[-1].left < columns[0][1]
    return len(columns) > 1 and not is_below


def _continues(line: Line, before: Line, rows: Sequence[Row]) -> bool:
    """True if the line continues a cell of the row above: it is close to the row, and within the column of the cell."""
    if len(rows) < 2 or line.middle - before.middle > _CELL_PITCH * line.height:
        return False
    columns = _columns(rows)
    ends = [left for left, _ in columns[1:]] + [math.inf]
    return any(
        abs(line.left - left) < _CELL_INDENT * line.height and line.right < end
        for (left, _), end in zip(columns, ends, strict=True)
    )


def _columns(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Left and right sides of the columns: the parts of the width that contain cells of any row."""
    sides = sorted((cell[0].left, cell[-1].right) for row in rows for cell in row)
    columns = [list(sides[0])]
    for left, right in sides[1:]:
        if left < columns[-1][1]:
            columns[-1][1] = max(columns[-1][1], right)
        else:
            columns.append([left, right])
    return [(left, right) for left, right in columns]


def _table(rows: Sequence[Row]) -> str:
    columns = _columns([row for row in rows if len(row) > 1])
    written: list[list[str]] = []
    for row in rows:
        is_continued = len(row) == 1
        slack = _CELL_INDENT * row[0][0].height if is_continued else 0.0
        texts = written.pop() if is_continued else [""] * len(columns)
        for cell in row:
            number = max(n for n, (left, _) in enumerate(columns) if n == 0 or left <= cell[0].left + slack)
            text = _escaped(" ".join(piece.text.strip() for piece in cell)).replace("|", "\\|")
            texts[number] = f"{texts[number]} {text}".strip()
        written.append(texts)
    if any(char.isdigit() for text in written[0] for char in text) or len(columns) == 2:
        written.insert(0, [""] * len(columns))  # the first row is not a heading
    lines = [f"| {' | '.join(texts)} |" for texts in written]
    return "\n".join([lines[0], "|" + " --- |" * len(columns), *lines[1:]])


# ---------------------------------------------------------------------------------------------- text


def _heading(line: Line, body: float) -> int:
    """2 for a title, 1 for a smaller heading, else 0."""
    if line.height < _HEADING * body or len(line.text.split()) > _LONGEST_HEADING:
        return 0
    return 2 if line.height >= _TITLE * body else 1


def _count_list(lines: Sequence[Line], pitch: float) -> int:
    """The number of lines at the start that are items of one list; an indented line continues its item."""
    count = 1
    for before, line in pairwise(lines):
        is_item = _BULLET.match(line.text) or _NUMBER.match(line.text)
        is_continued = line.left > lines[0].left + lines[0].height / 2
        if not (is_item or is_continued) or line.middle - before.middle > 2 * _PARAGRAPH_GAP * pitch:
            break
        count += 1
    return count


def _list(lines: Sequence[Line]) -> str:
    items: list[list[Line]] = []
    for line in lines:
        if not items or _BULLET.match(line.text) or _NUMBER.match(line.text):
            items.append([line])
        else:
            items[-1].append(line)
    return "\n".join(_item(_joined(item)) for item in items)


def _item(text: str) -> str:
    if number := _NUMBER.match(text):
        return f"{number[0].strip()} {_escaped(text[number.end() :])}"
    return f"- {_escaped(_BULLET.sub('', text, count=1))}"


def _count_paragraph(lines: Sequence[Line], pitch: float, body: float) -> int:
    right, left = max(line.right for line in lines), min(line.left for line in lines)
    count = 1
    for before, line in pairwise(lines):
        is_far = line.middle - before.middle > _PARAGRAPH_GAP * max(pitch, before.height)
        is_end = before.right < left + _SHORT * (right - left) and before.text[-1:] in ".!?:"
        is_other = _heading(line, body) or _BULLET.match(line.text) or _NUMBER.match(line.text)
        if is_far or is_end or is_other or len(_cells(line)) > 1 and _count_rows(lines[count:]) > 1:
            break
        count += 1
    return count


def _paragraph(lines: Sequence[Line], right: float) -> str:
    """The lines of a paragraph, joined. A line that ends although the next word would fit stays separate, as in an
    address."""
    parts = [[lines[0]]]
    for before, line in pairwise(lines):
        character = (line.right - line.left) / max(1, len(line.text))
        word = len(line.text.split(" ")[0]) * character
        if before.right + word + 2 * line.height < right and not before.text.endswith("-"):
            parts.append([line])
        else:
            parts[-1].append(line)
    return "\\\n".join(_escaped(_joined(part)) for part in parts)


def _joined(lines: Sequence[Line]) -> str:
    """The lines joined, without the hyphens of divided words."""
    text = ""
    for line in (line.text for line in lines):
        following = " ".join(line.split())
        first = following.split(" ")[0]
        if not text:
            text = following
        elif text.endswith("-") and text[-2:-1].isalnum() and first not in _KEEPS_HYPHEN:
            text = (text[:-1] if text[-2].isalpha() and first[:1].islower() else text) + following
        else:
            text += f" {following}"
    return text


def _escaped(text: str) -> str:
    """Escape text that Markdown would interpret as markup."""
    text = " ".join(text.split()).replace("<", "\\<")
    return f"\\{text}" if re.match(r"[#>+|]|[-=]{3,}", text) else text
