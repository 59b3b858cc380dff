"""Measure how well the real processor reads invented bank statements with known contents.

    python -m benchmarks.statements [--cases N] [--sources text,clean,scan,harmed] [--layouts NAME,…]
        [--held-out] [--second-reading always] [--again] [--write]

`text`: PDFs with their text layer. `clean`: the same, drawn at 200 dpi and read by OCR. `scan`: slightly skewed or
turned by a right angle, blurred, noisy, as JPEG, at 150 dpi. `harmed`: the text layer with some damaged words, to test
whether wrong rows are flagged. Finished cases are saved in --work and do not run again.
"""

import argparse
import json
import pickle
import re
import statistics
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from benchmarks.statement_pages.drawing import Truth, draw
from benchmarks.statement_pages.harm import harm
from benchmarks.statement_pages.layouts import HELD_OUT, LAYOUTS, Layout
from benchmarks.statement_pages.scans import scan
from processors.contract import Kind, Progress, Work
from processors.ocr import Ocr, OcrOptions, ReadOptions
from processors.ocr.engine import RapidOcrEngine
from processors.ocr.file_reader import FileReader
from processors.ocr.text import PageText
from processors.pages import Page

RESULTS = Path(__file__).parent / "STATEMENTS.md"


@dataclass
class Score:
    """Sums over cases."""

    rows: int = 0
    right: int = 0  # date, debit, credit, balance and the letters and digits of the description
    money: int = 0  # date, debit, credit and balance
    wrong: int = 0  # read, but with a wrong debit, credit or balance, or not on the page
    wrong_flagged: int = 0
    dates_wrong: int = 0  # everything but the date is correct
    dates_flagged: int = 0
    missing: int = 0
    missing_told: int = 0  # the job's review reports a mismatch or an unreadable line
    alarms: int = 0  # flagged rows that are correct
    silent: int = 0  # cases with an error or a missing row, and no review
    cases: int = 0
    reviewed: int = 0  # fully correct cases with a review
    seconds_per_page: list[float] = field(default_factory=list)

    def add(self, other: dict[str, Any]) -> None:
        for name, value in other.items():
            if name == "seconds_per_page":
                self.seconds_per_page.append(value)
            elif hasattr(self, name):
                setattr(self, name, getattr(self, name) + value)


def main() -> None:
    arguments = _parse()
    layouts = HELD_OUT if arguments.held_out else LAYOUTS
    if arguments.layouts:
        layouts = tuple(each for each in LAYOUTS + HELD_OUT if each.name in arguments.layouts.split(","))
    ocr = _KeptOcr()
    ocr.load(OcrOptions(threads=1), Path("unused"), Progress(lambda message: None))
    table = []
    for source in arguments.sources.split(","):
        total = Score()
        for layout in layouts:
            one = Score()
            for seed in range(arguments.first, arguments.first + arguments.cases):
                ocr.second_reading = arguments.second_reading
                result = _case(ocr, layout, seed, source, arguments.work, again=arguments.again)
                one.add(result)
                total.add(result)
            table.append(_line(source, layout.name, one))
            print(table[-1], flush=True)
        table.append(_line(source, "**all**", total))
        print(table[-1], flush=True)
    if arguments.write:
        title = "held-out layouts" if arguments.held_out else "layouts known while the reader was written"
        title += ", each page read twice" if arguments.second_reading == "always" else ""
        since = f", from number {arguments.first}" if arguments.first else ""
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(
                f"\n## {title}, {arguments.cases} files per layout{since}\n\n{_HEAD}\n" + "\n".join(table) + "\n"
            )


_COLUMNS = ("source", "layout", "files", "rows", "fully correct", "date and money correct", "wrong amounts flagged")
_COLUMNS += (
    "wrong dates flagged",
    "missing rows reported",
    "false alarms",
    "correct files reviewed",
    "undetected",
    "s/page",
)
_HEAD = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2, help="files per layout")
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first file, to use files that development did not use"
    )
    parser.add_argument("--sources", default="text,clean,scan")
    parser.add_argument("--layouts", default="")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--second-reading", default="auto", help='"always": read every page twice')
    parser.add_argument("--write", action="store_true", help=f"append the table to {RESULTS.name}")
    parser.add_argument("--again", action="store_true", help="score saved pages again with changed rules")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/.statements"))
    return parser.parse_args()


class _KeptOcr(Ocr):
    """Saves the words of each page, so that changed rules can be scored without reading again."""

    folder: Path
    second_reading: str

    def _file_reader(self) -> FileReader:
        return _KeptReader(lambda: self._engine, self.folder)


class _KeptReader(FileReader):
    def __init__(self, engine: Callable[[], RapidOcrEngine], folder: Path):
        super().__init__(engine, Path())
        self.folder = folder

    def _read(self, page: Page, options: ReadOptions, was_rotated: bool) -> PageText:
        kept = self.folder / f"page-{page.number}.pickle"
        if options.text_layer == "auto":
            read = super()._read(page, options, was_rotated)
            return harm(read, f"{self.folder.name} {page.number}") if self.folder.name.endswith("-harmed") else read
        if not kept.exists():
            kept.write_bytes(pickle.dumps(super()._read(page, options, was_rotated)))
        return pickle.loads(kept.read_bytes())

    def _read_again(self, work: Work, doubtful: Sequence[PageText], progress: Progress) -> list[PageText]:
        found = []
        for page in doubtful:
            kept = self.folder / f"page-{page.number}-again.pickle"
            if not kept.exists():
                kept.write_bytes(pickle.dumps(super()._read_again(work, [page], progress)))
            found += pickle.loads(kept.read_bytes())
        return found


