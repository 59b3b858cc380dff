"""Read held-out statements with the recipe `bank-statement` of the OCR processor and score the results.

    python -m benchmarks.heldout [--cases 40] [--kind clean|scan|both] [--layout NAME] [--seen] [--show]

The layouts imitate those of real banks. The reader was not adapted to the layouts of benchmarks/HELDOUT.md. Those
of `--seen` (benchmarks/HELDOUT-SEEN.md) were held out as well, until the reader was improved with their results. An
interrupted run resumes: results are saved in --folder, and a saved case is scored, not read again.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.heldout import layouts_abroad as abroad
from benchmarks.heldout import layouts_english as english
from benchmarks.heldout import layouts_later as later
from benchmarks.heldout import layouts_sparse as sparse
from benchmarks.heldout.scan import scan
from benchmarks.heldout.score import Score, compare
from benchmarks.heldout.sheet import FAMILIES
from processors.contract import Failed, Kind, Progress, Work
from processors.ocr import Ocr, OcrOptions, ReadOptions

SEEN = (  # known to the authors of the reader by now, so no longer representative of a new bank
    english.high_street,
    english.app_bank,
    english.sections,
    english.credit_card,
    abroad.canadian,
    abroad.savings_bank,
    abroad.post_bank,
    abroad.swiss,
    abroad.french,
    abroad.spanish,
    later.indian,
    later.dutch,
    later.italian,
)
UNSEEN = (
    later.australian,
    sparse.bare_list,
    sparse.typed_list,
    sparse.business,
)
_TABLES = Path(__file__).parent.parent  # HELDOUT.md, HELDOUT-SEEN.md


def main() -> None:
    asked = _arguments()
    ocr = Ocr()
    ocr.load(OcrOptions(threads=1), asked.folder, Progress(lambda message: None))
    layouts = SEEN if asked.seen else UNSEEN
    kinds = ("clean", "scan") if asked.kind == "both" else (asked.kind,)
    scores: dict[tuple[str, str], Score] = defaultdict(Score)
    seconds: dict[str, list[float]] = defaultdict(list)
    for kind in kinds:
        for case in range(asked.cases):
            layout = layouts[case % len(layouts)]
            if asked.layout and layout.__name__ != asked.layout:
                continue
            score, told, spent = _run(ocr, asked.folder, layout, kind, case)
            scores[layout.__name__, kind] += score
            seconds[kind].append(spent)
            print(f"{kind} {case} {layout.__name__}: {score.right}/{score.drawn}, {spent:.1f} s CPU a page", flush=True)
            if asked.show:
                print("\n".join(f"  {one}" for one in told))
    table = _table(scores, seconds)
    print(table)
    if not asked.layout:
        (_TABLES / ("HELDOUT-SEEN.md" if asked.seen else "HELDOUT.md")).write_text(table, encoding="utf-8")


def _run(ocr: Ocr, folder: Path, layout, kind: str, case: int) -> tuple[Score, list[str], float]:
    rng = random.Random(f"{layout.__name__} {case}")
    place = folder / f"{kind}-{case}-{layout.__name__}"
    place.mkdir(parents=True, exist_ok=True)
    drawn = place / "statement.pdf"
    truth = layout(drawn, rng, rng.choice((8, 24, 60, 110)), rng.choice(FAMILIES))
    if kind == "scan":
        scan(drawn, place / "scan.pdf", rng)
        drawn = place / "scan.pdf"
    kept = place / "read.json"
    if not kept.exists():
        kept.write_text(json.dumps(_read(ocr, drawn, place)), encoding="utf-8")
    read = json.loads(kept.read_text(encoding="utf-8"))
    return *compare(truth, read["document"], read["review"], kind), read["seconds"]


def _read(ocr: Ocr, source: Path, place: Path) -> dict:
    outputs = place / "outputs"
    outputs.mkdir(exist_ok=True)
    work = Work(
        job=place.name,
        attempt=1,
        source=source,
        kind=Kind.IMAGE,
        media_type="application/pdf",
        outputs=outputs,
        stem="statement",
        recipe="bank-statement",
        options=ReadOptions(task="bank-statement"),
    )
    began = time.process_time()
    outcome = ocr.process_one(work, Progress(lambda message: None))
    spent = time.process_time() - began
    if isinstance(outcome, Failed):
        return {"document": {"statements": []}, "review": [outcome.message], "seconds": spent}
    document = json.loads((outputs / "statement.json").read_text(encoding="utf-8"))
    return {"document": document, "review": list(outcome.review), "seconds": spent / (outcome.pages or 1)}


def _table(scores: dict[tuple[str, str], Score], seconds: dict[str, list[float]]) -> str:
    lines = [
        "| layout | pages | rows | correct | wrong, flagged | lost, reported | false alarms | undetected |",
        "|---|---|---|---|---|---|---|---|",
    ]
    totals: dict[str, Score] = defaultdict(Score)
    for (layout, kind), score in scores.items():
        totals[kind] += score
        lines.append(_line(layout, kind, score))
    lines += [_line("**all**", kind, score) for kind, score in totals.items()]
    spent = ", ".join(f"{kind} {sum(each) / len(each):.1f}" for kind, each in seconds.items() if each)
    return "\n".join([*lines, "", f"CPU seconds per page, one thread: {spent}.", ""])


def _line(layout: str, kind: str, score: Score) -> str:
    cells = (
        layout,
        kind,
        score.drawn,
        f"{score.right / max(1, score.drawn):.1%}",
        f"{score.wrong_flagged} of {score.wrong}",
        f"{score.lost_told} of {score.lost}",
        f"{score.false_alarms / max(1, score.right):.1%}",
        score.silent,
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heldout", description=__doc__)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--kind", choices=("clean", "scan", "both"), default="both")
    parser.add_argument("--layout", choices=[layout.__name__ for layout in SEEN + UNSEEN])
    parser.add_argument("--seen", action="store_true", help="the layouts that were held out once")
    parser.add_argument("--folder", type=Path, default=Path("state/heldout"))
    parser.add_argument("--show", action="store_true", help="print every difference")
    return parser.parse_args()


if __name__ == "__main__":
    main()
