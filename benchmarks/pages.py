"""Character accuracy and reading order of invented pages: text layers, and scans of them, beside Tesseract.

Run `python -m benchmarks.pages [--count 39] [--forms layer,150,200,300] [--models state/models] [--tesseract]`. With
--models, inboxd also reads with the small models in that folder. The readers take turns on each page, so that the load
of the machine affects all of them. Scans are skewed by up to one degree and have the noise of a scanner.
"""

import argparse
import random
import resource
import statistics
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image
from rapidfuzz.distance import LCSseq, Levenshtein

from benchmarks.page_layouts import Drawn, draw_pages
from processors.contract import Kind, Progress, Work
from processors.ocr import Ocr, OcrOptions, ReadOptions

_LANGUAGES = "eng+deu+fra+spa"
_SKEW = 1.0  # degrees
_NOISE = 6.0  # standard deviation of gray values


@dataclass(frozen=True)
class Score:
    """1.0 is right."""

    characters: float  # 1 - edit distance of the whole text, in reading order, to its length
    words: float  # F1 of the words, in any order
    order: float  # share of the words found that are in the right order
    seconds: float  # of CPU time


def compare(truth: Iterable[str], read: str, seconds: float = 0.0) -> Score:
    right, found = " ".join(truth).split(), read.split()
    text, other = " ".join(right), " ".join(found)
    common = sum((Counter(right) & Counter(found)).values())
    in_order = LCSseq.similarity(right, found)
    return Score(
        characters=max(0.0, 1 - Levenshtein.distance(text, other) / len(text)),
        words=2 * common / max(1, len(right) + len(found)),
        order=in_order / max(1, common),
        seconds=seconds,
    )


def scan(pdf: Path, dpi: int) -> Path:
    """The page as a scanner gives it: gray, a little skewed, with noise and soft edges."""
    with pypdfium2.PdfDocument(pdf) as document:
        image = document[0].render(scale=dpi / 72).to_pil().convert("L")
    chance = random.Random(f"{pdf.name} {dpi}")
    image = image.rotate(chance.uniform(-_SKEW, _SKEW), Image.Resampling.BICUBIC, fillcolor=255)
    noise = np.random.default_rng(chance.randrange(2**32)).normal(0, _NOISE, (image.height, image.width))
    pixels = np.clip(np.asarray(image) * 0.92 + 12 + noise, 0, 255).astype(np.uint8)
    path = pdf.with_suffix(f".{dpi}.png")
    Image.fromarray(pixels).save(path, dpi=(dpi, dpi))
    return path


class _Inboxd:
    def __init__(self, models: Path = Path("unused")):
        self._ocr = Ocr()
        self._ocr.load(OcrOptions(threads=1), models, Progress(lambda message: None))

    def read(self, path: Path) -> tuple[str, float]:
        media_type = "application/pdf" if path.suffix == ".pdf" else "image/png"
        with tempfile.TemporaryDirectory() as folder:
            work = Work(
                job="job",
                attempt=1,
                source=path,
                kind=Kind.IMAGE,
                media_type=media_type,
                outputs=Path(folder),
                stem="page",
                recipe="read",
                options=ReadOptions(formats=("txt",)),
            )
            before = _cpu(resource.RUSAGE_SELF)
            self._ocr.process_one(work, Progress(lambda message: None))
            return (Path(folder) / "page.txt").read_text(), _cpu(resource.RUSAGE_SELF) - before


def read_with_tesseract(path: Path) -> tuple[str, float]:
    before = _cpu(resource.RUSAGE_CHILDREN)
    command = ["tesseract", str(path), "-", "-l", _LANGUAGES]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin"}
    )
    return done.stdout, _cpu(resource.RUSAGE_CHILDREN) - before


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


_Reader = Callable[[Path], tuple[str, float]]


def _measure(
    readers: dict[str, _Reader], files: list[tuple[Path, Drawn]], worst: int
) -> dict[str, dict[str, list[Score]]]:
    """The scores by reader and layout."""
    scores: dict[str, dict[str, list[Score]]] = {name: defaultdict(list) for name in readers}
    for path, drawn in files:
        for name, reader in readers.items():
            text, seconds = reader(path)
            score = compare(drawn.lines, text, seconds)
            scores[name][drawn.name].append(score)
            if worst and score.characters < 0.97:
                print(f"  {path.name} by {name}: {score}")
    return scores


_HEAD = "| pages | count | characters | worst | words | order | CPU s |\n|---|---|---|---|---|---|---|"


def _print(reader: str, scores: dict[str, list[Score]]) -> None:
    every = [score for each in scores.values() for score in each]
    for name, group in [*sorted(scores.items()), (f"**all, {reader}**", every)]:
        characters, words, order, seconds = (
            statistics.fmean(getattr(score, key) for score in group)
            for key in ("characters", "words", "order", "seconds")
        )
        least = min(score.characters for score in group)
        figures = f"{characters:.4f} | {least:.4f} | {words:.4f} | {order:.4f} | {seconds:.2f}"
        print(f"| {name} | {len(group)} | {figures} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=39)
    parser.add_argument("--forms", default="layer,150,200,300")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--tesseract", action="store_true")
    parser.add_argument("--worst", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        drawn = draw_pages(folder, options.count)
        readers: dict[str, _Reader] = {"inboxd": _Inboxd().read}
        if options.models:
            readers["inboxd, small models"] = _Inboxd(options.models).read
        if options.tesseract:
            readers["Tesseract"] = read_with_tesseract
        for form in options.forms.split(","):
            files = drawn if form == "layer" else [(scan(path, int(form)), page) for path, page in drawn]
            title = "text layer" if form == "layer" else f"scan at {form} dpi"
            print(f"\n## {title}\n\n{_HEAD}")
            used = readers if form != "layer" else {"inboxd": readers["inboxd"]}
            for name, scores in _measure(used, files, options.worst).items():
                _print(name, scores)


if __name__ == "__main__":
    main()
