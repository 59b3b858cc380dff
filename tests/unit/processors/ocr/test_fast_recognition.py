"""Which words the small recognition model reads, and which the usual one, on pages drawn here."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import font_roboto
import numpy as np
import pytest
from paths import ROOT
from PIL import Image, ImageDraw, ImageFont
from works import work_on

from processors.contract import Progress
from processors.models.storage import Damaged
from processors.ocr import Ocr, OcrOptions, ReadOptions, downloaded_models, fast_model, fast_recognition
from processors.ocr.engine import RapidOcrEngine
from processors.ocr.small_models import SmallModels

ROBOTO = str(Path(font_roboto.__file__).parent / "files" / "Roboto-Regular.ttf")
JAPANESE = ROOT / "tests" / "data" / "pages" / "japanese.png"
LETTER = [
    "Dear residents of the house",
    "The meeting begins on Thursday at seven in the evening.",
    "Bitte bringen Sie die Schlüssel für das große Tor mit.",
    "Les comptes de l'exercice ont été approuvés hier.",
    "La decisión se tomará en otoño, cuando abran las ofertas.",
    "The board thanks you for coming, and for paying in time.",
]


def _small(models: Path) -> SmallModels:
    recognition, detection = (downloaded_models.find(name, models) for name in fast_model.NAMES)
    assert recognition and detection
    return SmallModels(recognition, detection)


class Models:
    """OCR with the small model, and the images that each model was given."""

    def __init__(self, models: Path):
        self.ocr = Ocr()
        self.ocr.load(OcrOptions(threads=1), models, Progress(lambda message: None))
        self.lines: Counter[str] = Counter()
        self.pixels: Counter[str] = Counter()
        engine = self.ocr._engine
        engine.use((), _small(models))
        assert engine._fast
        self._count("small", engine._fast.small)
        self._count("usual", engine._fast.usual)

    def _count(self, name: str, model) -> None:
        session = model.session

        def run(lines: np.ndarray) -> np.ndarray:
            self.lines[name] += 1
            self.pixels[name] += lines.shape[3]
            found: np.ndarray = session(lines)
            return found

        model.session = run

    def read(self, page: Image.Image, folder: Path, **options: object) -> list[str]:
        self.lines.clear()
        self.pixels.clear()
        page.save(folder / "page.png")
        work = work_on(folder / "page.png", options=ReadOptions(formats=("txt",), **options))
        finished = self.ocr.process_one(work, Progress(lambda message: None))
        self.review, self.details = finished.review, finished.details
        return [line for line in (folder / "page.txt").read_text().splitlines() if line]


@pytest.fixture(scope="module")
def both(ocr_models: Path) -> Models:
    return Models(ocr_models)


def _page(lines: list[str], size: int = 32) -> Image.Image:
    page = Image.new("RGB", (1100, max(1200, 100 + 60 * len(lines))), "white")
    font = ImageFont.truetype(ROBOTO, size)
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text((50, 50 + 60 * number), line, font=font, fill="black")
    return page


def test_small_model_reads_a_letter_and_the_usual_one_only_words(both: Models, tmp_path: Path):
    assert both.read(_page(LETTER), tmp_path) == LETTER
    assert both.lines["small"] == len(LETTER)
    assert both.pixels["usual"] < both.pixels["small"] / 5
    assert both.details["pages_by_small_models"] == [1]


def test_line_in_a_script_that_the_small_model_does_not_know_is_read_by_the_usual_one(both: Models, tmp_path: Path):
    page = _page([*LETTER[:5], "", *LETTER])
    line = Image.open(JAPANESE).convert("RGB").crop((30, 100, 880, 160))
    page.paste(line, (50, 50 + 60 * 5))
    read = both.read(page, tmp_path)
    assert "いつもご利用いただきありがとうございます。" in read
    assert [text for text in read if text in LETTER] == [*LETTER[:5], *LETTER]
    assert both.pixels["usual"] < both.pixels["small"] / 3


def test_japanese_page_is_read_by_the_usual_model(both: Models, tmp_path: Path):
    read = both.read(Image.open(JAPANESE).convert("RGB"), tmp_path)
    assert read[0] == "お客様へのご案内"
    assert "来月から受付時間が午前九時から午後五時までに変わります。" in read
    assert both.lines["small"] == 10 and both.lines["usual"] >= 5
    assert both.review == () and both.details["pages_by_small_models"] == []


def test_greek_is_reported_with_the_small_model_too(both: Models, tmp_path: Path):
    both.read(_page(["Αγαπητοί κάτοικοι της πολυκατοικίας", "Η συνέλευση θα γίνει την Πέμπτη"]), tmp_path)
    assert any("lines with letters that the OCR model does not know" in each for each in both.review)


def test_upside_down_page_is_turned(both: Models, tmp_path: Path):
    assert both.read(_page(LETTER).rotate(180), tmp_path) == LETTER


@pytest.mark.parametrize("options", [{"small_models": "never"}, {"task": "receipt"}, {"task": "invoice"}])
def test_small_model_is_not_used_where_it_is_not_wanted(both: Models, tmp_path: Path, options: dict[str, str]):
    both.read(_page(LETTER), tmp_path, **options)
    assert both.lines["small"] == 0 and both.lines["usual"] >= len(LETTER)


def test_missing_small_model_changes_nothing_but_the_time(ocr: Ocr, tmp_path: Path):
    _page(LETTER).save(tmp_path / "page.png")
    work = work_on(tmp_path / "page.png", options=ReadOptions(formats=("txt",)))
    assert ocr.process_one(work, Progress(lambda message: None)).review == ()
    assert (tmp_path / "page.txt").read_text().split("\n")[: len(LETTER)] == LETTER
    assert ocr._engine._fast is None


def test_models_of_other_languages_read_without_the_small_one(ocr_models: Path):
    engine = RapidOcrEngine.load(1)
    small = _small(ocr_models)
    engine.use([small.recognition], small)
    assert engine._fast is None and len(engine._others) == 1


def _words(text: str, *, doubtful: str = "") -> list[fast_recognition._Word]:
    """The words of a line whose characters are certain, except for those in `doubtful`."""
    width = 1 / len(text)
    characters = [
        fast_recognition._Character(each, 0.9, 0.6 if each in doubtful else 0.99, number * width, (number + 1) * width)
        for number, each in enumerate(text)
    ]
    return fast_recognition._words(characters)


@pytest.mark.parametrize(
    "text, doubtful",
    [
        ("paid in May", []),
        ("P.0. Box", ["P.0."]),
        ("1.843,27H or 2", ["1.843,27H"]),
        ("1.843,27 EUR", []),
        ("last month.The board", ["month.The"]),
        ("casă și masă", ["casă", "masă"]),
    ],
)
def test_word_of_no_language_is_doubtful(text: str, doubtful: list[str]):
    assert [word.text for word in _words(text) if word.is_doubtful] == doubtful


def test_words_around_an_unlikely_space_are_doubtful():
    assert fast_recognition._doubtful(_words("one two three", doubtful=" ")) == []
    words = fast_recognition._words(
        [fast_recognition._Character(each, 0.9, 0.4 if each == " " else 0.99, 0.0, 0.1) for each in "one two"]
    )
    assert fast_recognition._doubtful(words) == [(0, 1)]


@pytest.mark.parametrize(
    "text, needs_line", [("cuando Ileguen", True), ("Herr lbáñez", True), ("In it, Il dit: l'on", False)]
)
def test_line_is_read_again_if_only_it_can_tell_two_letters_apart(text: str, needs_line: bool):
    assert fast_recognition._needs_line(_words(text), []) == needs_line


def test_digit_before_an_apostrophe_and_letters_is_the_letter_l():
    assert [word.text for word in _words("de 1'école, 1'200 et 1'")] == ["de", "l'école,", "1'200", "et", "1'"]


def test_model_is_taken_from_the_library_only_if_it_is_the_expected_one(monkeypatch: pytest.MonkeyPatch):
    model, characters = b"ONNX weights", json.dumps(["a", "ß"]).encode()
    sha256 = hashlib.sha256(model + characters).hexdigest()
    place = fast_model._Place(b"ONNX", len(model), len(characters), sha256)
    monkeypatch.setattr(fast_model, "_PLACES", {"ocr-fast": place})
    found = fast_model.from_library("ocr-fast", b"code" + model + characters + b"code")
    assert found == model + b"r\x11\n\tcharacter\x12\x04a\n\xc3\x9f"
    for library in (b"code" + model + characters[:-1], b"code"):
        with pytest.raises(Damaged, match=r"does not contain ocr-fast: install version 1\.0\.4"):
            fast_model.from_library("ocr-fast", library)