def _case(ocr: _KeptOcr, layout: Layout, seed: int, source: str, folder: Path, *, again: bool) -> dict[str, Any]:
    name = f"{layout.name}-{seed}-{source}"
    outputs = folder / name
    kept = outputs / "score.json"
    if kept.exists() and not again:
        return json.loads(kept.read_text())
    outputs.mkdir(parents=True, exist_ok=True)
    path = outputs / f"{name}.pdf"
    truth = draw(layout, seed, path)
    if source == "scan":
        path = scan(path, seed)
    layer = "auto" if source in ("text", "harmed") else "never"
    options = ReadOptions(task="bank-statement", text_layer=layer, second_reading=ocr.second_reading)
    work = Work(
        job=name,
        attempt=1,
        source=path,
        kind=Kind.IMAGE,
        media_type="application/pdf",
        outputs=outputs,
        stem="read",
        recipe="bank-statement",
        options=options,
    )
    ocr.folder = outputs
    started = time.process_time()
    finished = ocr.process_one(work, Progress(lambda message: None))
    seconds = (time.process_time() - started) / finished.pages
    read = json.loads((outputs / "read.json").read_text())
    if again and kept.exists():
        seconds = json.loads(kept.read_text())["seconds_per_page"]
    score = _score(truth, read, list(finished.review)) | {"seconds_per_page": seconds}
    kept.write_text(json.dumps(score))
    return score


def _score(truth: list[Truth], read: dict[str, Any], review: list[str]) -> dict[str, Any]:
    rows = [{**row, "account": one["account"]} for one in read["statements"] for row in one["rows"]]
    counts = Score(rows=len(truth), cases=1)
    if _is_newest_first(truth):
        truth = truth[::-1]
    problems = []
    for page in {each.page for each in truth} | {row["page"] for row in rows}:
        wanted = [each for each in truth if each.page == page]
        found = [row for row in rows if row["page"] == page]
        for expected, row in _align(wanted, found):
            if row is None:
                counts.missing += 1
                counts.missing_told += bool(review)
                problems.append(f"missing: {expected}")
            elif expected and _money(expected)[1:] == _read_money(row)[1:] and _money(expected) != _read_money(row):
                counts.dates_wrong += 1
                counts.dates_flagged += bool(row["flags"])
                problems.append(f"date: {_money(expected)} read as {_read_money(row)} {row['flags']}")
            elif expected is None or _money(expected) != _read_money(row):
                counts.wrong += 1
                counts.wrong_flagged += bool(row["flags"])
                problems.append(f"wrong: {expected and _money(expected)} read as {_read_money(row)} {row['flags']}")
            else:
                same = _letters(expected.description) == _letters(row["description"])
                counts.money += 1
                counts.right += same
                counts.alarms += bool(row["flags"])
                if not same:
                    problems.append(f"text: {expected.description!r} read as {row['description']!r}")
                if row["flags"]:
                    problems.append(f"false alarm: {row['flags']}")
    counts.silent = int(bool(counts.wrong or counts.dates_wrong or counts.missing) and not review)
    counts.reviewed = int(counts.money == counts.rows and not counts.wrong and bool(review))
    return {name: value for name, value in vars(counts).items() if name != "seconds_per_page"} | {
        "problems": problems,
        "review": review,
    }


def _is_newest_first(truth: list[Truth]) -> bool:
    """Decided from all pages: a page may cover a single day, and pages may be in any order."""
    pairs = [(one, after) for one, after in zip(truth, truth[1:], strict=False) if one.page == after.page]
    return sum(a.date > b.date for a, b in pairs) > sum(a.date < b.date for a, b in pairs)


def _align(wanted: list[Truth], found: list[dict[str, Any]]) -> list[tuple[Truth | None, dict[str, Any] | None]]:
    """Pairs of printed and read rows; equal rows first, then those between them, in order."""
    found = sorted(found, key=lambda row: row["date"] or "")
    matcher = SequenceMatcher(None, [_money(each) for each in wanted], [_read_money(row) for row in found], False)
    pairs = []
    for _, a, b, c, d in matcher.get_opcodes():
        left, right = wanted[a:b], found[c:d]
        longest = max(len(left), len(right))
        pairs += zip([*left, *[None] * (longest - len(left))], [*right, *[None] * (longest - len(right))], strict=True)
    return pairs


def _money(each: Truth) -> tuple[str | None, ...]:
    return str(each.date), *(value and str(value) for value in (each.debit, each.credit, each.balance))


def _read_money(row: dict[str, Any]) -> tuple[str | None, ...]:
    return row["date"], row["debit"], row["credit"], row["balance"]


def _letters(text: str) -> str:
    split = unicodedata.normalize("NFKD", text)
    return re.sub(r"[^a-z0-9]", "", split.lower())


def _line(source: str, name: str, score: Score) -> str:
    def share(part: int, whole: int) -> str:
        return f"{part}/{whole} ({100 * part / whole:.1f} %)" if whole else "none"

    cells = [source, name, score.cases, score.rows, share(score.right, score.rows), share(score.money, score.rows)]
    cells += [share(score.wrong_flagged, score.wrong), share(score.dates_flagged, score.dates_wrong)]
    cells += [share(score.missing_told, score.missing)]
    cells += [share(score.alarms, score.money), score.reviewed, score.silent]
    return "| " + " | ".join(map(str, [*cells, f"{statistics.median(score.seconds_per_page):.1f}"])) + " |"


if __name__ == "__main__":
    main()
